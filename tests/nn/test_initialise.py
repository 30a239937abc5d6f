"""moiety.nn.fit_quadratic and initialise_x2."""

import pytest
import torch
from torch import Tensor, nn

from moiety.models.resnet_cifar import resnet_cifar
from moiety.nn import Gate, X2Act, fit_quadratic, initialise_x2


@pytest.mark.parametrize(("mean", "std"), [(0.0, 1.0), (0.7, 0.5), (-1.5, 2.0), (3.0, 1.0)])
def test_fit_is_the_least_squares_solution(mean: float, std: float) -> None:
    x = mean + std * torch.linspace(-9, 9, 200_001, dtype=torch.float64)
    weight = torch.exp(-0.5 * ((x - mean) / std) ** 2)
    powers = torch.stack([x**2, x, torch.ones_like(x)], 1) * weight.sqrt()[:, None]
    best = torch.linalg.lstsq(powers, (x.relu() * weight.sqrt())[:, None]).solution.flatten()
    fit = fit_quadratic(torch.tensor([mean], dtype=torch.float64), torch.tensor([std], dtype=torch.float64))
    torch.testing.assert_close(torch.cat(fit), best, rtol=1e-5, atol=1e-6)


def test_fit_of_a_silent_channel_is_finite() -> None:
    fit = fit_quadratic(torch.tensor([0.0, 5.0, -5.0]), torch.zeros(3))
    assert all(torch.isfinite(v).all() for v in fit)
    assert fit[1].tolist() == pytest.approx([0.5, 1.0, 0.0])


class Net(nn.Module):
    def __init__(self, channels: int | None = 4) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.bn = nn.BatchNorm2d(4)
        self.act1 = Gate({"relu": nn.ReLU(), "x2": X2Act(channels, scale=0.5)})
        self.conv2 = nn.Conv2d(4, 4, 1)
        self.bn2 = nn.BatchNorm2d(4)
        self.act2 = X2Act(channels)

    def forward(self, x: Tensor) -> Tensor:
        x = self.act1(self.bn(self.conv(x)))
        y: Tensor = self.act2(self.bn2(self.conv2(x)) + x[:, :, :1, :1] * 0 + self.bn(self.conv2(x)))
        return y


class Residual(Net):
    def forward(self, x: Tensor) -> Tensor:
        x = self.bn(self.conv(x))
        return self.act2(self.bn2(self.conv2(self.act1(x))) + x)  # type: ignore[no-any-return]


def prepare(model: Net) -> None:
    with torch.no_grad():
        for i, bn in enumerate([model.bn, model.bn2]):
            bn.weight.copy_(torch.linspace(0.5, -2, 4) + i)
            bn.bias.copy_(torch.linspace(-1, 1, 4) * (i + 1))


def test_from_the_batch_normalisations_in_front() -> None:
    model = Residual()
    prepare(model)
    initialise_x2(model)
    x2 = model.act1.candidates["x2"]
    assert isinstance(x2, X2Act)
    expected = fit_quadratic(model.bn.bias.detach(), model.bn.weight.detach().abs())
    for got, want in zip(x2.coefficients(), expected, strict=True):
        torch.testing.assert_close(got.detach(), want)
    mean = (model.bn.bias + model.bn2.bias).detach()
    std = (model.bn.weight**2 + model.bn2.weight**2).sqrt().detach()
    torch.testing.assert_close(model.act2.w1.detach(), fit_quadratic(mean, std)[0])


@pytest.mark.parametrize("channels", [None, 4])
def test_from_data(channels: int | None) -> None:
    model = Residual(channels)
    prepare(model)
    model.train()
    data = [torch.randn(16, 3, 8, 8, generator=torch.Generator().manual_seed(i)) for i in range(3)]
    seen: list[Tensor] = []
    handle = model.act1.register_forward_pre_hook(lambda _m, x: seen.append(x[0]))
    initialise_x2(model, [(batch, None) for batch in data])
    handle.remove()
    assert model.training
    x = torch.cat(seen).transpose(0, 1).flatten(1) if channels else torch.cat(seen).view(1, -1)
    w1 = fit_quadratic(x.mean(1).detach(), x.std(1).detach())[0]
    x2 = model.act1.candidates["x2"]
    assert isinstance(x2, X2Act)
    torch.testing.assert_close(x2.coefficients()[0].detach(), w1, rtol=1e-3, atol=1e-4)


def test_says_where_no_statistics_are_known() -> None:
    with pytest.raises(ValueError, match=r"act2: no batch normalisation in front .*: pass data"):
        initialise_x2(Net())


def test_of_the_demo_network() -> None:
    model = resnet_cifar("x2")
    before = model.layers[0].act2.w1.clone()  # type: ignore[union-attr, operator]
    initialise_x2(model)
    assert model.layers[0].act2.w1.mean() < before.mean()  # type: ignore[union-attr, operator]
