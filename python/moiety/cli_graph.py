"""The command `analyse`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from moiety.cli_common import Json, emit, guarded

if TYPE_CHECKING:
    from torch import nn

    from moiety.cost.concurrency import Machine
    from moiety.graph import Graph

__all__ = ["register"]

Model = Annotated[
    str | None, typer.Argument(metavar="MODEL", help="A model of graphs: of the registry or of the paper's tables.")
]
GraphName = Annotated[
    str,
    typer.Option(
        "--graph", help="karate, uniform:NODES:DEGREE, regular:NODES:DEGREE, powerlaw:NODES:DEGREE, or an .npz file."
    ),
]
PlanWords = Annotated[
    str, typer.Option("--plan", help="Words such as parts=4,fanouts=10x5,batch=512,micro=async,macro=async,training.")
]
File = Path | None


def analyse(
    model: Model = None,
    graph: GraphName = "karate",
    plan: PlanWords = "",
    features: Annotated[int, typer.Option(min=1, help="Features of a vertex.")] = 64,
    hidden: Annotated[int, typer.Option(min=1, help="Features between layers.")] = 64,
    classes: Annotated[int, typer.Option(min=1, help="Features of the result.")] = 16,
    layers: Annotated[int, typer.Option(min=1)] = 2,
    html: Annotated[File, typer.Option("--html", help="Write a self-contained page there.")] = None,
    trace: Annotated[File, typer.Option("--trace", help="Write a Chrome trace there.")] = None,
    machine: Annotated[
        File, typer.Option("--machine", help="Rates from --calibrate. Default: the shipped ones.")
    ] = None,
    calibrate: Annotated[
        File, typer.Option("--calibrate", help="Measure this machine and write its rates there.")
    ] = None,
    json: Json = False,
) -> None:
    """Work, depth, traffic, partitions and pipelines of a model on a graph."""
    from moiety.cost.concurrency import analyse as run
    from moiety.cost.concurrency import parse_plan

    for path in (html, trace, calibrate):
        if path is not None and not path.absolute().parent.is_dir():
            raise ValueError(f"{path}: expected a place in a directory that is there")
    rates = _machine(machine, calibrate)
    if model is None:
        if calibrate is None:
            raise ValueError("expected a MODEL, such as gcn, or --calibrate FILE")
        assert rates is not None
        emit(json, {"machine": str(calibrate), "errors": dict(rates.errors)}, f"{calibrate}: {_words(rates)}")
        return
    made = run(
        _model(model, features, classes, hidden, layers), _graph(graph), parse_plan(plan), row=model, machine=rates
    )
    if html is not None:
        html.write_text(made.to_html())
    if trace is not None:
        import json as json_module

        trace.write_text(json_module.dumps(made.trace()))
    if json:
        typer.echo(made.to_json())
        return
    from rich.console import Console

    Console(width=max(130, Console().width)).print(made.table())  # ten columns of numbers do not fit into less


def _machine(path: Path | None, calibrate: Path | None) -> Machine | None:
    from moiety.cost.concurrency import calibrate as measure
    from moiety.cost.concurrency import load_machine

    if calibrate is None:
        return None if path is None else load_machine(path)
    from moiety.cli_cost import progress_bar

    with progress_bar() as step:
        made = measure(step)
    made.save(calibrate)
    return made


def _words(machine: Machine) -> str:
    worst = max(machine.errors.items(), key=lambda item: item[1])
    return (
        f"{machine.name}: {machine.peak / 1e9:.0f} G operations/s, {machine.bandwidth[2] / 1e9:.1f} GB/s of large "
        f"copies, {machine.gather / 1e9:.1f} GB/s of gathered rows; kinds of kernels off by {worst[1]:.0%} at most "
        f"({worst[0]})"
    )


def _model(name: str, features: int, classes: int, hidden: int, layers: int) -> nn.Module:
    """Of the registry, with those options that it has, or of the paper's tables."""
    from moiety.cost.concurrency.zoo import ZOO, build
    from moiety.models.registry import create_model, find_model, list_models

    registered = list_models(inputs="graphs")
    if name not in registered:
        if name not in ZOO:
            raise ValueError(f"there is no model {name!r} of graphs: expected one of {', '.join([*registered, *ZOO])}")
        return build(name, features, classes, hidden, layers)
    given = {"in_features": features, "num_classes": classes, "hidden": hidden, "layers": layers}
    known = find_model(name).options()
    return create_model(name, **{key: value for key, value in given.items() if key in known})


def _graph(name: str) -> Graph:
    """A named, generated or stored graph."""
    import numpy as np
    import torch

    from moiety.graph import Graph

    if name == "karate":
        from moiety.data.small_graphs import karate

        return karate().graph
    if name.endswith(".npz") or Path(name).exists():
        return Graph.load(name)
    kind, *numbers = name.split(":")
    try:
        nodes, degree = map(int, numbers)
    except ValueError:
        nodes = degree = 0
    if kind not in ("uniform", "regular", "powerlaw") or nodes < 1 or degree < 1:
        raise ValueError(
            f"--graph: expected karate, a file, or uniform, regular or powerlaw with :NODES:DEGREE, got {name!r}"
        )
    random = np.random.default_rng(0)
    if kind == "regular":
        target = np.repeat(np.arange(nodes), degree)
        ends: Any = np.stack([(target + np.tile(np.arange(1, degree + 1), nodes)) % nodes, target])
    elif kind == "uniform":
        ends = random.integers(0, nodes, (2, nodes * degree))
    else:
        from moiety.cost.concurrency.calibration import random_graph

        return random_graph(nodes, degree, True, 0)
    return Graph.from_edge_index(torch.from_numpy(ends), nodes)


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(guarded(analyse))
