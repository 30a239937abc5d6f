"""Models over a public hypergraph in private: the same answers as in the clear, and what each way to keep, freeze or
reveal the pairs of a Laplacian costs and tells."""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from compile_helpers import certified, kinds
from torch import Tensor, nn

from moiety import ProtocolError, private
from moiety.graph import Hypergraph
from moiety.hls.record import Recording, record
from moiety.models import create_model
from moiety.nn import HyperGCNConv
from moiety.private import reference
from moiety.private.client import Client, ClientConfig
from moiety.private.compiler import over
from moiety.private.evaluate import Evaluator
from moiety.private.export import export
from moiety.private.hyperedges import extremes
from moiety.private.revealed import RevealedPairs, leak

NODES, FEATURES, CLASSES = 40, 12, 3
SIZES = (2, 3, 4, 5, 6, 9, 2, 3, 3, 4, 5, 7, 8, 3)
FRAME = 24


def some_hypergraph(seed: int = 0, weighted: bool = False) -> Hypergraph:
    """Overlapping hyperedges of many sizes, one of a single node, and nodes in none."""
    random = np.random.default_rng(seed)
    lists = [random.permutation(NODES - 3)[:size].tolist() for size in SIZES]
    weight = random.uniform(0.5, 2, len(lists) + 1).tolist() if weighted else None
    return Hypergraph.from_lists(NODES, [*lists, [4]], weight)


def features(seed: int = 0) -> Tensor:
    return torch.rand(NODES, FEATURES, generator=torch.Generator().manual_seed(seed))


def made(name: str, seed: int = 0, **options: Any) -> nn.Module:
    """A network with biases as a training leaves them."""
    torch.manual_seed(seed)
    model = create_model(name, in_features=FEATURES, num_classes=CLASSES, hidden=4, **options)
    for path, parameter in model.named_parameters():
        if path.endswith("bias"):
            nn.init.uniform_(parameter, -0.3, 0.3)
    return model.eval()


def plain(model: nn.Module, x: Tensor, hypergraph: Any) -> Tensor:
    with torch.no_grad():
        result: Tensor = model.double()(x.double(), hypergraph)
    model.float()
    return result


def output_of(played: Recording) -> np.ndarray[Any, Any]:
    """What the client reads: the sum of both shares of what `output` reveals."""
    last = played.program.ops[-1]
    t = played.program.tensors[last.inputs[0]]
    total = sum(played.share(half, last.inputs[0]) for half in played.halves)
    spare = np.uint64(64 - t.bits)
    signed = (np.asarray(total) << spare).view(np.int64) >> np.int64(spare)
    return np.ldexp(signed.astype(np.float64), -t.fraction).reshape(t.shape)


def sent(played: Recording) -> dict[str, int]:
    """Payload bytes of both parties by kind of operation."""
    counts: dict[str, int] = {}
    for half, (index, op) in itertools.product(played.halves, enumerate(played.program.ops)):
        counts[op.kind] = counts.get(op.kind, 0) + sum(map(len, half.messages[index]))
    return counts


RULES = list(itertools.product((True, False), ("paper", "code")))


@pytest.mark.parametrize(("mediators", "weighting"), RULES)
def test_the_arithmetic_on_bits_is_the_laplacian(mediators: bool, weighting: Any) -> None:
    """In floating point, of every rule, with weights, and hyperedges in which all, some or no values are equal."""
    hypergraph = some_hypergraph(weighted=True)
    torch.manual_seed(1)
    layer = HyperGCNConv(FEATURES, 3, mediators, weighting).eval()
    x = features()
    x[hypergraph.indices[: sum(SIZES[:5])].long()] = x[0].clone()  # equal within the first five hyperedges
    x[hypergraph.indices[-4:-2].long()] = x[1].clone()
    floats = export(over(layer, hypergraph), [x], whole=True)
    found = Evaluator(floats, torch.float64)(x[None])[0]
    torch.testing.assert_close(found, plain(layer, x, hypergraph), rtol=0, atol=1e-4)


