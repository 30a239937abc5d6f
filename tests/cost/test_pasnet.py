"""The accelerator of the PASNet paper: its published table, and any model or program on it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from moiety import private
from moiety.cost import Backend, Layer, fpga, layers_of
from moiety.models import create_model
from moiety.nn import X2Act

IMAGE = (3, 224, 224)


def imagenet(name: str, activation: str = "x2") -> list[Layer]:
    options = {} if name.startswith("mobilenet") else {"pool": "avg"}
    model = create_model(name, num_classes=1000, image_size=224, activation=activation, **options)
    return layers_of(model, IMAGE)


@pytest.mark.parametrize(
    ("name", "convs", "activations", "gmacs", "milliseconds", "gigabytes", "published"),
    [
        ("resnet18", 21, 17, 1.814, 63.3, 0.0359, (63, 0.035)),
        ("resnet50", 54, 49, 4.089, 227.4, 0.1622, (228, 0.162)),
        ("mobilenet_v2", 53, 35, 0.301, 185.8, 0.1030, (184, 0.103)),
    ],
)
def test_all_polynomial_networks_of_the_published_table(
    name: str,
    convs: int,
    activations: int,
    gmacs: float,
    milliseconds: float,
    gigabytes: float,
    published: tuple[float, float],
) -> None:
    layers = imagenet(name)
    kinds = [layer.kind for layer in layers]
    assert kinds.count("conv") + kinds.count("depthwise") == convs
    assert kinds.count("x2") == activations
    cost = fpga().layers(layers)
    assert cost.macs / 1e9 == pytest.approx(gmacs, rel=1e-3)
    assert cost.seconds * 1e3 == pytest.approx(milliseconds, rel=5e-3)
    assert cost.bytes_online / 1e9 == pytest.approx(gigabytes, rel=2e-3)
    assert cost.seconds * 1e3 == pytest.approx(published[0], rel=0.015)
    assert cost.bytes_online / 1e9 == pytest.approx(published[1], rel=0.03)
    assert fpga().efficiency(cost) == pytest.approx(1e6 / 16 / published[0], rel=0.015)


def test_the_published_network_with_some_relus() -> None:
    """PASNet-C is ResNet-50 with 652,288 ReLU elements; which layers have them is not published: small late ones."""
    layers = imagenet("resnet50")
    units, chosen = 26, set()
    for size, count in ((4, 4), (1, 4), (2, 3)):  # in units of 25,088 elements
        found = [i for i, layer in enumerate(layers) if layer.kind == "x2" and layer.inputs == size * 25_088]
        chosen |= set(found[-count:])
        units -= size * len(found[-count:])
    relus = sum(layers[i].inputs for i in chosen)
    assert (relus, units) == (652_288, 0)
    mixed = [Layer("relu", layer.inputs, layer.outputs) if i in chosen else layer for i, layer in enumerate(layers)]
    cost = fpga().layers(mixed)
    assert cost.seconds * 1e3 == pytest.approx(537.6, rel=6e-3)
    assert cost.seconds * 1e3 == pytest.approx(539, rel=6e-3)
    assert cost.bytes_online / 1e9 == pytest.approx(0.3684, rel=1e-3)


def test_bytes_an_element() -> None:
    n = 1000
    assert fpga().operator("relu", inputs=n).bytes_online == pytest.approx(324.125 * n, abs=5)
    assert fpga().operator("x2", inputs=n).bytes_online == 8 * n
    assert fpga().operator("conv", inputs=n, macs=1).bytes_online == 8 * n
    assert fpga().operator("avgpool", inputs=n).rounds == 0
    maxpool, relu = fpga().operator("maxpool", inputs=n), fpga().operator("relu", inputs=n)
    assert maxpool.seconds - relu.seconds == pytest.approx(3e-4)
    assert fpga().operator("relu", inputs=n, batch=3).seconds < 3 * relu.seconds


def test_a_program_costs_what_its_model_does() -> None:
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.MaxPool2d(2), nn.ReLU(), nn.Conv2d(8, 8, 3, groups=8), X2Act(8),
        nn.AvgPool2d(2), nn.Flatten(), nn.Linear(8 * 9, 5),
    ).eval()  # fmt: skip
    program = private.compile(model, torch.randn(1, 3, 16, 16), calibration=torch.randn(4, 3, 16, 16))
    backend = fpga()
    assert isinstance(backend, Backend)
    cost = backend.cost(program)
    assert cost == replace(backend.model(model, (3, 16, 16)), seconds=cost.seconds)
    assert cost.seconds == pytest.approx(backend.model(model, (3, 16, 16)).seconds)
    assert backend.cost(program, batch=2).bytes_online > backend.cost(program).bytes_online
    assert not any(parameter.is_meta for parameter in model.parameters())


def test_constants_are_checked() -> None:
    assert fpga(bandwidth=1e9).operator("x2").seconds > fpga().operator("x2").seconds
    with pytest.raises(ValueError, match="expected positive constants"):
        fpga(frequency=0)
    with pytest.raises(ValueError, match="expected one of conv"):
        fpga().operator("softmax")
