"""Private inference of a network by two parties: compile a torch module, save and load the program.

Nothing here imports torch until a model is compiled.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from moiety.private.compiler import UnsupportedOperator, calibrate, compile
    from moiety.private.program import Certificate, Op, Program, ProgramError, Tensor, load

__all__ = [
    "Certificate",
    "Op",
    "Program",
    "ProgramError",
    "Tensor",
    "UnsupportedOperator",
    "calibrate",
    "compile",
    "load",
]

_HOME = {
    "Certificate": "program",
    "Op": "program",
    "Program": "program",
    "ProgramError": "program",
    "Tensor": "program",
    "UnsupportedOperator": "compiler",
    "calibrate": "compiler",
    "compile": "compiler",
    "load": "program",
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
