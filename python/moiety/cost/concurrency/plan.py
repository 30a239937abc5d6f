"""What a model is to be run on: partitions, samples, pipelines, workers."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any, cast

from .pipeline import Mode

__all__ = ["METHODS", "Plan", "parse_plan"]

METHODS = ("multilevel", "metis", "contiguous", "random")


@dataclass(frozen=True)
class Plan:
    """How a model runs. The default is one worker, the whole graph, forward only.

    parts, method: a partition of the vertices over workers (`moiety.graph.partition`). fanouts, batch: neighbours
    sampled a hop, of so many target vertices. micro, macro, passes: the pipeline's modes (`pipeline`), over `chunks`
    partitions where there are no parts. training: the backward pass too. workers: for which Brent's bounds are given.
    """

    parts: int = 1
    method: str = "multilevel"
    fanouts: tuple[int, ...] = ()
    batch: int = 1024
    micro: Mode = "sync"
    macro: Mode = "sync"
    passes: int = 1
    chunks: int = 4
    training: bool = False
    workers: tuple[int, ...] = (1, 2, 4, 8, 16, 64, 256)
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("parts", "batch", "passes", "chunks"):
            if getattr(self, name) < 1:
                raise ValueError(f"plan: expected {name} >= 1, got {getattr(self, name)}")
        if self.method not in METHODS:
            raise ValueError(f"plan: expected method {', '.join(METHODS)}, got {self.method!r}")
        for name in ("micro", "macro"):
            if getattr(self, name) not in ("sync", "async"):
                raise ValueError(f"plan: expected {name} sync or async, got {getattr(self, name)!r}")
        if any(f < 1 for f in self.fanouts) or any(w < 1 for w in self.workers) or not self.workers:
            raise ValueError(f"plan: expected fanouts and workers >= 1, got {self.fanouts} and {self.workers}")

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def parse_plan(text: str) -> Plan:
    """A plan from words: ``"parts=4,method=random,fanouts=10x5,batch=512,micro=async,training"``.

    Raises ValueError for other words, naming those there are.
    """
    known = {f.name: f.type for f in fields(Plan)}
    given: dict[str, Any] = {}
    for word in filter(None, (w.strip() for w in text.split(","))):
        name, equals, value = word.partition("=")
        if name not in known or (not equals and name != "training"):
            raise ValueError(f"plan: expected words of {', '.join(known)} such as parts=4, got {word!r}")
        try:
            if name in ("fanouts", "workers"):
                given[name] = tuple(int(v) for v in value.split("x"))
            elif name == "training":
                given[name] = {"": True, "true": True, "false": False}[value.lower()]
            elif name in ("method", "micro", "macro"):
                given[name] = value
            else:
                given[name] = int(value)
        except (ValueError, KeyError):
            raise ValueError(f"plan: expected {name} as in parts=4 or fanouts=10x5, got {word!r}") from None
    return Plan(**cast(Any, given))
