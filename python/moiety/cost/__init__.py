"""What private inference costs: rounds, bytes, multiply-adds and seconds, of an operator and of a program.

One model, several backends: `analytic(network)` and `measured(table)` for this engine, `fpga()` for the accelerator of
the PASNet paper. docs/cost.md says how the seconds come about and how well they fit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from moiety.cost.backends import analytic, backend, measured, network_of
    from moiety.cost.engine import EngineBackend, Estimated
    from moiety.cost.pasnet import FpgaBackend, fpga
    from moiety.cost.shapes import Layer, layers_of
    from moiety.cost.table import Table, default_table, load_table
    from moiety.cost.types import Backend, Cost

_HOME = {
    "Backend": "types",
    "Cost": "types",
    "EngineBackend": "engine",
    "Estimated": "engine",
    "FpgaBackend": "pasnet",
    "Layer": "shapes",
    "Table": "table",
    "analytic": "backends",
    "backend": "backends",
    "default_table": "table",
    "fpga": "pasnet",
    "layers_of": "shapes",
    "load_table": "table",
    "measured": "backends",
    "network_of": "backends",
}

__all__ = [
    "Backend",
    "Cost",
    "EngineBackend",
    "Estimated",
    "FpgaBackend",
    "Layer",
    "Table",
    "analytic",
    "backend",
    "default_table",
    "fpga",
    "layers_of",
    "load_table",
    "measured",
    "network_of",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
