"""The architecture's gradient: through the latency, and of second order."""

from __future__ import annotations

import math

import pytest
import torch
from search_support import Rounds
from torch import Tensor, nn

from moiety.nn import Gate
from moiety.search import Latency, alpha_gradient, gates, latency_loss, relax
from moiety.search.training import FitConfig, Stepper


@pytest.mark.parametrize("target", [0.02, None])
def test_latency_loss_against_finite_differences(network: nn.Module, images: Tensor, target: float | None) -> None:
    supernet = relax(network, images)
    latency = Latency(supernet, images, Rounds(), comparison="circuit")
    every = gates(supernet)
    generator = torch.Generator().manual_seed(0)
    for gate in every.values():
        gate.alpha.data = torch.randn(3, generator=generator, dtype=torch.float64)
        gate.temperature = 2.0

    def loss() -> Tensor:
        return latency_loss(latency.expected(supernet), target, 3.0)

    gradients = torch.autograd.grad(loss(), [gate.alpha for gate in every.values()])
    step = 1e-4
    for gate, gradient in zip(every.values(), gradients, strict=True):
        for k in range(3):
            values = []
            for sign in (1, -1):
                gate.alpha.data[k] += sign * step
                values.append(loss().item())
                gate.alpha.data[k] -= sign * step
            assert (values[0] - values[1]) / (2 * step) == pytest.approx(gradient[k].item(), rel=1e-2, abs=1e-6)


def test_a_met_target_has_no_gradient() -> None:
    seconds = torch.tensor(0.01, requires_grad=True)
    assert latency_loss(seconds, 0.02, 4.0).item() == 0
    assert latency_loss(torch.tensor(0.03), 0.02, 4.0).item() == pytest.approx(2.0)
    assert latency_loss(seconds, None, 4.0).item() == pytest.approx(0.04)


def test_whole_loss_of_a_gate_against_finite_differences(network: nn.Module, images: Tensor) -> None:
    supernet = relax(network, images)
    labels = torch.arange(len(images)) % 10
    stepper = Stepper(supernet.train(), FitConfig(batch=64))

    def loss() -> Tensor:
        return stepper.losses(images, labels, None, bfloat16=False)[0]

    alpha = gates(supernet)["layers.1.act1"].alpha
    (gradient,) = torch.autograd.grad(loss(), [alpha])
    for k in range(3):
        values = []
        for sign in (1, -1):
            alpha.data[k] += sign * 0.02
            values.append(loss().item())
            alpha.data[k] -= sign * 0.02
        assert (values[0] - values[1]) / 0.04 == pytest.approx(gradient[k].item(), rel=0.05, abs=2e-4)


class Small(nn.Module):
    """Twice differentiable: what autograd is asked for, too."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(5, 6), nn.Linear(6, 3)
        self.gate = Gate({"tanh": nn.Tanh(), "sigmoid": nn.Sigmoid(), "softplus": nn.Softplus()})

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.second(self.gate(self.first(x)))
        return y


def test_second_order_against_autograd() -> None:
    torch.manual_seed(0)
    model = Small().double()
    alphas = [model.gate.alpha]
    weights = [p for p in model.parameters() if p is not alphas[0]]
    x, v = torch.randn(20, 5).double(), torch.randn(20, 5).double()
    labels = torch.arange(20) % 3
    criterion = nn.CrossEntropyLoss()
    rate = 0.3

    before = [w.detach().clone() for w in weights]
    found = alpha_gradient(
        alphas,
        weights,
        lambda: criterion(model(x), labels),
        lambda: criterion(model(v), labels),
        order=2,
        rate=rate,
    )
    assert all(torch.equal(w, b) for w, b in zip(weights, before, strict=True))

    # The whole of it by autograd: the derivative of L_val(w - rate dL_train/dw(w, alpha), alpha).
    names = [name for name, p in model.named_parameters() if p is not alphas[0]]
    training = criterion(model(x), labels)
    step = torch.autograd.grad(training, weights, create_graph=True)
    moved = {name: w - rate * g for name, w, g in zip(names, weights, step, strict=True)}
    virtual = criterion(torch.func.functional_call(model, moved, (v,)), labels)
    (exact,) = torch.autograd.grad(virtual, alphas)
    torch.testing.assert_close(found[0], exact, rtol=1e-4, atol=1e-8)

    first = alpha_gradient(
        alphas, weights, lambda: criterion(model(x), labels), lambda: criterion(model(v), labels), order=1, rate=rate
    )
    assert (first[0] - exact).norm() > 100 * (found[0] - exact).norm()
    assert math.isfinite(first[0].norm())
