"""Completing the square: the function stays, the wire gets cheaper, and what does not pay stays `x2`."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from compile_helpers import Call, agree, kinds, samples
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from zoo import randomise

from moiety import private
from moiety.nn import X2Act
from moiety.private.evaluate import Evaluator
from moiety.private.export import export
from moiety.private.passes import simplify
from moiety.private.squares import LEAST_FACTOR, complete_squares

torch.set_num_threads(1)

CHANNELS = 4


def act(c2: list[float], c1: float = 0.5, c0: float = 0.1) -> X2Act:
    module = X2Act(len(c2))
    with torch.no_grad():
        module.w1.copy_(torch.tensor(c2))
        module.w2.fill_(c1)
        module.b.fill_(c0)
    return module


def conv(kernel: int = 3, channels: int = CHANNELS) -> nn.Conv2d:
    return nn.Conv2d(channels, channels, kernel, padding=kernel // 2)


class Plain(nn.Module):
    """Convolution, quadratic, zero-padded convolution: the constant must not leak into the border."""

    def __init__(self, first: X2Act, second: X2Act) -> None:
        super().__init__()
        self.a, self.b, self.c = conv(), conv(), conv()
        self.norm = nn.BatchNorm2d(CHANNELS)
        self.first, self.second = first, second

    def forward(self, x: Tensor) -> Tensor:
        return self.c(self.second(self.b(self.first(self.norm(self.a(x))))))


class Projection(Plain):
    """Both summands are layers, and the sum is read by two."""

    def forward(self, x: Tensor) -> Tensor:
        y = self.first(self.norm(self.a(x)))
        return self.b(self.second(self.c(y) + self.b(y)))


class Shortcut(Plain):
    """The second quadratic's base holds a value that a layer reads as well; the first one's reader is a sum."""

    def forward(self, x: Tensor) -> Tensor:
        y = self.first(self.norm(self.a(x)))
        return self.c(self.second(y - self.b(y)))


class Pooled(Plain):
    """Averages on both sides, a concatenation and a matrix."""

    def forward(self, x: Tensor) -> Tensor:
        y = self.first(F.avg_pool2d(self.norm(self.a(x)), 2))
        y = self.second(torch.cat([self.b(y)[:, :1], self.c(y)[:, 1:]], 1))
        return self.last(F.adaptive_avg_pool2d(y, 1).flatten(1))

    def __init__(self, first: X2Act, second: X2Act) -> None:
        super().__init__(first, second)
        self.last = nn.Linear(CHANNELS, 3)


class Activated(Plain):
    """After a ReLU no layer takes a factor, behind the quadratic all do: the shift before, the factor after."""

    def forward(self, x: Tensor) -> Tensor:
        y = self.first(F.relu(self.norm(self.a(x))))
        return self.b(torch.cat([y, F.relu(y)], 1)[:, :CHANNELS]) + self.c(self.second(self.b(y)))


STRUCTURES = [Plain, Projection, Shortcut, Pooled, Activated]
COEFFICIENT = st.one_of(
    st.floats(0.07, 0.6), st.floats(-0.6, -0.07), st.sampled_from([0.0, 1e-9, 1e-4, -1e-3, LEAST_FACTOR**2, 1.0])
)


def graphs(model: nn.Module, x: Tensor) -> tuple[Tensor, Tensor, list[str]]:
    """The output before and after, in float64, and the kinds of nodes after."""
    graph = export(model.eval(), x)
    simplify(graph)
    before = Evaluator(graph, torch.float64)(x)
    complete_squares(graph)
    return before, Evaluator(graph, torch.float64)(x), [node.kind for node in graph.nodes()]


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    structure=st.sampled_from(STRUCTURES),
    c2=st.lists(COEFFICIENT, min_size=2 * CHANNELS, max_size=2 * CHANNELS),
    c1=st.floats(-1, 1),
    c0=st.floats(-1, 1),
)
def test_the_function_stays(structure: type[Plain], c2: list[float], c1: float, c0: float) -> None:
    torch.manual_seed(5)
    model = randomise(structure(act(c2[:CHANNELS], c1, c0), act(c2[CHANNELS:], c1, c0)))
    before, after, _ = graphs(model, samples((CHANNELS, 6, 6)))
    torch.testing.assert_close(before, after, rtol=1e-9, atol=1e-9)


@settings(
    max_examples=12,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(
    structure=st.sampled_from(STRUCTURES),
    c2=st.lists(st.floats(0.05, 0.5), min_size=2 * CHANNELS, max_size=2 * CHANNELS),
    negative=st.sampled_from([0, 1, 255]),
    check_range=st.booleans(),
    bounds=st.booleans(),
)
def test_private_answers_stay(
    structure: type[Plain], c2: list[float], negative: int, check_range: bool, bounds: bool
) -> None:
    c2 = [-c if negative >> i & 1 else c for i, c in enumerate(c2)]
    model = randomise(structure(act(c2[:CHANNELS]), act(c2[CHANNELS:])))
    x = samples((CHANNELS, 6, 6), 8)
    options = {"calibration": private.calibrate(model.eval(), x)} if bounds else {"calibration": x}
    program = agree(model, (CHANNELS, 6, 6), input_bound=8.0, check_range=check_range, **options)
    assert kinds(program)["square"] >= 1
    result = private.run_local(program, x[:2].numpy(), comparison="circuit")
    with torch.no_grad():
        np.testing.assert_allclose(result.output, model(x[:2]).numpy(), atol=5e-3)
    estimate = private.estimate(program, batch=2, comparison="circuit")
    stats = result.stats.to_dict()
    assert estimate.rounds == stats["client"]["online"]["rounds"]
    assert estimate.bytes_client == stats["client"]["online"]["bytes_sent"]
    assert estimate.bytes_server == stats["server"]["online"]["bytes_sent"]


POSITIVE, MIXED = [0.1, 0.2, 0.3, 0.4], [0.1, -0.2, 0.3, -0.4]


@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize("c2", [POSITIVE, MIXED])
def test_every_structure_completes(structure: type[Plain], c2: list[float]) -> None:
    model = structure(act(c2), act(c2))
    *_, found = graphs(model, samples((CHANNELS, 6, 6)))
    assert found.count("square") == 2
    assert "x2" not in found


@pytest.mark.parametrize("value", [1e-9, 1e-4, -1e-3])
def test_a_small_coefficient_stays(value: float) -> None:
    """Its shift would be far larger than the values."""
    *_, found = graphs(Plain(act([0.2, value, 0.2, 0.2]), act(POSITIVE)), samples((CHANNELS, 6, 6)))
    assert (found.count("square"), found.count("x2")) == (1, 1)


def test_a_linear_channel_stays_and_a_constant_one_does_not() -> None:
    for c1, expected in ((0.5, "x2"), (0.0, "square")):
        model = Plain(act([0.2, 0.0, 0.2, 0.2], c1), act(POSITIVE))
        *_, found = graphs(model, samples((CHANNELS, 6, 6)))
        assert found.count(expected) == (1 if expected == "x2" else 2)


def test_what_finds_no_place_stays() -> None:
    """After a ReLU and before one: nobody takes a factor."""
    model = Call(lambda m, x: F.relu(m.act(F.relu(x))), act=act(POSITIVE))
    *_, found = graphs(model, samples((CHANNELS, 6, 6)))
    assert "x2" in found
    model = Call(lambda m, x: F.relu(m.act(m.a(x))), act=act(MIXED), a=conv())
    *_, found = graphs(model, samples((CHANNELS, 6, 6)))
    assert "x2" in found


def test_a_shortcut_costs_no_message() -> None:
    """The factor of the value that the sum reads is one more layer on what is opened for the convolution."""
    program = agree(randomise(Shortcut(act(POSITIVE), act(POSITIVE))), (CHANNELS, 6, 6))
    assert kinds(program)["open"] == 3
    assert kinds(program)["linear"] == 4


def test_the_constant_stays_out_of_the_padding() -> None:
    program = agree(randomise(Plain(act(POSITIVE), act(POSITIVE))), (CHANNELS, 6, 6))
    assert all(array.ndim == 1 for name, array in program.arrays.items() if name.endswith((".bias", ".value")))
    assert kinds(program)["add_constant"] == 2


def test_a_square_that_layers_read_is_not_truncated() -> None:
    """Its readers' results leave room in the ring: one exchange less, unless the values are too large for that."""
    model = randomise(Plain(act(POSITIVE), act(POSITIVE)))
    program = agree(model, (CHANNELS, 6, 6))
    assert kinds(program)["truncate"] == 2
    with torch.no_grad():
        model.norm.weight.mul_(40.0)
    x = samples((CHANNELS, 6, 6))
    assert kinds(private.compile(model.float(), x, calibration=x))["truncate"] > 2


def test_layers_without_an_activation_between_them_save_a_truncation() -> None:
    program = agree(randomise(nn.Sequential(conv(), conv(), conv())), (CHANNELS, 6, 6))
    assert kinds(program)["truncate"] == 1
