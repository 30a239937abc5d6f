"""Dropout from sixteen bits an element: how much it drops, what it scales by, and its gradient."""

from __future__ import annotations

import pytest
import torch

from moiety.nn.hypergraph.dropout import quick_dropout


@pytest.mark.parametrize("p", [0.1, 0.5, 0.6])
def test_it_drops_as_much_as_it_says(p: float) -> None:
    torch.manual_seed(0)
    x = torch.ones(400, 1000)
    y = quick_dropout(x, p)
    share = float((y == 0).float().mean())
    assert share == pytest.approx(p, abs=4 * (p * (1 - p) / x.numel()) ** 0.5 + 1e-5)
    assert y.unique().tolist() == pytest.approx([0.0, 1 / (1 - p)], rel=1e-4)
    for lane in range(4):  # the four elements of one draw are independent of each other
        kept = (y.view(-1, 4) > 0).float()
        other = kept[:, (lane + 1) % 4]
        assert float((kept[:, lane] * other).mean()) == pytest.approx((1 - p) ** 2, abs=0.006)


def test_the_gradient_goes_where_the_value_went() -> None:
    torch.manual_seed(1)
    x = torch.randn(7, 3, dtype=torch.float64, requires_grad=True)  # no multiple of four elements
    y = quick_dropout(x, 0.25)
    dy = torch.randn_like(y)
    y.backward(dy)
    kept = (y != 0).double() / 0.75
    torch.testing.assert_close(x.grad, dy * kept)
    torch.testing.assert_close(y, x * kept)


def test_seeds_and_ends() -> None:
    x = torch.randn(50, 3)
    torch.manual_seed(2)
    first = quick_dropout(x, 0.5)
    torch.manual_seed(2)
    assert torch.equal(first, quick_dropout(x, 0.5))
    assert not torch.equal(first, quick_dropout(x, 0.5))
    assert quick_dropout(x, 0.0) is x
    for p in (1.0, -0.1):
        with pytest.raises(ValueError, match=r"dropout must be in \[0, 1\)"):
            quick_dropout(x, p)
