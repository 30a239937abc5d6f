"""The report: one HTML file about one run or several, with its style and figures inside and no request to anywhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib import import_module
from pathlib import Path
from typing import Any, cast

from ..config import TASKS
from ..files import read_json
from ..metrics import read_metrics
from ..results import Group, Network, Results, comparison, read_results, summarise
from ..settings import to_dict
from . import parts, plots
from .forecast import ForecastRun
from .markdown import markdown
from .shown import Shown

__all__ = ["Run", "document", "load_run", "page", "picture"]

STYLE = Path(__file__).with_name("style.css")


@dataclass(frozen=True)
class Run:
    """A finished run, as its folder tells it."""

    folder: Path
    results: Results
    config: str  # TOML
    environment: Mapping[str, Any]

    @property
    def title(self) -> str:
        return self.results.name

    @property
    def subtitle(self) -> str:
        return _subtitle(self.results)

    def document(self) -> dict[str, Any]:
        return _run_document(self)

    def section(self, index: int, headed: bool) -> str:
        return _section(self, index, headed)

    def tables(self) -> str:
        return markdown(self.results)

    def events(self, network: Network, part: str) -> list[dict[str, Any]]:
        """What was recorded while this network was searched ("search") or trained ("fit")."""
        return [e for e in read_metrics(self.folder / network.folder / "metrics.jsonl") if e.get("part") == part]


def load_run(folder: Path) -> Shown:
    """What a folder's results.json says that it is."""
    path, config, environment = (folder / name for name in ("results.json", "config.toml", "env.json"))
    toml = config.read_text() if config.is_file() else ""
    told = read_json(environment) if environment.is_file() else {}
    task = read_json(path).get("task") if path.is_file() else None
    if isinstance(task, str) and task in TASKS:  # a search tells of its data there
        return cast(Shown, import_module(f".{task}", __package__).load(folder, toml, told))
    return Run(folder, read_results(folder), toml, told)


def document(runs: Sequence[Shown]) -> dict[str, Any]:
    """The same as JSON."""
    return {"runs": [run.document() for run in runs]}


def _run_document(run: Run) -> dict[str, Any]:
    groups = summarise(run.results.networks)
    return {
        "folder": str(run.folder),
        "results": to_dict(run.results),
        "summary": [group.to_dict() for group in groups],
        "against_random": [{"target": target, **entry} for target, entry in comparison(groups).items()],
        "environment": dict(run.environment),
    }


def picture(run: Shown) -> str:
    """The main figure as an SVG file: accuracy against latency, or of forecasts a window's topology."""
    if isinstance(run, ForecastRun):
        return run.picture(STYLE.read_text())
    if not isinstance(run, Run):
        raise ValueError(f"{run.folder} is a run of another task than images, which weighs no latency: leave --svg out")
    return plots.accuracy_image(run.results, STYLE.read_text())


def page(runs: Sequence[Shown]) -> str:
    """The whole HTML text."""
    title = " · ".join(run.title for run in runs)
    nav = "".join(f'<a href="#run-{i}">{escape(run.title)}</a>' for i, run in enumerate(runs)) if len(runs) > 1 else ""
    body = "".join(run.section(i, len(runs) > 1) for i, run in enumerate(runs))
    if len(runs) > 1:
        body = _side_by_side(runs) + body
    made = runs[0].environment.get("finished") or runs[0].environment.get("started", "")
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<link rel="icon" href="data:,">'
        f"<title>{escape(title)} · moiety</title><style>{STYLE.read_text()}</style></head><body><main>"
        f"<header><h1>{escape(title)}</h1><p>{escape(runs[0].subtitle)}"
        f"{f' · {escape(str(made))}' if made else ''}</p>{f'<nav>{nav}</nav>' if nav else ''}</header>"
        f"{body}</main></body></html>\n"
    )


def _subtitle(results: Results) -> str:
    task, latency = results.task, results.latency
    what = "Architecture search" if results.command == "search" else "Training"
    parts = [
        f"{what} of {task.get('model', 'a network')} on {task.get('dataset', 'its images')}",
        f"latency: {latency['backend']}" if "backend" in latency else "",
        f"measured at {latency['network']}" if latency.get("network") else "",
    ]
    return " · ".join(part for part in parts if part)


def _section(run: Run, index: int, headed: bool) -> str:
    results = run.results
    chosen = results.networks[results.chosen] if results.chosen is not None else None
    rows = _rows(results)
    heading = f"<h2>{escape(run.title)}</h2><p class='lead'>{escape(_subtitle(results))}</p>" if headed else ""
    body = [f'<section class="run" id="run-{index}">{heading}', _figures(results, chosen)]
    if len(results.networks) > 1:
        words = "Means over seeds with their standard errors; faint marks are single networks. Up and left is better."
        body.append(parts.card("Accuracy against latency", words, plots.accuracy_against_latency(results)))
        body.append(parts.card("Methods", _method_words(results), _table(results, chosen)))
    if any(network.gates for _, network in rows):
        words = "One row a network, one cell a gate from input to output. Hover over a cell for what it costs."
        body.append(parts.card("The operator of every layer", words, plots.operators(rows, results.table)))
        words = "What each gate's operator adds to the online phase, from first to last, by the latency model."
        body.append(parts.card("Where the milliseconds go", words, plots.milliseconds(rows, results.table)))
    if chosen is not None:
        body.append(_gates(run, chosen))
        body.append(_learning(run, chosen))
    body.append(parts.background(run.config, run.environment))
    return "".join(body) + "</section>"


