"""What moiety.nn offers compiles to two-party programs that compute the same."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from moiety import private
from moiety.nn import ChannelMix, Gate, Hadamard, RangeWatch, X2Act
from moiety.private import reference

CHANNELS = 12
SHUFFLED = ["relu", "x2", "x2", "identity", "relu", "identity", "x2", "relu", "relu", "identity", "x2", "identity"]


def operators(names: list[str]) -> dict[str, nn.Module]:
    every = {"relu": nn.ReLU(), "x2": X2Act(CHANNELS, scale=0.5), "identity": nn.Identity()}
    return {name: every[name] for name in every if name in names}


def gate(choice: str | list[str], granularity: str) -> Gate:
    made = Gate(operators(SHUFFLED), channels=CHANNELS, granularity=granularity)  # type: ignore[arg-type]
    made.choose(choice)
    return made


MODULES: dict[str, Callable[[], nn.Module]] = {
    "layer": lambda: X2Act(scale=0.25),
    "stpai": lambda: X2Act(CHANNELS, init="stpai"),
    "sorted": lambda: ChannelMix(operators(SHUFFLED), sorted(SHUFFLED)),
    "shuffled": lambda: ChannelMix(operators(SHUFFLED), SHUFFLED),
    "relu and identity": lambda: ChannelMix(operators(["relu", "identity"]), ["relu", "identity"] * 6),
    "gate": lambda: gate("x2", "layer"),
    "gate of channels": lambda: gate(SHUFFLED, "channel"),
    "hadamard": lambda: Hadamard(CHANNELS, kernel_size=3),
}


def network(inner: nn.Module) -> nn.Sequential:
    torch.manual_seed(0)
    front = [nn.Conv2d(3, CHANNELS, 3, padding=1), nn.BatchNorm2d(CHANNELS)]
    return nn.Sequential(*front, inner, nn.Conv2d(CHANNELS, 5, 3, padding=1)).eval()


def images(count: int = 4) -> Tensor:
    return torch.randn(count, 3, 6, 6, generator=torch.Generator().manual_seed(1))


def shuffle_statistics(model: nn.Module) -> None:
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.5, 0.5)


def run(program: private.Program, x: Tensor) -> np.ndarray:
    """Of the ideal functionality."""
    output = reference.run(program, x.numpy())
    assert isinstance(output, np.ndarray)
    return output


@pytest.mark.parametrize("name", MODULES)
def test_runs_privately(name: str) -> None:
    model, x = network(MODULES[name]()), images()
    shuffle_statistics(model)
    with torch.no_grad():
        np.testing.assert_allclose(run(private.compile(model, x, x), x), model(x).numpy(), atol=2e-3)


def test_two_parties_compute_a_mixture_of_channels() -> None:
    model, x = network(MODULES["shuffled"]()), images(1)
    with torch.no_grad():
        result = private.run_local(private.compile(model, x, images()), x.numpy())
        np.testing.assert_allclose(result.output, model(x).numpy(), atol=2e-3)


def test_channels_out_of_order_cost_no_round_more_and_fewer_bytes() -> None:
    x = images()

    def estimate(inner: nn.Module) -> private.Estimate:
        return private.estimate(private.compile(network(inner), x, x), comparison="circuit")

    relu = estimate(nn.ReLU())
    for names in (["relu", "identity"] * 6, SHUFFLED):
        mixed = estimate(ChannelMix(operators(names), names))
        unfrozen = estimate(gate(SHUFFLED, "channel"))
        assert mixed.rounds == relu.rounds < unfrozen.rounds
        assert mixed.bytes_online < unfrozen.bytes_online
    alternating = ["relu", "identity"] * 6
    assert estimate(ChannelMix(operators(alternating), alternating)).bytes_online < relu.bytes_online


class Residual(nn.Module):
    """The activation's input is no module's output."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 4, 1), nn.Conv2d(3, 4, 1)
        self.act, self.last = X2Act(4), nn.Conv2d(4, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.last(self.act(self.a(x) + self.b(x)))
        return y


def squared_bound(program: private.Program) -> float:
    """The certified magnitude of what is squared."""
    index = next(op.inputs[0] for op in program.ops if op.kind in ("x2", "square"))
    return program.tensors[index].bound


def test_the_certificate_comes_from_the_watched_bounds() -> None:
    torch.manual_seed(0)
    model, x = Residual().eval(), images()
    with RangeWatch(model, 3.0) as watch:
        model(x)
        watch.check()
    measured = private.calibrate(model, x)
    assert measured["act:input"] == pytest.approx(watch.peaks()["act"])
    bounds = watch.static_bounds(measured)
    assert bounds["act:input"] == 3.0
    assert "act" not in bounds
    program = private.compile(model, x, {"input": 25.0, "act:input": 3.0})
    # The compiler squares a x + b, with a^2 and 2 a b the activation's coefficients.
    c2, c1 = model.act.w1[0].item(), model.act.w2[0].item()
    a, b = c2**0.5, c1 / (2 * c2**0.5)
    assert a * watch.limit - b <= squared_bound(program) <= 4 * (a * watch.bound + b) + 0.1
    assert squared_bound(program) < squared_bound(private.compile(model, x, {"input": 25.0}))
    # An input at the edge of what the watch lets pass is computed, not wrapped.
    with torch.no_grad():
        edge = 0.95 * watch.limit / (model.a(x) + model.b(x)).abs().max() * x
        np.testing.assert_allclose(run(program, edge), model(edge).numpy(), atol=5e-3)
