"""The quadratic activation with a hinge: y = w1 x^2 + w2 x + b + r max(x, 0).

One expression covers PASNet's x2act (r = 0), ReLU (r = 1), the identity (w2 = 1) and every mixture of the three, which
is why a gate over them costs no more than one activation and keeps no more than its input for the backward pass.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["composed_quadratic", "quadratic"]


def quadratic(x: Tensor, w1: Tensor, w2: Tensor, b: Tensor, r: Tensor | None = None) -> Tensor:
    """``w1 * x**2 + w2 * x + b + r * max(x, 0)`` of x (N, C, ...), with coefficients of shape (1,) or (C,).

    The result has the dtype and the memory format of `x`. Without `r` there is no hinge.
    """
    _check(x, {"w1": w1, "w2": w2, "b": b} | ({} if r is None else {"r": r}))
    return composed_quadratic(x, w1, w2, b, r)


def composed_quadratic(x: Tensor, w1: Tensor, w2: Tensor, b: Tensor, r: Tensor | None = None) -> Tensor:
    """The same from ATen operators: what exporters see, and the reference in other precisions."""
    shape = (-1,) + (1,) * (x.ndim - 2)  # (C, 1, ..., 1) against (N, C, ...)
    y = w1.view(shape) * (x * x) + w2.view(shape) * x + b.view(shape)
    if r is not None:
        y = y + r.view(shape) * torch.relu(x)
    return y if y.dtype == x.dtype else y.to(x.dtype)


def _check(x: Tensor, coefficients: dict[str, Tensor]) -> None:
    if x.ndim < 2 or not x.is_floating_point():
        raise ValueError(f"quadratic: expected floating-point x of shape (N, C, ...), got {x.dtype} {tuple(x.shape)}")
    for name, value in coefficients.items():
        if value.ndim != 1 or value.shape[0] not in (1, x.shape[1]):
            raise ValueError(
                f"quadratic: expected {name} of shape (1,) or ({x.shape[1]},) for x of shape {tuple(x.shape)}, "
                f"got {tuple(value.shape)}"
            )
