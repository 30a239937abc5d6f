"""What a run of hypernode classification found: `results.json`."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, Literal

from ..files import read_json, write_json
from ..settings import SettingsError, build, to_dict

__all__ = ["Cell", "HyperResults", "Outcome", "read_hyper_results", "write_hyper_results"]

FORMAT = 1
FILE = "results.json"


@dataclass(frozen=True)
class Outcome:
    """One training."""

    dataset: str
    model: str  # its label
    seed: int
    split: int
    train: float  # accuracies of the last epoch's weights
    test: float
    loss: float
    spent: float  # seconds


@dataclass(frozen=True)
class Cell:
    """A network on a data set, over seeds and splits: the test error in percent."""

    mean: float
    deviation: float  # standard deviation over all trainings, 0 of a single one; what the literature prints behind +-
    error: float  # standard error of the mean; trainings on one split are not independent, so it is that of the splits
    count: int

    @classmethod
    def of(cls, outcomes: Iterable[Outcome]) -> Cell:
        errors: dict[int, list[float]] = {}
        for outcome in outcomes:
            errors.setdefault(outcome.split, []).append(100 * (1 - outcome.test))
        every = [value for values in errors.values() for value in values]
        means = [fmean(values) for values in errors.values()]
        error = stdev(means) / math.sqrt(len(means)) if len(means) > 1 else 0.0
        return cls(fmean(every), stdev(every) if len(every) > 1 else 0.0, error, len(every))


@dataclass(frozen=True)
class HyperResults:
    """Everything that a report shows but the configuration and the machine."""

    task: Literal["hypernodes"] = "hypernodes"
    name: str = ""
    sets: dict[str, Any] = field(default_factory=dict)  # name -> nodes, hyperedges, incidences, features, ..., notes
    models: dict[str, Any] = field(default_factory=dict)  # label -> name, options, fit, parameters by data set
    outcomes: tuple[Outcome, ...] = ()
    spent: float = 0.0
    format: int = FORMAT

    def cell(self, dataset: str, model: str) -> Cell | None:
        """None where there is no such training."""
        found = [o for o in self.outcomes if (o.dataset, o.model) == (dataset, model)]
        return Cell.of(found) if found else None


def write_hyper_results(folder: Path, results: HyperResults) -> None:
    write_json(folder / FILE, to_dict(results))


def read_hyper_results(folder: Path) -> HyperResults:
    """The results in a run folder."""
    path = folder / FILE
    document = read_json(path)
    if document.get("format") != FORMAT:
        raise ValueError(f"{path} has format {document.get('format')!r}: expected {FORMAT}, made by this version")
    try:
        return build(HyperResults, document)
    except (SettingsError, TypeError) as error:
        raise ValueError(f"{path} does not hold a run's results ({error})") from None
