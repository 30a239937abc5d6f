"""Compiled networks run by two parties on two threads, against torch and against the reference on plain integers."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from torch import nn

from moiety import private
from moiety._core import mpc
from moiety.private import execute, reference
from moiety.private.plan import Plan, plan
from moiety.private.program import Program, from_json
from mpc.formulas import Cost
from mpc.two_parties import FRAME_HEADER, Pair

COMPARISONS = ["circuit", "dcf"]
# Compiling takes a second: a failing network is reported as it was drawn.
PHASES = (Phase.explicit, Phase.reuse, Phase.generate)


class Answer(NamedTuple):
    output: npt.NDArray[np.float32]
    cost: Cost
    dealt: tuple[int, int]
    pair: Pair
    stats: tuple[dict[str, Any], dict[str, Any]]


def run(program: Program, x: npt.ArrayLike, comparison: str = "circuit") -> Answer:
    """One inference; the client has the program without weights."""
    x = np.asarray(x)
    at_client = program.without_weights()
    planned = plan(program, len(x), comparison)
    assert planned.hash == plan(at_client, len(x), comparison).hash
    weights = execute.weights(program)
    pair = Pair(program.ring, planned.specs, weights=weights)
    stats: list[dict[str, Any]] = [{}, {}]

    def party(index: int, which: Program, data: npt.ArrayLike | None) -> Any:
        def protocol(handle: Any) -> Any:
            inference = execute.Inference(which, planned, handle)
            result = inference.run(data)
            stats[index] = inference.stats()
            return result

        return protocol

    done = pair.run(party(0, program, None), party(1, at_client, x))
    assert done.server is None
    assert done.dealt == (planned.server_bytes, planned.client_bytes)
    return Answer(done.client, Cost(*done.payload, done.rounds), done.dealt, pair, (stats[0], stats[1]))


def units_off(program: Program) -> float:
    """A generous bound of what unit errors become at the output: they grow with every layer's weights."""
    gain, worst = 1.0, 1.0
    for op in program.ops:
        if op.kind == "linear":
            weight = program.arrays[op.attrs["weight"]]
            conv = op.attrs["conv"]
            signed = weight.view(np.int64 if program.ring == 64 else np.int32).astype(np.float64)
            signed /= 2.0 ** op.attrs["weight_fraction"]
            axes = (0, *range(2, weight.ndim)) if conv["transposed"] else tuple(range(1, weight.ndim))
            gain = max(1.0, float(np.abs(signed).sum(axis=axes).max())) * gain
        elif op.kind in ("x2", "square", "multiply"):
            gain *= 64.0
        elif op.kind in ("add", "concat", "truncate", "sumpool"):
            gain += 1.0
        worst = max(worst, gain)
    return 4.0 * worst * 2.0**-program.fraction_bits


def check(
    model: nn.Module, x: torch.Tensor, comparison: str = "circuit", tolerance: float = 0.0, **options: Any
) -> Answer:
    """Compiles, runs and compares with torch and with the reference; returns the answer."""
    model.eval()
    program = private.compile(model, (x,), calibration=[(x,)], **options)
    answer = run(program, x.numpy(), comparison)
    with torch.no_grad():
        expected = model(x).numpy()
    bound = tolerance or min(units_off(program), 0.01)
    ideal = reference.run(program, x.numpy())
    assert isinstance(ideal, np.ndarray)
    assert answer.output.shape == expected.shape
    np.testing.assert_allclose(answer.output, ideal, atol=bound, rtol=0)
    np.testing.assert_allclose(answer.output, expected, atol=2 * bound, rtol=2e-3)
    return answer


def randomised(model: nn.Module, seed: int = 0) -> nn.Module:
    """BatchNorm statistics that are not trivial; weights that keep magnitudes near one."""
    generator = torch.Generator().manual_seed(seed)
    for module in model.modules():
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)):
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.copy_(torch.randn(module.num_features, generator=generator) * 0.2)
            module.running_var.copy_(torch.rand(module.num_features, generator=generator) + 0.5)
            with torch.no_grad():
                module.weight.copy_(torch.rand(module.num_features, generator=generator) + 0.5)
                module.bias.copy_(torch.randn(module.num_features, generator=generator) * 0.2)
    return model.eval()


def sequential(*layers: nn.Module, seed: int = 0) -> nn.Module:
    return randomised(nn.Sequential(*layers), seed)


@pytest.fixture(autouse=True)
def _repeatable() -> None:
    torch.manual_seed(1)


