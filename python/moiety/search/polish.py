"""Coordinate descent on discrete architectures, under the exact latency.

A search by gradients ends in an architecture by taking every gate's most probable candidate, and loses there what it
has gained. Flipping gates one by one on a measured objective does not ("Coordinate Descent for Network
Linearization", arXiv 2511.11781, for masks of ReLUs).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations

from moiety.search.architecture import Architecture
from moiety.search.latency import Latency

__all__ = ["Move", "flips", "polish"]

Score = Callable[[Architecture], float]

# The table adds up what is not quite additive (operations share rounds, neighbours share truncations): only a move that
# it puts this far above the target is not worth asking the compiler about.
TABLE_ERROR = 0.08  # of the current seconds


@dataclass(frozen=True)
class Move:
    """Some gates' new candidates, and what they are expected to do: to the loss (measured for one gate alone, added up
    for two) and to the seconds (by the table)."""

    changes: Mapping[str, str]
    loss: float
    seconds: float


def polish(
    start: Architecture,
    latency: Latency,
    score: Score,
    *,
    target: float | None,
    weight: float = 0.0,
    trials: int = 12,
    rounds: int = 20,
    progress: Callable[[Architecture, float, float], None] | None = None,
) -> Architecture:
    """The best architecture that flips of one gate and changes of two at once reach from `start`.

    With a target (seconds), architectures above it are not accepted: first the flips that lose least per millisecond
    saved are made until it is met. Without one, `weight` per second is added to the loss.

    A round scores every flip, ranks flips and pairs of flips by the loss that they predict, and scores the `trials`
    best that fit; the best of those is taken if it is truly better. `progress` hears of every accepted architecture,
    with its loss and seconds.
    """

    def objective(architecture: Architecture) -> float:
        return score(architecture) + (0.0 if target is not None else weight * latency.exact(architecture).seconds)

    current = start
    if target is not None:
        current = repaired(current, latency, score, target)
    for _ in range(rounds):
        value, seconds = objective(current), latency.exact(current).seconds
        if progress is not None:
            progress(current, score(current), seconds)
        single = flips(current, latency, score)
        moves = sorted(
            single + list(_pairs(single)), key=lambda m: m.loss + (0 if target is not None else weight * m.seconds)
        )
        slack = float("inf") if target is None else target - seconds
        best, best_value, tried = current, value, 0
        for move in moves:
            if tried == trials:
                break
            if (
                move.seconds > slack + 0.02 * seconds
            ):  # the table is only nearly right: near the target, ask the compiler
                continue
            candidate = current.but(move.changes)
            if target is not None and latency.exact(candidate).seconds > target:
                continue
            tried += 1
            found = objective(candidate)
            if found < best_value:
                best, best_value = candidate, found
        if best is current:
            break
        current = best
    return current


def repaired(start: Architecture, latency: Latency, score: Score, target: float) -> Architecture:
    """Flips until the target is met, each the one that loses least per second saved."""
    current = start
    while (seconds := latency.exact(current).seconds) > target:
        saving = [move for move in flips(current, latency, score) if move.seconds < 0]
        saving.sort(key=lambda move: move.loss / -move.seconds)
        for move in saving:
            candidate = current.but(move.changes)
            if latency.exact(candidate).seconds < seconds:
                current = candidate
                break
        else:
            fastest = latency.exact(current).seconds
            raise ValueError(
                f"no architecture found at {1e3 * target:.3f} ms: the fastest reached takes {1e3 * fastest:.3f} ms; "
                "raise the target or allow cheaper candidates"
            )
    return current


def flips(current: Architecture, latency: Latency, score: Score) -> list[Move]:
    """Every other candidate at every gate; one with a choice a channel may get a single one for all."""
    here = score(current)
    found = []
    for path, choice in current.gates.items():
        for name, seconds in latency.table[path].items():
            if name != choice:
                loss = score(current.but({path: name})) - here
                found.append(Move({path: name}, loss, seconds - latency.entry(path, choice)))
    return found


def _pairs(single: list[Move]) -> Iterator[Move]:
    for a, b in combinations(single, 2):
        if not set(a.changes) & set(b.changes):
            yield Move({**a.changes, **b.changes}, a.loss + b.loss, a.seconds + b.seconds)