# Model, its options, and what it takes over a hypergraph: sparse products, bytes of which are none.
FIXED: dict[str, tuple[str, dict[str, Any], int]] = {
    "hgnn": ("hgnn", {}, 4),
    "hgnn row": ("hgnn", {"normalization": "row", "self_loops": False}, 4),
    "unisage": ("unisage", {}, 4),
    "unisage sums": ("unisage", {"first": "sum", "self_loops": True}, 4),
    "unigcn": ("unigcn", {}, 4),
    "edhnn": ("edhnn", {}, 2),
    "quadratic": ("hgnn", {"activation": "x2"}, 4),
}


@pytest.mark.parametrize("name", FIXED)
def test_fixed_operators_aggregate_without_a_byte(name: str) -> None:
    kind, options, products = FIXED[name]
    model, hypergraph, x = made(kind, **options), some_hypergraph(), features()
    program = private.compile(model, x, calibration=x, graph=hypergraph)
    expected = plain(model, x, hypergraph)
    tolerance = 5e-4 * max(1.0, float(expected.abs().max()))
    trace = reference.run(program, x[None].numpy(), trace=True)
    certified(program, trace)
    played = record(program, x[None].numpy(), name)
    for found in (trace.output[0], output_of(played)):
        assert np.abs(found - expected.numpy()).max() < tolerance
    assert kinds(program)["spmm"] == products
    assert sent(played)["spmm"] == 0


@pytest.mark.parametrize("expansion", ["clique", "star", "hgnn"])
def test_expansions_are_graphs_like_any_other(expansion: Any) -> None:
    hypergraph = some_hypergraph()
    graph = hypergraph.expand(expansion)
    torch.manual_seed(0)
    model = create_model("gcn", in_features=FEATURES, num_classes=CLASSES, hidden=4).eval()
    x = torch.rand(graph.num_rows, FEATURES)
    program = private.compile(model, x, calibration=x, graph=graph)
    played = record(program, x[None].numpy(), expansion)
    assert np.abs(output_of(played) - plain(model, x, graph).numpy()).max() < 1e-3
    assert sent(played)["spmm"] == 0


@pytest.mark.parametrize(("mediators", "weighting"), RULES)
def test_pairs_that_nobody_learns(mediators: bool, weighting: Any) -> None:
    """Of features in whose second layer nothing ties: there the rounding of truncations would decide."""
    model, hypergraph, x = made("hypergcn", mediators=mediators, weighting=weighting), some_hypergraph(), features(4)
    program = private.compile(model, x, calibration=x, graph=hypergraph)
    assert leak(program) == ""
    expected = plain(model, x, hypergraph)
    trace = reference.run(program, x[None].numpy(), trace=True)
    certified(program, trace)
    played = record(program, x[None].numpy(), f"{mediators} {weighting}")
    for found in (trace.output[0], output_of(played)):
        assert np.abs(found - expected.numpy()).max() < 1e-3
        assert (found.argmax(1) == expected.argmax(1).numpy()).all()
    counted = kinds(program)
    assert (counted["extremes"], counted["sparse_multiply"], counted["open"]) == (2, 8, 2)


def bits_of(played: Recording) -> list[np.ndarray[Any, Any]]:
    """What both shares of the choices add up to."""
    choices = [op.output for op in played.program.ops if op.kind == "extremes"]
    return [np.asarray(sum(played.share(half, tensor) for half in played.halves)) for tensor in choices]


def test_ties_fall_as_in_the_clear() -> None:
    """The first of equal nodes, exactly: the places are an exact function of what a layer opens."""
    hypergraph, x = some_hypergraph(), features()
    x[5:9] = x[3].clone()
    x[11:20] = x[10].clone()
    torch.manual_seed(3)
    layer = HyperGCNConv(FEATURES, 2).eval()
    played = record(private.compile(layer, x, calibration=x, graph=hypergraph), x[None].numpy(), "ties")
    places = (x.double() @ layer.lin.weight.double().T @ layer.projection.double()).detach().numpy()
    several = hypergraph.sizes() > 1
    indptr, indices = hypergraph.indptr[:-1].numpy(), hypergraph.indices[:-1].numpy()
    assert several.sum() == len(indptr) - 1
    np.testing.assert_array_equal(bits_of(played)[0].astype(bool), extremes(places.round(9), indptr, indices))


