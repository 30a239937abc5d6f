"""The latency table, exact latencies, and baselines that keep to them."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from search_support import Rounds
from torch import Tensor, nn

from moiety.search import (
    Architecture,
    Latency,
    evolve,
    gates,
    greedy,
    polish,
    random_architectures,
    relax,
    uniform,
    uniform_architecture,
)


@pytest.fixture(scope="module")
def latency() -> Latency:
    from moiety.models import create_model

    torch.manual_seed(0)
    images = torch.randn(16, 3, 16, 16)
    supernet = relax(create_model("resnet_cifar", widths=(8, 16, 32), image_size=16), images)
    return Latency(supernet, images, Rounds(), comparison="circuit")


def seconds(latency: Latency, name: str) -> float:
    return latency.exact(uniform_architecture(latency, name)).seconds


def worth(architecture: Architecture) -> float:
    """A made-up validation loss: later gates matter more, a quadratic is nearly as good as a ReLU, but not in front."""
    value = {"relu": 0.0, "x2": 0.3, "identity": 1.0}
    return sum((i + 1) * value[str(choice)] for i, choice in enumerate(architecture.gates.values()))


def test_table_against_the_compiler(latency: Latency) -> None:
    for name in ("relu", "x2", "identity"):
        assert latency.approximate(uniform_architecture(latency, name)) == pytest.approx(seconds(latency, name))
    rng = np.random.default_rng(0)
    for _ in range(8):
        drawn = Architecture({path: str(rng.choice(names)) for path, names in latency.names.items()})
        assert latency.approximate(drawn) == pytest.approx(latency.exact(drawn).seconds, rel=0.1)
    assert latency.cheapest() == uniform_architecture(latency, "identity")


def test_expected_of_a_decided_supernet_is_the_table(latency: Latency) -> None:
    images = torch.randn(4, 3, 16, 16)
    from moiety.models import create_model

    supernet = relax(create_model("resnet_cifar", widths=(8, 16, 32), image_size=16), images)
    for gate in gates(supernet).values():
        gate.choose("x2")
    expected = latency.expected(supernet)
    assert float(expected.detach()) == pytest.approx(seconds(latency, "x2"), rel=1e-5)


def test_baselines_respect_the_target(latency: Latency) -> None:
    low, high = seconds(latency, "identity"), seconds(latency, "relu")
    target = low + 0.4 * (high - low)
    drawn = random_architectures(latency, target, 4, seed=2, tolerance=0.1)
    assert len({a.key for a in drawn}) == 4
    assert drawn == random_architectures(latency, target, 4, seed=2, tolerance=0.1)
    for architecture in [*drawn, uniform(latency, target), greedy(latency, target)]:
        assert latency.exact(architecture).seconds <= target
    for architecture in drawn:
        assert latency.exact(architecture).seconds >= 0.9 * target
    evolved = evolve(latency, target, worth, population=6, generations=3, seed=2)
    assert latency.exact(evolved).seconds <= target
    first = random_architectures(latency, target, 6, seed=2, tolerance=0.5)
    assert worth(evolved) <= min(map(worth, first))
    for baseline in (uniform, greedy):
        assert baseline(latency, 2 * high) == latency.base
        with pytest.raises(ValueError, match="raise the target"):
            baseline(latency, 0.5 * low)
    with pytest.raises(ValueError, match="random architectures lie between"):
        random_architectures(latency, 0.5 * low, 1)


def test_polish_finds_the_best_architecture(latency: Latency) -> None:
    low, high = seconds(latency, "identity"), seconds(latency, "relu")
    target = low + 0.5 * (high - low)
    every = [
        Architecture(dict(zip(latency.names, names, strict=True)))
        for names in itertools.product(("relu", "identity"), repeat=len(latency.names))
    ]
    best = min(worth(a) for a in every if latency.approximate(a) <= 0.97 * target)
    seen: list[float] = []
    found = polish(
        latency.base,
        latency,
        worth,
        target=target,
        progress=lambda _a, loss, s: seen.append(loss if s <= target else -1),
    )
    assert latency.exact(found).seconds <= target
    assert worth(found) <= best
    assert seen == sorted(seen, reverse=True)
    with pytest.raises(ValueError, match="no architecture found"):
        polish(latency.base, latency, worth, target=0.5 * low)


def test_polish_without_a_target_weighs_seconds(latency: Latency) -> None:
    dear = polish(latency.base, latency, worth, target=None, weight=1e4)
    assert dear == uniform_architecture(latency, "identity")
    assert polish(latency.base, latency, worth, target=None, weight=0.0) == latency.base


def test_residual_sums_that_escape_are_held_to_the_bound() -> None:
    """All-x2, and an identity shortcut: without the bound, no range would be certified."""
    from moiety.models import create_model

    torch.manual_seed(0)
    images = torch.randn(16, 3, 32, 32)
    network = create_model("resnet8", width=8)
    latency = Latency(relax(network, images), images, Rounds())
    every = {name: seconds(latency, name) for name in ("relu", "x2", "identity")}
    assert every["identity"] < every["x2"] < every["relu"]


def test_the_results_of_escaping_quadratics_are_held_too(network: nn.Module, images: Tensor) -> None:
    """Coefficients that no training would keep: a held input gives results that no program holds."""
    supernet = relax(network, images)
    for gate in gates(supernet).values():
        with torch.no_grad():
            gate.candidates["x2"].w1.fill_(1e6)
    latency = Latency(supernet, images, Rounds())
    assert seconds(latency, "identity") < seconds(latency, "x2") < seconds(latency, "relu")


def test_a_supernet_is_needed(network: nn.Module, images: Tensor) -> None:
    with pytest.raises(ValueError, match="has no gates"):
        Latency(network, images, Rounds())
