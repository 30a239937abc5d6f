"""The report's part about a run of hypernode classification: errors with bars beside the published ones, and tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from ..hypernodes.published import PUBLISHED
from ..hypernodes.results import Cell, HyperResults, read_hyper_results
from ..settings import to_dict
from . import parts
from .bars import Mark, bars
from .marks import legend, method_mark

__all__ = ["HyperRun", "load"]


@dataclass(frozen=True)
class HyperRun:
    """A finished run, as its folder tells it."""

    folder: Path
    results: HyperResults
    config: str  # TOML
    environment: Mapping[str, Any]

    @property
    def title(self) -> str:
        return self.results.name

    @property
    def subtitle(self) -> str:
        results = self.results
        seeds, splits = ({getattr(o, key) for o in results.outcomes} for key in ("seed", "split"))
        return (
            f"Nodes of {_counted(len(results.sets), 'hypergraph')} by {_counted(len(results.models), 'network')} · "
            f"{_counted(len(seeds), 'seed')}, {_counted(len(splits), 'split')}"
        )

    def document(self) -> dict[str, Any]:
        results = self.results
        return {
            "folder": str(self.folder),
            "results": to_dict(results),
            "summary": [
                {"dataset": dataset, "model": model, **vars(cell)}
                for dataset in results.sets
                for model in results.models
                if (cell := results.cell(dataset, model)) is not None
            ],
            "environment": dict(self.environment),
        }

    def section(self, index: int, headed: bool) -> str:
        heading = f"<h2>{escape(self.title)}</h2><p class='lead'>{escape(self.subtitle)}</p>" if headed else ""
        body = [f'<section class="run" id="run-{index}">{heading}', parts.boxes(self._boxes())]
        for dataset in self.results.sets:
            body.append(parts.card(dataset, self._words(dataset), self._figure(dataset)))
        words = "Test error in percent: mean and standard deviation over all trainings."
        body.append(parts.card("Networks", words, parts.table(*self._table("±"))))
        body.append(parts.background(self.config, self.environment))
        return "".join(body) + "</section>"

    def tables(self) -> str:
        """Test errors, a row a network and a column a data set, with the published ones in brackets."""
        head, rows = self._table("±")
        lines = [head, ["---"] * len(head), *rows]
        return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"

    def _boxes(self) -> list[tuple[str, str]]:
        results = self.results
        found = []
        for dataset in results.sets:
            cells = {model: cell for model in results.models if (cell := results.cell(dataset, model)) is not None}
            best = min(cells, key=lambda model: cells[model].mean)
            found.append((f"{cells[best].mean:.2f} %", f"least mean error on {dataset}, of {best}"))
        return [*found, (str(len(results.outcomes)), "networks trained"), (f"{results.spent:.0f} s", "of training")]

    def _words(self, dataset: str) -> str:
        about = self.results.sets[dataset]
        notes = "".join(f" Note: {note}." for note in about["notes"])
        return (
            f"{about['nodes']:,} nodes, {about['hyperedges']:,} hyperedges, {about['train']:,} nodes trained on. Mean "
            f"test error with its standard deviation over all trainings, and the published one's.{notes}"
        )

    def _figure(self, dataset: str) -> str:
        """A row a network: our mean with its deviation, and under it the published one."""
        rows: list[tuple[str, list[Mark]]] = []
        for model in self.results.models:
            cell, said = self.results.cell(dataset, model), PUBLISHED.get(model, {}).get(dataset)
            if cell is None:
                continue
            words = f"{model}: {_number(cell)} ({cell.count} trainings, standard error {cell.error:.2f})"
            marks: list[Mark] = [("train", cell.mean, cell.deviation, words)]
            if said is not None:
                marks.append(("random", *said, f"{model}, published: {said[0]:.2f} ± {said[1]:g}"))
            rows.append((model, marks))
        entries = [(method_mark("train", 11, 8), "here")]
        if any(len(marks) > 1 for _, marks in rows):
            entries.append((method_mark("random", 11, 8), "published"))
        return legend(entries) + bars(rows, "test error (%)", f"errors-{dataset}")

    def _table(self, sign: str) -> tuple[list[str], list[list[str]]]:
        results = self.results
        rows = []
        for model in results.models:
            row = [model]
            for dataset in results.sets:
                cell, said = results.cell(dataset, model), PUBLISHED.get(model, {}).get(dataset)
                ours = "" if cell is None else _number(cell, sign)
                row.append(ours + (f" ({said[0]:.2f} {sign} {said[1]:g})" if said else ""))
            rows.append(row)
        return ["network", *results.sets], rows


def load(folder: Path, config: str, environment: Mapping[str, Any]) -> HyperRun:
    return HyperRun(folder, read_hyper_results(folder), config, environment)


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'s' * (count > 1)}"


def _number(cell: Cell, sign: str = "±") -> str:
    return f"{cell.mean:.2f} {sign} {cell.deviation:.2f}"
