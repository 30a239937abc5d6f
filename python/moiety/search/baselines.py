"""What a search has to beat: random, uniform, greedy by latency, and evolution with the search's own scorer."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from moiety.search.architecture import Architecture
from moiety.search.latency import Latency
from moiety.search.shared import sample_architecture

__all__ = ["evolve", "greedy", "random_architectures", "uniform"]

ATTEMPTS = 20_000


def random_architectures(
    latency: Latency, target: float, count: int, *, seed: int = 1, tolerance: float = 0.05
) -> list[Architecture]:
    """`count` different architectures drawn at random among those of (1 - tolerance) * target to `target` seconds."""
    rng = np.random.default_rng((seed, 3))
    found: dict[str, Architecture] = {}
    for _ in range(ATTEMPTS):
        if len(found) == count:
            break
        drawn = sample_architecture(latency.names, rng)
        if drawn.key in found or not 0.9 * (1 - tolerance) <= latency.approximate(drawn) / target <= 1.1:
            continue
        if (1 - tolerance) * target <= latency.exact(drawn).seconds <= target:
            found[drawn.key] = drawn
    if len(found) < count:
        raise ValueError(
            f"only {len(found)} of {count} random architectures lie between {1e3 * (1 - tolerance) * target:.3f} and "
            f"{1e3 * target:.3f} ms: raise the tolerance or move the target between the cheapest "
            f"({1e3 * latency.exact(latency.cheapest()).seconds:.3f} ms) and the dearest architecture"
        )
    return list(found.values())


def uniform(latency: Latency, target: float) -> Architecture:
    """As many first candidates as the target allows, spread evenly over the depth; the cheapest candidate elsewhere."""
    cheapest, paths = latency.cheapest(), list(latency.names)
    for kept in range(len(paths), -1, -1):
        places = {round((i + 0.5) * len(paths) / kept - 0.5) for i in range(kept)}
        candidate = cheapest.but({path: latency.base.gates[path] for i, path in enumerate(paths) if i in places})
        if latency.exact(candidate).seconds <= target:
            return candidate
    raise _too_low(latency, target)


def greedy(latency: Latency, target: float) -> Architecture:
    """From first candidates everywhere, the change of one gate that saves most time, until the target is met."""
    current, cheapest = latency.base, latency.cheapest()
    saved = {path: latency.table[path][str(choice)] for path, choice in cheapest.gates.items()}
    for path in sorted(saved, key=saved.__getitem__):
        if latency.exact(current).seconds <= target:
            return current
        current = current.but({path: cheapest.gates[path]})
    if latency.exact(current).seconds <= target:
        return current
    raise _too_low(latency, target)


def evolve(
    latency: Latency,
    target: float,
    score: Callable[[Architecture], float],
    *,
    population: int = 16,
    generations: int = 8,
    seed: int = 1,
    tolerance: float = 0.5,
) -> Architecture:
    """Regularised evolution (E. Real et al., AAAI 2019) on the search's own score: the best third has children, by a
    crossover of two parents and a mutation of one gate; a child above the target is drawn again."""
    rng = np.random.default_rng((seed, 4))
    alive = random_architectures(latency, target, population, seed=seed, tolerance=tolerance)
    paths = list(latency.names)
    for _ in range(generations):
        parents = sorted(alive, key=score)[: max(2, population // 3)]
        children: dict[str, Architecture] = {}
        for _ in range(ATTEMPTS):
            if len(children) == population - len(parents):
                break
            one, other = (parents[int(i)] for i in rng.choice(len(parents), 2, replace=False))
            gates = {path: (one if rng.random() < 0.5 else other).gates[path] for path in paths}
            mutated = paths[int(rng.integers(len(paths)))]
            gates[mutated] = latency.names[mutated][int(rng.integers(len(latency.names[mutated])))]
            child = Architecture(gates)
            if latency.approximate(child) <= 1.1 * target and latency.exact(child).seconds <= target:
                children[child.key] = child
        alive = [*parents, *children.values()]
    return min(alive, key=score)


def _too_low(latency: Latency, target: float) -> ValueError:
    fastest = latency.exact(latency.cheapest()).seconds
    return ValueError(
        f"no architecture at {1e3 * target:.3f} ms: the cheapest candidates everywhere take {1e3 * fastest:.3f} ms; "
        "raise the target"
    )