def test_where_nothing_differs_a_hyperedge_adds_nothing() -> None:
    """Features that are all equal, and a hidden layer that is zero everywhere."""
    model, hypergraph = made("hypergcn"), some_hypergraph()
    nn.init.constant_(model.convs[0].bias, -100.0)  # type: ignore[index, union-attr, arg-type]
    x = torch.full((NODES, FEATURES), 0.5)
    program = private.compile(model, x, calibration=features(), graph=hypergraph)
    played = record(program, x[None].numpy(), "equal")
    assert not any(bits.any() for bits in bits_of(played))
    assert np.abs(output_of(played) - plain(model, x, hypergraph).numpy()).max() < 1e-3


@pytest.mark.parametrize("comparison", ["circuit", "dcf"])
def test_three_processes_agree_with_the_estimate(comparison: str) -> None:
    """Rounds and bytes in all; a batch is several features on one hypergraph."""
    model, hypergraph = made("hypergcn"), some_hypergraph()
    x = torch.stack([features(1), features(2)])
    program = private.compile(model, x[0], calibration=x, graph=hypergraph)
    result = private.run_local(program, x, comparison=comparison)
    cost = private.estimate(program, batch=2, comparison=comparison)
    client, server = result.stats.client["online"], result.stats.server["online"]
    assert (client.rounds, server.bytes_sent, client.bytes_sent) == (cost.rounds, cost.bytes_server, cost.bytes_client)
    expected = reference.run(program, x.numpy())
    assert isinstance(expected, np.ndarray)
    assert np.abs(result.output.numpy() - expected).max() < 2e-3


