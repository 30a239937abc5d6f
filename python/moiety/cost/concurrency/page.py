"""An analysis as one self-contained HTML page, in the style of run reports."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from moiety.drive.report.page import STYLE
from moiety.drive.report.svg import Axes, Scale, element, figure, text

from .pipeline import STAGES, Schedule
from .report import amount, size, time

if TYPE_CHECKING:
    from .analysis import Analysis, Line

__all__ = ["page"]

# The page's classes of colour for the stages of a layer.
COLOURS = {"graph": "op-relu", "neural": "op-x2", "update": "op-avg"}
DENSE = ("gemm",)


def page(a: Analysis) -> str:
    """The whole HTML text."""
    title = f"{a.model} on {a.nodes} vertices and {a.edges} edges"
    body = _figures(a) + _kernels(a) + _roofline(a) + _workers(a) + _written(a) + _taxonomy(a)
    body += _partition(a) + _sample(a) + _pipelines(a)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">'
        f"<title>{escape(title)} · moiety</title><style>{STYLE.read_text()}</style></head><body><main>"
        f"<header><h1>{escape(title)}</h1><p>Work, depth, traffic and schedules · times of one thread of "
        f"{escape(a.machine)}</p></header>{body}</main></body></html>\n"
    )


def _card(title: str, words: str, content: str) -> str:
    return f'<div class="card"><h2>{escape(title)}</h2><p class="lead">{escape(words)}</p>{content}</div>'


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> str:
    def row(cells: Sequence[str], tag: str) -> str:
        made = (f"<{tag}{' class=n' if i >= left else ''}>{escape(c)}</{tag}>" for i, c in enumerate(cells))
        return f"<tr>{''.join(made)}</tr>"

    body = "".join(row(r, "td") for r in rows)
    return (
        f'<div class="scroll"><table class="plain"><thead>{row(head, "th")}</thead><tbody>{body}</tbody></table></div>'
    )


def _figures(a: Analysis) -> str:
    t = a.totals
    boxes = (
        (amount(t.count.work), "operations"),
        (str(t.depth), "depth: operations one after another"),
        (amount(t.parallelism), "average parallelism, work / depth"),
        (size(t.peak_bytes), "intermediate results at once"),
        (time(t.seconds), "predicted, one thread"),
    )
    cells = "".join(f"<div><b>{escape(value)}</b><span>{escape(words)}</span></div>" for value, words in boxes)
    return f'<div class="figures">{cells}</div>'


def _kernels(a: Analysis) -> str:
    head = (
        "kernel",
        "where",
        "work",
        "depth",
        "work / depth",
        "compulsory",
        "no reuse",
        "ops / byte",
        "roofline",
        "predicted",
    )
    rows = [
        (
            ("back: " if line.phase == "backward" else "") + line.label, line.module,
            f"{line.count.work:,}", str(line.count.depth), amount(line.parallelism), size(line.compulsory),
            size(line.no_reuse), f"{line.intensity:.2f}", time(line.roofline), time(line.seconds),
        )
        for line in a.lines
    ]  # fmt: skip
    t = a.totals
    rows.append(
        ("all", "", f"{t.count.work:,}", str(t.depth), amount(t.parallelism), size(t.compulsory),
         size(t.count.loaded + t.count.stored), f"{t.count.work / max(1, t.compulsory):.2f}", time(t.roofline),
         time(t.seconds))
    )  # fmt: skip
    words = (
        f"Exact integers. {t.count.barriers} kernels, each ending in a barrier; the depth of all is the longest path "
        "through them. Compulsory traffic moves everything distinct once; without reuse, every access goes to memory."
    )
    if a.assumed:
        words += f" Counted as one operation an element: {', '.join(a.assumed)}."
    return _card("What is executed", words, _table(head, rows, 2))


def _class(line: Line) -> str:
    if line.kernel.name in DENSE:
        return COLOURS["neural"]
    return COLOURS["update"] if line.kernel.name in ("map", "fold", "other") else COLOURS["graph"]


def _roofline(a: Analysis) -> str:
    """Predicted seconds of every kernel beside its roofline."""
    longest = max((max(line.seconds, line.roofline) for line in a.lines), default=0.0)
    if not longest:
        return ""
    row, left, width = 20, 220, 960
    height = row * len(a.lines) + 60
    axes = Axes(Scale(0.0, longest * 1e6, left, width - 20), Scale(0.0, 1.0, height - 50, 10), "microseconds", "")
    parts = axes.draw_x()
    for i, line in enumerate(a.lines):
        y = 12.0 + i * row
        words = f"{line.label} {line.module}"[:34]
        parts.append(text(left - 8, y + 11, words, "row", "end"))
        tip = element("title", escape(f"{words}: {time(line.seconds)}, roofline {time(line.roofline)}"))
        for share, kind, thick in ((line.seconds, _class(line), 14.0), (line.roofline, "measured", 3.0)):
            length = max(0.5, axes.x(share * 1e6) - left)
            parts.append(
                element("rect", tip, x=float(left), y=y + (14 - thick) / 2, width=length, height=thick, class_=kind)
            )
    words = "Bars: predicted; thin lines: the roofline. Blue: graph, orange: dense products, green: elements."
    return _card("Where the time goes", words, figure(width, height, parts, "kernels", "seconds of every kernel"))


def _workers(a: Analysis) -> str:
    rows = [(str(p), amount(low), amount(high)) for p, low, high in a.totals.brent]
    words = "Brent: p workers need between max(W / p, D) and W / p + D steps."
    return _card("How many workers help", words, _table(("workers", "at least", "at most"), rows))


def _written(a: Analysis) -> str:
    if not a.as_written:
        return ""
    rows = [
        (
            r.formulation + ("" if r.executed else " (formula only)"), r.formula, f"O({r.work})", f"O({r.depth})",
            "" if r.work_value is None else f"{amount(r.work_value)}, {r.depth_value:.1f}", r.note,
        )
        for r in a.as_written
    ]  # fmt: skip
    words = "Besta & Hoefler's formulas (Tables 5 to 7), without constants, and their values at these sizes."
    return _card("As written", words, _table(("formulation", "formula", "work", "depth", "values", "note"), rows, 6))


def _taxonomy(a: Analysis) -> str:
    t = a.taxonomy
    rows = [(name, ", ".join(tensors)) for name, tensors in t.tensors.items()]
    words = f"{t.kind}; formulations: {', '.join(t.formulations)}; {t.order} in the adjacency matrix, by {t.source}."
    return _card("Class", words, _table(("operation", "tensors"), rows, 2))


def _partition(a: Analysis) -> str:
    p = a.partition
    if p is None:
        return ""
    rows = [(str(i), *map(str, r)) for i, r in enumerate(zip(p.nodes, p.edges, p.halo, strict=True))]
    moved = [(e.module, e.phase, str(e.rows), str(e.row_bytes), size(e.bytes)) for e in p.exchanges]
    words = (
        f"{p.method}: edge cut {p.edge_cut}, replication {p.replication_factor:.3f}, imbalance {p.edge_imbalance:.3f} "
        f"of edges and {p.node_imbalance:.3f} of vertices; {p.supersteps} supersteps, {p.bytes_forward:,} bytes "
        f"forward, {p.bytes_backward:,} backward."
    )
    tables = _table(("part", "vertices", "edges", "halo"), rows)
    tables += "<h3>Exchanges</h3>" + _table(("where", "phase", "rows", "bytes a row", "bytes"), moved, 2)
    return _card(f"{p.parts} partitions", words, tables)


def _sample(a: Analysis) -> str:
    s = a.sample
    if s is None:
        return ""
    rows = [
        (str(hop), str(support), str(bound), str(whole))
        for hop, (support, bound, whole) in enumerate(zip(s.support, s.bound, s.whole, strict=True))
    ]
    words = f"The support set of a batch of {s.batch} vertices with fan-outs {s.fanouts}."
    return _card("Mini-batch", words, _table(("hops", "drawn", "bound", "without sampling"), rows))


def _pipelines(a: Analysis) -> str:
    rows = [
        (
            s.micro, s.macro, time(s.makespan), f"{s.busy / s.makespan if s.makespan else 1.0:.2f}", f"{s.bubbles:.0%}",
            f"{s.mean_staleness:.2f}", str(s.max_staleness),
        )
        for s in a.schedules
    ]  # fmt: skip
    head = ("micro", "macro", "makespan", "speed-up", "bubbles", "mean staleness", "most")
    words = "Figure 14: graph, neural and update stages of every layer as workers. Drawn: the plan's schedule."
    return _card("Pipelines", words, _table(head, rows, 2) + _gantt(a.schedule))


def _gantt(s: Schedule) -> str:
    if not s.makespan:
        return ""
    row, left, width = 22, 130, 960
    height = row * s.workers + 60
    scale = Scale(0.0, s.makespan * 1e6, left, width - 20)
    parts = Axes(scale, Scale(0.0, 1.0, height - 50, 10), "microseconds", "").draw_x()
    for layer in range(s.layers):
        for stage, words in enumerate(STAGES):
            y = 14.0 + row * (layer * len(STAGES) + stage)
            parts.append(text(left - 8, y + 11, f"layer {layer + 1}, {words}", "row", "end"))
    for t in s.tasks:
        x, stop = scale(t.start * 1e6), scale(t.stop * 1e6)
        tip = element(
            "title", escape(f"pass {t.step}, layer {t.layer + 1}, partition {t.part}: {time(t.stop - t.start)}")
        )
        y = 14.0 + row * (t.layer * len(STAGES) + t.stage)
        shown = max(0.4, math.floor((stop - x) * 100) / 100)
        kind = f"cell {COLOURS[STAGES[t.stage]]}"
        parts.append(element("rect", tip, x=x, y=y - 3, width=shown, height=16.0, class_=kind))
    return figure(width, height, parts, "schedule", f"schedule, micro {s.micro}, macro {s.macro}")
