"""`compile`: from a PyTorch module to a two-party program with a range certificate."""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from moiety.private.evaluate import Evaluator
from moiety.private.export import INPUT_OF, UnsupportedOperator, export
from moiety.private.graph import Graph, Node
from moiety.private.lower import Lowering
from moiety.private.lower_gates import GATE_ERROR, Gates
from moiety.private.pairs import Pairs
from moiety.private.passes import simplify
from moiety.private.passes_private import compose, hold
from moiety.private.program import Certificate, Program
from moiety.private.ranges import RangeError
from moiety.private.revealed import RevealedPairs, leak
from moiety.private.squares import complete_squares
from moiety.private.transport import Network

if TYPE_CHECKING:
    import torch

__all__ = ["RangeError", "UnsupportedOperator", "calibrate", "compile"]

INPUT = "input"
# A measured maximum of the input is doubled, not more: the client refuses what exceeds the bound.
INPUT_MARGIN = 2.0
# Added to every calibrated bound, in units of 2^-fraction_bits: rounding errors of tensors that are almost always zero.
FLOOR_UNITS = 256


def first_tensor(batch: Any) -> torch.Tensor:
    """The images of a batch that may be a tensor, or a tuple or list that starts with one."""
    import torch

    while isinstance(batch, (tuple, list)) and len(batch):
        batch = batch[0]
    if not isinstance(batch, torch.Tensor):
        raise TypeError(f"expected a tensor or a tuple that starts with one, found {type(batch).__name__}")
    return batch


def leading(batch: Any, count: int) -> list[torch.Tensor]:
    """The inputs of a batch: its first tensor, or so many."""
    import torch

    if count == 1:
        return [first_tensor(batch)]
    found = list(batch)[:count] if isinstance(batch, (tuple, list)) else [batch]
    if len(found) < count or not all(isinstance(x, torch.Tensor) for x in found):
        raise TypeError(f"expected a tuple that starts with {count} tensors, found {type(batch).__name__}")
    return found


def over(model: torch.nn.Module, graph: Any) -> torch.nn.Module:
    """The model with the graph as its second argument: forward(x). Modules and parameters are the model's own."""
    if graph is None:
        return model
    bound = copy.copy(model)
    bound.forward = lambda x: model.forward(x, graph)
    return bound


def sample_of(example: torch.Tensor, graph: Any) -> torch.Tensor:
    """Of a graph's features (nodes, features), or (1, nodes, features), the sample; of anything else, itself."""
    return example[0] if graph is not None and example.dim() == 3 else example


def batches(data: Any, count: int = 1) -> Iterable[Any]:
    """Of a tensor, or of a tuple that holds the tensors of several inputs, that one."""
    import torch

    whole = count > 1 and isinstance(data, (tuple, list)) and len(data) >= count
    if isinstance(data, torch.Tensor) or (whole and all(isinstance(x, torch.Tensor) for x in data[:count])):
        return [data]
    return data  # type: ignore[no-any-return]


def measure(graph: Graph, data: Any) -> tuple[dict[Node, float], int]:
    """Largest magnitude of every node over the data, and the number of samples."""
    largest: dict[Node, float] = {}
    evaluate = Evaluator(graph)
    samples = 0

    def observe(node: Node, value: torch.Tensor) -> None:
        if value.is_floating_point():
            largest[node] = max(largest.get(node, 0.0), float(value.abs().max()))

    for batch in batches(data, len(graph.inputs)):
        given = leading(batch, len(graph.inputs))
        if tuple(given[0].shape) == graph.input.shape:  # one graph
            given = [x[None] for x in given]
        for x, node in zip(given, graph.inputs, strict=True):
            if tuple(x.shape[1:]) != node.shape:
                raise ValueError(f"expected calibration data of shape (N, {node.shape}), found {tuple(x.shape)}")
        evaluate(given, observe)
        samples += given[0].shape[0]
    if samples == 0:
        raise ValueError("the calibration data are empty: pass at least one batch, or calibration=None")
    bad = [node for node, value in largest.items() if not math.isfinite(value)]
    if bad:
        raise RangeError(
            f"calibration gave values that are not finite at {bad[0].source or 'the input'} ({bad[0].kind}): "
            "check the calibration data and the weights"
        )
    return largest, samples


