"""The figures of a report: accuracy against latency, operators and milliseconds by layer, gates and losses in time.

Each function returns HTML: a legend and one inline figure, in which every mark carries its figures as a tooltip.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from ..results import Group, Network, Results, pareto, summarise
from .marks import legend, method_mark, operator_class, operator_letter, operator_name, shares, swatch
from .svg import Axes, Scale, element, figure, image, text

__all__ = [
    "accuracy_against_latency",
    "accuracy_image",
    "curves",
    "gates_in_time",
    "group_name",
    "milliseconds",
    "operators",
    "percent",
]

WIDTH, HEIGHT = 960.0, 446.0
METHOD_WORDS = {
    "search": "searched",
    "random": "random of equal latency",
    "greedy": "greedy by latency",
    "evolve": "evolution",
    "uniform": "evenly spread",
    "everywhere": "one operator everywhere",
    "train": "trained",
}
Rows = Sequence[tuple[str, Network]]  # label and network


def percent(value: float) -> str:
    return f"{value * 100:.2f} %"


def milli(seconds: float) -> str:
    return f"{seconds * 1e3:.2f} ms"


def group_name(group: Group) -> str:
    if group.choice:
        return f"all {operator_name(group.choice)}"
    return METHOD_WORDS.get(group.method, group.method)


def accuracy_against_latency(results: Results) -> str:
    """Means with standard errors over seeds, single networks faint behind them, and the front of what is not beaten."""
    entries, parts, label = _accuracy(results)
    return legend(entries) + figure(WIDTH, HEIGHT, parts, "pareto", label)


def accuracy_image(results: Results, style: str) -> str:
    """The same as a file of its own, its legend inside."""
    entries, parts, label = _accuracy(results)
    at = 62.0
    for drawing, words in entries:
        parts.append(element("g", drawing, transform=f"translate({at} {HEIGHT})"))
        parts.append(text(at + 28, HEIGHT + 12, words, "name"))
        at += 52 + 6.2 * len(words)
    return image(WIDTH, HEIGHT + 28, parts, label, style)


def _accuracy(results: Results) -> tuple[list[tuple[str, str]], list[str], str]:
    """The entries of the legend, the parts of the figure and its label."""
    groups = summarise(results.networks)
    seconds = [n.seconds * 1e3 for n in results.networks]
    accuracy = [n.test * 100 for n in results.networks]
    x = Scale.around(seconds, 62, WIDTH - 24)
    y = Scale.around(accuracy, 400, 40, 0.1)
    parts = Axes(x, y, "online latency of one private inference (ms)", "test accuracy (%)").draw()
    for target in results.targets:
        if x.low <= target.seconds * 1e3 <= x.high:
            at = x(target.seconds * 1e3)
            title = element("title", f"target: at most {target.name}")
            parts.append(element("line", title, x1=at, x2=at, y1=400.0, y2=40.0, class_="target"))
    front = [(x(g.seconds * 1e3), y(g.test * 100)) for g in pareto(groups)]
    if len(front) > 1:
        parts.append(element("path", d=_staircase(front), class_="front"))
    for group in groups:
        if len(group.networks) > 1:
            parts += [
                method_mark(n.method, x(n.seconds * 1e3), y(n.test * 100), 3.5, "dot", _told(n)) for n in group.networks
            ]
    for group in sorted(groups, key=lambda g: g.method == "search"):  # the searched ones lie on top
        parts.append(_mean(group, x, y))
    seen = {g.method: METHOD_WORDS.get(g.method, g.method) for g in groups}
    entries = [(method_mark(method, 11, 8), words) for method, words in seen.items()]
    if len(front) > 1:
        entries.append((element("line", x1=0, x2=22, y1=8, y2=8, class_="front"), "not beaten in both"))
    if results.targets:
        entries.append((element("line", x1=11, x2=11, y1=0, y2=16, class_="target"), "latency targets"))
    return entries, parts, f"Accuracy against latency: {len(groups)} groups of networks"


def _mean(group: Group, x: Scale, y: Scale) -> str:
    """One group's mean with its bars."""
    at, up = x(group.seconds * 1e3), y(group.test * 100)
    error = group.test_error * 100
    count = f" (mean of {len(group.networks)}, standard error {error:.2f} points)" if len(group.networks) > 1 else ""
    title = f"{group_name(group)}{count}: {percent(group.test)} at {milli(group.seconds)}"
    bars = []
    if error:
        low, high = y(group.test * 100 - error), y(group.test * 100 + error)
        bars.append(f"M{at:.2f} {low:.2f}V{high:.2f}M{at - 4:.2f} {low:.2f}h8M{at - 4:.2f} {high:.2f}h8")
    if spread := group.seconds_error * 1e3:
        left, right = x(group.seconds * 1e3 - spread), x(group.seconds * 1e3 + spread)
        bars.append(f"M{left:.2f} {up:.2f}H{right:.2f}")
    parts = [element("path", d="".join(bars), class_=f"bar {group.method}")] if bars else []
    parts.append(method_mark(group.method, at, up, 6.5, "mark", title))
    if group.choice:
        end = at > (x.start + x.stop) / 2
        parts.append(text(at + (-11 if end else 11), up - 7, group_name(group), "note", "end" if end else "start"))
    return "".join(parts)


