"""Supernets, architectures, and the way back."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from moiety.models import create_model
from moiety.nn import ChannelMix, Gate, X2Act
from moiety.search import Architecture, choose, export, freeze, gates, relax

PATHS = ["act1", "layers.0.act1", "layers.0.act2", "layers.1.act1", "layers.1.act2"]


def test_gates_are_where_the_activations_were(network: nn.Module, images: Tensor) -> None:
    supernet = relax(network, images)
    assert list(gates(supernet)) == PATHS
    assert not gates(network)
    assert all(gate.names == ("relu", "x2", "identity") for gate in gates(supernet).values())
    choose(supernet, Architecture(dict.fromkeys(PATHS, "relu")))
    assert torch.equal(supernet.eval()(images), network.eval()(images))


def test_new_quadratics_start_at_the_fit_of_relu(network: nn.Module, images: Tensor) -> None:
    supernet = relax(network.eval(), images).eval()
    choose(supernet, Architecture({**dict.fromkeys(PATHS, "relu"), "layers.0.act1": "x2"}))
    exact, fitted = network(images), supernet(images)
    choose(supernet, Architecture({**dict.fromkeys(PATHS, "relu"), "layers.0.act1": "identity"}))
    assert (fitted - exact).norm() < 0.6 * (supernet(images) - exact).norm()


def test_the_networks_own_quadratics_are_kept(images: Tensor) -> None:
    network = create_model("resnet_cifar", widths=(8, 16), image_size=16, activation="x2").eval()
    with torch.no_grad():
        network.act1.w1.fill_(0.125)
    supernet = relax(network, images)
    candidate = gates(supernet)["act1"].candidates["x2"]
    assert isinstance(candidate, X2Act)
    assert candidate.w1[0].item() == 0.125


def test_pools_and_relu6_become_gates(images: Tensor) -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU6(), nn.MaxPool2d(3, 2, 1), nn.AvgPool2d(2))
    supernet = relax(network, images)
    found = gates(supernet)
    assert {path: gate.names for path, gate in found.items()} == {
        "1": ("relu", "x2", "identity"),
        "2": ("max", "avg"),
        "3": ("max", "avg"),
    }
    assert isinstance(found["1"].candidates["relu"], nn.ReLU6)
    choose(supernet, Architecture({"1": "relu", "2": "max", "3": "avg"}))
    assert torch.equal(supernet(images), network(images))
    assert list(gates(relax(network, images, pools=()))) == ["1"]


def test_relax_refuses_what_it_cannot_search(images: Tensor) -> None:
    shared = nn.ReLU()
    with pytest.raises(ValueError, match="runs twice"):
        relax(nn.Sequential(nn.Conv2d(3, 4, 3), shared, nn.Conv2d(4, 4, 3), shared), images)
    with pytest.raises(ValueError, match="nothing to search"):
        relax(nn.Sequential(nn.Conv2d(3, 4, 3)), images)
    with pytest.raises(ValueError, match="different candidates among"):
        relax(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()), images, activations=("relu", "gelu"))


@pytest.mark.parametrize("granularity", ["layer", "channel"])
def test_frozen_equals_the_supernet(network: nn.Module, images: Tensor, granularity: str) -> None:
    supernet = relax(network, images, granularity=granularity).eval()
    generator = torch.Generator().manual_seed(1)
    for gate in gates(supernet).values():
        gate.alpha.data = torch.randn(gate.alpha.shape, generator=generator)
    architecture = export(supernet, {"name": "resnet_cifar"})
    frozen = freeze(supernet, architecture)
    choose(supernet, architecture)
    torch.testing.assert_close(frozen(images), supernet(images), rtol=1e-5, atol=1e-5)
    assert not any(isinstance(module, Gate) for module in frozen.modules())
    assert granularity == "layer" or any(isinstance(module, ChannelMix) for module in frozen.modules())


def test_a_plain_network_freezes_with_an_example(network: nn.Module, images: Tensor) -> None:
    architecture = Architecture({**dict.fromkeys(PATHS, "identity"), "act1": "x2", "layers.1.act2": "relu"})
    frozen = freeze(network, architecture, images)
    assert isinstance(frozen.act1, X2Act)
    assert frozen.act1.channels == 8
    assert isinstance(frozen.layers[0].act1, nn.Identity)
    assert isinstance(frozen.layers[1].act2, nn.ReLU)
    with pytest.raises(ValueError, match="example="):
        freeze(network, architecture)
    with pytest.raises(ValueError, match="of another network"):
        freeze(network, Architecture({"act9": "relu"}), images)


def test_an_architecture_is_json(tmp_path: Path) -> None:
    architecture = Architecture({"a": "relu", "b": ["x2", "identity"]}, {"name": "resnet8", "kwargs": {"width": 16}})
    architecture.save(tmp_path / "a.json")
    loaded = Architecture.load(tmp_path / "a.json")
    assert loaded == architecture
    assert loaded.model == architecture.model
    assert loaded.key == architecture.key
    assert loaded.but({"a": "x2"}).gates["a"] == "x2"
    with pytest.raises(KeyError, match="no gates"):
        loaded.but({"c": "x2"})
    (tmp_path / "b.json").write_text("[1]")
    with pytest.raises(ValueError, match=r"b\.json: expected an architecture"):
        Architecture.load(tmp_path / "b.json")
    with pytest.raises(ValueError, match="expected a candidate's name"):
        Architecture.from_dict({"version": 1, "gates": {"a": 3}})
