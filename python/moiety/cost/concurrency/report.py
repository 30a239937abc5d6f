"""An analysis as tables for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table

if TYPE_CHECKING:
    from .analysis import Analysis

__all__ = ["amount", "size", "table", "time"]


def amount(value: float) -> str:
    """A count in three digits: 950, 12.3 k, 4.56 M."""
    for factor, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= factor:
            return f"{value / factor:.3g} {letter}"
    return f"{value:.3g}"


def size(value: float) -> str:
    """Bytes."""
    for power, unit in ((30, "GiB"), (20, "MiB"), (10, "KiB")):
        if abs(value) >= 1 << power:
            return f"{value / (1 << power):.3g} {unit}"
    return f"{value:.0f} B"


def time(seconds: float) -> str:
    for factor, unit in ((1.0, "s"), (1e-3, "ms"), (1e-6, "us")):
        if seconds >= factor:
            return f"{seconds / factor:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"


def table(analysis: Analysis) -> RenderableType:
    """Kernels, totals, the paper's formulas, and what the plan asks for."""
    parts: list[RenderableType] = [_kernels(analysis), _summary(analysis)]
    if analysis.as_written:
        parts.append(_written(analysis))
    if analysis.partition is not None:
        parts.append(_partition(analysis))
    if analysis.sample is not None:
        parts.append(_sample(analysis))
    parts.append(_pipelines(analysis))
    return Group(*parts)


def _grid(title: str, *columns: str, left: int = 1) -> Table:
    made = Table(title=title, title_justify="left", header_style="bold", pad_edge=False)
    for i, name in enumerate(columns):
        made.add_column(name, justify="left" if i < left else "right", overflow="fold")
    return made


def _kernels(a: Analysis) -> Table:
    made = _grid(
        f"{a.model}: {a.nodes} vertices, {a.edges} edges, largest degree {a.largest_degree}",
        "kernel", "where", "work", "depth", "work/depth", "compulsory", "no reuse", "ops/byte", "roofline", "predicted",
        left=2,
    )  # fmt: skip
    for line in a.lines:
        made.add_row(
            ("back: " if line.phase == "backward" else "") + line.label,
            line.module,
            amount(line.count.work),
            str(line.count.depth),
            amount(line.parallelism),
            size(line.compulsory),
            size(line.no_reuse),
            f"{line.intensity:.2f}",
            time(line.roofline),
            time(line.seconds),
        )
    t = a.totals
    made.add_section()
    made.add_row(
        "all", f"{t.count.barriers} barriers", amount(t.count.work), str(t.depth), amount(t.parallelism),
        size(t.compulsory), size(t.count.loaded + t.count.stored), f"{t.count.work / max(1, t.compulsory):.2f}",
        time(t.roofline), time(t.seconds),
    )  # fmt: skip
    return made


def _summary(a: Analysis) -> Table:
    made = Table.grid(padding=(0, 2))
    t = a.totals
    rows = [
        ("work", f"{t.count.work} operations: {t.count.multiplies} multiplications, {t.count.adds} additions, "
                 f"{t.count.compares} comparisons, {t.count.specials} others"),
        ("depth", f"{t.depth} on the longest path, {t.chain} kernel after kernel"),
        ("memory", f"{size(t.peak_bytes)} of intermediate results at once, {size(t.held_bytes)} of features, "
                   "parameters and graph"),
        ("workers", ", ".join(f"{p}: {amount(low)} to {amount(high)}" for p, low, high in t.brent) + " steps (Brent)"),
        ("class", f"{a.taxonomy.kind}; {' and '.join(a.taxonomy.formulations)}; {a.taxonomy.order} in the adjacency "
                  f"matrix (by {a.taxonomy.source})"),
        ("machine", a.machine),
    ]  # fmt: skip
    if a.assumed:
        rows.append(("assumed", f"one operation an element: {', '.join(a.assumed)}"))
    if a.skipped:
        rows.append(("skipped", f"integers and masks: {', '.join(a.skipped)}"))
    for name, words in rows:
        made.add_row(f"[bold]{name}[/bold]", words)
    return made


def _written(a: Analysis) -> Table:
    made = _grid(
        "as written (Besta & Hoefler, Tables 5 to 7)", "formulation", "formula", "work", "depth", "values", left=5
    )
    for row in a.as_written:
        values = "" if row.work_value is None else f"{amount(row.work_value)}, {row.depth_value:.1f}"
        made.add_row(
            row.formulation + ("" if row.executed else " (formula only)"),
            row.formula,
            f"O({row.work})",
            f"O({row.depth})",
            values,
        )
    made.add_section()
    made.add_row("as executed", "", "", "", f"{amount(a.totals.forward.work)}, {a.totals.forward_depth}")
    return made


def _partition(a: Analysis) -> RenderableType:
    p = a.partition
    assert p is not None
    made = _grid(f"{p.parts} partitions, {p.method}", "part", "vertices", "edges", "halo")
    for i, (nodes, edges, halo) in enumerate(zip(p.nodes, p.edges, p.halo, strict=True)):
        made.add_row(str(i), str(nodes), str(edges), str(halo))
    words = (
        f"edge cut {p.edge_cut}, replication {p.replication_factor:.3f}, imbalance {p.node_imbalance:.3f} of vertices, "
        f"{p.edge_imbalance:.3f} of edges; {p.bytes_forward} bytes forward, {p.bytes_backward} backward, "
        f"{p.supersteps} supersteps"
    )
    return Group(made, words)


def _sample(a: Analysis) -> Table:
    s = a.sample
    assert s is not None
    made = _grid(
        f"mini-batch of {s.batch} by sampling", "hops", "fan-out", "support", "bound", "without sampling", "edges"
    )
    for hop, (support, bound, whole) in enumerate(zip(s.support, s.bound, s.whole, strict=True)):
        fanout, edges = (str(s.fanouts[hop - 1]), str(s.edges[hop - 1])) if hop else ("", "")
        made.add_row(str(hop), fanout, str(support), str(bound), str(whole), edges)
    return made


def _pipelines(a: Analysis) -> Table:
    parts = len(a.schedule.tasks) // (3 * a.schedule.layers * a.plan.passes)
    made = _grid(
        f"pipelines over {parts} partitions, {a.schedule.layers} layers, {a.plan.passes} passes",
        "micro", "macro", "makespan", "speed-up", "bubbles", "staleness", left=2,
    )  # fmt: skip
    for s in a.schedules:
        chosen = (s.micro, s.macro) == (a.schedule.micro, a.schedule.macro)
        speedup = s.busy / s.makespan if s.makespan else 1.0
        made.add_row(
            s.micro, s.macro, time(s.makespan), f"{speedup:.2f}", f"{s.bubbles:.0%}",
            f"{s.mean_staleness:.2f}, at most {s.max_staleness}", style="bold" if chosen else "",
        )  # fmt: skip
    return made
