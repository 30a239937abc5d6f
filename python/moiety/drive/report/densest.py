"""The report's part about a run of the densest k-subhypergraph: how much of the planted part each method holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from ..densest.results import DensestResults, read_densest_results
from ..settings import to_dict
from . import parts
from .bars import Mark, bars
from .marks import legend, method_mark

__all__ = ["DensestRun", "load"]


@dataclass(frozen=True)
class DensestRun:
    """A finished run, as its folder tells it."""

    folder: Path
    results: DensestResults
    config: str  # TOML
    environment: Mapping[str, Any]

    @property
    def title(self) -> str:
        return self.results.name

    @property
    def subtitle(self) -> str:
        data = self.results.data
        return (
            f"The densest {data['k']} of {data['nodes']} nodes · {data['hyperedges']} hyperedges · trained on "
            f"{data['train']} generated hypergraphs, tested with {data['test']}"
        )

    def document(self) -> dict[str, Any]:
        summary = [
            {"method": method, "mean": mean, "deviation": spread}
            for method in self.results.methods()
            for mean, spread in (self.results.ratio(method),)
        ]
        return {
            "folder": str(self.folder),
            "results": to_dict(self.results),
            "summary": summary,
            "environment": dict(self.environment),
        }

    def section(self, index: int, headed: bool) -> str:
        heading = f"<h2>{escape(self.title)}</h2><p class='lead'>{escape(self.subtitle)}</p>" if headed else ""
        words = (
            "Hyperedges inside the nodes chosen over those inside the planted part: mean over hypergraphs and seeds, "
            "with its standard deviation over hypergraphs. Above 1 the method has found a denser part than the planted."
        )
        learned = set(self.results.models)
        rows: list[tuple[str, list[Mark]]] = []
        for method in self.results.methods():
            kind = "train" if any(method.startswith(name) for name in learned) else "greedy"
            rows.append((method, [(kind, *self.results.ratio(method), method)]))
        drawing = legend([(method_mark("train", 11, 8), "learned"), (method_mark("greedy", 11, 8), "greedy")])
        body = [
            f'<section class="run" id="run-{index}">{heading}',
            parts.card("Dense parts", words, drawing + bars(rows, "hyperedges held, planted = 1", "densest")),
            parts.card("Methods", words, parts.table(*self._table())),
            parts.background(self.config, self.environment),
        ]
        return "".join(body) + "</section>"

    def tables(self) -> str:
        """A row a method."""
        head, rows = self._table()
        return "\n".join(f"| {' | '.join(line)} |" for line in (head, ["---"] * len(head), *rows)) + "\n"

    def _table(self) -> tuple[list[str], list[list[str]]]:
        rows = []
        for method in self.results.methods():
            mean, spread = self.results.ratio(method)
            rows.append([method, f"{mean:.3f} ± {spread:.3f}"])
        return ["method", "hyperedges held, planted = 1"], rows


def load(folder: Path, config: str, environment: Mapping[str, Any]) -> DensestRun:
    return DensestRun(folder, read_densest_results(folder), config, environment)
