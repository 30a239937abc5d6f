"""How far a run is: bars with the time left on a terminal, one line a step elsewhere, nothing when told to be quiet."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from .distributed import first

__all__ = ["Display", "display"]

LOOK_S = 0.5


class Display:
    """Watches the folders of trials, so that it does not matter which process works in them."""

    def __init__(self, run: Path, console: Console, bars: Progress | None, quiet: bool) -> None:
        self._run, self._console, self._bars, self._quiet = run, console, bars, quiet
        self._tasks: dict[str, TaskID] = {}
        self._all: TaskID | None = None
        self._begun, self._known = 0.0, 0.0
        self._finished: set[str] = set()

    def say(self, text: str) -> None:
        if not self._quiet:
            self._console.print(text, highlight=False, soft_wrap=True)

    def begin(self, title: str, total: int) -> None:
        """A new group of `total` trials."""
        self._begun, self._known, self._finished = time.monotonic(), -1.0, set()
        if self._bars is None:
            self.say(title)
            return
        for task in (*self._tasks.values(), *([self._all] if self._all is not None else [])):
            self._bars.remove_task(task)
        self._tasks = {}
        self._all = self._bars.add_task(title, total=total, said="")

    def watch(self, at_work: Sequence[str], done: Sequence[str]) -> None:
        """Trials at work and done, by name; "teacher" is none of them, but is watched like one."""
        if self._bars is None:
            for name in done:
                if name not in self._finished:
                    self._finished.add(name)
                    self.say(f"  {name}: {_outcome(self._run / 'trials' / name)}")
            return
        if self._known < 0:
            self._known = float(len(done))  # of a run before: they took no time now
        share = 0.0
        for name in at_work:
            event = _read(_folder(self._run, name) / "progress.json")
            part = _part(event)
            share += part
            if name not in self._tasks:
                self._tasks[name] = self._bars.add_task(name, total=1.0, said="")
            self._bars.update(self._tasks[name], completed=part, said=_said(event))
        for name in [name for name in self._tasks if name not in at_work]:
            self._bars.remove_task(self._tasks.pop(name))
        if self._all is not None:
            now = len(done) + share
            total = self._bars.tasks[0].total or 1.0
            self._bars.update(self._all, completed=now, said=self._left(now - self._known, total - now))

    @contextmanager
    def following(self, name: str) -> Iterator[None]:
        """Watch one trial that this process works at itself."""
        over = threading.Event()

        def look() -> None:
            while not over.wait(LOOK_S):
                self.watch([name], [])

        thread = threading.Thread(target=look, daemon=True)
        if self._bars is not None:
            thread.start()
        try:
            yield
        finally:
            over.set()
            if thread.is_alive():
                thread.join()

    def _left(self, worked: float, remaining: float) -> str:
        if worked <= 0.02:
            return ""
        seconds = (time.monotonic() - self._begun) / worked * remaining
        return f"{_span(seconds)} left"


def _folder(run: Path, name: str) -> Path:
    return run / "teacher" if name == "teacher" else run / "trials" / name


def _span(seconds: float) -> str:
    whole = round(seconds)
    hours, minutes = whole // 3600, whole // 60 % 60
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {whole % 60:02d} s" if minutes else f"{whole} s"


def _read(path: Path) -> dict[str, Any]:
    try:
        event = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return event if isinstance(event, dict) else {}


def _part(event: dict[str, Any]) -> float:
    """Of a trial: the search is taken for one half, the training for the other."""
    epochs, steps = event.get("epochs") or 1, event.get("steps") or 1
    within: float = min((event.get("epoch", 0) + event.get("step", 0) / steps) / epochs, 1.0)
    return within if event.get("part") in ("shared", "nodes") else (within + (event.get("part") == "fit")) / 2


def _said(event: dict[str, Any]) -> str:
    words = [str(event.get("phase", ""))]
    if "epochs" in event:
        words.append(f"epoch {event.get('epoch', 0) + 1}/{event['epochs']}")
    if isinstance(loss := event.get("loss"), float):
        words.append(f"loss {loss:.3f}")
    return " ".join(words)


def _outcome(folder: Path) -> str:
    result = _read(folder / "result.json")
    if "test" not in result:
        return f"done in {_span(result.get('spent', 0.0))}"
    if "predicted" not in result:
        return f"test accuracy {result['test']:.2%}, {_span(result.get('spent', 0.0))}"
    return (
        f"test accuracy {result['test']:.2%} at {result['predicted'] * 1e3:.1f} ms predicted, "
        f"{_span(result.get('spent', 0.0))}"
    )


@contextmanager
def display(run: Path, *, quiet: bool) -> Iterator[Display]:
    """On standard error. Under torchrun the first process shows it."""
    quiet = quiet or not first()
    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        yield Display(run, console, None, quiet)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:3.0f} %"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[said]}"),
    )
    with Progress(*columns, console=console, transient=True) as bars:
        yield Display(run, console, bars, quiet)
