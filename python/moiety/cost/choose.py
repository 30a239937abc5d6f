"""Which comparing layers use DCF keys: the least online time whose correlations fit a budget.

A comparison by a DCF takes two hops and few online bytes but tens of times the offline bytes of a circuit's. Choosing
is a knapsack: layer i gains g_i seconds for s_i more bytes from the dealer. In a chain of layers the gains add up; two
comparisons in the same hops gain together what neither gains alone (a hop is as long as its longest protocol), so the
layers whose gains interact are first put into groups that change together.

The knapsack is solved exactly by the list of undominated pairs (Nemhauser and Ullmann, Management Science 15, 1969):
after each group, a pair (bytes, gain) stays only if no other has less bytes and more gain. By induction, whatever the
later groups add, an optimal selection extends an undominated one. The lists stay short because the layers of a network
have few different sizes; beyond `LONGEST` pairs those that are within a `LONGEST`-th of the budget are merged, which
loses at most that part of the budget a group.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

__all__ = ["OFFLINE_BUDGET", "Option", "fastest", "knapsack"]

OFFLINE_BUDGET = 128 << 20  # bytes of correlations a sample
LONGEST = 4096


@dataclass(frozen=True)
class Option:
    """A layer (or group) and the bytes that its DCF keys take beyond a circuit's correlations."""

    index: int
    bytes: int


def knapsack(gains: Sequence[float], sizes: Sequence[int], budget: int) -> frozenset[int]:
    """The items of greatest total gain whose sizes sum up to at most `budget`."""
    front: list[tuple[int, float, frozenset[int]]] = [(0, 0.0, frozenset())]
    for index, (gain, size) in enumerate(zip(gains, sizes, strict=True)):
        if gain <= 0 or size > budget:
            continue
        taken = [(used + size, value + gain, items | {index}) for used, value, items in front if used + size <= budget]
        merged: list[tuple[int, float, frozenset[int]]] = []
        for entry in sorted([*front, *taken], key=lambda entry: (entry[0], -entry[1])):
            if not merged or entry[1] > merged[-1][1]:
                merged.append(entry)
        if len(merged) > LONGEST:
            step = max(1, budget // LONGEST)
            best: dict[int, tuple[int, float, frozenset[int]]] = {}
            for entry in merged:
                best[entry[0] // step] = entry  # in rising order of gain: the last of a bin has the most
            merged = list(best.values())
        front = merged
    return max(front, key=lambda entry: entry[1])[2]


def fastest(options: Sequence[Option], seconds: Callable[[frozenset[int]], float], budget: int) -> frozenset[int]:
    """The options to take so that `seconds(taken)` is least and their bytes fit `budget`."""
    none: frozenset[int] = frozenset()
    base = seconds(none)
    groups = _groups(options, seconds, base)
    gains = [base - seconds(group) for group in groups]
    sizes = [sum(options[i].bytes for i in group) for group in groups]
    picked = knapsack(gains, sizes, budget)
    chosen = none.union(*(groups[i] for i in picked))
    return min((none, chosen), key=seconds)


def _groups(options: Sequence[Option], seconds: Callable[[frozenset[int]], float], base: float) -> list[frozenset[int]]:
    """Neighbours whose gains do not add up change together; in a chain every layer is its own group."""
    alone = [base - seconds(frozenset([option.index])) for option in options]
    groups: list[frozenset[int]] = []
    for option in options:
        if groups:
            last = max(groups[-1])
            pair = base - seconds(frozenset([last, option.index]))
            if abs(pair - alone[last] - alone[option.index]) > 1e-3 * max(abs(pair), 1e-6):
                groups[-1] |= {option.index}
                continue
        groups.append(frozenset([option.index]))
    return groups
