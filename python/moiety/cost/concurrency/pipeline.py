"""Pipelines inside a layer and over layers, on partitions of a graph: Besta & Hoefler's Figure 14 as a simulation.

A layer handles P partitions in three stages: the graph operation (scatter and aggregate), the neural operation, and the
update of the vertices. Each stage of each layer is a worker that takes partitions in their order, pass after pass.

- *Micro-pipeline*, over the stages. Synchronous: a neural operation starts when the graph operations of all partitions
  of its layer are done, since any partition may have edges to all others. Asynchronous: when its own is.
- *Macro-pipeline*, over the layers. Synchronous: a graph operation starts when all partitions have left the layer
  before, so it reads nothing stale. Asynchronous: when its own partition has; of the others it reads what is there,
  which may be of the pass before (T_psi^R of the paper's equation 3).
- Passes: the next one starts when the one before has ended if the macro-pipeline is synchronous, else when its worker
  is free.

*Staleness* of a read is how many passes older it is than the reader; before the first pass there is pass -1, the
starting values. *Bubbles* are the part of the workers' time in which they wait.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["STAGES", "Mode", "Pipeline", "Schedule", "Task", "schedules", "simulate"]

STAGES = ("graph", "neural", "update")
Mode = Literal["sync", "async"]


@dataclass(frozen=True)
class Task:
    """One stage of one partition in one layer of one pass, and when it ran, in seconds."""

    step: int
    layer: int
    stage: int
    part: int
    start: float
    stop: float


@dataclass(frozen=True)
class Pipeline:
    """Seconds of every stage: `seconds[l][s][p]`, and which partitions each one reads from (all others by default)."""

    seconds: tuple[tuple[tuple[float, ...], ...], ...]
    reads: tuple[frozenset[int], ...] = field(default=())

    def __post_init__(self) -> None:
        shapes = {len(layer) for layer in self.seconds}, {len(stage) for layer in self.seconds for stage in layer}
        if not self.seconds or shapes[0] != {len(STAGES)} or len(shapes[1]) != 1 or not min(shapes[1]):
            raise ValueError("pipeline: expected seconds of one number of partitions for 3 stages of every layer")
        if min(t for layer in self.seconds for stage in layer for t in stage) < 0:
            raise ValueError("pipeline: expected seconds >= 0")
        if self.reads and (
            len(self.reads) != self.parts or any(not 0 <= q < self.parts for r in self.reads for q in r)
        ):
            raise ValueError(
                f"pipeline: expected the partitions that each of {self.parts} reads from, got {self.reads}"
            )

    @property
    def layers(self) -> int:
        return len(self.seconds)

    @property
    def parts(self) -> int:
        return len(self.seconds[0][0])

    def sources(self, part: int) -> frozenset[int]:
        """The other partitions whose vertices `part` reads."""
        read = self.reads[part] if self.reads else frozenset(range(self.parts))
        return read - {part}


@dataclass(frozen=True)
class Schedule:
    """What `simulate` found. Workers are (layer, stage)."""

    micro: Mode
    macro: Mode
    tasks: tuple[Task, ...]
    layers: int
    staleness: tuple[int, ...]  # of every read of another partition's vertices, layers after the first

    @property
    def makespan(self) -> float:
        """From the start of the first task to the end of the last, in seconds."""
        return max(t.stop for t in self.tasks)

    @property
    def workers(self) -> int:
        return self.layers * len(STAGES)

    @property
    def busy(self) -> float:
        """Seconds of work on all workers."""
        return sum(t.stop - t.start for t in self.tasks)

    @property
    def bubbles(self) -> float:
        """The part of the workers' time that is waiting, in [0, 1]."""
        return 1.0 - self.busy / (self.workers * self.makespan) if self.makespan > 0 else 0.0

    @property
    def max_staleness(self) -> int:
        return max(self.staleness, default=0)

    @property
    def mean_staleness(self) -> float:
        return float(np.mean(self.staleness)) if self.staleness else 0.0

    def to_dict(self) -> dict[str, Any]:
        """Plain values, without the tasks."""
        return {
            "micro": self.micro,
            "macro": self.macro,
            "makespan": self.makespan,
            "bubbles": self.bubbles,
            "workers": self.workers,
            "max_staleness": self.max_staleness,
            "mean_staleness": self.mean_staleness,
            "stale_reads": sum(s > 0 for s in self.staleness),
            "reads": len(self.staleness),
        }

    def trace(self, process: int = 1) -> list[dict[str, Any]]:
        """Chrome trace events (chrome://tracing, ui.perfetto.dev): a row a worker, microseconds."""
        name = f"micro {self.micro}, macro {self.macro}"
        events: list[dict[str, Any]] = [_named("process_name", process, 0, name)]
        for layer in range(self.layers):
            for stage, words in enumerate(STAGES):
                thread = layer * len(STAGES) + stage
                events.append(_named("thread_name", process, thread, f"layer {layer + 1}, {words}"))
                events.append({"ph": "M", "name": "thread_sort_index", "pid": process, "tid": thread,
                               "args": {"sort_index": thread}})  # fmt: skip
        for t in self.tasks:
            events.append(
                {
                    "ph": "X",
                    "name": f"partition {t.part}",
                    "cat": STAGES[t.stage],
                    "pid": process,
                    "tid": t.layer * len(STAGES) + t.stage,
                    "ts": 1e6 * t.start,
                    "dur": 1e6 * (t.stop - t.start),
                    "args": {"pass": t.step, "layer": t.layer + 1, "partition": t.part},
                }
            )
        return events


