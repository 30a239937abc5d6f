"""The range certificate: sound intervals, widths, how each bound was obtained, and what is refused."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from compile_helpers import Call, agree, certified, samples
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from zoo import randomise, resnet18

from moiety import private
from moiety.private import reference
from moiety.private.compiler import RangeError
from moiety.private.ranges import Interval, bits_for, linear_interval, quadratic_interval

torch.set_num_threads(1)


@given(st.integers(0, 40), st.floats(0, 1e9))
def test_bits_are_the_fewest_that_hold_a_bound(fraction: int, bound: float) -> None:
    k = bits_for(bound, fraction)
    largest = int(bound * 2**fraction)
    assert largest < 2 ** (k - 1)
    assert k == 2 or largest * (1 + 2.0**-39) + 1 >= 2 ** (k - 2)


def test_bits_of_the_unbounded() -> None:
    assert bits_for(float("inf"), 16) > 64
    assert bits_for(1e300, 16) > 64


@given(st.lists(st.floats(-8, 8), min_size=5, max_size=5), st.floats(0, 1))
def test_quadratic_interval_holds_its_values(values: list[float], where: float) -> None:
    lo, hi = sorted(values[:2])
    c2, c1, c0 = (np.array([c]) for c in values[2:])
    found = quadratic_interval(Interval(np.array([lo]), np.array([hi]), "input"), c2, c1, c0)
    x = min(max(lo + where * (hi - lo), lo), hi)
    y = c2 * x * x + c1 * x + c0
    assert found.lo <= y + 1e-9
    assert y - 1e-9 <= found.hi


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("padding", [0, 1])
def test_linear_interval_is_reached_and_never_left(transposed: bool, padding: int) -> None:
    conv = {
        "in_channels": 4,
        "out_channels": 6,
        "groups": 2,
        "in": [1, 5, 5],
        "kernel": [1, 3, 3],
        "stride": [1, 1, 1],
        "padding": [0, padding, padding],
        "dilation": [1, 1, 1],
        "output_padding": [0, 0, 0],
        "transposed": transposed,
    }
    rng = np.random.default_rng(0)
    weight = rng.normal(size=(4, 3, 3, 3) if transposed else (6, 2, 3, 3))
    lo = rng.normal(size=(4, 1, 1))
    hi = lo + rng.uniform(0, 2, size=(4, 1, 1))
    found = linear_interval(Interval(lo, hi, "input"), (4, 5, 5), weight, None, conv)
    w = torch.from_numpy(weight)
    function = nn.functional.conv_transpose2d if transposed else nn.functional.conv2d
    for _ in range(50):
        corner = np.where(rng.random((4, 5, 5)) < 0.5, lo, hi)
        y = function(torch.from_numpy(corner)[None], w, padding=padding, groups=2)[0].numpy()
        assert (y >= found.lo[:, None, None] - 1e-9).all()
        assert (y <= found.hi[:, None, None] + 1e-9).all()
    if not transposed:
        # The centre sees all taps: the best corner for one output reaches the bound, up to the zeros of the padding.
        groups = np.repeat(np.arange(2), 3)
        for o in range(6):
            corner = np.repeat(np.repeat(lo, 5, 1), 5, 2)
            inner = corner[2 * groups[o] : 2 * groups[o] + 2, 1:4, 1:4]
            top = np.broadcast_to(hi[2 * groups[o] : 2 * groups[o] + 2], inner.shape)
            inner[:] = np.where(weight[o] > 0, top, inner)
            y = function(torch.from_numpy(corner)[None], w, padding=padding, groups=2)[0, o, 1 + padding, 1 + padding]
            assert float(y) <= found.hi[o] + 1e-9
            if padding == 0:
                assert float(y) == pytest.approx(float(found.hi[o]))


def deep(layers: int = 3) -> nn.Module:
    parts: list[nn.Module] = []
    for _ in range(layers):
        parts += [nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU()]
    return randomise(nn.Sequential(*parts, nn.Flatten(), nn.Linear(64, 3)))


def test_proved_bounds_hold_for_the_worst_inputs() -> None:
    """Without calibration every bound follows from the input's, fixed-point errors included."""
    model = deep()
    program = private.compile(model, samples((4, 4, 4)), input_bound=1.0)
    assert {t.how for t in program.tensors} == {"input", "proved"}
    rng = np.random.default_rng(0)
    corners = rng.choice([-1.0, 1.0], (200, 4, 4, 4))
    certified(program, reference.run(program, corners, trace=True))
    # The input that makes one output of the first layer largest reaches its bound.
    first = next(op for op in program.ops if op.kind == "linear")
    w = program.arrays[first.attrs["weight"]].view(np.int64)
    best = np.sign(w[np.abs(w).reshape(len(w), -1).sum(1).argmax()])
    image = np.zeros((1, 4, 4, 4))
    image[0, :, :3, :3] = best
    value = reference.run(program, image, trace=True).tensors[first.output]
    bound = program.tensors[first.output].bound
    assert bound is not None
    assert np.abs(value).max() > 0.8 * bound


