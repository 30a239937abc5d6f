"""The report's part about a run of node classification: accuracy and loss over epochs, and the table over seeds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from operator import attrgetter
from pathlib import Path
from typing import Any

from ..metrics import read_metrics
from ..nodes.results import NodeResults, Seed, read_node_results
from ..settings import to_dict
from . import parts, plots

__all__ = ["NodeRun", "load"]

MASKS = (("train", "training"), ("valid", "validation"), ("test", "test"))


@dataclass(frozen=True)
class NodeRun:
    """A finished run, as its folder tells it."""

    folder: Path
    results: NodeResults
    config: str  # TOML
    environment: Mapping[str, Any]

    @property
    def title(self) -> str:
        return self.results.name

    @property
    def subtitle(self) -> str:
        graph, model = self.results.graph, self.results.model
        return (
            f"Node classification of {graph.get('dataset')} by {model.get('name')} · {graph.get('nodes'):,} nodes, "
            f"{graph.get('edges'):,} edges · {self.results.batches} batches"
        )

    @property
    def chosen(self) -> Seed:
        return self.results.seeds[self.results.chosen]

    def document(self) -> dict[str, Any]:
        results = self.results
        mean = {name: results.mean(attrgetter(name)) for name, _ in MASKS}
        error = {name: results.error(attrgetter(name)) for name, _ in MASKS}
        return {
            "folder": str(self.folder),
            "results": to_dict(results),
            "summary": [{"count": len(results.seeds), **mean, **{f"{k}_error": v for k, v in error.items()}}],
            "environment": dict(self.environment),
        }

    def section(self, index: int, headed: bool) -> str:
        heading = f"<h2>{escape(self.title)}</h2><p class='lead'>{escape(self.subtitle)}</p>" if headed else ""
        body = [f'<section class="run" id="run-{index}">{heading}', parts.boxes(self._boxes())]
        words = f"Accuracy (%) over epochs of seed {self.chosen.seed}, the best by validation, whose weights are kept."
        curves = {name: self._line(key, 100.0) for key, name in MASKS[:2]}
        if all(len(line) > 1 for line in curves.values()):
            body.append(parts.card("Accuracy", words, plots.curves(curves, "accuracy", "accuracy (%)")))
        loss = {"training loss": self._line("loss", 1.0)}
        if len(loss["training loss"]) > 1:
            body.append(parts.card("Loss", "Mean over the nodes trained on.", plots.curves(loss, "fit", "loss")))
        body.append(parts.card("Seeds", self._table_words(), self._table()))
        body.append(parts.background(self.config, self.environment))
        return "".join(body) + "</section>"

    def tables(self) -> str:
        """One row: what was trained on what, and accuracies over seeds."""
        results = self.results
        row = [
            str(results.graph.get("dataset")),
            str(results.model.get("name")),
            results.batches,
            str(len(results.seeds)),
            *(_mean(results, key, "±") for key, _ in MASKS[1:]),
        ]
        head = ["graph", "model", "batches", "seeds", "validation %", "test %"]
        return "\n".join(f"| {' | '.join(line)} |" for line in (head, ["---"] * len(head), row)) + "\n"

    def _boxes(self) -> list[tuple[str, str]]:
        results = self.results
        test, spread = results.mean(lambda s: s.test), results.deviation(lambda s: s.test)
        many = len(results.seeds) > 1
        return [
            (
                plots.percent(test) + (f" ± {100 * spread:.2f}" if many else ""),
                f"test accuracy, mean and standard deviation of {len(results.seeds)} seeds"
                if many
                else "test accuracy",
            ),
            (f"{results.model.get('parameters', 0):,}", "parameters"),
            (f"{results.graph.get('train', 0):,}", "nodes trained on"),
            (f"{results.spent:.1f} s", "of training"),
        ]

    def _line(self, key: str, scale: float) -> list[tuple[float, float]]:
        events = read_metrics(self.folder / self.chosen.folder / "metrics.jsonl")
        found = {e["epoch"]: float(e[key]) * scale for e in events if isinstance(e.get(key), (int, float))}
        return sorted(found.items())

    def _table_words(self) -> str:
        notes = "".join(f" Note: {note}." for note in self.results.notes)
        return f"Accuracies of the weights kept; the last row has means and standard deviations.{notes}"

    def _table(self) -> str:
        results = self.results
        head = ["seed", "epoch kept", "of", *(name for _, name in MASKS), "seconds"]
        rows = [
            [
                str(s.seed),
                str(s.epoch),
                str(s.epochs),
                *(f"{100 * getattr(s, k):.2f}" for k, _ in MASKS),
                f"{s.spent:.1f}",
            ]
            for s in results.seeds
        ]
        if len(results.seeds) > 1:
            rows.append(["mean", "", "", *(_mean(results, key, "±") for key, _ in MASKS), f"{results.spent:.1f}"])
        return parts.table(head, rows, marked=results.chosen)


def load(folder: Path, config: str, environment: Mapping[str, Any]) -> NodeRun:
    return NodeRun(folder, read_node_results(folder), config, environment)


def _mean(results: NodeResults, key: str, sign: str) -> str:
    mean, spread = results.mean(attrgetter(key)), results.deviation(attrgetter(key))
    return f"{100 * mean:.2f} {sign} {100 * spread:.2f}"
