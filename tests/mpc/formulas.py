"""Bytes and rounds of every protocol, written down from docs/engine.md, section 3, and from no code."""

from __future__ import annotations

from typing import Any, NamedTuple


class Cost(NamedTuple):
    """Payload bytes that each party sends, and hops."""

    server: int
    client: int
    rounds: int


def plane(n: int) -> int:
    """Bytes of one bit for each of n elements: whole 64-bit words."""
    return 8 * -(-n // 64)


def packed(bits: int) -> int:
    return -(-bits // 8)


class Prefix(NamedTuple):
    """Planes that each party opens after the masked inputs, by level, and planes of shared products."""

    opened: list[int]
    products: int


def subsets_of_two(size: int) -> int:
    return 2**size - 1 - size


def prefix(k: int) -> Prefix:
    """Radix-4 nodes over k - 1 positions: G of every node, P of every node but the lowest of a level."""
    width = k - 1
    opened: list[int] = []
    products = 0
    while not opened or width > 1:
        groups = [min(4, width - i) for i in range(0, width, 4)]
        # Above the leaves a group of one has nothing to combine.
        nodes = [(radix, i > 0) for i, radix in enumerate(groups) if radix > 1 or not opened]
        for radix, with_p in nodes:
            if not opened:
                products += 3 * (2**radix - 1) - 2 * radix
            else:
                products += subsets_of_two(radix) + subsets_of_two(radix if with_p else radix - 1)
        opened.append(sum(1 + with_p for _, with_p in nodes))
        width = len(groups)
    return Prefix(opened, products)


def comparison(kind: str, n: int, k: int, operands: list[int], self_operand: bool = True) -> Cost:
    if kind == "circuit":
        opened = prefix(k).opened
        each = plane(n) * (k - 1 + sum(opened)) + n * sum(map(packed, operands))
        return Cost(each, each, 1 + len(opened))
    others = operands[1:] if self_operand else operands
    each = n * (packed(k) + sum(map(packed, others))) + plane(n)
    return Cost(each, each, 2)


def dcf_key(bits: int) -> int:
    """Corrections of a comparison of `bits` bits: 7 of them at once in the last block."""
    levels = max(0, bits - 7)
    return 16 * (levels + 1) + packed(3 * levels)


def dealt_comparison(kind: str, n: int, k: int, operands: list[int], indicator_bits: int = 0) -> tuple[int, int]:
    """Bytes from the dealer to the server and to the client."""
    select = n * (packed(max([indicator_bits, *operands])) + sum(map(packed, operands)))
    if kind == "circuit":
        return 0, plane(n) * prefix(k).products + select
    return n * dcf_key(k - 1), n * dcf_key(k - 1) + plane(n) + select


def windows(length: int, kernel: int, stride: int, padding: int, dilation: int, out: int) -> list[list[int]]:
    starts = [o * stride - padding for o in range(out)]
    taps = [[s + j * dilation for j in range(kernel)] for s in starts]
    return [[i for i in tap if 0 <= i < length] for tap in taps]


def halvings(all_windows: list[list[int]]) -> list[int]:
    """Different pairs that meet at each level when every window is halved until one entry is left."""
    # An entry is named by the pairs below it: equal pairs of two windows have one name.
    rounds = []
    current: list[list[Any]] = [list(window) for window in all_windows]
    while any(len(window) > 1 for window in current):
        rounds.append(len({(w[i], w[i + 1]) for w in current for i in range(0, len(w) - 1, 2)}))
        current = [[(w[i], w[i + 1]) for i in range(0, len(w) - 1, 2)] + w[len(w) // 2 * 2 :] for w in current]
    return rounds


def pool_comparisons(outer: int, axes: list[tuple[int, int, int, int, int, int]]) -> list[int]:
    """Elements compared in each level of each axis, the last axis first."""
    counts = []
    lengths = [axis[0] for axis in axes]
    for a in reversed(range(len(axes))):
        rows = outer
        for b, length in enumerate(lengths):
            rows *= length if b != a else 1
        counts += [pairs * rows for pairs in halvings(windows(*axes[a]))]
        lengths[a] = axes[a][5]
    return counts


def total(costs: list[Cost]) -> Cost:
    return Cost(sum(c.server for c in costs), sum(c.client for c in costs), sum(c.rounds for c in costs))