def test_calibration_saves_bits_and_is_labelled() -> None:
    model, x = deep(), samples((4, 4, 4), 16)
    proved = private.compile(model, x, input_bound=6.0)
    measured = private.compile(model, x, calibration=x, input_bound=6.0)
    more = private.compile(model, x, calibration=x, input_bound=6.0, margin_bits=4)
    widths = [[op.attrs["bits"] for op in p.ops if op.kind == "relu"] for p in (proved, measured, more)]
    assert all(a >= c >= b for a, b, c in zip(*widths, strict=True))
    assert sum(widths[1]) <= sum(widths[0]) - 4
    assert measured.certificate is not None
    assert measured.certificate.samples == 16
    assert {t.how for t in measured.tensors} == {"input", "calibrated"}  # all layers rest on the first one's
    # Two bits of margin: four times what was measured still fits.
    trace = reference.run(measured, x.numpy(), trace=True)
    for op in measured.ops:
        t = measured.tensors[op.output]
        if t.how == "calibrated" and op.kind == "linear":
            assert t.bound is not None
            assert 3.9 * np.abs(trace.tensors[op.output]).max() <= max(t.bound, 0.02)


def test_a_bound_is_never_worse_for_being_measured() -> None:
    model = randomise(nn.Sequential(nn.Linear(4, 3), nn.ReLU()))
    x = samples((4,), 8)
    huge = private.compile(model, x, calibration={"0": 1e6, "input": 1.0})
    proved = private.compile(model, x, input_bound=2.0)
    assert huge.tensors == proved.tensors


def test_input_bound_is_the_callers_or_measured() -> None:
    model, x = nn.Linear(3, 2).eval(), samples((3,))
    bounds = [
        private.compile(model, x, input_bound=5.0),
        private.compile(model, x, calibration={"input": 1.5}),
        private.compile(model, x, calibration=torch.full((2, 3), -0.75)),
        private.compile(model, torch.full((1, 3), 0.5)),
    ]
    found = [p.certificate.input_bound for p in bounds if p.certificate is not None]
    assert found == [5.0, 3.0, 1.5, 1.0]
    for value in (0.0, float("nan"), -1.0):
        with pytest.raises(RangeError, match="positive input_bound"):
            private.compile(model, x, input_bound=value)
    with pytest.raises(RangeError, match="pass input_bound="):
        private.compile(model, torch.zeros(1, 3))


def test_a_network_too_deep_to_prove_is_refused_with_advice() -> None:
    model = resnet18(width=8, cifar=True)
    with pytest.raises(RangeError) as caught:
        private.compile(model, samples((3, 16, 16)), ring=32, fraction_bits=8, input_bound=4.0)
    text = str(caught.value)
    assert "no range certificate for the output of layer" in text
    assert "interval arithmetic" in text
    assert "pass calibration data" in text
    assert "zoo.py:" in text


