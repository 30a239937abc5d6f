import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moiety import ring

SIZES = [0, 1, 3, 7, 8, 15, 16, 17, 31, 33, 1000, 200_003]


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("threads", [1, 3])
def test_arithmetic(isa, draw, n, threads):
    a, b, c = draw(n), draw(n)[::-1], draw(n)
    np.testing.assert_array_equal(ring.add(a, b, threads), a + b)
    np.testing.assert_array_equal(ring.subtract(a, b, threads), a - b)
    np.testing.assert_array_equal(ring.multiply(a, b, threads), a * b)
    np.testing.assert_array_equal(ring.multiply_add(a, b, c, threads), a * b + c)
    np.testing.assert_array_equal(ring.negate(a, threads), np.zeros_like(a) - a)
    np.testing.assert_array_equal(ring.scale(a, -3, threads), np.zeros_like(a) - a * a.dtype.type(3))


@pytest.mark.parametrize("n", SIZES)
def test_shifts(isa, draw, dtype, n):
    a, width = draw(n), 8 * np.dtype(dtype).itemsize
    signed = a.view(np.int32 if width == 32 else np.int64)
    for bits in (0, 1, 13, width // 2, width - 1):
        np.testing.assert_array_equal(ring.shift_left(a, bits), a << dtype(bits))
        np.testing.assert_array_equal(ring.shift_right_logical(a, bits), a >> dtype(bits))
        np.testing.assert_array_equal(ring.shift_right_arithmetic(a, bits), (signed >> bits).view(dtype))


def test_shift_refuses(dtype):
    width = 8 * np.dtype(dtype).itemsize
    for bits in (-1, width):
        with pytest.raises(ValueError, match=f"expected 0 <= bits < {width}, got {bits}"):
            ring.shift_left(np.ones(3, dtype), bits)


def test_broadcasting(draw):
    a, b = draw(4, 1, 5), draw(3, 1)
    np.testing.assert_array_equal(ring.add(a, b), a + b)
    assert ring.add(draw(), draw()).shape == ()
    with pytest.raises(ValueError, match=r"broadcast together, got \(4, 1, 5\), \(3, 2\)"):
        ring.add(a, draw(3, 2))


@pytest.mark.parametrize("shape", [(5,), (4, 6), (3, 0, 2), (3, 50, 7), (2, 3, 4, 5)], ids=str)
def test_sum(draw, dtype, shape):
    x = draw(*shape)
    for axis in range(-len(shape), len(shape)):
        np.testing.assert_array_equal(ring.sum(x, axis), x.sum(axis, dtype=dtype))
    with pytest.raises(ValueError, match="expected an axis"):
        ring.sum(x, len(shape))


elements = st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=40)


@settings(max_examples=60, deadline=None)
@given(elements, elements, elements, st.sampled_from([np.uint32, np.uint64]))
def test_ring_axioms(x, y, z, dtype):
    n = min(len(x), len(y), len(z))
    a, b, c = (np.array(v[:n], np.uint64).astype(dtype) for v in (x, y, z))
    product = ring.multiply
    np.testing.assert_array_equal(product(a, product(b, c)), product(product(a, b), c))
    np.testing.assert_array_equal(product(a, ring.add(b, c)), ring.multiply_add(a, b, product(a, c)))
    np.testing.assert_array_equal(ring.add(a, ring.negate(a)), np.zeros_like(a))
    np.testing.assert_array_equal(ring.subtract(a, b), ring.add(a, ring.negate(b)))
