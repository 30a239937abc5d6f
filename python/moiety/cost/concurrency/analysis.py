"""`analyse`: what a model does on a graph under a plan, as numbers.

The model runs once under watch (`watch`); everything else follows from its kernels: exact work, depth, bytes; Brent's
bounds for p workers (max(W / p, D) <= T_p <= W / p + D, in operations); rooflines and predicted seconds on a machine
(`roofline`); and, by the plan, partitions, samples and pipelines. Beside what is executed stands what the paper writes.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from moiety.graph import Graph

from .formulas import evaluate, scheme, written
from .kernels import Count, Fold, Kernel, Map, Other, sizes_of
from .models import GLOBAL_MODELS, LOCAL_MODELS
from .partitioned import PartitionCost, SampleCost, of_partition, of_sample
from .pipeline import Pipeline, Schedule, schedules, shared, simulate
from .plan import Plan
from .roofline import Machine, default_machine
from .taxonomy import Taxonomy, of_kernels, of_row, row_of
from .watch import Step, Trace, trace

if TYPE_CHECKING:
    from rich.console import RenderableType

    from moiety.graph.partitioning import Partition

__all__ = ["Analysis", "AsWritten", "Line", "Totals", "analyse", "layers_of"]

GRAPH_KERNELS = (
    "spmm", "sddmm", "edge_softmax", "edge_softmax_backward", "gat", "gat_backward", "gather", "scatter",
)  # fmt: skip


@dataclass(frozen=True)
class Line:
    """A kernel of the pass: what it does and how long it takes, one thread."""

    kernel: Kernel
    operator: str
    module: str
    phase: str
    count: Count
    compulsory: int  # bytes
    roofline: float  # seconds from peak and bandwidth
    seconds: float  # predicted

    @property
    def label(self) -> str:
        """The kernel, by its function or operator where it has many."""
        kernel = self.kernel
        if isinstance(kernel, (Map, Fold)):
            return f"{kernel.name} {kernel.function}"
        return kernel.operator if isinstance(kernel, Other) else kernel.name

    @property
    def no_reuse(self) -> int:
        """Bytes when nothing is kept from one use to the next."""
        return self.count.loaded + self.count.stored

    @property
    def intensity(self) -> float:
        """Operations a byte of compulsory traffic."""
        return self.count.work / self.compulsory if self.compulsory else 0.0

    @property
    def parallelism(self) -> float:
        """Operations that can be done at once on average: work / depth."""
        return self.count.work / self.count.depth if self.count.depth else 0.0

    def to_dict(self) -> dict[str, Any]:
        return {
            "kernel": self.kernel.name,
            "sizes": sizes_of(self.kernel),
            "operator": self.operator,
            "module": self.module,
            "phase": self.phase,
            "work": self.count.work,
            **asdict(self.count),
            "parallelism": self.parallelism,
            "compulsory_bytes": self.compulsory,
            "no_reuse_bytes": self.no_reuse,
            "intensity": self.intensity,
            "roofline_seconds": self.roofline,
            "seconds": self.seconds,
        }


@dataclass(frozen=True)
class Totals:
    """Of the whole pass. `depth` is the longest path through kernels, `chain` their depths one after another.

    `seconds` has the calls of modules beside the kernels'. `peak_bytes`: intermediate results that live at once;
    `held_bytes`: features, parameters and the graph.
    """

    count: Count
    depth: int
    forward: Count  # of the forward pass alone
    forward_depth: int
    compulsory: int
    roofline: float
    seconds: float
    modules: int  # calls of modules
    peak_bytes: int
    held_bytes: int
    brent: tuple[tuple[int, float, float], ...]  # workers, least and most steps of time

    @property
    def chain(self) -> int:
        return self.count.depth

    @property
    def parallelism(self) -> float:
        return self.count.work / self.depth if self.depth else 0.0

    def to_dict(self) -> dict[str, Any]:
        count = asdict(self.count)
        del count["depth"]
        return {
            "work": self.count.work,
            **count,
            "depth": self.depth,
            "forward_work": self.forward.work,
            "forward_depth": self.forward_depth,
            "chained_depth": self.chain,
            "parallelism": self.parallelism,
            "compulsory_bytes": self.compulsory,
            "no_reuse_bytes": self.count.loaded + self.count.stored,
            "intensity": self.count.work / self.compulsory if self.compulsory else 0.0,
            "roofline_seconds": self.roofline,
            "seconds": self.seconds,
            "modules": self.modules,
            "peak_bytes": self.peak_bytes,
            "held_bytes": self.held_bytes,
            "brent": [{"workers": p, "least": low, "most": high} for p, low, high in self.brent],
        }


@dataclass(frozen=True)
class AsWritten:
    """A row of the paper's tables, and its value without constants at these sizes (None: a size is not known)."""

    formulation: str  # "local", "global", or "sampled": Table 2's scheme for the plan's fan-outs
    formula: str
    work: str
    depth: str
    work_value: float | None
    depth_value: float | None
    executed: bool  # False: a formula only; matrix powers and inverses are never made here
    note: str