def _staircase(points: Sequence[tuple[float, float]]) -> str:
    """Right at one accuracy until the next network's latency, then up: what can be had at each latency."""
    path = f"M{points[0][0]:.2f} {points[0][1]:.2f}"
    return path + "".join(f"H{x:.2f}V{y:.2f}" for x, y in points[1:])


def _told(network: Network) -> str:
    what = f"all {operator_name(network.choice)}" if network.choice else network.method
    return f"{what}, seed {network.seed}: {percent(network.test)} at {milli(network.seconds)}"


def operators(rows: Rows, table: Mapping[str, Mapping[str, float]]) -> str:
    """A row a network, a cell a gate, coloured and lettered by the operator; channels as shares of a cell."""
    gates = list(dict.fromkeys(gate for _, network in rows for gate in network.gates))
    left, top, height = 196.0, 84.0, 26.0
    cell = min(52.0, (WIDTH - left - 8) / max(len(gates), 1))
    parts = []
    for column, gate in enumerate(gates):
        at = left + (column + 0.5) * cell
        named = escape(gate)
        parts.append(
            element("g", element("title", named), text(0, 0, _short(gate), "tick"),
                    transform=f"translate({at + 3:.2f} {top - 8:.2f}) rotate(-52)")
        )  # fmt: skip
    seen: dict[str, None] = {}
    for row, (label, network) in enumerate(rows):
        y = top + row * (height + 4)
        parts.append(text(0, y + height * 0.67, label, "row"))
        for column, gate in enumerate(gates):
            if gate in network.gates:
                parts.append(_cell(gate, network.gates[gate], table, left + column * cell, y, cell, height))
                seen |= dict.fromkeys(shares(network.gates[gate]))
    entries = [(swatch(name), operator_name(name)) for name in seen]
    size = top + len(rows) * (height + 4) + 4
    width = min(WIDTH, left + len(gates) * cell + 40)
    return legend(entries) + figure(width, size, parts, "operators", f"The operator of {len(gates)} gates by network")


def _short(gate: str) -> str:
    return gate if len(gate) <= 16 else f"…{gate[-15:]}"


def _cell(
    gate: str, choice: Any, table: Mapping[str, Mapping[str, float]], x: float, y: float, width: float, height: float
) -> str:
    parts, at = [], x
    found = shares(choice)
    for name, share in found.items():
        cost = table.get(gate, {}).get(name)
        said = f"{gate}: {operator_name(name)}"
        said += f", {share:.0%} of the channels" if len(found) > 1 else ""
        said += f", {milli(cost)}" if cost is not None and len(found) == 1 else ""
        wide = width * share
        kind = operator_class(name)
        parts.append(
            element("rect", element("title", escape(said)), x=at, y=y, width=wide, height=height, rx=3.0,
                    class_=f"cell {kind}")
        )  # fmt: skip
        if wide >= 18:
            letter = f"letter on-{kind[3:]}"
            parts.append(text(at + wide / 2, y + height * 0.67, operator_letter(name), letter, "middle",
                              pointer_events="none"))  # fmt: skip
        at += wide
    return "".join(parts)


