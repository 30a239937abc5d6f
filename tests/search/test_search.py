"""The whole search on the embedded digits: keeps to its target, repeats itself, resumes, and needs little memory."""

from __future__ import annotations

import copy
import dataclasses

import numpy as np
import pytest
import torch
from search_support import Memory, Rounds
from torch import Tensor, nn

from moiety.data import Dataset
from moiety.models import create_model
from moiety.search import (
    FitConfig,
    Latency,
    SearchConfig,
    choose,
    fit,
    gates,
    prepare,
    relax,
    search,
    uniform_architecture,
)

WEIGHTS = FitConfig(batch=64, learning_rate=0.03, label_smoothing=0.0)
CONFIG = SearchConfig(shared_epochs=6, epochs=1, every=2, weights=WEIGHTS, score_images=287, calibration_images=256)


@pytest.fixture(scope="module")
def setting(digits: Dataset) -> tuple[nn.Module, nn.Module, Latency, np.ndarray]:
    """Teacher, supernet, latency, and an order in which the first 287 training images are held out."""
    torch.manual_seed(0)
    teacher = create_model("resnet_cifar", widths=(8, 16, 32), image_size=16)
    order = np.random.default_rng(0).permutation(len(digits.train))
    fit(teacher, digits.train.subset(order[287:]), FitConfig(epochs=3, batch=64))
    images = torch.cat([images for images, _ in in_order(digits, order[287:415])])
    supernet = relax(teacher, images)
    return teacher, supernet, Latency(supernet, images, Rounds(), comparison="circuit"), order


def in_order(digits: Dataset, index: np.ndarray) -> object:
    from moiety.data import in_order as batches

    return batches(digits.train.subset(index), 64)


def between(latency: Latency, fraction: float) -> float:
    low, high = (latency.exact(uniform_architecture(latency, name)).seconds for name in ("identity", "relu"))
    return low + fraction * (high - low)


def test_keeps_to_the_target_and_says_what_it_did(
    digits: Dataset, setting: tuple[nn.Module, nn.Module, Latency, np.ndarray]
) -> None:
    """That it beats random at equal latency is tested on the command line (tests/drive/test_runs.py)."""
    teacher, supernet, latency, order = setting
    train, valid = digits.train.subset(order[287:671]), digits.train.subset(order[:128])
    target = between(latency, 0.35)
    config = dataclasses.replace(CONFIG, target=target, shared_epochs=1)
    events: list[dict] = []
    found = search(supernet, train, valid, latency, config, teacher=teacher, progress=events.append)
    assert found.cost.seconds <= target
    assert found.cost == latency.exact(found.architecture)
    assert {event["phase"] for event in events} == {"shared weights", "search", "polish"}
    assert {record["phase"] for record in found.history} == {"search", "polish"}
    assert set(found.history[0]["gates"]) == set(gates(supernet))


@pytest.mark.parametrize("order", [1, 2])
def test_gradients_keep_to_the_target_and_repeat(
    digits: Dataset, setting: tuple[nn.Module, nn.Module, Latency, np.ndarray], order: int
) -> None:
    _, supernet, latency, index = setting
    train, valid = digits.train.subset(index[287:671]), digits.train.subset(index[:128])
    target = between(latency, 0.5)
    config = dataclasses.replace(
        CONFIG,
        target=target,
        order=order,
        shared_epochs=0,
        epochs=3,
        alpha_rate=0.2,
        latency_weight=20.0,
        trials=0,
        every=1,
    )
    before = copy.deepcopy(supernet.state_dict())
    found = search(supernet, train, valid, latency, config)
    assert all(torch.equal(value, before[name]) for name, value in supernet.state_dict().items())
    assert found.history[-1]["latency"] <= 1.1 * target
    again = search(supernet, train, valid, latency, config)
    assert again.architecture == found.architecture
    assert again.history == found.history


def test_the_papers_lambda(digits: Dataset, setting: tuple[nn.Module, nn.Module, Latency, np.ndarray]) -> None:
    _, supernet, latency, index = setting
    train, valid = digits.train.subset(index[287:479]), digits.train.subset(index[:128])
    config = dataclasses.replace(CONFIG, shared_epochs=0, epochs=0)
    free, dear = (
        search(supernet, train, valid, latency, dataclasses.replace(config, latency_weight=weight))
        for weight in (0.0, 1e6)
    )
    assert dear.architecture == uniform_architecture(latency, "identity")
    assert free.cost.seconds > dear.cost.seconds


