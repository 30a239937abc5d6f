"""moiety.nn.RangeWatch, DivergenceError and clip_slopes."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from moiety.nn import DivergenceError, Gate, RangeWatch, X2Act, clip_slopes


def network() -> nn.Sequential:
    torch.manual_seed(0)
    gate = Gate({"relu": nn.ReLU(), "x2": X2Act(4)})
    return nn.Sequential(nn.Conv2d(3, 4, 3), X2Act(4), nn.Conv2d(4, 4, 1), gate, nn.Conv2d(4, 2, 1))


def test_penalty_and_peaks() -> None:
    model = network()
    x = torch.randn(5, 3, 6, 6)
    inputs = [model[0](x)]
    inputs.append(model[2](model[1](inputs[0])))
    with RangeWatch(model, 0.5) as watch:
        model(x)
        assert watch.peaks() == pytest.approx({"1": inputs[0].abs().max().item(), "3": inputs[1].abs().max().item()})
        expected = sum(F.relu(v.abs() - 0.5).flatten(1).sum(1).log1p().mean() for v in inputs)
        assert isinstance(expected, Tensor)
        torch.testing.assert_close(watch.penalty(), expected)
        got = torch.autograd.grad(watch.penalty(), list(model[0].parameters()))
        for a, b in zip(got, torch.autograd.grad(expected, list(model[0].parameters())), strict=True):
            torch.testing.assert_close(a, b)
    model(x * 100)
    assert watch.peaks()["1"] < 10  # no longer watching


def test_a_gate_without_its_quadratic_is_not_watched() -> None:
    model = network()
    model[3].choose("relu")
    with RangeWatch(model, 0.5) as watch:
        model(torch.randn(2, 3, 6, 6))
        assert list(watch.peaks()) == ["1"]


def test_leaving_the_certified_range_names_the_layer() -> None:
    model = network()
    with RangeWatch(model, 2.0) as watch:
        model(torch.randn(2, 3, 6, 6))
        watch.check()
        model(1000 * torch.randn(2, 3, 6, 6))
        with pytest.raises(DivergenceError, match=r"^1: .* certified range of \+-8 "):
            watch.check()
        with torch.no_grad():
            model[0].weight.fill_(math.nan)
        model(torch.randn(2, 3, 6, 6))
        with pytest.raises(DivergenceError, match=r"^1: an input of magnitude nan"):
            watch.check()


def test_training_that_diverges_ends_with_the_layer_and_not_with_nan() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(*(m for _ in range(3) for m in (nn.Linear(8, 8), X2Act(8))), nn.Linear(8, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=5.0)
    x, y = torch.randn(32, 8), torch.randn(32, 1)
    with RangeWatch(model, 10.0) as watch, pytest.raises(DivergenceError, match=r"^[135]: "):  # noqa: PT012
        for _ in range(50):
            loss = F.mse_loss(model(x), y)
            watch.check()
            assert torch.isfinite(loss)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


def test_clip_slopes() -> None:
    act = X2Act(3, scale=0.5)
    with torch.no_grad():
        act.w1.copy_(torch.tensor([0.1, 9.0, -9.0]))
        act.w2.copy_(torch.tensor([0.5, -1.0, 7.0]))
    assert clip_slopes(nn.Sequential(act), 10.0) == 2
    c2, c1, _ = act.coefficients()
    assert (2 * c2.abs() * 10.0 + c1.abs() <= 5.0 + 1e-5).all()
    assert act.w1[0].item() == pytest.approx(0.1)
    default = nn.Sequential(X2Act(2))
    assert clip_slopes(default, 10.0) == 0


def test_refuses_a_bound_that_is_none() -> None:
    with pytest.raises(ValueError, match="bound must be positive"):
        RangeWatch(network(), 0.0)
    with pytest.raises(ValueError, match="positive bound"):
        clip_slopes(network(), -1.0)
