from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

# Features are nodes x heads x width. Sizes: bytes of an element and of an index. A kernel returns its result and what
# was counted (csrc/graph/counted.hpp): edges, multiplies, adds, compares, specials, loaded, stored, barriers, depth.
Reals = NDArray[np.float64]
Integers = NDArray[np.int64]
Sizes = tuple[int, int]
Result = tuple[Reals, dict[str, int]]

def functions() -> list[str]: ...
def spmm(sizes: Sizes, row_start: Integers, column: Integers, weights: Reals, x: Reals, reduce: str) -> Result: ...
def sddmm(sizes: Sizes, row_start: Integers, column: Integers, x: Reals, y: Reals) -> Result: ...
def edge_softmax(sizes: Sizes, row_start: Integers, column: Integers, columns: int, scores: Reals) -> Result: ...
def edge_softmax_backward(
    sizes: Sizes, row_start: Integers, column: Integers, columns: int, alpha: Reals, dalpha: Reals
) -> Result: ...
def gat(
    sizes: Sizes,
    row_start: Integers,
    column: Integers,
    x: Reals,
    source: Reals,
    target: Reals,
    slope: float,
    keep: bool,
) -> tuple[list[Reals], dict[str, int]]: ...
def gat_backward(
    sizes: Sizes,
    row_start: Integers,
    column: Integers,
    x: Reals,
    source: Reals,
    target: Reals,
    slope: float,
    y: Reals,
    saved: Sequence[Reals],
    dy: Reals,
) -> tuple[list[Reals], dict[str, int]]: ...
def gather(sizes: Sizes, index: Integers, x: Reals) -> Result: ...
def scatter(sizes: Sizes, index: Integers, x: Reals, into: Reals, reduce: str, itself: bool) -> Result: ...
def gemm(sizes: Sizes, a: Reals, b: Reals, bias: Reals) -> Result: ...
def map(sizes: Sizes, function: str, x: Sequence[Reals], scalars: Sequence[float], size: int) -> Result: ...
def fold(sizes: Sizes, function: str, x: Reals) -> Result: ...
