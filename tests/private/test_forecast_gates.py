"""Sigmoid and tanh in two-party computation: every design keeps the error that it states, costs what its formulas say,
and is taken where the cost model finds it fastest."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from compile_helpers import Call, agree, certified, kinds, samples
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from moiety import private
from moiety.cost import analytic
from moiety.private import gates, lower_gates, reference
from moiety.private.gates import Piecewise, Polynomial, designs
from moiety.private.plan import plan
from moiety.private.ranges import RangeError
from mpc.formulas import Cost, comparison
from private.test_execute import run

EXACT = {"sigmoid": lambda v: 1 / (1 + math.exp(-v)), "tanh": math.tanh}
RANGES = st.floats(0.05, 300.0)


def worst(design: Piecewise | Polynomial, bound: float, count: int = 400) -> float:
    """Largest error over inputs in the range, one unit off either way, computed element by element."""
    random = np.random.default_rng(0)
    values = np.concatenate([random.uniform(-bound, bound, count), [-bound, bound, 0.0, 1e-3, -1e-3]])
    largest = 0.0
    for value in values:
        for off in (-1, 0, 1):
            x = round(value * 2**design.fraction) + off
            if isinstance(design, Piecewise):
                y = design.offset + sum(
                    s * max(x - t, 0) for t, s in zip(design.thresholds, design.slopes, strict=True)
                )
                scale = design.scale
                assert -(1 << (design.bits - 1)) <= y < 1 << (design.bits - 1)
                assert all(abs(x - t) < 1 << (design.bits - 1) for t in design.thresholds)
            else:
                c, b = design.coefficients, design.bits
                u = x * x
                scale = 4 * b
                inner = c[1] * u + (c[0] << 2 * b)
                if len(c) == 3:
                    u = (u >> b) + (off == 1)
                    inner = c[2] * u * u + (c[1] << b) * u + (c[0] << 2 * b)
                y = inner * x + ((1 << 4 * b - 1) if design.function == "sigmoid" else 0)
            assert design.low <= y * 2.0**-scale <= design.high
            largest = max(largest, abs(y * 2.0**-scale - EXACT[design.function](value)))
    return largest


@settings(max_examples=15, deadline=None)
@given(st.sampled_from(sorted(EXACT)), RANGES, st.sampled_from([0.05, 0.02, 2.0**-7, 0.004]))
def test_every_design_keeps_the_error_that_it_states(function: str, bound: float, error: float) -> None:
    for design in designs(function, bound, error, 16, 64):
        assert design.error <= error
        # Half a unit: `worst` rounds the input and then moves it by one unit.
        assert worst(design, bound, 40) <= design.error + 2.0**-design.fraction


@pytest.mark.parametrize("function", sorted(EXACT))
def test_fewer_pieces_would_not_do(function: str) -> None:
    """A convex or concave curve and N chords: the classical bound of the best continuous piecewise-linear fit."""
    gain = gates.FUNCTIONS[function].gain
    for error in (0.02, 2.0**-7, 0.004):
        (found,) = [d for d in designs(function, 6.0, error, 16, 64) if isinstance(d, Piecewise) and d.bits == 24]
        # N segments leave at least about 0.718 gain / N^2 (the integral of |f''|^(1/2), squared, over 16 N^2).
        least = math.sqrt(0.718 * gain / error) - 1
        assert least - 1.5 <= len(found.slopes) <= least + 4


def test_polynomials_serve_narrow_ranges_and_pieces_all() -> None:
    def methods(bound: float) -> set[str]:
        return {type(d).__name__ for d in designs("sigmoid", bound, 2.0**-7, 16, 64)}

    assert methods(1.5) == methods(3.0) == {"Piecewise", "Polynomial"}
    assert methods(8.0) == methods(500.0) == {"Piecewise"}
    assert [d.degree for d in designs("sigmoid", 3.0, 2.0**-7, 16, 64) if isinstance(d, Polynomial)] == [5]


class Gated(nn.Module):
    def __init__(self, features: int = 6, width: int = 8, scale: float = 1.0) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(features, width), nn.Linear(width, 3)
        with torch.no_grad():
            self.first.weight.mul_(scale)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.first(x)
        return self.second(torch.sigmoid(h) * torch.tanh(h))


@pytest.mark.parametrize("error", [0.02, 2.0**-7, 0.004])
@pytest.mark.parametrize("options", [{}, {"check_range": True}, {"input_bound": 1.0}, {"network": "wan"}])
def test_compiled_gates_are_as_good_as_said(options: dict[str, Any], error: float) -> None:
    torch.manual_seed(0)
    model = Gated()
    x = samples((6,)).clamp(-0.5, 0.5) if "input_bound" in options else samples((6,))
    program = private.compile(model.eval(), x, **{"calibration": x, "gate_error": error, **options})
    said = program.metadata["gates"]
    assert {g["function"] for g in said} == {"sigmoid", "tanh"}
    assert all(g["error"] <= error for g in said)
    trace = reference.run(program, x.numpy(), trace=True)
    assert isinstance(trace, reference.Trace)
    certified(program, trace)
    weight = float(model.second.weight.detach().abs().sum(1).max())
    reach = weight * sum(g["error"] for g in said) + 1e-3  # |s t - s' t'| <= |s - s'| + |t - t'|
    with torch.no_grad():
        assert np.abs(trace.output - model(x).numpy()).max() <= reach


@pytest.mark.parametrize("method", ["piecewise", "polynomial"])
@pytest.mark.parametrize("function", ["sigmoid", "tanh"])
def test_both_methods_run_and_cost_what_the_formulas_say(
    function: str, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One gate between a linear layer and the output: rounds and bytes by the formulas of moiety.private.gates."""
    kind = Piecewise if method == "piecewise" else Polynomial
    monkeypatch.setattr(lower_gates, "cost", lambda low, made, n: 0.0 if isinstance(made, kind) else 1.0)
    torch.manual_seed(1)
    layer = nn.Linear(5, 70)
    with torch.no_grad():
        layer.weight.mul_(0.5)
    model = Call(lambda m, x: getattr(torch, function)(m.layer(x)), layer=layer).eval()
    x = 0.2 * samples((5,), 3)
    program = private.compile(model, x, input_bound=0.9)
    n, plane = 3 * 70, 8 * math.ceil(3 * 70 / 64)
    (said,) = program.metadata["gates"]
    assert said["method"] == method
    for protocol in ("circuit", "dcf"):
        answer = run(program, x.numpy(), protocol)
        with torch.no_grad():
            assert np.abs(answer.output - model(x).numpy()).max() <= said["error"]
        opening = Cost(0, 3 * 5 * 8, 1)
        if method == "piecewise":
            gate = comparison(protocol, said["pieces"] * n, said["bits"], [said["bits"]])
            shown = Cost(n * math.ceil(said["bits"] / 8), 0, 1)  # the network's output needs no extension
        else:
            rounds, products = {3: (4, 3), 5: (6, 4)}[said["degree"]]
            each = products * n * 8 + (rounds // 2) * plane
            # The network's output is shown as the product left it: the last truncation is not made.
            gate = Cost(each - plane, each - plane, rounds - 1)
            shown = Cost(n * 8, 0, 1)
        assert answer.cost == tuple(map(sum, zip(opening, gate, shown, strict=True)))
        made = analytic().estimate(program, batch=3, comparison=protocol)
        assert made.cost.rounds == answer.cost.rounds
        assert made.bytes_server + made.bytes_client == answer.cost.server + answer.cost.client + 24 * frames(made)
    assert ("piecewise" in kinds(program)) == (method == "piecewise")


def frames(made: Any) -> int:
    """Frames that carry something: all but the first hop's and the last's go both ways."""
    return 2 * made.cost.rounds - 2


def test_a_gate_before_a_layer_is_extended_once() -> None:
    torch.manual_seed(0)
    program = agree(Gated(), (6,), tolerance=0.02)
    found = kinds(program)
    assert found["piecewise"] == found["extend"] == 2
    assert plan(program, 1).hash == plan(program.without_weights(), 1).hash


def test_the_cost_model_decides_by_network_and_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """The chosen design has the least cost of all that keep the error, and the choice depends on the link."""
    torch.manual_seed(0)
    model = Call(lambda m, x: torch.sigmoid(m.layer(x)), layer=nn.Linear(4, 4096)).eval()
    x = 0.1 * samples((4,), 2)
    chosen = {}
    for network in ("lan", "wan", private.Network(0.1, 20.0)):
        program = private.compile(model, x, input_bound=0.5, network=network)
        (said,) = program.metadata["gates"]
        kind = said["method"]
        shape = {"degree": said["degree"]} if kind == "polynomial" else {k: said[k] for k in ("bits", "pieces")}
        backend = analytic(network)
        mine = backend.operator(kind, n=4096, comparison="auto", **shape).seconds
        layer = program.tensors[2]
        assert layer.bound is not None
        for design in designs("sigmoid", layer.bound, lower_gates.GATE_ERROR, 16, 64):
            if isinstance(design, Piecewise):
                options = {"bits": design.bits, "pieces": len(design.slopes)}
                other = backend.operator("piecewise", n=4096, comparison="auto", **options)
            else:
                other = backend.operator("polynomial", n=4096, comparison="auto", degree=design.degree)
            assert mine <= other.seconds * (1 + 1e-9)
        chosen[str(network)] = (kind, tuple(shape.values()))
    assert len(set(chosen.values())) > 1, chosen


def test_refusals() -> None:
    model, x = Gated().eval(), samples((6,))
    for error in (0.0, 1.0, math.nan):
        with pytest.raises(ValueError, match=r"gate_error is .*: expected"):
            private.compile(model, x, calibration=x, gate_error=error)
    with pytest.raises(ValueError, match="metadata have a key 'gates'"):
        private.compile(model, x, calibration=x, metadata={"gates": 1})
    with pytest.raises(RangeError, match=r"no sigmoid for .* keeps an error of 0.001953"):
        private.compile(model, x, calibration=x, ring=32, fraction_bits=6, gate_error=2.0**-9)


def test_the_ring_of_32_bits_has_gates_too() -> None:
    torch.manual_seed(0)
    agree(Gated(), (6,), tolerance=0.05, ring=32, fraction_bits=10, gate_error=0.02)
