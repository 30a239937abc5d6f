"""What all commands share: errors in one line, results as text or JSON."""

from __future__ import annotations

import functools
import json as json_module
from collections.abc import Callable
from typing import Annotated, Any, ParamSpec, TypeVar

import typer

__all__ = ["Json", "emit", "guarded", "show_tracebacks"]

P = ParamSpec("P")
R = TypeVar("R")

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]

_debug = False


def show_tracebacks(debug: bool) -> None:
    """Let errors through as they are, for who looks for the fault in the program."""
    global _debug
    _debug = debug


def guarded(command: Callable[P, R]) -> Callable[P, R]:
    """Turn the errors that a user can mend into one line and exit code 1."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except (ValueError, RuntimeError, ArithmeticError, OSError, ImportError) as error:
            if _debug:
                raise
            text = " ".join(str(error).split()) or type(error).__name__
            if kwargs.get("json"):
                typer.echo(json_module.dumps({"error": text}))
            typer.echo(f"moiety: {text}", err=True)
            raise typer.Exit(1) from None
        except KeyboardInterrupt:
            typer.echo("moiety: interrupted", err=True)
            raise typer.Exit(130) from None

    return run


def emit(json: bool, document: dict[str, Any], text: str) -> None:
    typer.echo(json_module.dumps(document) if json else text)
