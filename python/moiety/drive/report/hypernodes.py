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
from .marks import legend, method_mark
from .svg import Axes, Scale, element, figure, text

__all__ = ["HyperRun", "load"]

WIDTH, LEFT, ROW = 960.0, 150.0, 34.0


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
            f"Nodes of {len(results.sets)} hypergraph{'s' * (len(results.sets) > 1)} by {len(results.models)} "
            f"network{'s' * (len(results.models) > 1)} · {len(seeds)} seeds, {len(splits)} splits"
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
        rows = [
            (model, cell, PUBLISHED.get(model, {}).get(dataset))
            for model in self.results.models
            if (cell := self.results.cell(dataset, model)) is not None
        ]
        ends = [
            end for _, cell, said in rows for end in _ends(cell.mean, cell.deviation) + (_ends(*said) if said else ())
        ]
        top, bottom = 10.0, 10.0 + ROW * len(rows)
        x = Scale.around(ends, LEFT, WIDTH - 24)
        drawn = Axes(x, Scale(0, 1, bottom, top), "test error (%)", "").draw_x()
        for i, (model, cell, said) in enumerate(rows):
            middle = top + (i + 0.5) * ROW
            drawn.append(text(LEFT - 12, middle + 4, model, "row", "end"))
            title = f"{model}: {_number(cell)} ({cell.count} trainings, standard error {cell.error:.2f})"
            drawn += _mark("train", x, cell.mean, cell.deviation, middle - (5.0 if said else 0.0), title)
            if said is not None:
                drawn += _mark("random", x, *said, middle + 6.0, f"{model}, published: {said[0]:.2f} ± {said[1]:g}")
        entries = [(method_mark("train", 11, 8), "here")]
        if any(said for *_, said in rows):
            entries.append((method_mark("random", 11, 8), "published"))
        label = f"Test errors on {dataset} of {len(rows)} networks"
        return legend(entries) + figure(WIDTH, bottom + 48, drawn, f"errors-{dataset}", label)

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


def _ends(mean: float, deviation: float) -> tuple[float, float]:
    return mean - deviation, mean + deviation


def _number(cell: Cell, sign: str = "±") -> str:
    return f"{cell.mean:.2f} {sign} {cell.deviation:.2f}"


def _mark(kind: str, x: Scale, mean: float, deviation: float, y: float, title: str) -> list[str]:
    """A mean with a bar of its deviation."""
    left, right = (x(end) for end in _ends(mean, deviation))
    bar = f"M{left:.2f} {y:.2f}H{right:.2f}M{left:.2f} {y - 4:.2f}v8M{right:.2f} {y - 4:.2f}v8"
    return [element("path", d=bar, class_=f"bar {kind}"), method_mark(kind, x(mean), y, 5.0, "mark", title)]
