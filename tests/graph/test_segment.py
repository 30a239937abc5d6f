"""moiety.ops.segment_reduce against torch.segment_reduce."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from moiety.ops import segment_reduce


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 9), max_size=8), st.integers(1, 20), st.sampled_from(["sum", "mean", "max", "min"]))
def test_segments(lengths: list[int], width: int, reduce: str) -> None:
    bounds = torch.tensor([0, *lengths]).cumsum(0)
    x = torch.randn(int(bounds[-1]), width, dtype=torch.float64, requires_grad=True)
    y = segment_reduce(x, bounds, reduce)  # type: ignore[arg-type]
    pieces = [x[a:b] for a, b in pairwise(bounds.tolist())]
    named = {"sum": torch.sum, "mean": torch.mean, "max": torch.amax, "min": torch.amin}[reduce]
    wanted = [named(p, 0) if len(p) else x.new_zeros(width) for p in pieces]
    assert y.shape == (len(lengths), width)
    if not lengths:
        return
    torch.testing.assert_close(y, torch.stack(wanted))
    if x.numel():
        dy = torch.randn_like(y)
        (found,) = torch.autograd.grad(y, x, dy)
        torch.testing.assert_close(found, torch.autograd.grad(torch.stack(wanted), x, dy)[0])


def test_argument_and_refusals() -> None:
    x = torch.tensor([[1.0], [3.0], [2.0]])
    y, argument = segment_reduce(x, torch.tensor([0, 0, 3]), "max", return_argument=True)
    assert y.tolist() == [[0.0], [3.0]]
    assert argument.tolist() == [[-1], [1]]
    with pytest.raises(ValueError, match="row_start from 0 to 3, got 0 to 2"):
        segment_reduce(x, torch.tensor([0, 2]))
    with pytest.raises(ValueError, match="a vector indptr of int64"):
        segment_reduce(x, torch.tensor([0, 3], dtype=torch.int32))