# ---- random networks ------------------------------------------------------------------------------------------------

ACTIVATIONS = {"relu": nn.ReLU, "relu6": nn.ReLU6, "hardtanh": nn.Hardtanh}


class Residual(nn.Module):
    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1, groups=groups)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.norm(self.conv(x))


@st.composite
def networks(draw: st.DrawFn) -> tuple[nn.Module, torch.Tensor]:
    """A few convolutions with norms, activations, residuals and poolings, and a linear layer."""
    seed = draw(st.integers(0, 2**16))
    torch.manual_seed(seed)
    channels, size = draw(st.integers(1, 3)), draw(st.integers(6, 9))
    x = torch.randn(draw(st.integers(1, 3)), channels, size, size)
    layers: list[nn.Module] = []
    for _ in range(draw(st.integers(1, 3))):
        width = draw(st.sampled_from([2, 4, 6]))
        kernel, stride = draw(st.sampled_from([1, 3])), draw(st.integers(1, 2))
        bias = draw(st.booleans())
        layers.append(nn.Conv2d(channels, width, kernel, stride=stride, padding=kernel // 2, bias=bias))
        channels = width
        if draw(st.booleans()):
            layers.append(nn.BatchNorm2d(channels))
        layers.append(ACTIVATIONS[draw(st.sampled_from(sorted(ACTIVATIONS)))]())
        if draw(st.booleans()):
            layers.append(Residual(channels, draw(st.sampled_from([1, channels]))))
    pooling = draw(st.sampled_from([nn.Identity, nn.MaxPool2d, nn.AvgPool2d]))
    if pooling is nn.MaxPool2d:
        layers.append(nn.MaxPool2d(2, ceil_mode=draw(st.booleans())))
    elif pooling is nn.AvgPool2d:
        layers.append(nn.AvgPool2d(2))
    try:
        shape = nn.Sequential(*layers).eval()(x).shape
    except RuntimeError:  # nothing is left to pool
        layers.pop()
        shape = nn.Sequential(*layers).eval()(x).shape
    if draw(st.booleans()):
        layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(shape[1], 3)]
    else:
        layers += [nn.Flatten(), nn.Linear(int(np.prod(shape[1:])), 4)]
    return sequential(*layers, seed=seed), x


@settings(max_examples=16, deadline=None, phases=PHASES)
@given(made=networks(), comparison=st.sampled_from(COMPARISONS))
def test_random_networks(made: tuple[nn.Module, torch.Tensor], comparison: str) -> None:
    model, x = made
    check(model, x, comparison)


@settings(max_examples=8, deadline=None, phases=PHASES)
@given(seed=st.integers(0, 2**16), comparison=st.sampled_from(COMPARISONS))
def test_random_networks_in_the_ring_of_32_bits(seed: int, comparison: str) -> None:
    torch.manual_seed(seed)
    model = sequential(
        nn.Conv2d(2, 3, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(27, 3), seed=seed
    )
    check(model, torch.randn(2, 2, 6, 6), comparison, ring=32, fraction_bits=9, tolerance=0.05)


# ---- operators ------------------------------------------------------------------------------------------------------


class Dense(nn.Module):
    """DenseNet's block: every layer normalises the concatenation of all that came before."""

    def __init__(self, channels: int, growth: int) -> None:
        super().__init__()
        widths = [channels, channels + growth, channels + 2 * growth]
        self.norms = nn.ModuleList([nn.BatchNorm2d(width) for width in widths])
        self.convs = nn.ModuleList([nn.Conv2d(width, growth, 3, padding=1) for width in widths[:-1]])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for norm, conv in zip(self.norms, self.convs, strict=False):
            x = torch.cat([x, conv(torch.relu(norm(x)))], dim=1)
        return torch.relu(self.norms[-1](x))


class Square(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * x


class Gate(nn.Module):
    """A product of two branches, which share their hops."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 4, 1), nn.Conv2d(3, 4, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.a(x)) * self.b(x)


class Polynomial(nn.Module):
    """c2 x^2 + c1 x + c0 with trained coefficients for each channel; a linear one, so that it stays `x2`."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.c2 = nn.Parameter(torch.randn(channels, 1, 1) * 0.3)
        self.c2.data[0] = 0.0
        self.c1 = nn.Parameter(torch.randn(channels, 1, 1))
        self.c0 = nn.Parameter(torch.randn(channels, 1, 1) * 0.1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.c2 * x * x + self.c1 * x + self.c0


class UNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.down, self.mid = nn.Conv2d(2, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.up = nn.ConvTranspose2d(4, 4, 2, stride=2)
        self.out = nn.Conv2d(8, 2, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        skip = torch.relu(self.down(x))
        deep = torch.relu(self.mid(nn.functional.max_pool2d(skip, 2)))
        return self.out(torch.cat([skip, self.up(deep)], dim=1))


CASES: dict[str, tuple[Any, tuple[int, ...]]] = {
    "dense concatenation": (lambda: randomised(Dense(3, 2)), (2, 3, 5, 5)),
    "depthwise": (
        lambda: sequential(nn.Conv2d(4, 4, 3, padding=1, groups=4), nn.ReLU6(), nn.Conv2d(4, 6, 1)),
        (2, 4, 6, 6),
    ),
    "transposed": (
        lambda: sequential(
            nn.ConvTranspose2d(3, 4, 3, stride=2, padding=1, output_padding=1), nn.ReLU(), nn.Conv2d(4, 2, 3)
        ),
        (2, 3, 4, 4),
    ),
    "3-D": (
        lambda: sequential(
            nn.Conv3d(2, 3, 3, padding=1), nn.BatchNorm3d(3), nn.ReLU(), nn.MaxPool3d(2), nn.Conv3d(3, 2, 1)
        ),
        (1, 2, 4, 6, 4),
    ),
    "1-D": (lambda: sequential(nn.Conv1d(2, 3, 3), nn.ReLU(), nn.MaxPool1d(3, 2, 1), nn.Conv1d(3, 2, 2)), (2, 2, 12)),
    "square": (lambda: sequential(nn.Conv2d(3, 4, 3), Square(), nn.Conv2d(4, 2, 1)), (2, 3, 5, 5)),
    "multiply": (lambda: sequential(Gate(), nn.Conv2d(4, 2, 1)), (2, 3, 5, 5)),
    "x2": (lambda: sequential(nn.Conv2d(3, 4, 3), Polynomial(4), nn.Conv2d(4, 2, 1)), (2, 3, 5, 5)),
    "relu6": (lambda: sequential(nn.Conv2d(3, 4, 3), nn.ReLU6(), nn.AvgPool2d(3)), (2, 3, 5, 5)),
    "hardtanh": (lambda: sequential(nn.Linear(7, 9), nn.Hardtanh(-0.5, 0.75), nn.Linear(9, 3)), (4, 7)),
    "U-Net": (lambda: randomised(UNet()), (1, 2, 6, 6)),
    "norm before a padded convolution": (
        lambda: sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 2, 3, padding=1), nn.ReLU()),
        (2, 3, 4, 4),
    ),
    "strided dilated max pooling": (
        lambda: sequential(
            nn.Conv2d(2, 3, 1), nn.MaxPool2d(3, 2, 1, ceil_mode=True), nn.ReLU(), nn.MaxPool2d(2, 1, 0, 2)
        ),
        (2, 2, 9, 8),
    ),
    "pooling of one element": (
        lambda: sequential(nn.Conv2d(2, 3, 3), nn.MaxPool2d(2, ceil_mode=True), nn.Flatten(), nn.Linear(3, 2)),
        (2, 2, 3, 3),
    ),
    "linear alone": (lambda: sequential(nn.Linear(5, 3)), (3, 5)),
}


@pytest.mark.parametrize("comparison", COMPARISONS)
@pytest.mark.parametrize("case", CASES)
def test_operators(case: str, comparison: str) -> None:
    make, shape = CASES[case]
    check(make(), torch.randn(shape), comparison)


@pytest.mark.parametrize("case", ["depthwise", "relu6", "linear alone", "hardtanh"])
def test_operators_in_the_ring_of_32_bits(case: str) -> None:
    make, shape = CASES[case]
    check(make(), torch.randn(shape), ring=32, fraction_bits=9, tolerance=0.05)


@pytest.mark.parametrize("case", ["dense concatenation", "x2", "U-Net", "strided dilated max pooling"])
def test_batches_give_what_single_samples_give(case: str) -> None:
    make, shape = CASES[case]
    x = torch.randn(5, *shape[1:])
    model = make()
    program = private.compile(model, (x,), calibration=[(x,)])
    whole = run(program, x.numpy()).output
    single = np.concatenate([run(program, x[i : i + 1].numpy()).output for i in range(5)])
    np.testing.assert_allclose(whole, single, atol=2 * min(units_off(program), 0.01))


@pytest.mark.parametrize("comparison", COMPARISONS)
def test_class_output_is_the_argmax(comparison: str) -> None:
    x = torch.randn(7, 3, 6, 6)
    model = sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(128, 11))
    program = private.compile(model, (x,), calibration=[(x,)], output="class")
    answer = run(program, x.numpy(), comparison)
    logits = model(x).detach().numpy()
    chosen = answer.output.astype(np.int64)
    assert chosen.shape == (7,)
    np.testing.assert_array_equal(chosen, answer.output)
    # Equal up to the unit errors of the logits.
    np.testing.assert_allclose(logits[np.arange(7), chosen], logits.max(axis=1), atol=1e-3)


def test_one_more_sample_does_not_cost_one_more_round() -> None:
    x = torch.randn(3, 3, 5, 5)
    program = private.compile(randomised(Dense(3, 2)), (x,), calibration=[(x,)])
    assert run(program, x[:1].numpy()).cost.rounds == run(program, x.numpy()).cost.rounds


# ---- the range check ------------------------------------------------------------------------------------------------


def leaves(program: Program, x: torch.Tensor) -> bool:
    """Whether what a checked truncation reads is beyond its certified bits (what it writes has wrapped)."""
    trace = reference.run(program, x.numpy(), trace=True)
    assert isinstance(trace, reference.Trace)
    checked = [op for op in program.ops if "check_bits" in op.attrs]
    return any(
        np.abs(np.ldexp(trace.tensors[op.inputs[0]], program.tensors[op.output].fraction)).max()
        > 2 ** (op.attrs["check_bits"] - 1)
        for op in checked
    )


@pytest.mark.parametrize("ring", [64, 32])
@pytest.mark.parametrize("comparison", COMPARISONS)
def test_an_input_outside_the_certified_range_is_noticed(comparison: str, ring: int) -> None:
    """Calibrated on small inputs, with a much larger input bound: the check tells where the bounds end."""
    torch.manual_seed(0)
    model = sequential(nn.Conv2d(2, 4, 3), nn.ReLU(), nn.Conv2d(4, 3, 1), nn.ReLU(), nn.Flatten(), nn.Linear(27, 2))
    x = 0.1 * torch.randn(2, 2, 5, 5)
    largest = 32.0 if ring == 32 else 64.0
    options: dict[str, Any] = {"ring": ring, "fraction_bits": 16 if ring == 64 else 8}
    program = private.compile(model, (x,), calibration=[(x,)], check_range=True, input_bound=largest, **options)
    assert any("check_bits" in op.attrs for op in program.ops)
    inside = run(program, x.numpy(), comparison)
    np.testing.assert_allclose(inside.output, model(x).detach().numpy(), atol=0.002 if ring == 64 else 0.1)
    outside = x.clone()
    outside[1] *= largest / float(outside[1].abs().max())
    assert not leaves(program, x)
    assert leaves(program, outside)
    with pytest.raises(execute.OutOfRangeError, match="out of its certified range"):
        run(program, outside.numpy(), comparison)
    # The check is no cost of programs that were compiled without it.
    unchecked = private.compile(model, (x,), calibration=[(x,)], **options)
    assert run(unchecked, x.numpy(), comparison).cost.rounds < inside.cost.rounds


# ---- the client's input, the plan -----------------------------------------------------------------------------------


def small_program() -> Program:
    x = torch.randn(2, 3)
    return private.compile(
        sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)), (x,), calibration=[(x,)], input_bound=4.0
    )


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros((2, 4), np.float32), r"expected an input of shape \(2, 3\), got \(2, 4\)"),
        (np.zeros((3, 3), np.float32), r"expected an input of shape \(2, 3\), got \(3, 3\)"),
        (np.zeros((2, 3), np.int64), "expected a floating-point input, got int64"),
        (np.full((2, 3), np.nan, np.float32), "not finite"),
        (np.full((2, 3), -np.inf, np.float32), "not finite"),
        (np.full((2, 3), 4.5, np.float32), "reaches 4.5: expected magnitudes up to 4"),
    ],
)
def test_inputs_are_refused_before_a_byte_is_sent(x: npt.NDArray[Any], message: str) -> None:
    program = small_program()
    planned = plan(program, 2)
    pair = Pair(64, planned.specs, weights=execute.weights(program))
    with pytest.raises(ValueError, match=message):
        execute.Inference(program.without_weights(), planned, pair.client).run(x)
    assert pair.channels[1].bytes_sent == 0


