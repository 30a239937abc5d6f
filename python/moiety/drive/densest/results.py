"""What a run of the densest k-subhypergraph found: `results.json`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, Literal

from ..files import read_json, write_json
from ..settings import SettingsError, build, to_dict

__all__ = ["DensestResults", "Found", "read_densest_results", "write_densest_results"]

FORMAT = 1
FILE = "results.json"


@dataclass(frozen=True)
class Found:
    """What one method chose: of every hypergraph to test with, hyperedges inside over those inside the planted part."""

    method: str
    ratios: tuple[float, ...]
    seed: int | None = None  # None: of a method that learns nothing
    loss: float | None = None
    spent: float = 0.0  # seconds


@dataclass(frozen=True)
class DensestResults:
    """Everything that a report shows but the configuration and the machine."""

    task: Literal["densest"] = "densest"
    name: str = ""
    data: dict[str, Any] = field(default_factory=dict)  # nodes, k, hyperedges, held (means), train, test
    models: dict[str, Any] = field(default_factory=dict)  # label -> name, options, parameters
    found: tuple[Found, ...] = ()
    spent: float = 0.0
    format: int = FORMAT

    def methods(self) -> list[str]:
        return list(dict.fromkeys(one.method for one in self.found))

    def ratio(self, method: str) -> tuple[float, float]:
        """Mean over hypergraphs and seeds, and the standard deviation over hypergraphs of its mean over seeds."""
        columns = zip(*(one.ratios for one in self.found if one.method == method), strict=True)
        means = [fmean(column) for column in columns]
        return fmean(means), stdev(means) if len(means) > 1 else 0.0


def write_densest_results(folder: Path, results: DensestResults) -> None:
    write_json(folder / FILE, to_dict(results))


def read_densest_results(folder: Path) -> DensestResults:
    """The results in a run folder."""
    path = folder / FILE
    document = read_json(path)
    if document.get("format") != FORMAT:
        raise ValueError(f"{path} has format {document.get('format')!r}: expected {FORMAT}, made by this version")
    try:
        return build(DensestResults, document)
    except (SettingsError, TypeError) as error:
        raise ValueError(f"{path} does not hold a run's results ({error})") from None
