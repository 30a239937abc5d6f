"""The command `profile`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from moiety.cli_common import Json, emit, guarded

if TYPE_CHECKING:
    from moiety.cost.table import Table

__all__ = ["progress_bar", "register"]

Out = Annotated[Path, typer.Option("--out", "-o", help="The cost table.")]
NetworkName = Annotated[str | None, typer.Option("--network", help="lan, wan, or RTT_MS,MBIT: shapes the traffic.")]
Quick = Annotated[bool, typer.Option("--quick", help="A third of the sizes, half as often.")]
Threads = Annotated[int, typer.Option(min=1, help="Threads of each party.")]


def profile(
    out: Out = Path("table.json"),
    network: NetworkName = None,
    quick: Quick = False,
    threads: Threads = 1,
    json: Json = False,
) -> None:
    """Measure what every operator costs on this machine: the cost table for `moiety search`."""
    from moiety.cost import network_of
    from moiety.cost.profile import profile as measure

    shape = network_of(network)
    if not out.absolute().parent.is_dir():
        raise ValueError(f"--out {out}: expected a place in a directory that is there")
    with progress_bar() as step:
        table = measure(shape, quick=quick, threads=threads, progress=step)
    table.save(out)
    document = table.to_json()
    del document["raw"]
    emit(json, {"table": str(out), **document}, _text(table, out))


@contextmanager
def progress_bar() -> Iterator[Callable[[int, int, str], None]]:
    """A bar with the time left on standard error, if that is a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=None)
        yield lambda done, total, what: bar.update(task, completed=done, total=total, description=what)


def _text(table: Table, out: Path) -> str:
    lines = [f"{'row':18}{'ring':>5}{'us a round':>12}{'ns a byte':>11}{'ns a unit':>11}{'off by':>8}"]
    for ring, rows in sorted(table.rings.items()):
        for name, t in rows.items():
            lines.append(f"{name:18}{ring:5}{1e6 * t.a:12.1f}{1e9 * t.b:11.3f}{1e9 * t.c:11.3f}{t.error:8.1%}")
    lines.append(f"{out}: {len(table.raw)} operators measured in {table.made['seconds']:.0f} s")
    for ring in sorted(table.rings):
        try:
            table.require_fit(ring)
        except ValueError as error:
            lines.append(f"not fit for a search: {error}")
    return "\n".join(lines)


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(guarded(profile))
