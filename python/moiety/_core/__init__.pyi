# The extension module lies beside this directory, which holds stubs only: no __init__.py, so Python imports the module.
from moiety._core import crypto as crypto
from moiety._core import graph as graph
from moiety._core import graph_counted as graph_counted
from moiety._core import graph_sampling as graph_sampling
from moiety._core import hypergraph as hypergraph
from moiety._core import mpc as mpc
from moiety._core import nn as nn
from moiety._core import ring as ring
from moiety._core import topology as topology

__version__: str

class ProtocolError(RuntimeError): ...

# System: csrc/bindings/system.cpp
def cpu_features() -> dict[str, bool]: ...
def isa() -> str: ...
def set_isa(name: str) -> None: ...
def default_threads() -> int: ...
def compiler() -> str: ...