def by_module(graph: Graph, bounds: Mapping[str, float]) -> dict[Node, float]:
    """Largest magnitude of the nodes that are outputs of the named modules, or inputs of quadratic activations.

    The bound of an activation's input goes before that of the module it comes from: training holds the input to it.
    """
    found: dict[Node, float] = {}
    for path, value in bounds.items():
        if not (isinstance(value, (int, float)) and math.isfinite(value) and value >= 0):
            raise RangeError(f"calibration bound of {path!r}: expected a finite magnitude, found {value!r}")
    for node in graph.nodes():
        known = [path for path in node.paths if path in bounds]
        held = [path for path in known if path.endswith(INPUT_OF)]
        if known:
            least = min(float(bounds[path]) for path in held or known)
            a, b = node.rescaled or (np.ones(1), np.zeros(1))
            found[node] = float((np.abs(a) * least + np.abs(b)).max())
    return found


def name_of(index: int) -> str:
    """Under which the bound of an input is passed along."""
    return INPUT if index == 0 else f"{INPUT}{index}"


def calibrate(
    model: torch.nn.Module,
    data: Any,
    example_inputs: Any = None,
    graph: Any = None,
    *,
    inputs: int = 1,
    single: bool = False,
) -> dict[str, float]:
    """Largest magnitude of every module's output (and of "input") over the data: JSON to pass to `compile` later.

    Also of the input of every quadratic activation of `moiety.nn`, as "PATH:input"; `RangeWatch.static_bounds` of the
    training replaces those.

    data: a tensor (N, ...), or an iterable of batches, each a tensor or a tuple that starts with one. The first batch
    serves as example if `example_inputs` is not given; then `data` must allow a second iteration.
    graph: as for `compile`; then data are features (nodes, features), or several of them.
    inputs, single: as for `compile`; a second input's magnitude is called "input1".
    """
    if example_inputs is None:
        example_inputs = next(iter(batches(data, inputs)))
    examples = [sample_of(x, graph) for x in leading(example_inputs, inputs)]
    floats = export(over(model, graph), examples, whole=graph is not None, single=single)
    largest, _ = measure(floats, data)
    bounds = {name_of(i): largest[node] for i, node in enumerate(floats.inputs)}
    for node, value in largest.items():
        for path in node.paths:
            bounds[path] = max(bounds.get(path, 0.0), value)
    return bounds


def choose_input_bound(
    given: float | None,
    measured: float | None,
    named: Mapping[str, Any] | None,
    example: torch.Tensor,
    name: str = INPUT,
) -> float:
    """The caller's bound, else twice the largest magnitude of the calibration data or of the example."""
    if given is not None:
        if not (math.isfinite(given) and given > 0):
            raise RangeError(f"expected a positive input_bound, found {given}")
        return float(given)
    if measured is None and named is not None and name in named:
        measured = float(named[name])
    if measured is None:
        measured = float(example.abs().max())
    if not (math.isfinite(measured) and measured > 0):
        raise RangeError(
            f"no bound for the input: the largest magnitude found is {measured}: pass input_bound=, the largest "
            "magnitude that an input may have"
        )
    return INPUT_MARGIN * measured


