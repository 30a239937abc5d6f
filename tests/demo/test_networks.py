"""The shipped networks: what their files say of them holds."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from moiety.data.cifar10 import CLASSES, load_cifar10
from moiety.data.images import normalize, preprocess
from moiety.demo import load_network
from moiety.demo.assets import FOLDER, Variant

BOTH = pytest.mark.parametrize(("variant", "accuracy"), [("searched", 0.89), ("x2", 0.85)])


@BOTH
def test_files_describe_their_networks(variant: Variant, accuracy: float) -> None:
    model, metadata = load_network(variant)
    assert metadata["model"]["name"] == "resnet_cifar"
    assert metadata["classes"] == list(CLASSES)
    assert metadata["trained_on"] == {"dataset": "cifar10", "images": 50_000}
    assert metadata["accuracy"]["test"] >= accuracy
    bounds = metadata["activation_bounds"]
    leaves = {name for name, module in model.named_modules() if name and not list(module.children())}
    assert leaves <= bounds.keys()
    assert all(0 < bound < 256 for bound in bounds.values())


def test_the_searched_network_holds_the_operators_of_its_architecture() -> None:
    model, metadata = load_network("searched")
    kinds = {"relu": "ReLU", "identity": "Identity", "x2": "X2Act"}
    assert len(metadata["gates"]) == 11
    assert len(set(metadata["gates"].values())) > 1
    for path, choice in metadata["gates"].items():
        assert type(model.get_submodule(path)).__name__ == kinds[choice]


def test_photographs_are_recognised() -> None:
    """All among the two likeliest; the shepherd is to this network nearly as much a deer."""
    model, metadata = load_network("searched")
    ranks = {}
    for name in ("bird", "cat", "deer", "dog", "horse"):
        logits = model(torch.from_numpy(preprocess(FOLDER / "photos" / f"{name}.jpg")))[0]
        ranks[name] = logits.argsort(descending=True).tolist().index(metadata["classes"].index(name))
    assert max(ranks.values()) <= 1
    assert sum(rank == 0 for rank in ranks.values()) >= 4


@BOTH
def test_accuracy_on_a_thousand_test_images(variant: Variant, accuracy: float, data: Path) -> None:
    test = load_cifar10("test", data)
    model, metadata = load_network(variant)
    with torch.no_grad():
        logits = model(torch.from_numpy(normalize(test.images[:1000])))
    measured = (logits.argmax(1).numpy() == test.labels[:1000]).mean()
    assert measured == pytest.approx(metadata["accuracy"]["test"], abs=0.04)  # four standard errors
