"""What a kernel does, in closed form: operations, depth and bytes as exact integers.

One class a kernel; the same kernels run under counters in csrc/graph/counted.*, whose header says what is counted, and
the tests hold both equal. For E edges, R rows of which R' have edges, F features (heads x width), a largest degree d,
elements of w bytes, indices of b, and lg x = ceil(log2 x):

| kernel | work | depth | loaded (no reuse) | stored |
|---|---|---|---|---|
| spmm, sum | [weights] E F + (E - R') F | [weights] + lg d | 8 (R + 1) + E (b + weights w + F w) | R F w |
| sddmm | E (2 F - heads) | 1 + lg width | 8 (R + 1) + R' F w + E (b + F w) | E heads w |
| edge softmax | heads (5 E - 2 R') | 2 lg d + 3 | 8 (R + 1) + E heads w | E heads w |
| gat | heads (7 E - 2 R') + 2 E F | 2 lg d + 7 | 8 (R + 1) + R' heads w + E (b + heads w + F w) | R F w |
| gemm n x k x m | n m (2 k - 1) [+ n m] | 1 + lg k [+ 1] | 2 n m k w [+ n m w] | n m w |

`compulsory` is the traffic when nothing is fetched twice: every distinct element read, and every result written, once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "FUNCTIONS",
    "Count",
    "EdgeSoftmax",
    "EdgeSoftmaxBackward",
    "Fold",
    "Function",
    "Gat",
    "GatBackward",
    "Gather",
    "Gemm",
    "Index",
    "Kernel",
    "Map",
    "Other",
    "Pattern",
    "Scatter",
    "Sddmm",
    "Spmm",
    "lg",
    "sizes_of",
]

POINTER = 8  # bytes of a row pointer
Integers = NDArray[np.int64]


def lg(x: int) -> int:
    """ceil(log2 x) for x >= 1: the depth of a balanced tree over x values. 0 for x = 0."""
    return max(0, int(x) - 1).bit_length()


@dataclass(frozen=True)
class Count:
    """Operations by kind, bytes, barriers and depth. Sums are of one kernel after another, with a barrier between."""

    edges: int = 0
    multiplies: int = 0
    adds: int = 0
    compares: int = 0
    specials: int = 0  # divisions, exp, log, sqrt, tanh, erf
    loaded: int = 0  # bytes without any reuse
    stored: int = 0
    barriers: int = 1
    depth: int = 0

    @property
    def work(self) -> int:
        """Arithmetic operations of any kind."""
        return self.multiplies + self.adds + self.compares + self.specials

    def __add__(self, other: Count) -> Count:
        return Count(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))


@dataclass(frozen=True, eq=False)
class Pattern:
    """Compressed rows, and what the counts need of them. `index_bytes` is what a column index takes."""

    indptr: Integers
    indices: Integers
    num_cols: int
    index_bytes: int = 4

    @property
    def rows(self) -> int:
        return len(self.indptr) - 1

    @property
    def edges(self) -> int:
        return len(self.indices)

    @cached_property
    def degrees(self) -> Integers:
        return np.diff(self.indptr)

    @cached_property
    def occupied(self) -> int:
        """Rows that have edges."""
        return int(np.count_nonzero(self.degrees))

    @cached_property
    def largest(self) -> int:
        return int(self.degrees.max(initial=0))

    @cached_property
    def uses(self) -> Integers:
        """How often each source that is used at all is used, most popular first."""
        counts = np.bincount(self.indices, minlength=1)
        return np.sort(counts[counts > 0])[::-1].astype(np.int64)

    @cached_property
    def transposed(self) -> tuple[Pattern, Integers]:
        """Rows by source, and the position here of every edge there."""
        position = np.argsort(self.indices, kind="stable")
        targets = np.repeat(np.arange(self.rows, dtype=np.int64), self.degrees)[position]
        indptr = np.concatenate([[0], np.cumsum(np.bincount(self.indices, minlength=self.num_cols))]).astype(np.int64)
        return Pattern(indptr, targets, self.rows, self.index_bytes), position

    @property
    def pointer_bytes(self) -> int:
        return POINTER * (self.rows + 1)


@dataclass(frozen=True, eq=False)
class Index:
    """Node numbers of a gather or scatter, in any order."""

    values: Integers
    nodes: int
    index_bytes: int = 8

    @property
    def edges(self) -> int:
        return len(self.values)

    @cached_property
    def uses(self) -> Integers:
        counts = np.bincount(self.values, minlength=1)
        return np.sort(counts[counts > 0])[::-1].astype(np.int64)

    @property
    def touched(self) -> int:
        return len(self.uses)


@dataclass(frozen=True)
class Kernel:
    """A kernel with its sizes; `word` is the bytes of an element."""

    name: ClassVar[str] = ""

    @property
    def count(self) -> Count:
        raise NotImplementedError

    @property
    def compulsory(self) -> int:
        """Bytes read and written when everything distinct moves once."""
        raise NotImplementedError

    @property
    def gathered(self) -> tuple[int, NDArray[np.int64] | None]:
        """Bytes of one row that indices lead to, and how often every distinct row is fetched (None: no such rows)."""
        return 0, None


def _reduction(reduce: str, terms: int, groups: int, width: int) -> dict[str, int]:
    """Operations that bring `terms` rows of `width` down to `groups` non-empty ones."""
    kind = "adds" if reduce in ("sum", "mean") else "compares"
    return {kind: (terms - groups) * width, "specials": groups * width if reduce == "mean" else 0}


@dataclass(frozen=True)
class Spmm(Kernel):
    """`each`: weights of an edge; 0 for none, 1, or one a head."""

    pattern: Pattern
    heads: int
    width: int
    each: int = 0
    reduce: str = "sum"
    word: int = 4
    name: ClassVar[str] = "spmm"

    @property
    def count(self) -> Count:
        p, features = self.pattern, self.heads * self.width
        reduced = _reduction(self.reduce, p.edges, p.occupied, features)
        depth = (self.each > 0) + lg(p.largest) + (self.reduce == "mean") if p.edges else 0
        return Count(
            edges=p.edges,
            multiplies=p.edges * features if self.each else 0,
            adds=reduced.get("adds", 0),
            compares=reduced.get("compares", 0),
            specials=reduced["specials"],
            loaded=p.pointer_bytes + p.edges * (p.index_bytes + (self.each + features) * self.word),
            stored=p.rows * features * self.word,
            depth=depth,
        )

    @property
    def compulsory(self) -> int:
        p, features = self.pattern, self.heads * self.width
        streamed = p.pointer_bytes + p.edges * (p.index_bytes + self.each * self.word)
        return streamed + (len(p.uses) + p.rows) * features * self.word

    @property
    def gathered(self) -> tuple[int, Integers]:
        return self.heads * self.width * self.word, self.pattern.uses


@dataclass(frozen=True)
class Sddmm(Kernel):
    pattern: Pattern
    heads: int
    width: int
    word: int = 4
    name: ClassVar[str] = "sddmm"

    @property
    def count(self) -> Count:
        p, features = self.pattern, self.heads * self.width
        return Count(
            edges=p.edges,
            multiplies=p.edges * features,
            adds=p.edges * (features - self.heads),
            loaded=p.pointer_bytes
            + p.occupied * features * self.word
            + p.edges * (p.index_bytes + features * self.word),
            stored=p.edges * self.heads * self.word,
            depth=1 + lg(self.width) if p.edges else 0,
        )

    @property
    def compulsory(self) -> int:
        p = self.pattern
        rows = (p.occupied + len(p.uses)) * self.heads * self.width * self.word
        return p.pointer_bytes + rows + p.edges * (p.index_bytes + self.heads * self.word)

    @property
    def gathered(self) -> tuple[int, Integers]:
        return self.heads * self.width * self.word, self.pattern.uses


@dataclass(frozen=True)
class EdgeSoftmax(Kernel):
    pattern: Pattern
    heads: int
    word: int = 4
    name: ClassVar[str] = "edge_softmax"

    @property
    def count(self) -> Count:
        p, heads = self.pattern, self.heads
        between = (p.edges - p.occupied) * heads
        return Count(
            edges=p.edges,
            adds=p.edges * heads + between,
            compares=between,
            specials=2 * p.edges * heads,
            loaded=p.pointer_bytes + p.edges * heads * self.word,
            stored=p.edges * heads * self.word,
            depth=2 * lg(p.largest) + 3 if p.edges else 0,
        )

    @property
    def compulsory(self) -> int:
        return self.pattern.pointer_bytes + 2 * self.pattern.edges * self.heads * self.word


@dataclass(frozen=True)
class EdgeSoftmaxBackward(Kernel):
    pattern: Pattern
    heads: int
    word: int = 4
    name: ClassVar[str] = "edge_softmax_backward"

    @property
    def count(self) -> Count:
        p, scores = self.pattern, self.pattern.edges * self.heads
        return Count(
            edges=p.edges,
            multiplies=2 * scores,
            adds=scores + (p.edges - p.occupied) * self.heads,
            loaded=p.pointer_bytes + 2 * scores * self.word,
            stored=scores * self.word,
            depth=3 + lg(p.largest) if p.edges else 0,
        )

    @property
    def compulsory(self) -> int:
        return self.pattern.pointer_bytes + 3 * self.pattern.edges * self.heads * self.word


@dataclass(frozen=True)
class Gat(Kernel):
    """Scores, softmax and aggregation in one: nothing of the size of the edges is kept.

    keep: the logarithms, and the parts of y and of the coefficients from positive scores, which the gradient needs
    (csrc/graph/gat.hpp).
    """

    pattern: Pattern
    heads: int
    width: int
    keep: bool = False
    word: int = 4
    name: ClassVar[str] = "gat"

    @property
    def count(self) -> Count:
        p, heads, features = self.pattern, self.heads, self.heads * self.width
        between = p.edges - p.occupied
        # Score and leaky ReLU: 1 + 2; softmax without its division: lg d + 2 + the sum; one division at the end. The
        # products of the numerator add a level beside the denominator's sum.
        depth = 3 + lg(p.largest) + 2 + (1 + lg(p.largest)) + 1 if p.edges else 0
        kept = self.keep
        return Count(
            edges=p.edges,
            multiplies=p.edges * (heads + features + kept * features),
            adds=2 * p.edges * heads
            + between * (heads + features)
            + kept * (between * (heads + features) + p.occupied * heads),
            compares=p.edges * heads + between * heads + kept * p.edges * heads,
            specials=p.edges * heads + p.occupied * features + kept * p.occupied * (features + 2 * heads),
            loaded=p.pointer_bytes
            + p.occupied * heads * self.word
            + p.edges * (p.index_bytes + (heads + features) * self.word),
            stored=p.rows * (features + kept * (features + 2 * heads)) * self.word,
            depth=depth,
        )

    @property
    def compulsory(self) -> int:
        p, features = self.pattern, self.heads * self.width
        read = (len(p.uses) + p.occupied) * self.heads + len(p.uses) * features
        return p.pointer_bytes + p.edges * p.index_bytes + read * self.word + self.count.stored

    @property
    def gathered(self) -> tuple[int, Integers]:
        return (1 + self.width) * self.heads * self.word, self.pattern.uses


@dataclass(frozen=True)
class GatBackward(Kernel):
    """Gradients of attention in a pass over targets and one over edges by source; `pattern` is the transpose."""

    pattern: Pattern
    heads: int
    width: int
    word: int = 4
    name: ClassVar[str] = "gat_backward"

    @property
    def count(self) -> Count:
        p, heads, features, targets = self.pattern, self.heads, self.heads * self.width, self.pattern.num_cols
        between = p.edges - p.occupied
        levels = lg(self.width)
        return Count(
            edges=p.edges,
            multiplies=targets * 2 * (features + heads) + p.edges * (3 * heads + 2 * features),
            adds=targets * (2 * features - heads) + p.edges * (2 * heads + features) + between * (features + heads),
            compares=2 * p.edges * heads,
            specials=p.edges * heads,
            loaded=p.pointer_bytes
            + p.edges * p.index_bytes
            + (targets * (3 * features + heads) + (p.edges + p.occupied) * features) * self.word
            + (3 * p.edges + p.occupied) * heads * self.word,
            stored=(2 * targets * heads + p.rows * (features + heads)) * self.word,
            barriers=2,
            depth=max(
                max(7, 4 + levels) + lg(p.largest) if p.edges else 0,
                4 + levels if targets else 0,
            ),
        )

    @property
    def compulsory(self) -> int:
        p, features = self.pattern, self.heads * self.width
        nodes = p.num_cols * (3 * features + 3 * self.heads) + p.occupied * (features + self.heads)
        return p.pointer_bytes + p.edges * p.index_bytes + nodes * self.word + self.count.stored

    @property
    def gathered(self) -> tuple[int, Integers]:
        return (3 + self.width) * self.heads * self.word, self.pattern.uses


@dataclass(frozen=True)
class Gather(Kernel):
    index: Index
    width: int
    word: int = 4
    name: ClassVar[str] = "gather"

    @property
    def count(self) -> Count:
        row = self.width * self.word
        return Count(
            edges=self.index.edges,
            loaded=self.index.edges * (self.index.index_bytes + row),
            stored=self.index.edges * row,
        )

    @property
    def compulsory(self) -> int:
        i = self.index
        return i.edges * i.index_bytes + (i.touched + i.edges) * self.width * self.word

    @property
    def gathered(self) -> tuple[int, Integers]:
        return self.width * self.word, self.index.uses


@dataclass(frozen=True)
class Scatter(Kernel):
    """y[index_e] takes x_e in; a row that is named is written once, and read if it counts `itself`."""

    index: Index
    width: int
    reduce: str = "sum"
    itself: bool = True
    word: int = 4
    name: ClassVar[str] = "scatter"

    @property
    def count(self) -> Count:
        i, row = self.index, self.width * self.word
        terms = (int(i.uses[0]) if i.edges else 0) + self.itself
        kind = "adds" if self.reduce == "sum" else "compares"
        return Count(
            edges=i.edges,
            **{kind: (i.edges - (0 if self.itself else i.touched)) * self.width},
            loaded=i.edges * (i.index_bytes + row) + self.itself * i.touched * row,
            stored=i.touched * row,
            depth=lg(terms) if i.edges and self.width else 0,
        )

    @property
    def compulsory(self) -> int:
        return self.count.loaded + self.count.stored

    @property
    def gathered(self) -> tuple[int, Integers]:
        return self.width * self.word, self.index.uses


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
        reduced = _reduction(self.function, size, lines, 1)
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


def sizes_of(kernel: Kernel) -> dict[str, Any]:
    """The sizes of a kernel as plain numbers, for tables and JSON."""
    plain: dict[str, Any] = {}
    for f in fields(kernel):
        value = getattr(kernel, f.name)
        if isinstance(value, Pattern):
            plain |= {"rows": value.rows, "columns": value.num_cols, "edges": value.edges}
        elif isinstance(value, Index):
            plain |= {"nodes": value.nodes, "edges": value.edges}
        else:
            plain[f.name] = list(value) if isinstance(value, tuple) else value
    return plain
