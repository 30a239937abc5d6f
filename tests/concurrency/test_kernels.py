"""Closed forms of kernels against counters, the counters' results against NumPy, depth against an explicit graph."""

from __future__ import annotations

import numpy as np
import pytest
from concurrency_helpers import Operations, patterns, random_pattern
from hypothesis import given, settings
from hypothesis import strategies as st

from moiety._core import graph_counted
from moiety.cost.concurrency.counted import run
from moiety.cost.concurrency.kernels import (
    FUNCTIONS,
    EdgeSoftmax,
    EdgeSoftmaxBackward,
    Fold,
    Gat,
    Gather,
    Gemm,
    Index,
    Map,
    Scatter,
    Sddmm,
    Spmm,
    lg,
)

WIDTHS = st.tuples(st.integers(1, 3), st.integers(1, 5))
REDUCTIONS = ("sum", "mean", "max", "min")


def values(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).normal(size=shape)


def by_rows(pattern, x, reduce):
    """NumPy's answer: rows of x (edges, ...) brought down."""
    call = {"sum": np.sum, "mean": np.mean, "max": np.max, "min": np.min}[reduce]
    rows = [x[a:b] for a, b in zip(pattern.indptr, pattern.indptr[1:], strict=False)]
    return np.stack([call(r, axis=0) if len(r) else np.zeros(x.shape[1:]) for r in rows])


@given(
    patterns(),
    WIDTHS,
    st.sampled_from(REDUCTIONS),
    st.sampled_from(("none", "edge", "head")),
    st.sampled_from((2, 4, 8)),
)
@settings(max_examples=60, deadline=None)
def test_spmm(pattern, sizes, reduce, weighted, word) -> None:
    heads, width = sizes
    each = {"none": 0, "edge": 1, "head": heads}[weighted]
    kernel = Spmm(pattern, heads, width, each, reduce, word)
    x, w = values(pattern.num_cols, heads, width), values(pattern.edges, max(each, 1))
    y, count = run(kernel, x, w if each else w[:0])
    assert count == kernel.count
    terms = x[pattern.indices] * (w[:, :, None] if each else 1)
    assert np.allclose(y, by_rows(pattern, terms, reduce))
    assert kernel.compulsory <= count.loaded + count.stored


@given(patterns(), WIDTHS)
@settings(max_examples=40, deadline=None)
def test_sddmm_softmax_and_gat(pattern, sizes) -> None:
    heads, width = sizes
    x, y = values(pattern.rows, heads, width), values(pattern.num_cols, heads, width)
    rows = np.repeat(np.arange(pattern.rows), pattern.degrees)
    z, count = run(kernel := Sddmm(pattern, heads, width), x, y)
    assert count == kernel.count
    assert np.allclose(z, (x[rows] * y[pattern.indices]).sum(-1))

    alpha, count = run(kernel := EdgeSoftmax(pattern, heads), z)
    assert count == kernel.count
    power = np.exp(z - by_rows(pattern, z, "max")[rows])
    expected = power / by_rows(pattern, power, "sum")[rows]
    assert np.allclose(alpha, expected)

    source, target = values(pattern.num_cols, heads), values(pattern.rows, heads)
    got, count = run(kernel := Gat(pattern, heads, width), y, source, target, scalars=(0.2,))
    assert count == kernel.count
    score = source[pattern.indices] + target[rows]
    alpha, _ = run(EdgeSoftmax(pattern, heads), np.where(score > 0, score, 0.2 * score))
    expected = by_rows(pattern, alpha[:, :, None] * y[pattern.indices], "sum")
    assert np.allclose(got.reshape(expected.shape), expected)

    back, count = run(kernel := EdgeSoftmaxBackward(pattern, heads), alpha, z)
    assert count == kernel.count
    assert np.allclose(back, alpha * (z - by_rows(pattern, alpha * z, "sum")[rows]))


@given(patterns(), st.integers(1, 6), st.sampled_from(REDUCTIONS))
@settings(max_examples=30, deadline=None)
def test_gather_and_scatter(pattern, width, reduce) -> None:
    x, nodes = values(pattern.num_cols, width), pattern.num_cols
    index = Index(pattern.indices, nodes)
    edges, count = run(kernel := Gather(index, width), x)
    assert count == kernel.count
    assert np.array_equal(edges[:, 0], x[pattern.indices])

    if reduce != "mean":
        into = values(nodes, width)
        at = {"sum": np.add, "max": np.maximum, "min": np.minimum}[reduce].at
        for itself in (True, False):
            got, count = run(kernel := Scatter(index, width, reduce, itself), edges, into)
            assert count == kernel.count
            expected = into.copy()
            if not itself:
                expected[pattern.indices] = {"sum": 0, "max": -np.inf, "min": np.inf}[reduce]
            at(expected, pattern.indices, edges[:, 0])
            assert np.allclose(got[:, 0], expected)