@dataclass(frozen=True)
class Analysis:
    """All of it. `assumed`: operators without closed form, counted as one operation an element of their result;
    `skipped`: operators on integers and masks, not counted.
    """

    model: str
    nodes: int
    edges: int
    largest_degree: int
    plan: Plan
    machine: str
    lines: tuple[Line, ...]
    totals: Totals
    taxonomy: Taxonomy
    as_written: tuple[AsWritten, ...]
    partition: PartitionCost | None
    sample: SampleCost | None
    schedule: Schedule
    schedules: tuple[Schedule, ...]  # Figure 14's four
    assumed: tuple[str, ...]
    skipped: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "model": self.model,
            "graph": {"nodes": self.nodes, "edges": self.edges, "largest_degree": self.largest_degree},
            "plan": self.plan.to_dict(),
            "machine": self.machine,
            "totals": self.totals.to_dict(),
            "kernels": [line.to_dict() for line in self.lines],
            "taxonomy": self.taxonomy.to_dict(),
            "as_written": [asdict(row) for row in self.as_written],
            "partition": None if self.partition is None else self.partition.to_dict(),
            "sample": None if self.sample is None else self.sample.to_dict(),
            "pipeline": self.schedule.to_dict(),
            "schedules": [s.to_dict() for s in self.schedules],
            "assumed": list(self.assumed),
            "skipped": list(self.skipped),
        }

    def to_json(self) -> str:
        return json.dumps(self.to_dict(), indent=1)

    def table(self) -> RenderableType:
        """For a terminal: `rich.print(analysis.table())`."""
        from .report import table

        return table(self)

    def to_html(self) -> str:
        """One self-contained page."""
        from .page import page

        return page(self)

    def trace(self) -> dict[str, Any]:
        """A Chrome trace: the kernels one after another at their predicted times, and the plan's pipeline."""
        events: list[dict[str, Any]] = [
            {"ph": "M", "name": "process_name", "pid": 0, "tid": 0, "args": {"name": f"{self.model}, one worker"}}
        ]
        clock = 0.0
        for line in self.lines:
            arguments = {"module": line.module, "phase": line.phase, "work": line.count.work, "depth": line.count.depth}
            events.append(
                {"ph": "X", "name": line.kernel.name, "cat": line.phase, "pid": 0, "tid": 0, "ts": 1e6 * clock,
                 "dur": 1e6 * line.seconds, "args": arguments}
            )  # fmt: skip
            clock += line.seconds
        return {"traceEvents": [*events, *self.schedule.trace(1)], "displayTimeUnit": "ms"}


