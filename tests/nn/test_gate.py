"""moiety.nn.Gate and ChannelMix."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from moiety.models.resnet_cifar import resnet_cifar
from moiety.nn import ChannelMix, Gate, Hadamard, RangeWatch, X2Act

CHANNELS = 4


def activations(channels: int | None = CHANNELS) -> dict[str, nn.Module]:
    return {"relu": nn.ReLU(), "x2": X2Act(channels), "identity": nn.Identity()}


def make(granularity: str = "layer", channels: int | None = CHANNELS) -> Gate:
    gate = Gate(activations(channels), channels=CHANNELS, granularity=granularity)  # type: ignore[arg-type]
    with torch.no_grad():
        gate.alpha.copy_(torch.randn(gate.alpha.shape, generator=torch.Generator().manual_seed(3)))
    return gate


def images(shape: tuple[int, ...] = (2, CHANNELS, 3, 5)) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(4))


def by_hand(gate: Gate, x: Tensor) -> Tensor:
    """The weighted sum over the candidates' own outputs."""
    theta = gate.probabilities()
    weights = theta.view(*theta.shape, 1, 1) if theta.ndim == 2 else theta
    return sum(w * m(x) for w, m in zip(weights, gate.candidates.values(), strict=True))  # type: ignore[return-value]


@pytest.mark.parametrize("granularity", ["layer", "channel"])
@pytest.mark.parametrize("channels", [None, CHANNELS])
def test_the_fused_mixture_is_the_weighted_sum(granularity: str, channels: int | None) -> None:
    gate, x = make(granularity, channels), images().requires_grad_()
    gate.temperature = 0.7
    parameters = [x, *gate.parameters()]
    fused, expected = gate(x), by_hand(gate, x)
    torch.testing.assert_close(fused, expected)
    loss = torch.randn(fused.shape, generator=torch.Generator().manual_seed(5))
    for got, want in zip(
        torch.autograd.grad((fused * loss).sum(), parameters),
        torch.autograd.grad((expected * loss).sum(), parameters),
        strict=True,
    ):
        torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("granularity", ["layer", "channel"])
@pytest.mark.parametrize("name", ["relu", "x2", "identity"])
def test_a_choice_is_the_candidate(granularity: str, name: str) -> None:
    gate, x = make(granularity), images()
    gate.choose(name)
    assert gate.choice == name
    assert gate.decided() == name
    assert gate.freeze() is gate.candidates[name]
    torch.testing.assert_close(gate(x), gate.candidates[name](x))
    torch.testing.assert_close(gate(x), by_hand(gate, x))
    gate.choose(None)
    assert gate.choice is None


def test_each_channel_may_choose() -> None:
    gate, x = make("channel"), images()
    names = ["x2", "relu", "identity", "relu"]
    gate.choose(names)
    assert gate.choice == names
    frozen = gate.freeze()
    assert isinstance(frozen, ChannelMix)
    for c, name in enumerate(names):
        torch.testing.assert_close(gate(x)[:, c], gate.candidates[name](x)[:, c])
    torch.testing.assert_close(frozen(x), gate(x))


def test_freezing_without_a_choice_takes_the_most_probable() -> None:
    gate = make()
    with torch.no_grad():
        gate.alpha.copy_(torch.tensor([0.0, 1.0, 0.5]))
    assert gate.decided() == "x2"
    assert isinstance(gate.freeze(), X2Act)


@pytest.mark.parametrize("granularity", ["layer", "channel"])
def test_sampling_is_one_hot_forward_and_soft_backward(granularity: str) -> None:
    torch.manual_seed(0)
    gate, x = make(granularity), images()
    gate.mode = "sample"
    seen = set()
    for _ in range(40):
        y = gate(x)
        for c in range(CHANNELS):
            same = [n for n, m in gate.candidates.items() if torch.allclose(y[:, c], m(x)[:, c], atol=1e-5)]
            assert same
            seen.update(same)
    assert seen == set(gate.names)
    gate(x).square().sum().backward()
    assert gate.alpha.grad is not None
    assert (gate.alpha.grad != 0).all()
    gate.eval()
    torch.testing.assert_close(gate(x), gate(x))


