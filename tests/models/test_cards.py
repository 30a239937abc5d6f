"""Parameters, multiplications and elements, counted, against published figures; names of torchvision's weights."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from moiety.models import create_model, list_models
from moiety.models.cards import Counts, count, model_card
from moiety.models.pasnet import RELU_OF_C
from moiety.nn import X2Act


def imagenet(name: str, **options: object) -> Counts:
    return model_card(name, image_size=224, num_classes=1000, **options).counts


# torchvision's documentation of its weights: num_params and GFLOPS, which counts a multiplication with its addition as
# one.
@pytest.mark.parametrize(
    ("name", "parameters", "gmacs"),
    [
        ("resnet18", 11_689_512, 1.81),
        ("resnet34", 21_797_672, 3.66),
        ("resnet50", 25_557_032, 4.09),
        ("mobilenet_v2", 3_504_872, 0.30),
        ("vgg16", 138_365_992, 15.47),
    ],
)
def test_as_published(name: str, parameters: int, gmacs: float) -> None:
    found = imagenet(name)
    assert found.parameters == parameters
    assert found.macs / 1e9 == pytest.approx(gmacs, abs=0.005)


# The PolyNeXt repository, in millions and billions, rounded as there; a batch normalisation has a bias, its has none.
@pytest.mark.parametrize(
    ("name", "parameters", "gmacs"), [("polynext_t", 6.4, 1.2), ("polynext_s", 26, 4.8), ("polynext_lr", 5.5, None)]
)
def test_polynext_as_published(name: str, parameters: float, gmacs: float | None) -> None:
    if gmacs is None:
        assert model_card(name).counts.parameters / 1e6 == pytest.approx(parameters, abs=0.05)
        return
    found = imagenet(name)
    assert found.parameters / 1e6 == pytest.approx(parameters, rel=0.02)
    assert found.macs / 1e9 == pytest.approx(gmacs, abs=0.05)
    assert found.activations == 0


# Elements that the paper's formulas multiply: inputs of convolutions and of activations, in millions.
@pytest.mark.parametrize(
    ("name", "layers", "inputs", "activations", "elements", "compared"),
    [
        ("pasnet_a", 21, 2.183, 17, 2.308, 0),
        ("pasnet_b", 54, 10.664, 49, 9.609, 0),
        ("pasnet_c", 54, 10.664, 49, 9.609, 652_288),
        ("pasnet_d", 53, 6.767, 35, 6.106, 0),
    ],
)
def test_pasnet_elements(
    name: str, layers: int, inputs: float, activations: int, elements: float, compared: int
) -> None:
    found = imagenet(name)
    assert (found.layers, found.activations) == (layers, activations)
    assert found.layer_inputs / 1e6 == pytest.approx(inputs, abs=0.0005)
    assert found.activation_elements / 1e6 == pytest.approx(elements, abs=0.0005)
    assert found.relu_elements == compared


def test_pasnet_is_what_was_released() -> None:
    for name, scale in (("pasnet_a", 1.0), ("pasnet_b", 0.1), ("pasnet_c", 0.1), ("pasnet_d", 1.0)):
        model = create_model(name, num_classes=10, image_size=32, width=8 if name != "pasnet_d" else 0.25)
        x2 = [m for m in model.modules() if isinstance(m, X2Act)]
        assert {(m.scale, m.channels) for m in x2} == {(scale, None)}
        coefficients = {tuple(round(c.item(), 6) for c in (m.w1, m.w2, m.b)) for m in x2}
        assert coefficients == {(0.005, 1.0, 0.0)}
        assert not any(isinstance(m, nn.MaxPool2d) for m in model.modules())
        compared = [path for path, m in model.named_modules() if isinstance(m, nn.ReLU)]
        assert compared == (list(RELU_OF_C) if name == "pasnet_c" else [])


# How torchvision names them: total number of tensors, and shapes in every part of the network.
TORCHVISION: dict[str, tuple[int, dict[str, tuple[int, ...]]]] = {
    "resnet18": (
        122,
        {
            "conv1.weight": (64, 3, 7, 7),
            "bn1.running_var": (64,),
            "layer1.0.conv1.weight": (64, 64, 3, 3),
            "layer1.1.bn2.bias": (64,),
            "layer2.0.conv1.weight": (128, 64, 3, 3),
            "layer2.0.downsample.0.weight": (128, 64, 1, 1),
            "layer2.0.downsample.1.running_mean": (128,),
            "layer4.1.conv2.weight": (512, 512, 3, 3),
            "layer4.1.bn2.num_batches_tracked": (),
            "fc.weight": (1000, 512),
            "fc.bias": (1000,),
        },
    ),
    "resnet34": (218, {"layer3.5.conv2.weight": (256, 256, 3, 3), "layer4.2.bn1.weight": (512,)}),
    "resnet50": (
        320,
        {
            "layer1.0.conv1.weight": (64, 64, 1, 1),
            "layer1.0.conv3.weight": (256, 64, 1, 1),
            "layer1.0.downsample.0.weight": (256, 64, 1, 1),
            "layer2.0.conv2.weight": (128, 128, 3, 3),
            "layer2.0.downsample.0.weight": (512, 256, 1, 1),
            "layer3.5.bn3.weight": (1024,),
            "layer4.2.conv3.weight": (2048, 512, 1, 1),
            "fc.weight": (1000, 2048),
        },
    ),
    "mobilenet_v2": (
        314,
        {
            "features.0.0.weight": (32, 3, 3, 3),
            "features.0.1.bias": (32,),
            "features.1.conv.0.0.weight": (32, 1, 3, 3),
            "features.1.conv.1.weight": (16, 32, 1, 1),
            "features.1.conv.2.running_mean": (16,),
            "features.2.conv.0.0.weight": (96, 16, 1, 1),
            "features.2.conv.1.0.weight": (96, 1, 3, 3),
            "features.2.conv.1.1.num_batches_tracked": (),
            "features.2.conv.2.weight": (24, 96, 1, 1),
            "features.2.conv.3.bias": (24,),
            "features.17.conv.2.weight": (320, 960, 1, 1),
            "features.18.0.weight": (1280, 320, 1, 1),
            "features.18.1.running_mean": (1280,),
            "classifier.1.weight": (1000, 1280),
        },
    ),
    "vgg16": (
        97,
        {
            "features.0.weight": (64, 3, 3, 3),
            "features.0.bias": (64,),
            "features.1.running_var": (64,),
            "features.7.weight": (128, 64, 3, 3),
            "features.24.weight": (512, 256, 3, 3),
            "features.40.weight": (512, 512, 3, 3),
            "features.41.running_mean": (512,),
            "classifier.0.weight": (4096, 25088),
            "classifier.3.weight": (4096, 4096),
            "classifier.6.weight": (1000, 4096),
        },
    ),
}


@pytest.mark.parametrize("name", TORCHVISION)
def test_names_of_torchvision(name: str) -> None:
    total, shapes = TORCHVISION[name]
    with torch.device("meta"):
        state = create_model(name, num_classes=1000, image_size=224).state_dict()
    assert len(state) == total
    assert {key: tuple(state[key].shape) for key in shapes} == shapes


@pytest.mark.parametrize("name", list_models(inputs="images"))
def test_every_operator_is_a_module_of_its_own(name: str) -> None:
    """So that a search can replace any of them: no activation or pooling is called twice."""
    with torch.device("meta"):
        model = create_model(name)
    calls: dict[str, int] = {}

    def called(path: str) -> None:
        calls[path] = calls.get(path, 0) + 1

    for path, module in model.named_modules():
        if not list(module.children()):
            module.register_forward_pre_hook(lambda _m, _i, path=path: called(path))
    size = 224 if name.startswith("pasnet") else 32
    model.eval()(torch.zeros(2, 3, size, size, device="meta"))
    assert set(calls.values()) == {1}


@pytest.mark.parametrize(
    ("name", "size"),
    [
        (name, size)
        for name in list_models(inputs="images")
        for size in (32, 96)
        if (name, size) != ("resnet_cifar", 96)
    ],
)
def test_trains_at_every_size(name: str, size: int) -> None:
    with torch.device("meta"):
        model = create_model(name, image_size=size, num_classes=7)
        logits = model(torch.zeros(2, 3, size, size))
    assert logits.shape == (2, 7)


def test_count_leaves_the_model_as_it_was() -> None:
    model = create_model("resnet8", width=4)
    model.fc.eval()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    found = count(model, (3, 32, 32))
    assert model.training
    assert not model.fc.training
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert not any(module._forward_hooks for module in model.modules())
    assert found == model_card("resnet8", width=4).counts


def test_count_by_hand() -> None:
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1, groups=1), nn.ReLU6(), nn.AvgPool2d(2), X2Act(4), nn.Flatten(), nn.Linear(64, 5)
    )
    assert count(model, (3, 8, 8)) == Counts(
        parameters=3 * 4 * 9 + 4 + 12 + 64 * 5 + 5,
        macs=64 * 4 * 27 + 64 * 5,
        layers=2,
        layer_inputs=3 * 64 + 64,
        activations=2,
        activation_elements=256 + 64,
        relu_elements=256,
        pools=1,
    )