def analyse(
    model: nn.Module,
    graph: Graph,
    plan: Plan | None = None,
    *,
    x: Tensor | None = None,
    row: str | None = None,
    machine: Machine | None = None,
    partition: Partition | None = None,
) -> Analysis:
    """What ``model(x, graph)`` does.

    model: a module called with features (nodes, F) and a `Graph`, over torch's and this package's operators; it runs
    once in evaluation mode before it is watched, so that what is computed once for a graph is not counted. x: the
    features, random ones of as many as the model's first layer takes by default. row: the model's name in the paper's
    tables, by default the registry's or the class's if it is there. partition: in place of the plan's own.

    Raises TypeError for other kinds of arguments, ValueError for features or a plan that do not fit the graph, and
    whatever the model raises.
    """
    if not isinstance(model, nn.Module) or not isinstance(graph, Graph):
        raise TypeError(
            f"analyse: expected a torch module and a Graph, got {type(model).__name__}, {type(graph).__name__}"
        )
    if x is not None and (x.ndim != 2 or x.shape[0] != graph.num_nodes):
        raise ValueError(f"analyse: expected x ({graph.num_nodes}, features), got {tuple(x.shape)}")
    plan = Plan() if plan is None else plan
    machine = default_machine() if machine is None else machine
    x = _features(model, graph) if x is None else x
    name = type(model).__name__ if row is None else row
    row = row_of(name.lower())
    watched = _watched(model, graph, x, plan)
    lines = tuple(_line(step, machine) for step in watched.steps)
    forward = [step for step in watched.steps if step.phase == "forward"]
    if partition is None and plan.parts > 1:
        from moiety.graph import partition as divide

        partition = divide(graph, plan.parts, method=plan.method, seed=plan.seed)  # type: ignore[arg-type]
    parameters = sum(p.numel() * p.element_size() for p in model.parameters())
    cost = None
    if partition is not None:
        cost = of_partition(watched.steps, graph, partition, parameters if plan.training else 0)
    pipeline = _pipeline(lines, cost, plan)
    return Analysis(
        model=name,
        nodes=graph.num_nodes,
        edges=graph.num_edges,
        largest_degree=int(graph.in_degrees().max()) if graph.num_nodes else 0,
        plan=plan,
        machine=machine.name,
        lines=lines,
        totals=_totals(lines, watched, plan, machine, parameters + x.nbytes + _graph_bytes(graph)),
        taxonomy=of_row(row) if row is not None else of_kernels([step.kernel for step in forward]),
        as_written=_as_written(row, model, graph, x, lines, plan),
        partition=cost,
        sample=of_sample(graph, plan.batch, plan.fanouts, plan.seed) if plan.fanouts else None,
        schedule=simulate(pipeline, plan.micro, plan.macro, plan.passes),
        schedules=schedules(pipeline, plan.passes),
        assumed=tuple(sorted({s.operator for s in watched.steps if s.kernel.name == "other"})),
        skipped=tuple(sorted(watched.skipped)),
    )


def _features(model: nn.Module, graph: Graph) -> Tensor:
    for module in model.modules():
        for name in ("in_channels", "in_features"):
            if isinstance(size := getattr(module, name, None), int):
                return torch.randn(graph.num_nodes, size, generator=torch.Generator().manual_seed(0))
    raise ValueError("analyse: cannot tell how many features the model takes: give x=, a tensor (nodes, features)")


def _watched(model: nn.Module, graph: Graph, x: Tensor, plan: Plan) -> Trace:
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            model(x, graph)
        if plan.training:
            gradients = [p.grad for p in model.parameters()]
            try:
                return trace(lambda: model(x, graph), backward=True)
            finally:
                for p, gradient in zip(model.parameters(), gradients, strict=True):
                    p.grad = gradient
        return trace(lambda: model(x, graph))
    finally:
        model.train(training)


def _line(step: Step, machine: Machine) -> Line:
    k = step.kernel
    roofline, seconds = machine.roofline(k), machine.seconds(k)
    return Line(k, step.operator, step.module, step.phase, k.count, k.compulsory, roofline, seconds)


def _totals(lines: Sequence[Line], watched: Trace, plan: Plan, machine: Machine, held: int) -> Totals:
    count = sum((line.count for line in lines), Count(barriers=0))
    brent = tuple((p, max(count.work / p, watched.depth), count.work / p + watched.depth) for p in plan.workers)
    return Totals(
        count,
        watched.depth,
        sum((line.count for line in lines if line.phase == "forward"), Count(barriers=0)),
        max((step.stop for step in watched.steps if step.phase == "forward"), default=0),
        sum(line.compulsory for line in lines),
        sum(line.roofline for line in lines),
        sum(line.seconds for line in lines) + watched.modules * machine.module,
        watched.modules,
        watched.peak,
        held,
        brent,
    )


