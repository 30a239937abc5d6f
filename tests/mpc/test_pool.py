"""Max pooling and argmax against torch, with values whose differences are the largest that the certificate allows."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from moiety._core import mpc
from mpc.formulas import comparison, dealt_comparison, halvings, pool_comparisons, total
from mpc.two_parties import Array, run_protocol, share, signed

KINDS = ["circuit", "dcf"]


class Axis(NamedTuple):
    length: int
    kernel: int
    stride: int
    padding: int
    dilation: int
    out: int


def axis(
    length: int, kernel: int, stride: int = 1, padding: int = 0, dilation: int = 1, ceil_mode: bool = False
) -> Axis:
    span = length + 2 * padding - dilation * (kernel - 1) - 1
    out = -(-span // stride) + 1 if ceil_mode else span // stride + 1
    if ceil_mode and (out - 1) * stride >= length + padding:
        out -= 1  # torch: every window starts inside the input or its left padding
    return Axis(length, kernel, stride, padding, dilation, out)


def pool(values: Array, outer: int, axes: list[Axis]) -> Array:
    """Maximum over each axis in turn; what is padded is left out."""
    x = values.reshape(outer, *(a.length for a in axes))
    for i, a in enumerate(axes, start=1):
        rows = []
        for o in range(a.out):
            taps = [o * a.stride - a.padding + j * a.dilation for j in range(a.kernel)]
            rows.append(x.take([t for t in taps if 0 <= t < a.length], axis=i).max(axis=i))
        x = np.stack(rows, axis=i)
    return x.reshape(-1)


def torch_pool(values: Array, outer: int, axes: list[Axis], ceil_mode: bool) -> Array:
    x = torch.from_numpy(values.reshape(1, outer, *(a.length for a in axes)).astype(np.float64))
    f = {1: torch.nn.functional.max_pool1d, 2: torch.nn.functional.max_pool2d, 3: torch.nn.functional.max_pool3d}[
        len(axes)
    ]
    names = ("kernel", "stride", "padding", "dilation")
    y = f(x, *(tuple(getattr(a, name) for a in axes) for name in names), ceil_mode=ceil_mode)
    return y.numpy().astype(np.int64).reshape(-1)


def pool_specs(kind: str, outer: int, axes: list[Axis], bits: int) -> list[dict[str, Any]]:
    counts = pool_comparisons(outer, axes)
    return [{"kind": kind, "n": n, "bits": bits, "operands": [bits], "self_operand": True} for n in counts]


def check_pool(kind: str, ring: int, bits: int, values: Array, outer: int, axes: list[Axis]) -> None:
    """Values of bits - 1 bits, compared with `bits`."""
    rng = np.random.default_rng(1)
    specs = pool_specs(kind, outer, axes, bits)
    run = run_protocol("maxpool", ring, specs, [share(rng, values, ring, bits=bits)], outer, axes)
    np.testing.assert_array_equal(signed(run.total, bits), pool(values, outer, axes))
    cost = total([comparison(kind, spec["n"], bits, [bits]) for spec in specs])
    assert run.payload == (cost.server, cost.client)
    assert run.rounds == cost.rounds
    dealt = [dealt_comparison(kind, spec["n"], bits, [bits]) for spec in specs]
    assert run.dealt == (sum(d[0] for d in dealt), sum(d[1] for d in dealt))


CASES = {
    "2x2": [axis(6, 2, 2), axis(8, 2, 2)],
    "3x3 stride 2 padding 1": [axis(9, 3, 2, 1), axis(7, 3, 2, 1)],
    "overlapping 5": [axis(11, 5, 1, 2)],
    "dilated": [axis(9, 3, 1, 1, 2), axis(8, 2, 2, 0, 3)],
    "ceil": [axis(7, 2, 2, 0, 1, True), axis(8, 3, 2, 1, 1, True)],
    "3-D": [axis(4, 2, 2), axis(5, 3, 1, 1), axis(6, 2, 2)],
    "3-D ceil dilated": [axis(5, 2, 2, 1, 1, True), axis(6, 3, 2, 1, 2, True), axis(4, 2, 1, 0, 1, True)],
    "whole": [axis(7, 7), axis(7, 7)],
    "one": [axis(3, 1)],
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ring", [32, 64])
@pytest.mark.parametrize("case", CASES)
def test_maxpool(case: str, ring: int, kind: str) -> None:
    axes = CASES[case]
    outer, bits = 3, 21
    limit = (1 << (bits - 2)) - 1
    rng = np.random.default_rng(2)
    n = outer * int(np.prod([a.length for a in axes]))
    values = rng.integers(-limit, limit, size=n, dtype=np.int64, endpoint=True)
    values[rng.random(n) < 0.2] = 0  # ties
    ceil_mode = "ceil" in case
    np.testing.assert_array_equal(pool(values, outer, axes), torch_pool(values, outer, axes, ceil_mode))
    assert mpc.pool_comparisons(outer, axes) == pool_comparisons(outer, axes)
    check_pool(kind, ring, bits, values, outer, axes)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ring", [32, 64])
def test_maxpool_of_extreme_differences(ring: int, kind: str) -> None:
    """Values at both ends of k - 1 bits: their differences fill all k compared bits."""
    rng = np.random.default_rng(3)
    for bits in (3, 4, 8, 22, ring - 1, ring):
        limit = (1 << (bits - 2)) - 1
        values = rng.choice(np.array([limit, -limit, limit - 1, 1 - limit, 0, 1, -1], np.int64), size=2 * 6 * 6)
        check_pool(kind, ring, bits, np.clip(values, -limit, limit), 2, [axis(6, 3, 2, 1), axis(6, 2, 2)])


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_maxpool_of_any_shape(data: st.DataObject) -> None:
    axes = []
    for _ in range(data.draw(st.integers(1, 3))):
        kernel, dilation = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 2))
        padding = data.draw(st.integers(0, kernel // 2))
        span = dilation * (kernel - 1) + 1
        length = data.draw(st.integers(max(1, span - 2 * padding), span + 4))
        made = axis(length, kernel, data.draw(st.integers(1, 3)), padding, dilation, data.draw(st.booleans()))
        taps = [[o * made.stride - padding + j * dilation for j in range(kernel)] for o in range(made.out)]
        if not all(any(0 <= t < length for t in tap) for tap in taps):
            made = axis(length, 1)  # a window that lies in the padding altogether is refused by torch as well
        axes.append(made)
    outer = data.draw(st.integers(1, 3))
    n = outer * int(np.prod([a.length for a in axes]))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    check_pool("circuit", 64, 10, rng.integers(-255, 256, size=n, dtype=np.int64), outer, axes)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ring", [32, 64])
def test_argmax_takes_the_first_of_equal_values(ring: int, kind: str) -> None:
    rng = np.random.default_rng(4)
    for bits, index_bits, batch, classes in (
        (6, 3, 40, 5),
        (20, 8, 7, 10),
        (ring, 10, 2, 100),
        (12, 7, 65, 2),
        (9, 4, 3, 16),
    ):
        limit = min((1 << (bits - 2)) - 1, 3)
        values = rng.integers(-limit, limit, size=(batch, classes), dtype=np.int64, endpoint=True)
        values[0] = 0
        values[-1, [0, classes - 1]] = (1 << (bits - 2)) - 1
        counts = [n * batch for n in halvings([list(range(classes))])]
        assert mpc.argmax_comparisons(batch, classes) == counts
        operands = [bits, index_bits]
        specs = [{"kind": kind, "n": n, "bits": bits, "operands": operands, "self_operand": True} for n in counts]
        run = run_protocol("argmax", ring, specs, [share(rng, values, ring, bits=bits)], batch, classes)
        index = run.total & run.total.dtype.type((1 << index_bits) - 1)
        np.testing.assert_array_equal(index, values.argmax(axis=1))
        cost = total([comparison(kind, n, bits, operands) for n in counts])
        assert run.payload == (cost.server, cost.client)
        assert run.rounds == cost.rounds == (classes - 1).bit_length() * comparison(kind, 1, bits, operands).rounds


def test_argmax_of_one_class_needs_no_message() -> None:
    run = run_protocol("argmax", 64, [], [share(np.random.default_rng(5), np.arange(4), 64)], 4, 1)
    np.testing.assert_array_equal(run.total, 0)
    assert run.rounds == 0


def test_windows_outside_the_input_are_refused() -> None:
    with pytest.raises(ValueError, match="window 1 lies outside"):
        mpc.pool_comparisons(1, [(3, 2, 4, 0, 1, 2)])
    with pytest.raises(ValueError, match="one to three axes"):
        mpc.pool_comparisons(1, [(3, 2, 1, 0, 1, 2)] * 4)
