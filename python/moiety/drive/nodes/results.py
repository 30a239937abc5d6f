"""What a run of node classification found: `results.json`."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, Literal

from ..files import read_json, write_json
from ..settings import SettingsError, build, to_dict

__all__ = ["NodeResults", "Seed", "read_node_results", "write_node_results"]

FORMAT = 1
FILE = "results.json"


@dataclass(frozen=True)
class Seed:
    """One training."""

    seed: int
    epoch: int  # whose weights were kept, from 0
    epochs: int  # trained
    train: float  # accuracies of the weights kept
    valid: float
    test: float
    spent: float  # seconds
    folder: str  # inside the run's


@dataclass(frozen=True)
class NodeResults:
    """Everything that a report shows but the configuration and the machine."""

    task: Literal["nodes"] = "nodes"
    name: str = ""
    graph: dict[str, Any] = field(default_factory=dict)  # dataset, nodes, edges, features, classes, nodes of each mask
    model: dict[str, Any] = field(default_factory=dict)  # name, options, parameters
    batches: str = ""
    seeds: tuple[Seed, ...] = ()
    chosen: int = 0  # whose weights lie in the run folder: the best by validation
    notes: tuple[str, ...] = ()
    spent: float = 0.0
    format: int = FORMAT

    def mean(self, value: Callable[[Seed], float]) -> float:
        return fmean(value(seed) for seed in self.seeds)

    def deviation(self, value: Callable[[Seed], float]) -> float:
        """Standard deviation over seeds, 0 of a single one; what the literature prints behind +-."""
        return stdev(value(seed) for seed in self.seeds) if len(self.seeds) > 1 else 0.0

    def error(self, value: Callable[[Seed], float]) -> float:
        """Standard error of the mean."""
        return self.deviation(value) / math.sqrt(len(self.seeds))


def write_node_results(folder: Path, results: NodeResults) -> None:
    write_json(folder / FILE, to_dict(results))


def read_node_results(folder: Path) -> NodeResults:
    """The results in a run folder."""
    path = folder / FILE
    document = read_json(path)
    if document.get("format") != FORMAT:
        raise ValueError(f"{path} has format {document.get('format')!r}: expected {FORMAT}, made by this version")
    try:
        return build(NodeResults, document)
    except (SettingsError, TypeError) as error:
        raise ValueError(f"{path} does not hold a run's results ({error})") from None