@given(st.tuples(*[st.integers(1, 7)] * 4), st.booleans())
@settings(max_examples=30, deadline=None)
def test_gemm_and_folds(sizes, bias) -> None:
    batch, n, k, m = sizes
    a, b, c = values(batch, n, k), values(batch, k, m), values(m)
    y, count = run(kernel := Gemm(n, k, m, bias, batch), a, b, *([c] if bias else []))
    assert count == kernel.count
    assert np.allclose(y, a @ b + (c if bias else 0))
    for name in (*REDUCTIONS, "softmax", "log_softmax"):
        z, count = run(kernel := Fold(name, batch, n, k), a)
        assert count == kernel.count
        e = np.exp(a - a.max(1, keepdims=True))
        soft = e / e.sum(1, keepdims=True)
        wide = {"softmax": soft, "log_softmax": np.log(soft)}
        assert np.allclose(z, wide[name] if name in wide else getattr(np, name)(a, axis=1, keepdims=True))


def test_every_function_of_elements() -> None:
    """The table of operations is the core's own, by name and by count, on elements of either sign."""
    assert set(graph_counted.functions()) == set(FUNCTIONS)
    x = np.array([-1.5, -0.25, 0.5, 2.0, 3.0])
    for name, function in FUNCTIONS.items():
        takes_one = ("fill", "add_scaled", "power", "lerp", "leaky_relu", "elu", "leaky_relu_backward", "elu_backward")
        scalars = (3.0,) if name in takes_one or name.endswith(("_scalar", "_from")) else ()
        kernel = Map(name, 5, (5,) * function.operands)
        y, count = run(
            kernel, *[abs(x) if name in ("log", "sqrt", "rsqrt") else x] * function.operands, scalars=scalars
        )
        assert count == kernel.count, name
        assert np.isfinite(y).all(), name


def spmm_operations(rows: list[int], o: Operations, weighted: bool, reduce: str) -> None:
    for degree in rows:
        for _ in range(2):  # features
            leaves = [o(o.input()) if weighted else o.input() for _ in range(degree)]
            if leaves:
                root = o.tree(leaves)
                if reduce == "mean":
                    o(root)


def softmax_operations(o: Operations, scores: list[int]) -> tuple[list[int], int]:
    """Exponentials and their sum."""
    top = o.tree(scores)
    powers = [o(o(score, top)) for score in scores]
    return powers, o.tree(powers)


def gat_operations(rows: list[int], o: Operations) -> None:
    for degree in rows:
        scores = []
        for _ in range(degree):
            z = o(o.input(), o.input())
            scores.append(o(z, o(z)))  # the larger one of z and its multiple
        if scores:
            powers, total = softmax_operations(o, scores)
            for _ in range(2):  # features
                o(o.tree([o(power, o.input()) for power in powers]), total)


@pytest.mark.parametrize("nodes", [1, 17, 90, 200])
def test_depth_is_the_longest_path_of_the_explicit_operation_graph(nodes: int) -> None:
    pattern = random_pattern(nodes, nodes, 0.08, seed=nodes)
    rows = pattern.degrees.tolist()
    kernels = []
    for weighted in (False, True):
        for reduce in REDUCTIONS:
            o = Operations()
            spmm_operations(rows, o, weighted, reduce)
            kernels.append((Spmm(pattern, 1, 2, int(weighted), reduce), o))
    o = Operations()
    for degree in rows:
        for _ in range(degree):
            o.tree([o(o.input(), o.input()) for _ in range(5)])
    kernels.append((Sddmm(pattern, 1, 5), o))
    o = Operations()
    for degree in filter(None, rows):
        powers, total = softmax_operations(o, [o.input() for _ in range(degree)])
        for power in powers:
            o(power, total)
    kernels.append((EdgeSoftmax(pattern, 1), o))
    o = Operations()
    gat_operations(rows, o)
    kernels.append((Gat(pattern, 1, 2), o))
    o = Operations()
    for _ in range(nodes * 3):
        o.tree([o(o.input(), o.input()) for _ in range(7)])
    kernels.append((Gemm(nodes, 7, 3), o))
    for kernel, o in kernels:
        assert o.depth == kernel.count.depth, kernel.name
        assert o.work == kernel.count.work, kernel.name


def test_logarithms_are_exact() -> None:
    assert [lg(x) for x in (0, 1, 2, 3, 4, 5, 8, 9, 2**40, 2**40 + 1)] == [0, 0, 1, 2, 2, 3, 3, 4, 40, 41]


def test_operands_of_other_sizes_are_refused() -> None:
    pattern = random_pattern(4, 5, 0.5, seed=1)
    with pytest.raises(ValueError, match="expected"):
        run(Spmm(pattern, 1, 3), values(4, 3))
    with pytest.raises(ValueError, match="expected no weights"):
        run(Spmm(pattern, 1, 3, 1), values(5, 3), values(pattern.edges + 1))
