"""What a run of forecasting found: `results.json`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, Literal

from ..files import read_json, write_json
from ..settings import SettingsError, build, to_dict
from .errors import Errors

__all__ = ["ForecastResults", "Outcome", "mean_and_deviation", "read_forecast_results", "write_forecast_results"]

FORMAT = 1
FILE = "results.json"


@dataclass(frozen=True)
class Outcome:
    """One training: the test errors of the weights that were best in validation."""

    model: str  # its title
    seed: int
    epoch: int  # whose weights were kept, from 0
    epochs: int  # trained
    valid: float  # mean absolute error in validation
    mae: tuple[float, ...]  # by step ahead
    rmse: tuple[float, ...]
    mape: tuple[float, ...]
    all_mae: float
    all_rmse: float
    all_mape: float
    spent: float  # seconds
    folder: str  # inside the run's


@dataclass(frozen=True)
class ForecastResults:
    """Everything that a report shows but the configuration, the machine and what is drawn (shown.json)."""

    task: Literal["forecast"] = "forecast"
    name: str = ""
    series: dict[str, Any] = field(default_factory=dict)  # dataset, unit, steps, nodes, windows of each part, ...
    topology: dict[str, Any] = field(default_factory=dict)  # its settings and seconds; empty of a run without
    models: dict[str, Any] = field(default_factory=dict)  # title -> name, options, topology, parameters
    outcomes: tuple[Outcome, ...] = ()
    baselines: dict[str, Any] = field(default_factory=dict)  # name -> errors
    chosen: int = 0  # whose weights lie in the run folder: the best by validation
    notes: tuple[str, ...] = ()
    spent: float = 0.0
    format: int = FORMAT

    def of(self, model: str) -> list[Outcome]:
        return [outcome for outcome in self.outcomes if outcome.model == model]

    def baseline(self, name: str) -> Errors:
        return build(Errors, self.baselines[name])


def mean_and_deviation(outcomes: Sequence[Outcome], value: Callable[[Outcome], float]) -> tuple[float, float]:
    """Over seeds; the deviation of a single one is 0."""
    values = [value(outcome) for outcome in outcomes]
    return fmean(values), stdev(values) if len(values) > 1 else 0.0


def write_forecast_results(folder: Path, results: ForecastResults) -> None:
    write_json(folder / FILE, to_dict(results))


def read_forecast_results(folder: Path) -> ForecastResults:
    """The results in a run folder."""
    path = folder / FILE
    document = read_json(path)
    if document.get("format") != FORMAT:
        raise ValueError(f"{path} has format {document.get('format')!r}: expected {FORMAT}, made by this version")
    try:
        return build(ForecastResults, document)
    except (SettingsError, TypeError) as error:
        raise ValueError(f"{path} does not hold a run's results ({error})") from None