@pytest.mark.parametrize("other", [lambda: Hadamard(CHANNELS), lambda: nn.AvgPool2d(3, 1, 1)])
def test_other_candidates_are_a_weighted_sum(other: Callable[[], nn.Module]) -> None:
    gate = Gate({"x2": X2Act(CHANNELS), "other": other(), "identity": nn.Identity()}).eval()
    torch.testing.assert_close(gate(images()), by_hand(gate, images()))


def test_pools() -> None:
    gate = Gate({"max": nn.MaxPool2d(2), "avg": nn.AvgPool2d(2)})
    x = images((2, 3, 4, 4))
    torch.testing.assert_close(gate(x), (nn.MaxPool2d(2)(x) + nn.AvgPool2d(2)(x)) / 2)
    gate.choose("avg")
    torch.testing.assert_close(gate(x), nn.AvgPool2d(2)(x))


def test_a_weight_of_zero_costs_nothing() -> None:
    class Fails(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            raise AssertionError

    gate = Gate({"a": nn.AvgPool2d(1), "b": Fails()}, mode="sample").eval()
    with torch.no_grad():
        gate.alpha.copy_(torch.tensor([1.0, 0.0]))
    torch.testing.assert_close(gate(images()), images())


def kept_bytes(model: nn.Module, x: Tensor, watched: bool = False) -> int:
    """What a forward pass keeps for the backward pass, without the parameters."""
    parameters = {p.untyped_storage().data_ptr() for p in model.parameters()}
    kept: dict[int, int] = {}
    alive = []

    def pack(t: Tensor) -> Tensor:
        alive.append(t)  # so that no address is used twice
        if t.untyped_storage().data_ptr() not in parameters:
            kept[t.untyped_storage().data_ptr()] = t.untyped_storage().nbytes()
        return t

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        if watched:
            with RangeWatch(model, 0.5) as watch:
                model(x)
                assert watch.penalty() > 0
        else:
            model(x)
    return sum(kept.values())


def test_a_gate_keeps_only_its_input_for_the_backward_pass() -> None:
    gate, x = make(), torch.randn(2, CHANNELS, 32, 32).requires_grad_()
    assert kept_bytes(gate, x) < 1.05 * x.untyped_storage().nbytes()


def test_memory_of_a_network_of_gates() -> None:
    plain, gated = resnet_cifar("relu", widths=(16, 32, 64)), resnet_cifar("relu", widths=(16, 32, 64))
    for module in list(gated.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.ReLU):
                setattr(module, name, Gate({"relu": nn.ReLU(), "x2": X2Act(), "identity": nn.Identity()}))
    x = torch.randn(8, 3, 32, 32)
    before = kept_bytes(plain, x)
    assert kept_bytes(gated, x) <= 1.6 * before
    assert kept_bytes(gated, x, watched=True) <= 1.7 * before


def test_refusals() -> None:
    gate = make()
    with pytest.raises(ValueError, match="at least two"):
        Gate({"relu": nn.ReLU()})
    with pytest.raises(ValueError, match="number of channels"):
        Gate(activations(), granularity="channel")
    with pytest.raises(ValueError, match="expected candidates among"):
        gate.choose("gelu")
    with pytest.raises(ValueError, match="expected one name, got 4"):
        gate.choose(["relu"] * 4)
    with pytest.raises(ValueError, match="temperature must be positive"):
        gate.temperature = 0
    with pytest.raises(ValueError, match="mode must be"):
        gate.mode = "hard"  # type: ignore[assignment]
    mixed = Gate({"a": nn.AvgPool2d(1), "b": nn.ReLU()}, channels=2, granularity="channel")
    mixed.choose(["a", "b"])
    with pytest.raises(ValueError, match="channels can be mixed of"):
        mixed.freeze()