def test_values_too_large_for_the_ring_are_refused() -> None:
    model = randomise(nn.Sequential(nn.Linear(4, 4), Call(lambda m, x: x * x), nn.Linear(4, 2)))
    x = samples((4,), 8)
    with pytest.raises(RangeError, match="use fewer fraction bits"):
        private.compile(model, 100 * x, calibration=100 * x, ring=32, fraction_bits=10)
    wide = nn.Sequential(nn.Linear(4, 4)).eval()
    nn.init.constant_(wide[0].weight, 1e6)
    with pytest.raises(RangeError, match="a parameter of magnitude"):
        private.compile(wide, x, ring=32, fraction_bits=12)


@pytest.mark.filterwarnings("ignore:overflow")
def test_bad_calibration_is_refused() -> None:
    model, x = nn.Sequential(nn.Linear(3, 2), nn.ReLU()).eval(), samples((3,))
    with pytest.raises(RangeError, match="not finite"):
        private.compile(model, x, calibration=torch.full((1, 3), float("inf")))
    with pytest.raises(RangeError, match="expected a finite magnitude"):
        private.compile(model, x, calibration={"0": float("nan")})
    with pytest.raises(TypeError, match="expected a tensor"):
        private.compile(model, x, calibration=["cat.png"])


def test_calibration_takes_loaders() -> None:
    model, x = nn.Sequential(nn.Linear(3, 2), nn.ReLU()).eval(), samples((3,), 8)
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, torch.zeros(8)), batch_size=3)
    a = private.compile(model, x, calibration=loader)
    b = private.compile(model, x, calibration=x)
    assert a.hash == b.hash
    assert a.certificate is not None
    assert a.certificate.samples == 8


def test_range_check_covers_every_calibrated_bound() -> None:
    """With `check_range` everything follows from the input's bound and the checked truncations."""
    model, x = deep(4), samples((4, 4, 4), 8)
    program = agree(model, (4, 4, 4), calibration=x, input_bound=6.0, check_range=True)
    checked = [op for op in program.ops if "check_bits" in op.attrs]
    assert len(checked) >= 3
    assert program.certificate is not None
    assert program.certificate.checked
    for op in checked:
        t = program.tensors[op.output]
        assert op.kind == "truncate"
        assert t.how == "calibrated"
        assert t.bound is not None
        assert t.bound * 2**t.fraction < 2 ** (op.attrs["check_bits"] - 1)
        assert bits_for(t.bound, t.fraction) == op.attrs["check_bits"]
    # An input outside the calibrated range, but within the input's bound, breaks a check before anything wraps.
    loud = np.sign(x.numpy()) * 6.0
    trace = reference.run(program, loud, trace=True)
    broken = [
        op for op in checked if np.abs(trace.tensors[op.inputs[0]]).max() >= 2.0 ** (op.attrs["check_bits"] - 1 - 16)
    ]
    assert broken
    for op in program.ops[: program.ops.index(broken[0])]:
        bound = program.tensors[op.output].bound
        assert bound is not None
        assert np.abs(trace.tensors[op.output]).max() <= bound


def test_programs_without_a_certificate_are_refused() -> None:
    program = private.compile(nn.Linear(3, 2).eval(), samples((3,)), input_bound=1.0)
    with pytest.raises(private.ProgramError, match="no range certificate"):
        dataclasses.replace(program, certificate=None).validate()


@given(st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_every_value_stays_within_its_certified_bound(seed: int) -> None:
    program = CACHE.get("program") or CACHE.setdefault("program", compile_once())
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, (4, 4, 4, 4)) * rng.choice([0.01, 1.0])
    certified(program, reference.run(program, np.where(rng.random(x.shape) < 0.3, np.sign(x), x), trace=True))


CACHE: dict[str, private.Program] = {}


def compile_once() -> private.Program:
    model = Call(
        lambda m, x: m.last(torch.cat([m.w * x * x - x, torch.nn.functional.relu6(m.conv(x))], 1).flatten(1)),
        conv=nn.Conv2d(4, 4, 3, padding=1),
        w=torch.full((4, 1, 1), 0.3),
        last=nn.Linear(128, 3),
    )
    return private.compile(randomise(model), samples((4, 4, 4)), input_bound=1.0)
