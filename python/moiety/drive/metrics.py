"""`metrics.jsonl`: one JSON object a line, {"time", "part", ...}, appended while a run goes on."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from .files import write_atomic

__all__ = ["Metrics", "read_metrics"]


def read_metrics(path: Path) -> Iterator[dict[str, Any]]:
    """The events of a file; a line that a kill has cut short is left out."""
    if not path.exists():
        return
    with path.open() as lines:
        for line in lines:
            try:
                event = json.loads(line)
            except json.JSONDecodeError:
                continue
            if isinstance(event, dict):
                yield event


class Metrics:
    """The events of one folder, appended; `part` tells whether an event is of the search, the training, ..."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._counts = Counter(str(event.get("part")) for event in read_metrics(path))
        path.parent.mkdir(parents=True, exist_ok=True)
        whole = not path.exists() or path.stat().st_size == 0 or path.read_bytes().endswith(b"\n")
        if not whole:
            self._rewrite(list(read_metrics(path)))

    def record(self, part: str, event: Mapping[str, Any]) -> None:
        line = json.dumps({"time": round(time.time(), 3), "part": part, **event})
        with self.path.open("a") as file:
            file.write(line + "\n")
        self._counts[part] += 1

    def count(self, part: str) -> int:
        return self._counts[part]

    def keep(self, part: str, count: int) -> None:
        """Drop the events of `part` beyond its first `count`."""
        if self._counts[part] <= count:
            return
        kept, seen = [], 0
        for event in read_metrics(self.path):
            if event.get("part") == part:
                seen += 1
                if seen > count:
                    continue
            kept.append(event)
        self._rewrite(kept)
        self._counts[part] = count

    def _rewrite(self, events: list[dict[str, Any]]) -> None:
        write_atomic(self.path, "".join(json.dumps(event) + "\n" for event in events))