def _graph_bytes(graph: Graph) -> int:
    tensors = [graph.indptr, graph.indices, *([] if graph.weight is None else [graph.weight])]
    return sum(t.nbytes for t in tensors)


def _as_written(
    row: str | None, model: nn.Module, graph: Graph, x: Tensor, lines: Sequence[Line], plan: Plan
) -> tuple[AsWritten, ...]:
    if row is None:
        return ()
    forward = [line for line in lines if line.phase == "forward"]
    layers = layers_of(lines)
    products = sum(line.kernel.name in ("spmm", "gat") for line in forward)
    perceptron = max((sum(line.kernel.name == "gemm" for line in layer) for layer in layers), default=0)
    sizes = {
        "n": graph.num_nodes, "m": graph.num_edges, "d": int(graph.in_degrees().max()) if graph.num_nodes else 0,
        "k": max([x.shape[1], *(p.shape[-1] for p in model.parameters() if p.ndim > 1)]), "L": len(layers),
        "K": max(1, perceptron), "s": max(2, products),
        "c": max(plan.fanouts, default=1),
    }  # fmt: skip
    found = []
    for formulation, rows in (("local", LOCAL_MODELS), ("global", GLOBAL_MODELS)):
        if row in rows:
            w = written(row, formulation)
            values = (evaluate(w.work, **sizes), evaluate(w.depth, **sizes))
            found.append(AsWritten(formulation, w.formula, str(w.work), str(w.depth), *values, w.executed, w.note))
    if plan.fanouts and row in LOCAL_MODELS:
        work, depth = scheme("graphsage", row)
        values = (evaluate(work, **sizes), evaluate(depth, **sizes))
        note = "Table 2: what sampling adds to a pass; executed per batch, see its support set."
        found.append(AsWritten("sampled", "GraphSAGE, VR-GCN", str(work), str(depth), *values, False, note))
    return tuple(found)


def layers_of(lines: Sequence[Line]) -> list[list[Line]]:
    """The forward pass cut into layers: by the first number in the paths of the modules, each with a graph kernel."""
    groups: list[tuple[str, list[Line]]] = []
    for line in lines:
        if line.phase != "forward":
            continue
        path = line.module.split(".") if line.module else []
        key = next((part for part in path if part.isdigit()), path[0] if path else "")
        if groups and (key in ("", groups[-1][0])):
            groups[-1][1].append(line)
        else:
            groups.append((key, [line]))
    layers: list[list[Line]] = []
    waiting: list[Line] = []
    for _, members in groups:
        waiting += members
        if any(line.kernel.name in GRAPH_KERNELS for line in members):
            layers.append(waiting)
            waiting = []
    if waiting:  # what comes behind the last graph kernel belongs to its layer
        layers = [*layers[:-1], layers[-1] + waiting] if layers else [waiting]
    return layers


def _stage(line: Line) -> int:
    return 0 if line.kernel.name in GRAPH_KERNELS else 1 if line.kernel.name == "gemm" else 2


def _pipeline(lines: Sequence[Line], cost: PartitionCost | None, plan: Plan) -> Pipeline:
    """Predicted seconds of every layer's stages, dealt out over partitions: graph kernels by edges, others by nodes."""
    parts = plan.chunks if cost is None else cost.parts
    if cost is None:
        edges = nodes = [1 / parts] * parts
    else:
        edges = [e / max(1, sum(cost.edges)) for e in cost.edges]
        nodes = [v / max(1, sum(cost.nodes)) for v in cost.nodes]
    seconds = [
        [sum(line.seconds for line in layer if _stage(line) == s) for s in range(3)] for layer in layers_of(lines)
    ]
    return shared(seconds or [[0.0] * 3], lambda stage: edges if stage == 0 else nodes)