def _named(kind: str, process: int, thread: int, name: str) -> dict[str, Any]:
    return {"ph": "M", "name": kind, "pid": process, "tid": thread, "args": {"name": name}}


def simulate(pipeline: Pipeline, micro: Mode = "sync", macro: Mode = "sync", passes: int = 1) -> Schedule:
    """Runs `passes` passes of the pipeline. Raises ValueError for other modes or passes < 1."""
    for what, mode in (("micro", micro), ("macro", macro)):
        if mode not in ("sync", "async"):
            raise ValueError(f"{what}: expected 'sync' or 'async', got {mode!r}")
    if passes < 1:
        raise ValueError(f"passes: expected at least 1, got {passes}")
    layers, parts = pipeline.layers, pipeline.parts
    stop = np.zeros((passes, layers, len(STAGES), parts))
    free = np.zeros((layers, len(STAGES)))  # when each worker has done what it was given
    tasks: list[Task] = []
    stale: list[int] = []
    for t in range(passes):
        began = float(stop[:t].max(initial=0.0)) if macro == "sync" else 0.0
        for layer in range(layers):
            for stage in range(len(STAGES)):
                for p in range(parts):
                    start = max(began, free[layer, stage], _ready(stop[t], layer, stage, p, micro, macro))
                    end = start + pipeline.seconds[layer][stage][p]
                    stop[t, layer, stage, p] = free[layer, stage] = end
                    tasks.append(Task(t, layer, stage, p, float(start), float(end)))
    for task in tasks:
        if task.stage == 0 and task.layer > 0:
            done = stop[:, task.layer - 1, -1, :]
            stale += [_age(done[:, q], task) for q in sorted(pipeline.sources(task.part))]
    return Schedule(micro, macro, tuple(tasks), layers, tuple(stale))


def _ready(stop: NDArray[np.float64], layer: int, stage: int, part: int, micro: Mode, macro: Mode) -> float:
    """When what a task of this pass waits for has ended."""
    if stage == 0:
        if layer == 0:
            return 0.0
        before = stop[layer - 1, -1]
        return float(before.max() if macro == "sync" else before[part])
    before = stop[layer, stage - 1]
    return float(before.max() if micro == "sync" and stage == 1 else before[part])


def _age(done: NDArray[np.float64], reader: Task) -> int:
    """Passes between the reader's and the newest one, not after it, that had ended when the reader started."""
    there = [t for t in range(reader.step + 1) if done[t] <= reader.start]
    return reader.step - (there[-1] if there else -1)


def schedules(pipeline: Pipeline, passes: int = 1) -> tuple[Schedule, ...]:
    """All four of Figure 14: {sync, async} micro by {sync, async} macro."""
    modes: tuple[Mode, Mode] = ("sync", "async")
    return tuple(simulate(pipeline, micro, macro, passes) for macro in modes for micro in modes)


def shared(seconds: Sequence[Sequence[float]], shares: Callable[[int], Sequence[float]]) -> Pipeline:
    """A pipeline of layers x stages seconds, dealt out over partitions: `shares(stage)` are parts of 1."""
    return Pipeline(
        tuple(tuple(tuple(t * share for share in shares(s)) for s, t in enumerate(layer)) for layer in seconds)
    )
