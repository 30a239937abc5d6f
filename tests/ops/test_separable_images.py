"""Separable images: the product, its scale and derivatives at every level, histograms, the operator, refusals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from moiety.ops.separable_images import histogram_images, separable_images

EPSILON = {torch.float32: 1e-5, torch.float64: 1e-12}


def factors(images: int, groups: int, terms: int, side: int, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    """Of which some terms are zero everywhere, and the number of each image's right factor."""
    generator = torch.Generator().manual_seed(terms + side)
    left = torch.randn(images, terms, side, generator=generator, dtype=dtype)
    left[:, 1::3] = 0
    right = torch.randn(groups, terms, side, generator=generator, dtype=dtype)
    return [left, right, torch.randint(groups, (images,), generator=generator)]


def expected(left: Tensor, right: Tensor, own: Tensor, scaled: bool) -> np.ndarray[Any, Any]:
    images = np.einsum("bkp,bkq->bpq", left.double().numpy(), right.double().numpy()[own.numpy()])
    if not scaled:
        return images
    low, high = images.min((1, 2), keepdims=True), images.max((1, 2), keepdims=True)
    return (images - low) / np.where(high > low, high - low, 1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("scaled", [False, True])
def test_values(isa: str, scaled: bool, dtype: torch.dtype) -> None:
    for terms, side in ((0, 3), (1, 1), (3, 4), (5, 16), (24, 33), (7, 70)):
        left, right, own = factors(5, 3, terms, side, dtype)
        y = separable_images(left, right, own, scaled)
        assert y.dtype is dtype
        error = EPSILON[dtype] * max(terms, 1)
        np.testing.assert_allclose(y, expected(left, right, own, scaled), rtol=0, atol=error)
        each = separable_images(left, right[own], None, scaled)
        assert torch.equal(each, y)
        torch.set_num_threads(3)
        again = separable_images(left, right, own, scaled)
        torch.set_num_threads(1)
        assert torch.equal(again, y)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_histograms(isa: str, dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(0)
    counts = torch.randint(0, 3, (4, 6, 6), generator=generator)
    counts[0], counts[1, 2] = 0, 0
    weight = torch.rand(6, 6, generator=generator, dtype=dtype)
    _, up, own = factors(4, 2, 6, 19, dtype)
    _, right, _ = factors(4, 2, 6, 19, dtype)
    left = (counts.to(dtype) * weight) @ up[own]
    for kind in (torch.uint16, torch.int32, torch.int64):
        for scaled in (False, True):
            found = histogram_images(counts.to(kind), weight, up, right, own, scaled)
            np.testing.assert_allclose(found, expected(left, right, own, scaled), rtol=0, atol=10 * EPSILON[dtype])
    learned = histogram_images(counts, weight.requires_grad_(), up, right, own)
    torch.testing.assert_close(learned.detach(), found_without(counts, weight, up, right, own))


def found_without(*given: Tensor) -> Tensor:
    with torch.no_grad():
        return histogram_images(*given)


@pytest.mark.parametrize("scaled", [False, True])
def test_derivatives(isa: str, scaled: bool) -> None:
    for terms, side in ((3, 5), (5, 18)):
        left, right, own = factors(3, 2, terms, side)
        for given in ((left, right, own), (left, right[own], None)):
            leaves = [v.clone().requires_grad_() for v in given[:2] if v is not None]

            def images(left: Tensor, right: Tensor, own: Tensor | None = given[2]) -> Tensor:
                return separable_images(left, right, own, scaled)

            assert torch.autograd.gradcheck(images, leaves, fast_mode=True)
            assert torch.autograd.gradgradcheck(images, leaves, fast_mode=True)
    left, right, own = (v.float() if v.is_floating_point() else v for v in (left, right, own))
    found, wanted = [], []
    for kind, into in ((torch.float32, found), (torch.float64, wanted)):
        a, b = (v.detach().clone().to(kind).requires_grad_() for v in (left, right))
        (separable_images(a, b, own, scaled) * torch.linspace(-1, 2, side, dtype=kind)).sum().backward()
        into += [a.grad.double(), b.grad.double()]  # type: ignore[union-attr]
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)


def test_the_same_everywhere() -> None:
    left, right = torch.ones(1, 2, 6, requires_grad=True), torch.ones(1, 2, 6)
    y = separable_images(left, right, None, scaled=True)
    assert not y.any()
    y.sum().backward()
    assert left.grad is not None
    assert not left.grad.any()


def test_numbers_that_are_nearly_nothing(isa: str) -> None:
    """They count as 0, and afterwards the thread computes with them as before."""
    tiny = torch.full((1, 1, 4), 1e-40)
    separable_images(tiny, 1e10 * torch.ones(1, 1, 4))
    assert float(tiny[0, 0, 0] * 0.5) > 0
    whole = separable_images(torch.cat([tiny, torch.ones(1, 1, 4)], 1), torch.ones(1, 2, 4))
    assert torch.equal(whole, torch.ones(1, 4, 4))


def test_the_registered_operator() -> None:
    left, right, own = factors(3, 2, 4, 5)
    for a, b, numbers, scaled in ((left, right, own, True), (left, right[own], None, False)):
        leaves = (a.clone().requires_grad_(), b.clone().requires_grad_())
        torch.library.opcheck(torch.ops.moiety.separable_images.default, (*leaves, numbers, scaled))


def test_refusals() -> None:
    left, right, own = factors(3, 2, 4, 5)
    with pytest.raises(TypeError, match=r"two of float64, got torch.float64 and torch.float32"):
        separable_images(left, right.float(), own)
    with pytest.raises(ValueError, match=r"\(B, terms, side\) .* got \(3, 4, 5\) and \(2, 4, 4\)"):
        separable_images(left, right[:, :, 1:], own)
    with pytest.raises(ValueError, match="a right factor for each of 3 images, or own; got 2"):
        separable_images(left, right)
    with pytest.raises(ValueError, match=r"own \(3,\) of int64, got torch.int32"):
        separable_images(left, right, own.int())
    with pytest.raises(ValueError, match=r"own in \[0, 2\), got 2 for image 1"):
        separable_images(left, right, torch.tensor([0, 2, 1]))
    with pytest.raises(ValueError, match=r"counts \(B, 4, 4\) and weight \(4, 4\) of torch.float64, got \(3, 4, 3\)"):
        histogram_images(torch.zeros(3, 4, 3, dtype=torch.int32), torch.ones(4, 4).double(), right, right, own)
