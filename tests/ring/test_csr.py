import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st

from moiety import ring


@pytest.mark.parametrize("width", [1, 5, 8, 16, 33, 70, 130])
@pytest.mark.parametrize("weighted", [False, True])
def test_csr_equals_dense(isa, draw, dtype, width, weighted):
    s = scipy.sparse.random(57, 41, 0.1, format="csr", random_state=1)
    values, x = draw(s.nnz), draw(41, width)
    dense = np.zeros((57, 41), dtype)
    rows = np.repeat(np.arange(57), np.diff(s.indptr))
    dense[rows, s.indices] = values if weighted else 1
    y = ring.csr_matmul(s.indptr, s.indices, values if weighted else None, x, threads=3)
    np.testing.assert_array_equal(y, dense @ x)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(st.integers(0, 8), max_size=6), max_size=12), st.integers(1, 20))
def test_duplicates_and_empty_rows(rows, width):
    start = np.cumsum([0] + [len(r) for r in rows])
    column = np.array([c for r in rows for c in r], np.int64)
    x = np.arange(9 * width, dtype=np.uint64).reshape(9, width)
    expected = [x[r].sum(0, dtype=np.uint64) for r in rows]
    expected = np.array(expected, np.uint64).reshape(len(rows), width)
    np.testing.assert_array_equal(ring.csr_matmul(start, column, None, x), expected)


def test_vector(draw):
    x = draw(3)
    np.testing.assert_array_equal(ring.csr_matmul(np.array([0, 2]), np.array([0, 2]), None, x), x[:1] + x[2:])


def test_bad_patterns():
    x = np.ones((3, 2), np.uint64)
    with pytest.raises(ValueError, match=r"columns in \[0, 3\), got 3 at entry 1"):
        ring.csr_matmul(np.array([0, 2]), np.array([0, 3]), None, x)
    with pytest.raises(ValueError, match="row_start from 0 to 2, got 0 to 1"):
        ring.csr_matmul(np.array([0, 1]), np.array([0, 1]), None, x)
    with pytest.raises(ValueError, match="not to fall, got 3 then 2 at row 1"):
        ring.csr_matmul(np.array([0, 3, 2]), np.array([0, 1]), None, x)
    with pytest.raises(ValueError, match=r"one value an entry \(2\), got 3"):
        ring.csr_matmul(np.array([0, 2]), np.array([0, 1]), np.ones(3, np.uint64), x)
    with pytest.raises(TypeError, match="vector of integers"):
        ring.csr_matmul(np.array([0.0, 2.0]), np.array([0, 1]), None, x)
    with pytest.raises(ValueError, match="expected row_start"):
        ring.csr_matmul(np.array([], np.int64), np.array([], np.int64), None, x)
