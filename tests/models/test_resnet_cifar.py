"""moiety.models.resnet_cifar and the demo's weights."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

import moiety.models.resnet_cifar
from moiety.data.cifar10 import CLASSES, load_cifar10
from moiety.data.images import normalize, preprocess
from moiety.models.resnet_cifar import FILE_VERSION, Activation, ResNetCifar, load_resnet_cifar, resnet_cifar
from moiety.nn import X2Act

DEMO = Path(moiety.models.resnet_cifar.__file__).parents[1] / "demo"
ACTIVATIONS: tuple[Activation, ...] = ("relu", "x2")
BOTH = pytest.mark.parametrize("activation", ACTIVATIONS)


@BOTH
def test_shapes_and_size(activation: Activation) -> None:
    model = resnet_cifar(activation).eval()
    assert model(torch.zeros(2, 3, 32, 32)).shape == (2, 10)
    assert sum(p.numel() for p in model.parameters()) <= 700_000


@BOTH
def test_has_one_kind_of_activation(activation: Activation) -> None:
    kinds = {type(m) for m in resnet_cifar(activation).modules() if isinstance(m, nn.ReLU | X2Act)}
    assert kinds == {nn.ReLU if activation == "relu" else X2Act}


@BOTH
def test_every_batch_norm_follows_a_convolution(activation: Activation) -> None:
    program = torch.export.export(resnet_cifar(activation).eval(), (torch.zeros(1, 3, 32, 32),))
    norms = [node for node in program.graph.nodes if "batch_norm" in str(node.target)]
    assert len(norms) == 10
    assert all("conv" in str(node.args[0].target) and len(node.args[0].users) == 1 for node in norms)


def test_rejects_an_unknown_activation() -> None:
    with pytest.raises(ValueError, match=r"'relu', 'relu6', 'x2', 'identity' or a function .*, got 'gelu'"):
        resnet_cifar("gelu")  # type: ignore[arg-type]


def test_takes_any_activation_by_function() -> None:
    made: list[nn.Module] = []

    def activation(channels: int) -> nn.Module:
        made.append(nn.PReLU(channels))
        return made[-1]

    model = resnet_cifar(activation, widths=(4, 6, 8)).eval()
    assert [m for m in model.modules() if isinstance(m, nn.PReLU)] == made
    assert [m.num_parameters for m in made] == [4, 6, 6, 8, 8]
    assert model(torch.zeros(1, 3, 16, 16)).shape == (1, 10)
    with pytest.raises(ValueError, match="activation by name"):
        model.architecture()


def test_rejects_large_images() -> None:
    with pytest.raises(ValueError, match="8 to 64 pixels a side, got 224"):
        resnet_cifar(image_size=224)


def test_rejects_no_widths() -> None:
    with pytest.raises(ValueError, match="widths"):
        resnet_cifar(widths=())


def described(model: ResNetCifar, version: int = FILE_VERSION) -> dict[str, str]:
    return {"version": json.dumps(version), "architecture": json.dumps(model.architecture())}


def test_load_returns_what_was_saved(tmp_path: Path) -> None:
    model = resnet_cifar("x2", widths=(4, 6), num_classes=3).eval()
    state = {k: v for k, v in model.state_dict().items() if not k.endswith("num_batches_tracked")}
    path = tmp_path / "net.safetensors"
    save_file(state, path, described(model))
    loaded, metadata = load_resnet_cifar(path)
    assert metadata["architecture"] == {"activation": "x2", "widths": [4, 6], "num_classes": 3}
    x = torch.randn(2, 3, 32, 32)
    assert not loaded.training
    torch.testing.assert_close(loaded(x), model(x))


def test_load_refuses_a_foreign_file(tmp_path: Path) -> None:
    path = tmp_path / "foreign.safetensors"
    save_file({"w": torch.zeros(1)}, path)
    with pytest.raises(ValueError, match="holds no architecture"):
        load_resnet_cifar(path)


def test_load_refuses_another_version(tmp_path: Path) -> None:
    path = tmp_path / "later.safetensors"
    save_file({"fc.bias": torch.zeros(3)}, path, described(resnet_cifar("relu"), FILE_VERSION + 1))
    with pytest.raises(ValueError, match=f"another version: expected {FILE_VERSION}, found {FILE_VERSION + 1}"):
        load_resnet_cifar(path)


def test_load_refuses_missing_weights(tmp_path: Path) -> None:
    model = resnet_cifar("relu", widths=(4, 6), num_classes=3)
    path = tmp_path / "partial.safetensors"
    save_file({"fc.bias": torch.zeros(3)}, path, described(model))
    with pytest.raises(ValueError, match=r"missing .*conv1\.weight"):
        load_resnet_cifar(path)


@BOTH
def test_demo_weights(activation: Activation) -> None:
    model, metadata = load_resnet_cifar(DEMO / f"resnet_{activation}.safetensors")
    assert model.activation == activation
    assert metadata["classes"] == list(CLASSES)
    assert metadata["evaluated_on"] == {"train": 50_000, "test": 10_000}
    assert metadata["test_accuracy"] >= (0.88 if activation == "relu" else 0.85)
    bounds = metadata["activation_bounds"]
    leaves = {name for name, module in model.named_modules() if name and not list(module.children())}
    assert leaves <= bounds.keys()
    assert all(0 < bound < 256 for bound in bounds.values())


@pytest.mark.parametrize("name", ["bird", "cat", "deer", "dog", "horse"])
def test_demo_recognises_its_photographs(name: str) -> None:
    model, metadata = load_resnet_cifar(DEMO / "resnet_relu.safetensors")
    logits = model(torch.from_numpy(preprocess(DEMO / "photos" / f"{name}.jpg")))
    assert metadata["classes"][logits.argmax().item()] == name


@BOTH
def test_demo_accuracy_on_a_thousand_test_images(activation: Activation) -> None:
    try:
        test = load_cifar10("test")
    except FileNotFoundError:
        pytest.skip("data not found under --data, MOIETY_DATA or ../shared/data")
    model, metadata = load_resnet_cifar(DEMO / f"resnet_{activation}.safetensors")
    with torch.no_grad():
        logits = model(torch.from_numpy(normalize(test.images[:1000])))
    accuracy = (logits.argmax(1).numpy() == test.labels[:1000]).mean()
    assert accuracy == pytest.approx(metadata["test_accuracy"], abs=0.04)  # four standard errors