def milliseconds(rows: Rows, table: Mapping[str, Mapping[str, float]]) -> str:
    """A bar a network: what each gate adds, in the network's order, then what all networks pay; measured beside it."""
    left, top, height, gap = 196.0, 12.0, 24.0, 12.0
    longest = max((max(n.predicted, n.seconds) for _, n in rows), default=0.0)
    bottom = top + len(rows) * (height + gap)
    x = Scale(0.0, longest * 1e3 * 1.04 or 1.0, left, WIDTH - 20)
    parts = Axes(x, Scale(0, 1, bottom, top), "milliseconds", "").draw_x()
    seen: dict[str, None] = {}
    for row, (label, network) in enumerate(rows):
        y = top + row * (height + gap)
        parts.append(text(0, y + height * 0.67, label, "row"))
        at = 0.0
        for gate, choice in network.gates.items():
            found = shares(choice)
            main = max(found, key=lambda name: found[name])
            costs = table.get(gate, {})
            cost = sum(share * costs.get(name, 0.0) for name, share in found.items()) * 1e3
            if cost > 0:
                seen[main] = None
                parts.append(_segment(f"{gate}: {operator_name(main)}, {cost:.2f} ms", operator_class(main), x, at,
                                      at + cost, y, height))  # fmt: skip
                at += cost
        rest = network.predicted * 1e3 - at
        if rest > 0:
            parts.append(_segment(f"linear layers and the rest: {rest:.2f} ms", "op-rest", x, at, at + rest, y, height))
        if network.measured:
            title = f"measured: {milli(network.seconds)} (median of {len(network.measured)})"
            parts.append(method_mark("measured", x(network.seconds * 1e3), y + height / 2, 5.5, "mark", title))
    entries = [(swatch(name), operator_name(name)) for name in seen]
    entries.append((element("rect", x=0, y=0, width=22, height=16, rx=3, class_="op-rest"), "linear layers, the rest"))
    if any(n.measured for _, n in rows):
        entries.append((method_mark("measured", 11, 8, 5.5), "measured by two processes"))
    return legend(entries) + figure(WIDTH, bottom + 48, parts, "milliseconds", "Milliseconds by layer and network")


def _segment(said: str, kind: str, x: Scale, start: float, stop: float, y: float, height: float) -> str:
    title = element("title", escape(said))
    return element("rect", title, x=x(start), y=y, width=x(stop) - x(start), height=height, class_=f"cell {kind}")


def gates_in_time(history: Sequence[Mapping[str, Any]]) -> str:
    """Small multiples, one a gate: the probability of each candidate over the epochs of the search."""
    gates = list(history[-1]["gates"])
    columns = min(max(len(gates), 1), 4)
    wide, high, head = WIDTH / columns, 132.0, 30.0
    rows = -(-len(gates) // columns)
    last = max(len(history) - 1, 1)
    parts, seen = [], dict[str, None]()
    for index, gate in enumerate(gates):
        left, top = index % columns * wide, index // columns * high
        x = Scale(0, last, left + 30, left + wide - 14)
        y = Scale(0, 1, top + high - 20, top + head)
        parts.append(
            element("g", element("title", escape(gate)), text(left + 30, top + 18, _short(gate), "row strong"))
        )
        for value in (0.0, 0.5, 1.0):
            parts.append(element("line", x1=x.start, x2=x.stop, y1=y(value), y2=y(value), class_="grid"))
            parts.append(text(x.start - 6, y(value) + 4, f"{value:g}", "tick", "end"))
        for name in history[-1]["gates"][gate]:
            seen[name] = None
            values = [float(event["gates"].get(gate, {}).get(name, 0.0)) for event in history]
            title = element("title", escape(f"{gate}: {operator_name(name)} ends at {values[-1]:.2f}"))
            points = "".join(f"{'L' if i else 'M'}{x(i):.2f} {y(v):.2f}" for i, v in enumerate(values))
            parts.append(element("path", title, d=points, class_=f"curve {operator_class(name)}"))
    entries = [
        (element("line", x1=0, x2=22, y1=8, y2=8, class_=f"curve {operator_class(name)}"), operator_name(name))
        for name in seen
    ]
    label = f"Probability of each candidate over {len(history)} epochs, by gate"
    return legend(entries) + figure(WIDTH, rows * high, parts, "gates", label)


def curves(series: Mapping[str, Sequence[tuple[float, float]]], name: str, y_name: str) -> str:
    """Lines over epochs; `series` is label -> [(epoch, value)], two of them at most."""
    points = [point for line in series.values() for point in line]
    x = Scale(min(e for e, _ in points), max(max(e for e, _ in points), 1.0), 62, WIDTH - 24)
    y = Scale.around([v for _, v in points], 250, 36, 0.08)
    parts = Axes(x, y, "epoch", y_name).draw()
    kinds = dict(zip(series, ("train", "search"), strict=False))  # for their colours
    for label, line in series.items():
        path = "".join(f"{'L' if i else 'M'}{x(e):.2f} {y(v):.2f}" for i, (e, v) in enumerate(line))
        title = element("title", escape(f"{label}: ends at {line[-1][1]:.2f}"))
        parts.append(element("path", title, d=path, class_=f"curve {kinds[label]}"))
        parts.append(
            method_mark(kinds[label], x(line[-1][0]), y(line[-1][1]), 4.5, "mark", f"{label}: {line[-1][1]:.2f}")
        )
    entries = [(element("line", x1=0, x2=22, y1=8, y2=8, class_=f"curve {kinds[label]}"), label) for label in series]
    words = legend(entries) if len(series) > 1 else ""
    return words + figure(WIDTH, 296, parts, name, f"{y_name} over epochs")
