"""A trial's folder: its metrics, checkpoints and progress, and the result at the end."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .checkpoint import Checkpoint
from .distributed import first
from .files import write_json
from .metrics import Metrics

__all__ = ["RESULT", "WEIGHTS", "Place"]

RESULT, WEIGHTS = "result.json", "weights.safetensors"
PULSE_S = 0.5  # between two messages of how far a trial is


class Place:
    """A trial's folder, and how its progress is told. Under torchrun only the first process writes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.writes = first()
        self.metrics = Metrics(folder / "metrics.jsonl") if self.writes else None
        self._told = 0.0

    def checkpoint(self, part: str) -> Checkpoint:
        return Checkpoint(self.folder / f"checkpoint-{part}.safetensors", self.metrics, part, writes=self.writes)

    def progress(self, part: str) -> Callable[[dict[str, Any]], None]:
        """Epochs go into the metrics; what lies between is only shown."""

        def tell(event: dict[str, Any]) -> None:
            if self.metrics is None:
                return
            done, steps = event.get("step"), event.get("steps")
            if done is None or done == steps:
                self.metrics.record(part, event)
            if time.monotonic() - self._told > PULSE_S:
                self._told = time.monotonic()
                shown = {key: value for key, value in event.items() if isinstance(value, (int, float, str))}
                write_json(self.folder / "progress.json", {"part": part, **shown})

        return tell

    def finish(self, document: dict[str, Any]) -> None:
        if self.writes:
            write_json(self.folder / RESULT, document)
            (self.folder / "progress.json").unlink(missing_ok=True)