def _rows(results: Results) -> list[tuple[str, Network]]:
    """One network a target (the best seed by held-out accuracy), fastest first, between the uniform ones."""
    rows: list[tuple[str, Network]] = []
    for group in summarise(results.networks):
        if group.method in ("search", "train") or group.choice:
            best = max(group.networks, key=lambda n: n.valid or 0.0)
            rows.append((f"{plots.group_name(group)}, {best.seconds * 1e3:.1f} ms", best))
    return sorted(rows, key=lambda row: row[1].seconds)


def _figures(results: Results, chosen: Network | None) -> str:
    boxes: list[tuple[str, str]] = []
    if chosen is not None:
        boxes.append((plots.percent(chosen.test), "test accuracy of the chosen network"))
        how = "measured" if chosen.measured else "predicted"
        boxes.append((f"{chosen.seconds * 1e3:.1f} ms", f"online latency, {how}"))
    relu = next((g for g in summarise(results.networks) if g.choice == "relu"), None)
    if relu is not None and chosen is not None:
        boxes.append((f"{(chosen.test - relu.test) * 100:+.2f}".replace("-", "−"), "points against all-ReLU"))
        boxes.append((f"{relu.seconds / chosen.seconds:.2f} ×", "as fast as all-ReLU"))
    boxes.append((str(len(results.networks)), "networks trained"))
    return parts.boxes(boxes)


def _method_words(results: Results) -> str:
    found = comparison(summarise(results.networks))
    if not found:
        return "Mean and standard error over seeds."
    ahead = sum(entry["gain"] > entry["error"] for entry in found.values())
    return (
        f"At {ahead} of {len(found)} targets the searched networks are above random ones of equal latency by more than "
        "the standard error of the difference. Recovered: the part of what random loses to all-ReLU."
    )


def _table(results: Results, chosen: Network | None) -> str:
    groups = summarise(results.networks)
    against = comparison(groups)
    head = "".join(
        f"<th{'' if i < 2 else ' class=n'}>{name}</th>"
        for i, name in enumerate(("target", "method", "networks", "test accuracy", "latency", "predicted", "recovered"))
    )
    body, before = "", None
    for group in sorted(groups, key=_by_target):
        body += _table_row(group, against, chosen, group.target != before or group.target is None)
        before = group.target
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _by_target(group: Group) -> tuple[bool, float]:
    return group.target is None, group.target or group.seconds


def _table_row(group: Group, against: Mapping[float, Mapping[str, float]], chosen: Network | None, first: bool) -> str:
    recovered = against.get(group.target or 0.0, {}).get("recovered") if group.method == "search" else None
    cells = [
        f"{len(group.networks)}",
        f"{group.test * 100:.2f}"
        + (f" <small>± {group.test_error * 100:.2f}</small>" if len(group.networks) > 1 else ""),
        f"{group.seconds * 1e3:.2f} ms",
        f"{group.mean(lambda n: n.predicted) * 1e3:.2f} ms",
        f"{recovered:.0%}" if recovered is not None else "",
    ]
    marks = [name for name, on in (("chosen", chosen in group.networks), ("first", first)) if on]
    mark = f' class="{" ".join(marks)}"' if marks else ""
    target = f"at most {group.target * 1e3:.1f} ms" if group.target is not None and first else ""
    numbers = "".join(f'<td class="n">{cell}</td>' for cell in cells)
    return f"<tr{mark}><td>{target}</td><td>{escape(plots.group_name(group))}</td>{numbers}</tr>"


def _gates(run: Run, chosen: Network) -> str:
    history = [event for event in run.events(chosen, "search") if event.get("gates")]
    if len(history) < 2:
        return ""
    words = f"How the search of the chosen network (seed {chosen.seed}) decided, epoch by epoch."
    return parts.card("Gates over time", words, plots.gates_in_time(history))


def _learning(run: Run, chosen: Network) -> str:
    events = [e for e in run.events(chosen, "fit") if "epoch" in e]
    for key, scale, name in (("accuracy", 100.0, "accuracy (%)"), ("loss", 1.0, "training loss")):
        line = {e["epoch"]: float(e[key]) * scale for e in events if isinstance(e.get(key), (int, float))}
        if len(line) > 1:
            series = {"chosen network": sorted(line.items())}
            return parts.card(
                "Training of the chosen network", f"{name} over epochs.", plots.curves(series, "fit", name)
            )
    return ""


def _side_by_side(runs: Sequence[Shown]) -> str:
    """The chosen networks of all runs under one another."""
    rows = [
        (f"{run.title[:18]}, {network.seconds * 1e3:.1f} ms", network)
        for run in runs
        if isinstance(run, Run) and run.results.chosen is not None
        for network in (run.results.networks[run.results.chosen],)
    ]
    if not any(network.gates for _, network in rows):
        return ""
    return parts.card("The chosen networks side by side", "One row a run.", plots.operators(rows, {}))
