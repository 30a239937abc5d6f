"""The report's part about a run of forecasting: errors by step and network, forecasts, barcodes and images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from ..files import read_json
from ..forecast.errors import BASELINES
from ..forecast.results import ForecastResults, Outcome, mean_and_deviation, read_forecast_results
from ..forecast.shown import SHOWN
from ..metrics import read_metrics
from ..settings import to_dict
from . import parts, plots, series
from .svg import figure, image

__all__ = ["ForecastRun", "load"]

MEASURES = (("all_mae", "MAE"), ("all_rmse", "RMSE"), ("all_mape", "MAPE %"))


@dataclass(frozen=True)
class ForecastRun:
    """A finished run, as its folder tells it."""

    folder: Path
    results: ForecastResults
    config: str  # TOML
    environment: Mapping[str, Any]
    shown: Mapping[str, Any]

    @property
    def title(self) -> str:
        return self.results.name

    @property
    def subtitle(self) -> str:
        about = self.results.series
        return (
            f"Forecasts of {about['channel']} on {about['dataset']} · {about['nodes']:,} nodes, {about['steps']:,} "
            f"steps, {about['horizon']} ahead from {about['lag']}"
        )

    @property
    def chosen(self) -> Outcome:
        return self.results.outcomes[self.results.chosen]

    def document(self) -> dict[str, Any]:
        results = self.results
        summary = []
        for model in results.models:
            own = results.of(model)
            row: dict[str, Any] = {"model": model, "count": len(own)}
            for key, _ in MEASURES:
                row[key], row[f"{key}_deviation"] = mean_and_deviation(own, lambda o, key=key: getattr(o, key))  # type: ignore[misc]
            summary.append(row)
        return {
            "folder": str(self.folder),
            "results": to_dict(results),
            "summary": summary,
            "environment": dict(self.environment),
        }

    def section(self, index: int, headed: bool) -> str:
        heading = f"<h2>{escape(self.title)}</h2><p class='lead'>{escape(self.subtitle)}</p>" if headed else ""
        body = [f'<section class="run" id="run-{index}">{heading}', parts.boxes(self._boxes())]
        unit = str(self.results.series["unit"])
        words = "Mean absolute error on the test windows by how far ahead, means over seeds."
        body.append(parts.card("Errors by step", words, series.by_step(*self._by_step(), unit)))
        words = "Test errors over all steps ahead and nodes, means and standard deviations over seeds." + self._notes()
        body.append(parts.card("Networks", words, parts.table(*self._table("±"))))
        body += [self._forecasts(unit), self._topology(), self._learning(unit)]
        body.append(parts.background(self.config, self.environment))
        return "".join(body) + "</section>"

    def tables(self) -> str:
        """Test errors, a row a network or forecast that costs nothing."""
        head, rows = self._table("±")
        return "\n".join(f"| {' | '.join(line)} |" for line in (head, ["---"] * len(head), *rows)) + "\n"

    def picture(self, style: str) -> str:
        """A window's barcode and persistence image as an SVG file."""
        drawn = self._drawn()
        if drawn is None:
            raise ValueError(f"{self.folder} is a run without topology, which has no barcode to draw: leave --svg out")
        return image(series.WIDTH, drawn[1], drawn[0], self._topology_words(), style)

    def _boxes(self) -> list[tuple[str, str]]:
        results, unit = self.results, self.results.series["unit"]
        best = min(results.models, key=lambda model: mean_and_deviation(results.of(model), lambda o: o.valid)[0])
        mae = mean_and_deviation(results.of(best), lambda o: o.all_mae)[0]
        rmse = mean_and_deviation(results.of(best), lambda o: o.all_rmse)[0]
        last = results.baseline("last").all_mae
        return [
            (f"{mae:.3f}", f"mean absolute error of {best}, {unit}"),
            (f"{rmse:.3f}", f"root mean squared error, {unit}"),
            (f"{100 * (mae / last - 1):+.1f} %".replace("-", "−"), "error against the last value"),
            (str(len(results.outcomes)), f"networks trained in {results.spent:.0f} s"),
        ]

    def _notes(self) -> str:
        return "".join(f" Note: {note}." for note in self.results.notes)

    def _by_step(self) -> tuple[dict[str, list[float]], list[str]]:
        results = self.results
        free = [BASELINES["last"]]
        lines = {free[0]: list(results.baseline("last").mae)}
        for model in results.models:
            own = results.of(model)
            lines[model] = [
                mean_and_deviation(own, lambda o, i=i: o.mae[i])[0]  # type: ignore[misc]
                for i in range(len(own[0].mae))
            ]
        return lines, free

    def _table(self, sign: str) -> tuple[list[str], list[list[str]]]:
        results, rows = self.results, []
        for name in results.baselines:
            found = results.baseline(name)
            rows.append([BASELINES[name], "", "", *(f"{getattr(found, key):.3f}" for key, _ in MEASURES)])
        for model, about in results.models.items():
            own = results.of(model)
            cells = [mean_and_deviation(own, lambda o, key=key: getattr(o, key)) for key, _ in MEASURES]  # type: ignore[misc]
            numbers = [f"{mean:.3f} {sign} {spread:.3f}" if len(own) > 1 else f"{mean:.3f}" for mean, spread in cells]
            rows.append([model, f"{about['parameters']:,}", str(len(own)), *numbers])
        return ["forecast", "parameters", "seeds", *(words for _, words in MEASURES)], rows

    def _forecasts(self, unit: str) -> str:
        found = self.shown.get("forecasts", [])
        figures = ""
        for node in sorted({line["node"] for line in found}):
            own = [line for line in found if line["node"] == node]
            said = {
                f"forecast {line['ahead']} step{'s' * (line['ahead'] > 1)} before": line["forecast"] for line in own
            }
            figures += f"<h3>Node {node}</h3>" + series.forecast(
                own[0]["truth"], own[0]["step"], said, f"node-{node}", unit
            )
        words = f"Of {self.chosen.model}, seed {self.chosen.seed}, the best by validation, where the most happens."
        return parts.card("Forecasts", words, figures) if figures else ""

    def _drawn(self) -> tuple[list[str], float] | None:
        if "barcode" not in self.shown:
            return None
        bars = {int(d): [(float(b), float(e)) for b, e in own] for d, own in self.shown["barcode"].items()}
        return series.topology(bars, int(self.shown["window"]["lag"]), self.shown["image"])

    def _topology_words(self) -> str:
        window, about = self.shown["window"], self.results.topology
        return (
            f"Zigzag barcode of the {window['lag']} steps from {window['step']} on (edges of at most "
            f"{about['alpha']:g}, mode {about['mode']}), and the image of its H{window['dimension']}"
        )

    def _topology(self) -> str:
        drawn = self._drawn()
        if drawn is None:
            return ""
        words = f"{self._topology_words()}. All windows: {self.results.topology['seconds']:.1f} s."
        return parts.card("Topology", words, figure(series.WIDTH, drawn[1], drawn[0], "topology", words))

    def _learning(self, unit: str) -> str:
        events = list(read_metrics(self.folder / self.chosen.folder / "metrics.jsonl"))
        line = sorted({e["epoch"]: float(e["valid"]) for e in events if "valid" in e}.items())
        if len(line) < 2:
            return ""
        drawn = plots.curves({"validation": line}, "fit", f"mean absolute error ({unit})")
        return parts.card("Training of the chosen network", "Error in validation over epochs.", drawn)


def load(folder: Path, config: str, environment: Mapping[str, Any]) -> ForecastRun:
    shown = read_json(folder / SHOWN) if (folder / SHOWN).is_file() else {}
    return ForecastRun(folder, read_forecast_results(folder), config, environment, shown)
