"""What the demo prints."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from moiety.demo.run import Outcome

__all__ = ["LEARNED", "count", "largest", "progress", "say", "show"]

PARTIES = ("client", "server", "dealer")
PHASES = ("setup", "offline", "online")
NARROWEST = 96  # columns, when the output is no terminal

LEARNED = {
    "client": "the logits of its images, and the network's shapes and compared widths; of the weights only W - A, "
    "which is uniform without the server's mask A, and what the logits themselves give away",
    "server": "that a batch of this size was classified, and when; of the images only x - B, which is uniform without "
    "the client's mask B; nothing of the result",
    "dealer": "the network's shapes and compared widths, the batch size, and when; neither images, weights nor results",
    "assumption": "all three follow the protocol, and the dealer pools what it knows with neither of the others: a "
    "dealer and one party together see everything (SECURITY.md)",
}

_console = Console()
if not _console.is_terminal:
    _console = Console(width=max(_console.width, NARROWEST))


def say(text: str) -> None:
    _console.print(text, highlight=False, soft_wrap=True)


def progress(text: str) -> AbstractContextManager[object]:
    """A spinner on a terminal, one line elsewhere."""
    if not _console.is_terminal:
        say(f"{text} ...")
    return _console.status(text)


def largest(values: list[float], count: int) -> list[int]:
    """Indices of the `count` largest values, largest first."""
    return sorted(range(len(values)), key=lambda i: -values[i])[:count]


def show(paths: list[Path], outcomes: Mapping[Any, Outcome]) -> None:
    """Classes and logits of every image, counters of every variant, and who learned what."""
    for index, path in enumerate(paths):
        _console.print(_answers(path, index, list(outcomes.values())))
    for outcome in outcomes.values():
        _console.print(_counters(outcome, len(paths)))
        say(
            f"compiled in {outcome.compile_seconds:.1f} s; from starting the processes to their end "
            f"{outcome.total_seconds:.2f} s\n"
            f"largest difference of a logit from the plaintext model's {outcome.largest_difference:.5f}; its test "
            f"accuracy {outcome.program['test_accuracy']:.1%}\n"
        )
    say("Who learned what")
    learned = Table.grid(padding=(0, 2))
    for party, what in LEARNED.items():
        learned.add_row(f"  {party}", what)
    _console.print(learned, highlight=False)


def count(images: int) -> str:
    return "1 image" if images == 1 else f"{images} images"


def _answers(path: Path, index: int, outcomes: list[Outcome]) -> Table:
    table = Table(title=path.name, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for outcome in outcomes:
        table.add_column(f"{outcome.title}, private")
        table.add_column("in the clear")
    columns = []
    for outcome in outcomes:
        for logits in (outcome.private[index], outcome.plain[index]):
            columns.append([f"{outcome.classes[i]:<10} {logits[i]:8.4f}" for i in largest(logits, 5)])
    for row in zip(*columns, strict=True):
        table.add_row(*row)
    return table


def _counters(outcome: Outcome, images: int) -> Table:
    title = f"{outcome.title}, {count(images)} in one batch"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("phase")
    table.add_column("party")
    for name in ("wall s", "CPU s", "MiB sent", "rounds", "peak MiB"):
        table.add_column(name, justify="right")
    for phase in PHASES:
        for party in PARTIES:
            counted = outcome.stats[party][phase]
            if party == "dealer" and not any(counted[key] for key in ("bytes_sent", "rounds", "cpu_seconds")):
                continue
            table.add_row(
                phase,
                party,
                f"{counted['wall_seconds']:.3f}",
                f"{counted['cpu_seconds']:.3f}",
                f"{counted['bytes_sent'] / (1 << 20):.3f}",
                str(counted["rounds"]),
                f"{counted['peak_bytes'] / (1 << 20):.0f}",
            )
    return table
