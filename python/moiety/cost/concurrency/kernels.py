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

from dataclasses import dataclass, fields
from typing import Any, ClassVar

from .base import Count, Index, Integers, Kernel, Pattern, lg, reduction
from .dense import FUNCTIONS, Fold, Function, Gemm, Map, Other

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
        reduced = reduction(self.reduce, p.edges, p.occupied, features)
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
