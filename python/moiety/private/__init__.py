"""Private inference of a network by two parties: compile a torch module, save and load the program.

Nothing here imports torch until a model is compiled.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from moiety.private.compiler import UnsupportedOperator, calibrate, compile
    from moiety.private.cost import Estimate, estimate
    from moiety.private.local import Result, run_local
    from moiety.private.program import Certificate, Op, Program, ProgramError, Tensor, load
    from moiety.private.stats import Stats
    from moiety.private.transport import Network

__all__ = [
    "Certificate",
    "Estimate",
    "Network",
    "Op",
    "Program",
    "ProgramError",
    "Result",
    "Stats",
    "Tensor",
    "UnsupportedOperator",
    "calibrate",
    "compile",
    "estimate",
    "load",
    "run_local",
]

_HOME = {
    "Certificate": "program",
    "Estimate": "cost",
    "Network": "transport",
    "Op": "program",
    "Program": "program",
    "ProgramError": "program",
    "Result": "local",
    "Stats": "stats",
    "Tensor": "program",
    "UnsupportedOperator": "compiler",
    "calibrate": "compiler",
    "compile": "compiler",
    "estimate": "cost",
    "load": "program",
    "run_local": "local",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