def compile(
    model: torch.nn.Module,
    example_inputs: torch.Tensor | Sequence[torch.Tensor],
    calibration: Mapping[str, float] | torch.Tensor | Iterable[Any] | None = None,
    ring: int = 64,
    fraction_bits: int = 16,
    output: str = "logits",
    check_range: bool = False,
    *,
    input_bound: float | Sequence[float] | None = None,
    margin_bits: int = 2,
    metadata: Mapping[str, Any] | None = None,
    graph: Any = None,
    gate_error: float = GATE_ERROR,
    network: str | Network | None = None,
    inputs: int = 1,
    single: bool = False,
    adjacency: str = "private",
    pairs: str | torch.Tensor = "oblivious",
    private_graph: bool = False,
) -> Program:
    """Compiles a module in evaluation mode to a two-party program.

    example_inputs: a float tensor (N, ...) or a tuple that holds one; only its shape matters if the input's bound is
    known otherwise.
    calibration: a tensor, a loader (iterable of batches), or what `calibrate` or a training script measured: {module
    path: largest magnitude of its output}, the key "input" for the network's input, keys "PATH:input" for the inputs of
    quadratic activations. Without it every bound is proved
    by interval arithmetic, which suits shallow networks only.
    output: "logits" or "class" (the client gets the index of the largest only).
    check_range: the parties will check that the calibrated bounds hold for each input.
    input_bound: largest magnitude of an input, which the client enforces (of several inputs one for each); by default
    twice what calibration (or the example) shows.
    margin_bits: a calibrated bound is 2^margin_bits times the measured maximum; at least 2.
    metadata: public JSON to carry along (class names, preprocessing).
    graph: for a model over a graph, what it takes second: `model(x, graph)`, a `moiety.graph.Graph` or an edge_index.
    The graph and its weights are public, they become part of the program; example_inputs are the features of all nodes
    (nodes, features), which make one sample of the program.
    gate_error: largest error that a sigmoid or tanh may have on its certified range; the program's metadata say under
    "gates" which of them is computed how, and with what error.
    network: the link ("lan", "wan" or `Network`) for which the cost model chooses how sigmoid and tanh are computed.
    inputs: how many tensors the model takes, all of them the client's: the first of `example_inputs` and of every batch
    of calibration data.
    single: export the model for a batch of one, for networks inside which the batch is not axis 0 (those of
    `moiety.models` that forecast). It must treat the samples of a batch apart; a program runs any number of them.
    adjacency: of a constant that multiplies from the left, and so mixes the nodes of a graph: "private", held by the
    server; "public", part of the program, which saves an opening and a round for each product.
    pairs: which two nodes of a hyperedge differ most, HyperGCN's Laplacian, depends on the features. "oblivious":
    nobody learns it. A tensor of public features (nodes, features): the pairs are those of these features, once and for
    all, and part of the program like the graph. "revealed": both parties learn the pairs of the client's features; a
    warning says how much that is.
    private_graph: the graph's matrices are the server's and not part of the program. The client knows the number of
    nodes; each product costs the opening of its input and a dense matrix, of at most 4,000 rows and columns.

    Raises `UnsupportedOperator` (operator, module path, source line), `RangeError` (which tensor, which bound, what
    to do), and ValueError for a model in training mode or one that `torch.export` cannot trace.
    """
    if ring not in (32, 64):
        raise ValueError(f"expected ring 32 or 64, found {ring}")
    if not 1 <= fraction_bits <= ring // 2 - 2:
        raise ValueError(f"expected 1 to {ring // 2 - 2} fraction bits in a ring of {ring} bits, found {fraction_bits}")
    if output not in ("logits", "class"):
        raise ValueError(f"expected output 'logits' or 'class', found {output!r}")
    if margin_bits < 2:
        raise ValueError(f"expected a margin of at least 2 bits, found {margin_bits}")
    whole = graph is not None
    if inputs < 1 or (whole and (inputs > 1 or single)):
        raise ValueError(f"inputs is {inputs}, single {single}: expected at least 1; with a graph 1 and not single")
    if adjacency not in ("private", "public"):
        raise ValueError(f"adjacency is {adjacency!r}: expected 'private' (the server's) or 'public'")
    examples = [sample_of(x, graph) for x in leading(example_inputs, inputs)]
    for example in examples:
        if not example.is_floating_point():
            raise TypeError(f"expected a floating-point example input, found {example.dtype}")
    if private_graph and not whole:
        raise ValueError("private_graph is set, but there is no graph: pass graph=")
    kept = Pairs.named(pairs, private_graph, tuple(examples[0].shape) if whole else None)
    floats = export(over(model, graph), examples, whole, single, adjacency, kept)
    if private_graph:
        compose(floats)
    simplify(floats)
    complete_squares(floats)
    if private_graph:
        hold(floats)
    if output == "class" and floats.output.kind != "argmax":
        last, axis = floats.output, len(floats.output.shape) - 1 if whole else 0
        shape = last.shape[:axis] + last.shape[axis + 1 :]
        floats.output = Node("argmax", [last], shape, {"axis": axis}, last.source, last.where)
    kind = "class" if floats.output.kind == "argmax" else "logits"

    named = calibration if isinstance(calibration, Mapping) else None
    measured: dict[Node, float] = {}
    samples = 0
    if named is not None:
        measured = by_module(floats, named)
    elif calibration is not None:
        measured, samples = measure(floats, calibration)
    given = list(input_bound) if isinstance(input_bound, Sequence) else [input_bound] * inputs
    if len(given) != inputs:
        raise ValueError(f"input_bound has {len(given)} values: expected one for each of {inputs} inputs")
    bounds = {
        node: choose_input_bound(given[i], measured.pop(node, None), named, examples[i], name_of(i))
        for i, node in enumerate(floats.inputs)
    }
    floor = FLOOR_UNITS * 2.0**-fraction_bits
    limits = {node: 2.0**margin_bits * value + floor for node, value in measured.items()}
    gates = Gates(gate_error, Network.of(network))
    lowering = Lowering(floats, ring, fraction_bits, bounds, limits, check_range, gates)
    certificate = Certificate(max(bounds.values()), margin_bits, samples, check_range)
    emitter = lowering.run()
    made = {"gates": lowering.gates_made} if lowering.gates_made else {}
    if made and "gates" in (metadata or {}):
        raise ValueError(
            "metadata have a key 'gates', under which the program says how its gates are computed: rename it"
        )
    program = emitter.finish(certificate, kind, {**(metadata or {}), **made})
    if told := leak(program):
        warnings.warn(told, RevealedPairs, stacklevel=2)
    return program
