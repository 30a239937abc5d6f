"""Training on one graph over 2 and 4 gloo processes equals the same in one process, and sends what the plan says."""

import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.multiprocessing as mp

from moiety.graph import partition
from moiety.train.graph import HaloPlan, InParts
from moiety.train.graph.staleness import Kind
from train.graph_workers import (
    BOUNDS,
    MACRO,
    PARTITIONED,
    STEPS,
    WIDTH,
    blocks,
    command,
    everything,
    network,
    optimizer,
    share_of_loss,
)

LAYERS = 4
KINDS: tuple[Kind, ...] = ("self", "local", "remote")


def run(function: Callable[..., None], world: int, *arguments: Any) -> None:
    """In new processes that share the imports of one."""
    mp.get_context("forkserver").set_forkserver_preload(["train.graph_workers"])
    mp.start_processes(function, (world, *arguments), world, start_method="forkserver")


@pytest.fixture(scope="module", params=[2, 4])
def results(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[dict[Any, Any]]:
    """What every process found."""
    folder = tmp_path_factory.mktemp("processes")
    run(everything, request.param, str(folder))
    return [torch.load(folder / f"{request.param}-{r}.pt", weights_only=False) for r in range(request.param)]


def in_one_process(kind: str, bounds: str, parts: int) -> tuple[list[float], list[torch.Tensor], torch.Tensor]:
    """Losses and parameters with all parts in one process, and what the trained network says of every node."""
    data, stages = blocks(), network(kind)
    net = InParts(stages, data.graph, partition(data.graph, parts), BOUNDS[bounds])
    step, losses, everyone = optimizer(stages.parameters()), [], torch.arange(100)
    x = data.x.double()  # type: ignore[union-attr]
    for _ in range(STEPS):
        step.zero_grad()
        loss = share_of_loss(data, net(x), everyone)
        loss.backward()  # type: ignore[no-untyped-call]
        step.step()
        losses.append(float(loss.detach()))
    net.eval()
    with torch.no_grad():
        return losses, [p.detach() for p in stages.parameters()], net(x)


def compare(found: dict[str, Any], losses: list[float], parameters: list[torch.Tensor]) -> None:
    assert found["losses"] == pytest.approx(losses, abs=1e-12)
    for a, b in zip(found["parameters"], parameters, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("case", PARTITIONED, ids=str)
def test_parts_on_processes_are_parts_in_one(results: list[dict[Any, Any]], case: tuple[str, str, bool]) -> None:
    losses, parameters, out = in_one_process(*case[:2], len(results))
    for rank in results:
        compare(rank[case], losses, parameters)
        torch.testing.assert_close(rank[case]["out"], out[rank[case]["own"]], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("case", PARTITIONED, ids=str)
def test_senders_versions_reach_the_bounds_and_never_pass_them(
    results: list[dict[Any, Any]], case: tuple[str, str, bool]
) -> None:
    """Versions travel with the rows: what the ledger holds is what the senders said."""
    bounds = BOUNDS[case[1]]
    for rank in results:
        oldest = rank[case]["oldest"]
        assert {layer for _, layer in oldest} == set(range(1, LAYERS + 1))
        for kind in KINDS:
            ages = [oldest[kind, layer] for layer in range(1, LAYERS + 1)]
            assert [a for a, _ in ages] == [min(layer, bounds.layers(kind)) for layer in range(1, LAYERS + 1)]
            assert {t for _, t in ages} == {bounds.steps(kind)}


@pytest.mark.parametrize("case", PARTITIONED, ids=str)
def test_bytes_are_those_of_the_plan(results: list[dict[Any, Any]], case: tuple[str, str, bool]) -> None:
    data, bounds = blocks(), BOUNDS[case[1]]
    parts = partition(data.graph, len(results))
    statistics = parts.statistics(data.graph)
    for r, rank in enumerate(results):
        plan, counted = HaloPlan.build(data.graph, parts, r), rank[case]["counters"]
        assert plan.rows_received == statistics.halo[r]
        # Every layer fetches its halo and tells its owners the gradient, once a step, in features of 8 bytes.
        assert counted["bytes_forward"] == STEPS * LAYERS * plan.bytes_forward(WIDTH, 8)
        assert counted["bytes_backward"] == STEPS * LAYERS * plan.bytes_backward(WIDTH, 8)
        by_layer: dict[tuple[str, int], int] = {}
        for layer in range(1, LAYERS + 1):
            for way, size in (("forward", plan.bytes_forward(WIDTH, 8)), ("backward", plan.bytes_backward(WIDTH, 8))):
                key = way, bounds.source("remote", layer)
                by_layer[key] = by_layer.get(key, 0) + STEPS * size
        assert counted["by_layer"] == by_layer
        assert counted["exchanges"] == 2 * STEPS * LAYERS
        # With delayed exchanges only the first step's are waited for at once.
        assert counted["supersteps"] == 2 * LAYERS * (STEPS if bounds.step_remote == 0 else 1)
        assert counted["bytes_parameters"] == 8 * STEPS * sum(p.numel() for p in network(case[0]).parameters())
    sent = sum(rank[case]["counters"]["bytes_forward"] for rank in results)
    assert sent == STEPS * LAYERS * WIDTH * 8 * sum(statistics.halo)


@pytest.mark.parametrize("case", MACRO, ids=str)
def test_layers_on_processes_are_layers_in_one(results: list[dict[Any, Any]], case: tuple[str, str]) -> None:
    losses, parameters, _ = in_one_process(*case, 3)
    layers = []
    for rank in results:
        compare(rank[case], losses, parameters)
        layers += sorted({layer for _, layer, _ in rank[case]["spans"]})
        assert len(rank[case]["spans"]) == 2 * 3 * LAYERS // len(results)
        bounds = BOUNDS[case[1]]
        for (kind, layer), age in rank[case]["oldest"].items():
            assert age == (min(layer, bounds.layers(kind)), bounds.steps(kind))
    assert layers == list(range(1, LAYERS + 1))
    sent = sum(rank[case]["counters"]["bytes_forward"] for rank in results)
    cuts = len(results) - 1  # between processes; where layers read two layers back, one further for each
    hops = cuts if case[1] != "macro" else cuts + sum(1 for m in range(2, LAYERS + 1) if _apart(m - 2, m, len(results)))
    assert sent <= STEPS * 100 * WIDTH * 8 * hops
    assert sent >= STEPS * 100 * WIDTH * 8 * cuts


def _apart(a: int, b: int, world: int) -> bool:
    owner = [max(m - 1, 0) * world // LAYERS for m in range(LAYERS + 1)]
    return owner[a] != owner[b]


@pytest.mark.parametrize("how", ["sampled", "cluster"])
def test_mini_batches_keep_processes_together(results: list[dict[Any, Any]], how: str) -> None:
    first = results[0]["small"][how]
    assert first["losses"][-1] < 0.7 * first["losses"][0]
    for rank in results[1:]:
        assert rank["small"][how]["losses"] == first["losses"]
        assert all(
            torch.equal(a, b) for a, b in zip(rank["small"][how]["parameters"], first["parameters"], strict=True)
        )


def test_command_under_torchrun(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    arguments = "--data karate --schedule partition --staleness 1 1 1 0 0 1 --epochs 3 --hidden 4 --dropout 0"
    run(command, 2, str(tmp_path), port, arguments.split())
    assert (tmp_path / "printed-1").read_text() == ""
    printed = json.loads((tmp_path / "printed-0").read_text())
    assert len(printed["losses"]) == 3
    assert printed["oldest_read"]["remote"] == [1, 1]
    assert len(printed["counters"]) == 2
    assert all(c["bytes_forward"] > 0 for c in printed["counters"])
