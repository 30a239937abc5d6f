"""Bit planes and packed bytes against numpy, every instruction set and ragged tail."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moiety._core import crypto

Levels = Callable[[], list[AbstractContextManager[str]]]


def expected_planes(x: np.ndarray, first: int, count: int, stride: int) -> np.ndarray:
    planes = np.zeros((count, stride), np.uint64)
    for j in range(count):
        bits = (x >> x.dtype.type(first + j) & x.dtype.type(1)).astype(np.uint8)
        words = np.frombuffer(np.packbits(np.pad(bits, (0, -len(bits) % 64)), bitorder="little"), np.uint64)
        planes[j, : len(words)] = words
    return planes


@settings(deadline=None, max_examples=150)
@given(data=st.data(), dtype=st.sampled_from([np.uint32, np.uint64]), n=st.integers(0, 1500))
def test_planes_and_back(every_isa: Levels, data: st.DataObject, dtype: Any, n: int) -> None:
    width = 8 * np.dtype(dtype).itemsize
    first = data.draw(st.integers(0, width))
    count = data.draw(st.integers(0, width - first))
    stride = (n + 63) // 64 + data.draw(st.integers(0, 2))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    x = rng.integers(0, 2**width, n, dtype, endpoint=False)
    for level in every_isa():
        with level:
            planes = np.zeros((count, stride), np.uint64)
            crypto.to_planes(x, first, planes)
            np.testing.assert_array_equal(planes, expected_planes(x, first, count, stride))
            back = np.empty_like(x)
            crypto.from_planes(planes, back)
            wide = x.astype(object) >> first & (1 << count) - 1
            np.testing.assert_array_equal(back, wide.astype(dtype))


@pytest.mark.parametrize("dtype", [np.uint32, np.uint64])
def test_no_planes_above_the_last_bit(every_isa: Levels, dtype: Any) -> None:
    for level in every_isa():
        with level:
            crypto.to_planes(np.ones(65, dtype), 8 * np.dtype(dtype).itemsize, np.zeros((0, 2), np.uint64))


@settings(deadline=None, max_examples=150)
@given(data=st.data(), dtype=st.sampled_from([np.uint32, np.uint64]), n=st.integers(0, 400))
def test_pack_and_back(every_isa: Levels, data: st.DataObject, dtype: Any, n: int) -> None:
    size = np.dtype(dtype).itemsize
    kept = data.draw(st.integers(1, size))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    x = rng.integers(0, 2 ** (8 * size), n, dtype, endpoint=False)
    want = x.view(np.uint8).reshape(n, size)[:, :kept]
    for level in every_isa():
        with level:
            packed = np.zeros(n * kept, np.uint8)
            crypto.pack(x, kept, packed)
            np.testing.assert_array_equal(packed.reshape(n, kept), want)
            back = np.empty_like(x)
            crypto.unpack(packed, kept, back)
            np.testing.assert_array_equal(back, x & dtype(2 ** (8 * kept) - 1))


def test_refuses_what_does_not_fit() -> None:
    x = np.zeros(65, np.uint32)
    with pytest.raises(ValueError, match="at least 2 words"):
        crypto.to_planes(x, 0, np.zeros((3, 1), np.uint64))
    with pytest.raises(ValueError, match=r"bits within \[0, 32\)"):
        crypto.to_planes(x, 30, np.zeros((3, 2), np.uint64))
    with pytest.raises(ValueError, match="1 to 4 bytes"):
        crypto.pack(x, 5, np.zeros(65 * 5, np.uint8))
    with pytest.raises(ValueError, match="195 bytes, got 7"):
        crypto.unpack(np.zeros(7, np.uint8), 3, x)
