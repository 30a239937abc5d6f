import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moiety import ring


def test_negative_near_integers(isa):
    x = np.array([-3.99998, 3.99998, -4.0, -1e-5, 1e-5, -0.0])
    for bits in (32, 64):
        decoded = ring.decode(ring.encode(x, 16, ring=bits))
        assert np.abs(decoded - x).max() <= 2.0**-17


def test_ties_go_to_even(isa):
    x = np.array([0.5, 1.5, 2.5, -0.5, -1.5, -2.5])
    np.testing.assert_array_equal(ring.decode(ring.encode(x, 0), 0), [0, 2, 2, 0, -2, -2])


@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", [0, 1, 7, 8, 9, 100_003])
def test_matches_the_definition(isa, bits, dtype, n):
    x = np.random.default_rng(3).normal(0, 100, n).astype(dtype)
    encoded = ring.encode(x, 12, ring=bits, threads=3)
    signed = encoded.view(np.int32 if bits == 32 else np.int64)
    assert encoded.shape == x.shape
    np.testing.assert_array_equal(signed, np.rint(x.astype(np.float64) * 4096))
    np.testing.assert_array_equal(ring.decode(encoded, 12, threads=3), signed / 4096)


@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize("fraction_bits", [0, 16, 31])
def test_range(isa, bits, fraction_bits):
    limit = 2.0 ** (bits - 1 - fraction_bits)
    inside = np.array([-limit, np.nextafter(limit, 0) if bits == 64 else limit - 2.0**-fraction_bits])
    np.testing.assert_array_equal(ring.decode(ring.encode(inside, fraction_bits, bits), fraction_bits), inside)
    below = -limit - 2.0**-fraction_bits if bits == 32 else np.nextafter(-limit, -np.inf)
    for outside in (limit, below, 1e300, -1e300):
        x = np.zeros((3, 5))
        x[1, 2] = x[2, 2] = outside
        with pytest.raises(ValueError, match=r"expected values in \[-2\^.* at flat index 7$"):
            ring.encode(x, fraction_bits, bits)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("n", [1, 9, 100_000])
def test_refuses_what_is_not_finite(isa, value, n):
    for dtype in (np.float32, np.float64):
        x = np.zeros(n, dtype)
        x[n // 2 :] = value
        with pytest.raises(ValueError, match=f"expected finite values, got .* at flat index {n // 2}$"):
            ring.encode(x, threads=3)


def test_other_inputs():
    np.testing.assert_array_equal(ring.encode([[1, -1]], 4), np.array([[16, 2**64 - 16]], np.uint64))
    np.testing.assert_array_equal(ring.encode(np.array([True]), 1), np.array([2], np.uint64))
    assert ring.encode(2.5, 1).shape == ()
    assert ring.encode(np.ones((4, 6))[:, ::2]).shape == (4, 3)
    with pytest.raises(ValueError, match="float64 holds exactly"):
        ring.encode(np.array([2**53 + 1]), 0)
    with pytest.raises(TypeError, match="expected real numbers"):
        ring.encode(np.array([1j]))
    with pytest.raises(ValueError, match="expected ring 32 or 64, got 16"):
        ring.encode([1.0], ring=16)
    with pytest.raises(ValueError, match="0 <= fraction_bits < 32, got 32"):
        ring.encode([0.0], 32, ring=32)
    with pytest.raises(ValueError, match="0 <= fraction_bits < 64, got -1"):
        ring.decode(np.zeros(1, np.uint64), -1)
    with pytest.raises(TypeError, match="uint32 or uint64"):
        ring.decode(np.zeros(1))


@settings(max_examples=200, deadline=None)
@given(st.floats(-(2.0**40), 2.0**40), st.integers(0, 20))
def test_round_trip(x, fraction_bits):
    assert abs(ring.decode(ring.encode(x, fraction_bits), fraction_bits) - x) <= 2.0 ** -(fraction_bits + 1)