def test_weights_are_asked_of_the_servers_program() -> None:
    with pytest.raises(ValueError, match="expected the server's program, got one without weights"):
        execute.weights(small_program().without_weights())


def test_masked_weights_are_the_weights_minus_the_dealers_mask() -> None:
    program, seed = small_program(), mpc.random_block()
    for layer, (w, e, size) in enumerate(
        zip(execute.weights(program), execute.weight_masks(program, seed), execute.weight_sizes(program), strict=True)
    ):
        assert w.size == e.size == size
        np.testing.assert_array_equal(e + mpc.weight_mask(64, seed, layer, size), w)


@pytest.mark.parametrize("case", ["dense concatenation", "x2", "U-Net"])
@pytest.mark.parametrize("comparison", COMPARISONS)
def test_plans_survive_json_and_need_no_weights(case: str, comparison: str) -> None:
    make, shape = CASES[case]
    x = torch.randn(shape)
    program = private.compile(make(), (x,), calibration=[(x,)], check_range=True)
    public = from_json(json.loads(json.dumps(program.public_json())), {})
    assert public.hash == program.hash == program.without_weights().hash
    for batch in (1, 3):
        planned = plan(program, batch, comparison)
        read = Plan.from_json(json.loads(json.dumps(planned.to_json())))
        assert read == planned
        assert read.hash == planned.hash == plan(public, batch, comparison).hash
    assert plan(program, 1, comparison).hash != plan(program, 2, comparison).hash
    assert plan(program, 1, "circuit").hash != plan(program, 1, "dcf").hash