def words(n: int) -> int:
    return 8 * -(-n // 64)


def opened_planes(bits: int) -> tuple[int, int]:
    """Planes that a comparison opens after its inputs, and its levels: docs/engine.md, 3.4."""
    width, planes, levels = bits - 1, 0, 0
    while levels == 0 or width > 1:
        groups = [min(4, width - i) for i in range(0, width, 4)]
        planes += sum(1 + (i > 0) for i, radix in enumerate(groups) if radix > 1 or levels == 0)
        width, levels = len(groups), levels + 1
    return planes, levels


def compared(n: int, bits: int, operand: bool) -> int:
    """Bytes that each party sends to compare n elements."""
    return words(n) * (bits - 1 + opened_planes(bits)[0]) + operand * n * -(-bits // 8)


@pytest.mark.parametrize("mediators", [True, False])
def test_a_layer_costs_its_closed_formula(mediators: bool) -> None:
    """docs/engine.md, 3.12, written down once more: bytes of every kind of operation, and rounds."""
    hypergraph, x, channels = some_hypergraph(), features(), 5
    torch.manual_seed(2)
    layer = HyperGCNConv(FEATURES, channels, mediators).eval()
    program = private.compile(layer, x, calibration=x, graph=hypergraph)
    played = record(program, x[None].numpy(), "formula")
    found = sent(played)
    n, m, entries = NODES, len(SIZES), sum(SIZES)
    bits = next(op.attrs["bits"] for op in program.ops if op.kind == "extremes")
    pairs, sizes = [], list(SIZES)
    while max(sizes) > 1:
        pairs.append(sum(size // 2 for size in sizes))
        sizes = [-(-size // 2) for size in sizes]
    up = sum(compared(2 * p, bits, True) for p in pairs) + compared(m, bits, False)
    down = sum(2 * 2 * p * 8 for p in pairs)
    assert found["extremes"] == 2 * (up + down)
    assert found["open"] == 8 * n * FEATURES
    diagonal, gathered = n + n * channels, 2 * entries + n * channels
    scattered = 2 * entries + 2 * m * channels
    assert found["sparse_multiply"] == 2 * 8 * (2 * diagonal + gathered + scattered)
    counted = kinds(program)
    steps = counted["square"] - 2  # a polynomial of degree 7 has two squares, every step of Newton's one
    assert found["square"] == 2 * 8 * n * (2 + steps)
    assert found["multiply"] == 2 * 16 * n * (2 + 2 * steps)
    cost = private.estimate(program, comparison="circuit")
    frames = cost.bytes_online - sum(found.values())
    assert 0 < frames <= 2 * FRAME * cost.rounds
    levels = 1 + opened_planes(bits)[1]
    tournament = (len(pairs) + 1) * levels + len(pairs)
    assert math.ceil(math.log2(max(SIZES))) == len(pairs)
    # Opening, tournament, polynomial, steps; z = r x, truncated; gather, scatter; truncated, r y; output.
    assert cost.rounds == 1 + tournament + 6 + 6 * steps + 2 + 2 + 2 + 1


def test_frozen_pairs_cost_no_byte() -> None:
    """Taken of public features once and for all: two public matrices, whatever the client's features are."""
    model, hypergraph, x, public = made("hypergcn"), some_hypergraph(), features(), features(7)
    program = private.compile(model, x, calibration=x, graph=hypergraph, pairs=public)
    assert kinds(program)["extremes"] == 0
    played = record(program, x[None].numpy(), "frozen")
    assert sent(played)["spmm"] == 0
    mine, theirs = x.double(), public.double()
    for i, layer in enumerate(model.double().convs):  # type: ignore[arg-type]
        mine, theirs = (v.relu() if i else v for v in (mine, theirs))
        mine, theirs = (v @ layer.lin.weight.T for v in (mine, theirs))
        pairs = hypergraph.pairs(theirs, projection=layer.projection)
        mine, theirs = (hypergraph.smooth(v, pairs=pairs) + layer.bias for v in (mine, theirs))
    assert np.abs(output_of(played) - mine.detach().numpy()).max() < 1e-3
    itself = private.compile(model.float(), x, calibration=x, graph=hypergraph, pairs=x)
    found = reference.run(itself, x[None].numpy())[0]  # type: ignore[index]
    assert np.abs(found - plain(model, x, hypergraph).numpy()).max() < 1e-3


def test_frozen_pairs_may_be_exact() -> None:
    model, hypergraph, x = made("hypergcn", pairs="exact"), some_hypergraph(), features()
    with pytest.raises(private.UnsupportedOperator, match="compares the distances of all pairs"):
        private.compile(model, x, calibration=x, graph=hypergraph)
    program = private.compile(model, x, calibration=x, graph=hypergraph, pairs=x)
    found = reference.run(program, x[None].numpy())[0]  # type: ignore[index]
    assert np.abs(found - plain(model, x, hypergraph).numpy()).max() < 1e-3


def test_revealed_pairs_are_asked_for_and_told(tmp_path: Path) -> None:
    model, hypergraph, x = made("hypergcn"), some_hypergraph(), features()
    with pytest.warns(
        RevealedPairs, match=r"in 2 layers both parties learn which two nodes .* 28 pairs, up to \d+ bits"
    ):
        program = private.compile(model, x, calibration=x, graph=hypergraph, pairs="revealed")
    assert leak(program) == leak(program.without_weights()) != ""
    nowhere = ClientConfig(f"unix:{tmp_path}/none", dealer=f"unix:{tmp_path}/none", timeout=0.1)
    with (
        pytest.warns(RevealedPairs, match="28 pairs"),
        pytest.raises((ProtocolError, OSError)),
    ):  # before anything is sent
        Client(program.without_weights(), 1, nowhere)
    counted = kinds(program)
    assert (counted["extremes"], counted["revealed"], counted["sparse_multiply"]) == (2, 2, 0)
    played = record(program, x[None].numpy(), "revealed")
    assert sent(played)["revealed"] == 2 * 2 * words(2 * sum(SIZES))
    assert np.abs(output_of(played) - plain(model, x, hypergraph).numpy()).max() < 1e-3
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # nothing is revealed unasked
        private.compile(model, x, calibration=x, graph=hypergraph)
    for wrong in ("reveal", None, True):
        with pytest.raises(ValueError, match="expected 'oblivious', 'revealed' or a tensor of public features"):
            private.compile(model, x, calibration=x, graph=hypergraph, pairs=wrong)  # type: ignore[arg-type]
    with pytest.raises(
        ValueError, match=r"public features of the input's shape \(40, 12\), found torch.float32 \(9, 12\)"
    ):
        private.compile(model, x, calibration=x, graph=hypergraph, pairs=x[:9])


def test_nothing_but_widths_depends_on_the_parameters() -> None:
    """The client sees kinds, shapes and what reads what: the same for other weights."""
    hypergraph, x = some_hypergraph(), features()

    def structure(seed: int) -> list[Any]:
        program = private.compile(made("hypergcn", seed), x, calibration=x, graph=hypergraph)
        shown = [(op.kind, op.inputs, program.tensors[op.output].shape) for op in program.ops]
        return [*shown, *((name, array.tobytes()) for name, array in sorted(program.public.items()))]

    assert structure(0) == structure(1)


PRIVATE: dict[str, Callable[[], nn.Module]] = {
    "hgnn": lambda: made("hgnn"),
    "unisage": lambda: made("unisage"),
    "edhnn": lambda: made("edhnn"),
}


@pytest.mark.parametrize("name", PRIVATE)
def test_a_hypergraph_that_the_server_keeps(name: str) -> None:
    """One dense matrix (nodes, nodes) a layer; nothing of the hypergraph is in the client's program."""
    model, hypergraph, x = PRIVATE[name](), some_hypergraph(), features()
    program = private.compile(model, x, calibration=x, graph=hypergraph, private_graph=True)
    client = program.without_weights()
    assert not client.public
    assert not client.arrays
    shapes = [program.arrays[op.attrs["weight"]].shape[:2] for op in program.ops if op.kind == "linear"]
    assert shapes.count((NODES, NODES)) == (1 if name == "edhnn" else 2)
    other = private.compile(model, x, calibration=x, graph=some_hypergraph(5), private_graph=True)
    assert [(op.kind, op.inputs) for op in other.ops] == [(op.kind, op.inputs) for op in program.ops]
    expected = plain(model, x, hypergraph)
    played = record(program, x[None].numpy(), name)
    assert np.abs(output_of(played) - expected.numpy()).max() < 1e-3


def test_what_a_private_hypergraph_cannot_be() -> None:
    x = features()
    with pytest.raises(private.UnsupportedOperator, match="a private one has fixed operators only"):
        private.compile(made("hypergcn"), x, calibration=x, graph=some_hypergraph(), private_graph=True)
    with pytest.raises(ValueError, match="private_graph is set, but there is no graph"):
        private.compile(nn.Linear(FEATURES, 2).eval(), x, calibration=x, private_graph=True)
    large = Hypergraph.from_lists(4001, [[0, 1, 2], [3, 4000]])
    x = torch.rand(4001, FEATURES)
    with pytest.raises(ValueError, match="at most 4000 rows and columns, this one has 4001 and 4001:"):
        private.compile(made("unisage"), x, calibration=x, graph=large, private_graph=True)


def test_what_is_refused() -> None:
    x, hypergraph = features(), some_hypergraph()
    with pytest.raises(ValueError, match=r"torch\.export cannot trace"):
        private.compile(made("fast_hypergcn"), x, calibration=x, graph=hypergraph)
    with pytest.raises(private.UnsupportedOperator, match="a comparison an edge and feature"):
        private.compile(made("unisage", first="max"), x, calibration=x, graph=hypergraph)
