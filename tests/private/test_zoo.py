"""The usual networks compile and agree with torch; the demo's network too."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
import zoo
from compile_helpers import agree, kinds, samples
from torch import nn

from moiety import private
from moiety.private import reference

torch.set_num_threads(1)

# A unit is 2^-16; errors of half a unit in thousands of weights and activations add up over the layers.
TOLERANCE = 0.01


def test_resnet18_at_cifar_size() -> None:
    program = agree(zoo.resnet18(cifar=True), (3, 32, 32), TOLERANCE, count=1)
    found = kinds(program)
    assert found["relu"] == found["truncate"] == found["extend"] == 17  # all truncations are local: 17 exchanges saved
    assert all(program.tensors[op.output].bits < 30 for op in program.ops if op.kind == "truncate")
    assert found["linear"] == 21
    assert found["open"] == 18  # the shortcut convolutions share their block's opening
    assert found["scale"] == 0


@pytest.mark.slow
def test_resnet18_at_64() -> None:
    program = agree(zoo.resnet18(), (3, 64, 64), TOLERANCE, count=2)
    order = [op.kind for op in program.ops]
    assert order.index("maxpool") < order.index("relu")


def test_small_resnet50() -> None:
    agree(zoo.resnet50(width=8), (3, 32, 32), TOLERANCE)


@pytest.mark.parametrize("batch_norm", [False, True])
def test_vgg11(batch_norm: bool) -> None:
    """The adaptive pooling to 7x7 of a 1x1 (2x2) map folds into the first classifier layer."""
    size = 64 if batch_norm else 32
    program = agree(zoo.vgg11(hidden=128, batch_norm=batch_norm), (3, size, size), TOLERANCE, count=1)
    found = kinds(program)
    assert (found["linear"], found["relu"], found["maxpool"]) == (11, 10, 5)
    assert found["upsample"] == found["sumpool"] == 0


def test_mobilenet_v2() -> None:
    program = agree(zoo.mobilenet_v2(), (3, 64, 64), TOLERANCE)
    found = kinds(program)
    assert (found["linear"], found["hardtanh"], found["add"]) == (53, 35, 10)
    assert all(not op.attrs["signed"] for op in program.ops if op.kind == "extend")


@pytest.mark.slow
def test_densenet121() -> None:
    program = agree(zoo.densenet121(), (3, 32, 32), TOLERANCE)
    opened = [op.inputs[0] for op in program.ops if op.kind == "open"]
    assert len(set(opened)) == len(opened) == 1 + 3 * 58 + 4 + 3 + 1
    producers = {op.output: op.kind for op in program.ops}
    assert all(producers[i] != "concat" for i in opened)


@pytest.mark.parametrize("bilinear", [False, True])
def test_unet(bilinear: bool) -> None:
    program = agree(zoo.unet(bilinear=bilinear), (3, 32, 32), TOLERANCE)
    assert kinds(program)["relu"] == 14
    assert program.output_shape == (4, 32, 32)


def test_unet_with_uneven_sizes_and_a_class_for_each_pixel() -> None:
    model = zoo.unet(depth=2)
    x = samples((3, 18, 22), 2)
    program = private.compile(model, x, calibration=x, output="class")
    result = reference.run(program, x.numpy())
    assert result.shape == (2, 18, 22)
    assert (result == model(x).argmax(1).numpy()).mean() > 0.999


@pytest.mark.parametrize("activation", ["relu", "x2"])
def test_the_demo_network(activation: str) -> None:
    models = pytest.importorskip(
        "moiety.models.resnet_cifar", reason="the demo network is not part of this installation"
    )
    model = zoo.randomise(models.resnet_cifar(activation, widths=(8, 16, 16)))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.rsplit(".", 1)[-1] in ("w1", "b"):
                parameter.add_(0.05)
    program = agree(model, (3, 32, 32), TOLERANCE)
    found = kinds(program)
    assert found["square" if activation == "x2" else "relu"] == 5
    assert found["add_constant"] == (5 if activation == "x2" else 0)
    assert found["x2"] == found["multiply"] == found["scale"] == 0
    assert found["linear"] == 1 + 2 * 3 + 1


def named_bounds(model: nn.Module, x: torch.Tensor) -> dict[str, float]:
    """What a training script measures with forward hooks."""
    bounds: dict[str, float] = {"input": float(x.abs().max())}

    def hook(path: str) -> Callable[..., None]:
        def note(_module: nn.Module, _inputs: object, output: torch.Tensor) -> None:
            bounds[path] = max(bounds.get(path, 0.0), float(output.abs().max()))

        return note

    handles = [m.register_forward_hook(hook(p)) for p, m in model.named_modules() if p]
    with torch.no_grad():
        model(x)
    for handle in handles:
        handle.remove()
    return bounds


def test_bounds_by_module_path() -> None:
    """A saved mapping serves as well as the data, and `calibrate` makes the same."""
    model = zoo.resnet18(width=8, cifar=True)
    x = samples((3, 32, 32), 4)
    hooks = named_bounds(model, x)
    ours = private.calibrate(model, x)
    common = set(hooks) & set(ours)
    assert {"input", "bn1", "layer1.0.bn1", "layer2.0.downsample", "layer4.1", "fc"} <= common
    for path in common:
        # An in-place ReLU changes a tensor after the hook of the module before has seen it, never its bound's validity.
        assert ours[path] == pytest.approx(hooks[path], rel=1e-4), path
    program = private.compile(model, x, calibration=hooks)
    data = private.compile(model, x, calibration=x)
    widths = [[op.attrs["bits"] for op in p.ops if op.kind == "relu"] for p in (program, data)]
    assert max(widths[0]) <= max(widths[1]) + 1 < 28
    np.testing.assert_allclose(reference.run(program, x.numpy()), model(x).detach().numpy(), atol=TOLERANCE)