def test_two_networks_of_one_architecture_have_one_plan() -> None:
    """Nothing that depends on a weight's value is in the plan (compared widths are: here they agree)."""
    x = torch.randn(2, 3)
    plans = []
    for scale in (1.0, 1.01):
        model = sequential(nn.Linear(3, 4, bias=False), nn.ReLU(), nn.Linear(4, 2, bias=False))
        torch.manual_seed(4)
        with torch.no_grad():
            for p in model.parameters():
                p.copy_(torch.rand(p.shape) * 0.1 * scale)
        program = private.compile(model, (x,), calibration={"input": 4.0, "0": 1.0, "2": 1.0})
        plans.append(plan(program, 2).hash)
    assert plans[0] == plans[1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ring": 48}, "ring 48"),
        ({"batch": 0}, "batch 0"),
        ({"comparison": "auto"}, "comparison is 'auto': expected circuit or dcf"),
        ({"comparison": "ccx"}, "comparison is 'ccx': expected circuit or dcf"),
        ({"requests": "none"}, "expected a plan of correlations"),
        ({"requests": [{"kind": "mask", "n": 0}]}, "mask needs 1 to 2.34 elements, got 0"),
        ({"requests": [{"kind": "mask", "n": 1, "more": 2}]}, "expected a plan of correlations"),
        ({"first": [[0]]}, "expected a plan of correlations"),
    ],
)
def test_documents_that_are_no_plan(change: dict[str, Any], message: str) -> None:
    document = plan(small_program(), 2).to_json() | change
    with pytest.raises(ValueError, match=message):
        Plan.from_json(document)
    with pytest.raises(ValueError, match="expected a plan of correlations"):
        Plan.from_json({})


def test_plans_refuse_batches_and_comparisons() -> None:
    program = small_program()
    with pytest.raises(ValueError, match="a batch of at least 1, got 0"):
        plan(program, 0)
    for spelled in ("garbled", "auto", "c", "cd" * 40):
        with pytest.raises(ValueError, match=rf"comparison is '{spelled[:20]}.*expected circuit or dcf, or one letter"):
            plan(program, 1, spelled)


def test_counters_add_up() -> None:
    """What the operators sent, plus the frames' headers, is what the channel sent."""
    x = torch.randn(2, 3, 5, 5)
    program = private.compile(randomised(Dense(3, 2)), (x,), calibration=[(x,)])
    answer = run(program, x.numpy())
    for index, (stats, channel) in enumerate(zip(answer.stats, answer.pair.channels, strict=True)):
        operators = {k: v for k, v in stats["operators"].items() if k != "channel"}
        sent = sum(int(entry["bytes_sent"]) for entry in operators.values())
        assert sent == answer.cost[index] == channel.bytes_sent - FRAME_HEADER * channel.frames_sent
        assert stats["rounds"] == answer.cost.rounds
        assert operators["open"]["rounds"] == operators["open"]["calls"]
