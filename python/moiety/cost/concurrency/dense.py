"""Kernels of dense tensors in closed form: products, functions of elements, folds along an axis (`kernels`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from .base import Count, Kernel, lg, reduction

__all__ = ["FUNCTIONS", "Fold", "Function", "Gemm", "Map", "Other"]


@dataclass(frozen=True)
class Gemm(Kernel):
    """`batch` products of n x k by k x m, each with or without a bias of m."""

    n: int
    k: int
    m: int
    bias: bool = False
    batch: int = 1
    word: int = 4
    name: ClassVar[str] = "gemm"

    @property
    def count(self) -> Count:
        results = self.batch * self.n * self.m
        return Count(
            multiplies=results * self.k,
            adds=results * (self.k - 1 + self.bias),
            loaded=results * (2 * self.k + self.bias) * self.word,
            stored=results * self.word,
            depth=1 + lg(self.k) + self.bias if results else 0,
        )

    @property
    def compulsory(self) -> int:
        n, k, m = self.n, self.k, self.m
        return (self.batch * (n * k + k * m + n * m) + self.bias * m) * self.word


@dataclass(frozen=True)
class Function:
    """Operations of one element of a map; `depth` is their longest chain."""

    operands: int
    multiplies: int = 0
    adds: int = 0
    compares: int = 0
    specials: int = 0
    depth: int = 1


FUNCTIONS = {
    "copy": Function(1, depth=0),
    "fill": Function(0, depth=0),
    "add": Function(2, adds=1),
    "add_scaled": Function(2, multiplies=1, adds=1, depth=2),
    "subtract": Function(2, adds=1),
    "multiply": Function(2, multiplies=1),
    "divide": Function(2, specials=1),
    "maximum": Function(2, compares=1),
    "minimum": Function(2, compares=1),
    "add_scalar": Function(1, adds=1),
    "multiply_scalar": Function(1, multiplies=1),
    "subtract_from": Function(1, adds=1),
    "divide_scalar": Function(1, specials=1),
    "maximum_scalar": Function(1, compares=1),
    "minimum_scalar": Function(1, compares=1),
    "power": Function(1, specials=1),
    "square": Function(1, multiplies=1),
    "negate": Function(1, multiplies=1),
    "absolute": Function(1, compares=1),
    "reciprocal": Function(1, specials=1),
    "exp": Function(1, specials=1),
    "log": Function(1, specials=1),
    "sqrt": Function(1, specials=1),
    "rsqrt": Function(1, specials=2, depth=2),
    "tanh": Function(1, specials=1),
    "sigmoid": Function(1, adds=1, specials=2, depth=3),
    "relu": Function(1, compares=1),
    "leaky_relu": Function(1, multiplies=1, compares=1),
    "elu": Function(1, multiplies=1, adds=1, compares=1, specials=1, depth=3),
    "silu": Function(1, multiplies=1, adds=1, specials=2, depth=4),
    "gelu": Function(1, multiplies=3, adds=1, specials=1, depth=4),
    "softplus": Function(1, adds=1, specials=2, depth=3),
    "lerp": Function(2, multiplies=1, adds=2, depth=3),
    "multiply_add": Function(3, multiplies=1, adds=1, depth=2),
    "leaky_relu_backward": Function(2, multiplies=1, compares=1),
    "elu_backward": Function(2, multiplies=2, compares=1, specials=1, depth=3),
    "select": Function(3, compares=1),
    "relu_backward": Function(2, compares=1),
    "sigmoid_backward": Function(2, multiplies=2, adds=1, depth=3),
    "tanh_backward": Function(2, multiplies=2, adds=1, depth=3),
}


@dataclass(frozen=True)
class Map(Kernel):
    """A function of elements. `distinct`: elements of every operand before it is broadcast to `size`."""

    function: str
    size: int
    distinct: Sequence[int] = field(default=())
    word: int = 4
    name: ClassVar[str] = "map"

    @property
    def count(self) -> Count:
        f, size = FUNCTIONS[self.function], self.size
        return Count(
            multiplies=f.multiplies * size,
            adds=f.adds * size,
            compares=f.compares * size,
            specials=f.specials * size,
            loaded=f.operands * size * self.word,
            stored=size * self.word,
            depth=f.depth if size else 0,
        )

    @property
    def compulsory(self) -> int:
        return (sum(self.distinct) + self.size) * self.word


@dataclass(frozen=True)
class Fold(Kernel):
    """Over the middle axis of outer x length x inner: a reduction, softmax or log_softmax."""

    function: str
    outer: int
    length: int
    inner: int
    word: int = 4
    name: ClassVar[str] = "fold"

    @property
    def count(self) -> Count:
        lines, size = self.outer * self.inner, self.outer * self.length * self.inner
        levels = lg(self.length)
        if self.function in ("softmax", "log_softmax"):
            logarithm = self.function == "log_softmax"
            return Count(
                adds=2 * size - lines + (size if logarithm else 0),
                compares=size - lines,
                specials=size + (lines if logarithm else size),
                loaded=size * self.word,
                stored=size * self.word,
                depth=2 * levels + 3 + logarithm if size else 0,
            )
        reduced = reduction(self.function, size, lines, 1)
        return Count(
            adds=reduced.get("adds", 0),
            compares=reduced.get("compares", 0),
            specials=reduced["specials"],
            loaded=size * self.word,
            stored=lines * self.word,
            depth=levels + (self.function == "mean") if size else 0,
        )

    @property
    def compulsory(self) -> int:
        return self.count.loaded + self.count.stored


@dataclass(frozen=True)
class Other(Kernel):
    """An operator without closed form here: counted as one operation an element of its result, and said to be so."""

    operator: str
    size: int
    read: int  # bytes of its operands
    word: int = 4
    name: ClassVar[str] = "other"

    @property
    def count(self) -> Count:
        return Count(specials=self.size, loaded=self.read, stored=self.size * self.word, depth=1 if self.size else 0)

    @property
    def compulsory(self) -> int:
        return self.read + self.size * self.word