def test_resumed_search_equals_uninterrupted(
    digits: Dataset, setting: tuple[nn.Module, nn.Module, Latency, np.ndarray]
) -> None:
    teacher, supernet, latency, index = setting
    train, valid = digits.train.subset(index[287:671]), digits.train.subset(index[:128])
    config = dataclasses.replace(CONFIG, target=between(latency, 0.5), shared_epochs=2, epochs=2)
    expected = search(supernet, train, valid, latency, config, teacher=teacher)
    for saves in (1, 3):  # killed after the first epoch of shared weights, of gradients
        memory = Memory(stop_after=saves)
        with pytest.raises(KeyboardInterrupt):
            search(supernet, train, valid, latency, config, teacher=teacher, checkpoint=memory)
        resumed = search(supernet, train, valid, latency, config, teacher=teacher, checkpoint=memory)
        assert resumed.architecture == expected.architecture
        assert resumed.history == expected.history


def test_decided_gates_are_frozen(digits: Dataset, setting: tuple[nn.Module, nn.Module, Latency, np.ndarray]) -> None:
    _, supernet, latency, index = setting
    train, valid = digits.train.subset(index[287:671]), digits.train.subset(index[:128])
    config = dataclasses.replace(
        CONFIG,
        target=between(latency, 0.3),
        shared_epochs=0,
        epochs=2,
        alpha_rate=0.5,
        decided=0.6,
        decided_steps=1,
        trials=0,
    )
    found = search(supernet, train, valid, latency, config)
    probabilities = [p for row in found.history[-1]["gates"].values() for p in row.values()]
    assert probabilities.count(1.0) >= 1


def test_search_by_channel(digits: Dataset, setting: tuple[nn.Module, nn.Module, Latency, np.ndarray]) -> None:
    teacher, _, _, index = setting
    train, valid = digits.train.subset(index[287:671]), digits.train.subset(index[:128])
    images = torch.cat([images for images, _ in in_order(digits, index[287:351])])
    supernet = relax(teacher, images, granularity="channel")
    latency = Latency(supernet, images, Rounds(), comparison="circuit")
    config = dataclasses.replace(
        CONFIG, target=between(latency, 0.6), shared_epochs=0, alpha_rate=0.3, trials=2, rounds=2
    )
    found = search(supernet, train, valid, latency, config)
    assert found.cost.seconds <= config.target
    descended = search(supernet, train, valid, latency, dataclasses.replace(config, target=None, trials=0))
    assert any(isinstance(choice, list) and len(set(choice)) > 1 for choice in descended.architecture.gates.values())
    assert descended.cost.seconds > 0


def test_a_search_sees_the_first_images_alone(
    digits: Dataset, setting: tuple[nn.Module, nn.Module, Latency, np.ndarray]
) -> None:
    teacher, supernet, latency, index = setting
    train, valid = digits.train.subset(index[287:671]), digits.train.subset(index[:128])
    config = dataclasses.replace(CONFIG, target=between(latency, 0.5), shared_epochs=1, trials=2, rounds=1)
    limited = search(supernet, train, valid, latency, dataclasses.replace(config, images=192), teacher=teacher)
    expected = search(supernet, train.subset(np.arange(192)), valid, latency, config, teacher=teacher)
    assert limited.history == expected.history
    with pytest.raises(ValueError, match="at least one training image"):
        SearchConfig(images=0)


def test_an_impossible_target_is_refused(
    digits: Dataset, setting: tuple[nn.Module, nn.Module, Latency, np.ndarray]
) -> None:
    _, supernet, latency, _ = setting
    config = dataclasses.replace(CONFIG, target=between(latency, -0.2))
    with pytest.raises(ValueError, match="raise the target"):
        search(supernet, digits.train, digits.test, latency, config)
    with pytest.raises(ValueError, match="order 1 or 2"):
        SearchConfig(order=3)


def test_scores_are_remembered_and_measured_with_own_statistics(
    digits: Dataset, setting: tuple[nn.Module, nn.Module, Latency, np.ndarray]
) -> None:
    _, supernet, latency, index = setting
    config = dataclasses.replace(CONFIG, shared_epochs=0)
    scorer = prepare(supernet, digits.train.subset(index[287:]), digits.train.subset(index[:287]), latency, config)
    relu, identity = (uniform_architecture(latency, name) for name in ("relu", "identity"))
    first = scorer(relu)
    assert scorer(identity) > first
    assert scorer(relu) == first
    assert scorer.scored == 2


def saved_bytes(model: nn.Module, x: Tensor) -> int:
    """Of the tensors that autograd keeps for the backward pass, each storage once, parameters aside."""
    own = {p.untyped_storage().data_ptr() for p in model.parameters()}
    kept: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        alive.append(tensor)
        return tensor

    alive: list[Tensor] = []
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        model.train()(x).sum()
    return sum(kept.values())


def test_memory_of_the_supernet() -> None:
    torch.manual_seed(0)
    x = torch.randn(16, 3, 32, 32).contiguous(memory_format=torch.channels_last)
    plain = create_model("resnet8", width=16).to(memory_format=torch.channels_last)
    supernet = relax(plain, x).to(memory_format=torch.channels_last)
    choose(supernet, None)
    ratio = saved_bytes(supernet, x) / saved_bytes(plain, x)
    assert 1.0 <= ratio <= 2.2
