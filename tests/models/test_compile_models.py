"""Every registered network, narrow, compiles for two parties and agrees with torch."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch
import zoo
from compile_helpers import agree, kinds, samples

from moiety import private
from moiety.models import create_model, list_models
from moiety.private.program import Program

torch.set_num_threads(1)

TOLERANCE = 0.02

# Model, options, and how many operators of which kind make its program.
SMALL: list[tuple[str, dict[str, Any], dict[str, int]]] = [
    ("resnet8", {"width": 4, "activation": "relu"}, {"linear": 10, "relu": 7}),
    ("resnet8", {"width": 4, "activation": "x2"}, {"quadratic": 7}),
    ("resnet8", {"width": 4, "activation": "identity"}, {"relu": 0, "quadratic": 0}),
    ("resnet18", {"width": 4, "activation": "x2"}, {"quadratic": 17}),
    ("resnet20", {"width": 4, "activation": "relu"}, {"linear": 22, "relu": 19}),
    ("resnet34", {"width": 4, "activation": "relu"}, {"linear": 37, "relu": 33}),
    ("resnet50", {"width": 4, "activation": "relu"}, {"linear": 54, "relu": 49}),
    ("resnet_cifar", {"widths": (4, 8, 8), "activation": "x2"}, {"quadratic": 5}),
    ("vgg16", {"width": 4, "activation": "relu", "pool": "max"}, {"linear": 14, "relu": 13, "maxpool": 5}),
    ("vgg16", {"width": 4, "activation": "x2", "pool": "avg"}, {"quadratic": 13, "sumpool": 5}),
    ("vgg16", {"width": 4, "activation": "x2", "pool": "max"}, {"quadratic": 13, "maxpool": 5}),
    ("mobilenet_v2", {"width": 0.25}, {"linear": 53, "hardtanh": 35, "add": 12}),
    ("mobilenet_v2", {"width": 0.25, "activation": "relu"}, {"linear": 53, "relu": 35}),
    ("mobilenet_v2", {"width": 0.25, "activation": "x2"}, {"quadratic": 35}),
    ("pasnet_a", {"width": 4, "num_classes": 10, "image_size": 32}, {"quadratic": 17, "relu": 0}),
    ("pasnet_b", {"width": 4, "num_classes": 10, "image_size": 32}, {"quadratic": 49, "relu": 0}),
    ("pasnet_c", {"width": 4, "num_classes": 10, "image_size": 32}, {"quadratic": 38, "relu": 11}),
    ("pasnet_d", {"width": 0.25, "num_classes": 10, "image_size": 32}, {"quadratic": 35}),
    ("polynext_lr", {"width": 8, "image_size": 16}, {"multiply": 49, "relu": 0, "quadratic": 0, "scale": 0}),
    ("polynext_t", {"width": 8, "image_size": 16}, {"multiply": 73, "relu": 0, "quadratic": 0, "scale": 0}),
    ("polynext_s", {"width": 8, "image_size": 16}, {"multiply": 131, "relu": 0, "quadratic": 0, "scale": 0}),
]


def operators(program: Program) -> Counter[str]:
    """How many of each kind; a quadratic is a square where its factors found a place in other layers' weights."""
    found = kinds(program)
    found["quadratic"] = found["x2"] + found["square"]
    return found


def test_all_are_here() -> None:
    assert {name for name, _, _ in SMALL} == set(list_models(inputs="images"))


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        pytest.param(*case, marks=pytest.mark.slow) if case[0] in ("polynext_s", "resnet50", "pasnet_b") else case
        for case in SMALL
    ],
)
def test_agrees_with_torch(name: str, options: dict[str, Any], expected: dict[str, int]) -> None:
    torch.manual_seed(0)
    shape = (3, options.get("image_size", 32), options.get("image_size", 32))
    model = zoo.settle(create_model(name, **options), shape)
    found = operators(agree(model, shape, TOLERANCE, count=1))
    assert {kind: found[kind] for kind in expected} == expected


@pytest.mark.parametrize(
    ("name", "pool", "activation"),
    [
        *(
            (name, pool, activation)
            for name, pool in (("resnet18", "max"), ("resnet18", "avg"), ("vgg16", "avg"))
            for activation in ("relu", "x2")
        ),
        ("pasnet_a", "", "x2"),  # fixed by the architecture
    ],
)
def test_form_for_large_images(name: str, pool: str, activation: str) -> None:
    """At 96 x 96: the stem's 3 x 3 pooling with stride 2 and padding, either kind; VGG's fully connected layers."""
    options: dict[str, Any] = {} if name == "pasnet_a" else {"pool": pool, "activation": activation}
    torch.manual_seed(0)
    model = zoo.settle(create_model(name, num_classes=10, image_size=96, width=4, **options), (3, 96, 96))
    found = operators(agree(model, (3, 96, 96), TOLERANCE, count=1))
    assert found["maxpool"] == (pool == "max")
    assert found["relu" if activation == "relu" else "quadratic"] == {"resnet18": 17, "vgg16": 15, "pasnet_a": 17}[name]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("resnet8", {"width": 4, "activation": "relu"}),
        ("resnet8", {"width": 4, "activation": "x2"}),
        pytest.param("mobilenet_v2", {"width": 0.25}, marks=pytest.mark.slow),
        pytest.param("vgg16", {"width": 4, "activation": "x2", "pool": "max"}, marks=pytest.mark.slow),
        pytest.param("polynext_lr", {"width": 8, "image_size": 16}, marks=pytest.mark.slow),
    ],
)
def test_two_parties_agree_with_torch(name: str, options: dict[str, Any]) -> None:
    torch.manual_seed(0)
    shape = (3, options.get("image_size", 32), options.get("image_size", 32))
    model = zoo.settle(create_model(name, **options), shape)
    x = samples(shape, 2)
    program = private.compile(model, x, calibration=torch.cat([x, samples(shape, 8, seed=1)]), input_bound=8.0)
    result = private.run_local(program, x)
    with torch.no_grad():
        np.testing.assert_allclose(result.output, model(x), atol=TOLERANCE)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resnet18", "pasnet_a"])
def test_compiles_at_full_size(name: str) -> None:
    torch.manual_seed(0)
    model = create_model(name, num_classes=1000, image_size=224).eval()
    x = samples((3, 224, 224), 1)
    program = private.compile(model, x, calibration=x, input_bound=8.0)
    assert program.output_shape == (1000,)
    found = operators(program)
    assert found["linear"] >= 21
    assert found["relu"] + found["quadratic"] == 17
