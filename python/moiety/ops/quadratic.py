"""The quadratic activation with a hinge: y = w1 x^2 + w2 x + b + r max(x, 0).

One expression covers PASNet's x2act (r = 0), ReLU (r = 1), the identity (w2 = 1) and every mixture of the three, which
is why a gate over them costs no more than one activation and keeps no more than its input for the backward pass.

`quadratic` takes the cheapest way there is: the kernel of the compiled core (csrc/nn) in eager mode on the CPU, and
plain ATen operators for exporters, for compilers, which fuse them with their neighbours, and for other precisions and
devices. ``torch.ops.moiety.quadratic`` is the kernel as a registered operator, for graphs that must keep it whole.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor

from moiety._core import nn as _nn

__all__ = ["composed_quadratic", "quadratic"]


def quadratic(x: Tensor, w1: Tensor, w2: Tensor, b: Tensor, r: Tensor | None = None) -> Tensor:
    """``w1 * x**2 + w2 * x + b + r * max(x, 0)`` of x (N, C, ...), with coefficients of shape (1,) or (C,).

    The result has the dtype and the memory format of `x`. Without `r` there is no hinge.
    """
    _check(x, w1, w2, b, r)
    if torch.compiler.is_compiling() or not _fits_kernel(x, w1, w2, b, r):
        return composed_quadratic(x, w1, w2, b, r)
    if torch.is_grad_enabled() and (
        x.requires_grad
        or w1.requires_grad
        or w2.requires_grad
        or b.requires_grad
        or (r is not None and r.requires_grad)
    ):
        return cast(Tensor, _Quadratic.apply(x, w1, w2, b, r))  # type: ignore[no-untyped-call]
    return _forward(x, w1, w2, b, r)


def composed_quadratic(x: Tensor, w1: Tensor, w2: Tensor, b: Tensor, r: Tensor | None = None) -> Tensor:
    """The same from ATen operators: what exporters see, and the reference in other precisions."""
    shape = (-1,) + (1,) * (x.ndim - 2)  # (C, 1, ..., 1) against (N, C, ...)
    y = w1.view(shape) * (x * x) + w2.view(shape) * x + b.view(shape)
    if r is not None:
        y = y + r.view(shape) * torch.relu(x)
    return y if y.dtype == x.dtype else y.to(x.dtype)


def _check(x: Tensor, *coefficients: Tensor | None) -> None:
    if x.ndim < 2 or not x.is_floating_point():
        raise ValueError(f"quadratic: expected floating-point x of shape (N, C, ...), got {x.dtype} {tuple(x.shape)}")
    channels = x.shape[1]
    for name, value in zip(("w1", "w2", "b", "r"), coefficients, strict=False):
        if value is not None and (value.ndim != 1 or value.shape[0] not in (1, channels)):
            raise ValueError(
                f"quadratic: expected {name} of shape (1,) or ({channels},) for x of shape {tuple(x.shape)}, "
                f"got {tuple(value.shape)}"
            )


# type(x) is exact, so that subclasses and functional transforms' wrappers take the composed way.
_PLAIN = (Tensor, torch.nn.Parameter)


def _fits_kernel(x: Tensor, *coefficients: Tensor | None) -> bool:
    return (
        (x.dtype is torch.float32 or x.dtype is torch.bfloat16)
        and x.device.type == "cpu"
        and type(x) in _PLAIN
        and x.numel() > 0
        and not torch._C._are_functorch_transforms_active()
        and all(v is None or (v.dtype is torch.float32 and type(v) in _PLAIN) for v in coefficients)
    )


def _dense(x: Tensor) -> tuple[Tensor, bool]:
    """x itself or a contiguous copy, and whether its channels are the fastest axis."""
    if x.is_contiguous():
        return x, False
    if x.ndim >= 3 and x.movedim(1, -1).is_contiguous():
        return x, True
    return x.contiguous(), False


def _like(x: Tensor, value: Tensor, last: bool) -> Tensor:
    """`value` in the memory format of the dense x."""
    if last:
        return value if value.movedim(1, -1).is_contiguous() else torch.empty_like(x).copy_(value)
    return value.contiguous()


def _geometry(x: Tensor, last: bool) -> tuple[int, int, int, bool]:
    outer, channels = x.shape[:2]
    return outer, channels, x.numel() // (outer * channels), last


def _vectors(values: tuple[Tensor | None, ...]) -> tuple[Any, Any]:
    """Addresses and sizes."""
    return tuple(0 if v is None else v.data_ptr() for v in values), tuple(0 if v is None else v.numel() for v in values)


def _forward(x: Tensor, w1: Tensor, w2: Tensor, b: Tensor, r: Tensor | None) -> Tensor:
    x, last = _dense(x)
    values = tuple(None if v is None else v.contiguous() for v in (w1, w2, b, r))
    addresses, sizes = _vectors(values)
    y = torch.empty_like(x)
    kernel = _nn.quadratic_forward_f32 if x.dtype is torch.float32 else _nn.quadratic_forward_bf16
    kernel(_geometry(x, last), x.data_ptr(), addresses, sizes, y.data_ptr(), torch.get_num_threads())
    return y


def _backward(
    x: Tensor, dy: Tensor, w1: Tensor, w2: Tensor, b: Tensor, r: Tensor | None
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor | None]:
    x, last = _dense(x)
    dy = _like(x, dy, last)
    values = tuple(None if v is None else v.contiguous() for v in (w1, w2, b, r))
    addresses, sizes = _vectors(values)
    gradients = tuple(None if v is None else torch.empty_like(v) for v in values)
    dx = torch.empty_like(x)
    kernel = _nn.quadratic_backward_f32 if x.dtype is torch.float32 else _nn.quadratic_backward_bf16
    kernel(
        _geometry(x, last),
        x.data_ptr(),
        dy.data_ptr(),
        addresses,
        sizes,
        dx.data_ptr(),
        _vectors(gradients)[0],
        torch.get_num_threads(),
    )
    dw1, dw2, db, dr = gradients
    assert dw1 is not None
    assert dw2 is not None
    assert db is not None
    return dx, dw1, dw2, db, dr


def _composed_backward(
    x: Tensor, dy: Tensor, w1: Tensor, w2: Tensor, b: Tensor, r: Tensor | None
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor | None]:
    """The gradients from differentiable operators, for derivatives of a higher order."""
    shape = (-1,) + (1,) * (x.ndim - 2)
    axes = [i for i in range(x.ndim) if i != 1]

    def total(v: Tensor, coefficient: Tensor) -> Tensor:
        v = v.sum(axes, dtype=coefficient.dtype)
        return v if coefficient.numel() == v.numel() else v.sum(0, keepdim=True)

    slope = 2 * w1.view(shape) * x + w2.view(shape)
    if r is not None:
        slope = slope + r.view(shape) * (x > 0)
    dr = None if r is None else total(dy * torch.relu(x), r)
    return (dy * slope).to(x.dtype), total(dy * x * x, w1), total(dy * x, w2), total(dy, b), dr


class _Quadratic(torch.autograd.Function):
    """The kernel under autograd, with less to do a call in Python than a registered operator has."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, w1: Tensor, w2: Tensor, b: Tensor, r: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, w1, w2, b, r)
        return _forward(x, w1, w2, b, r)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        x, w1, w2, b, r = ctx.saved_tensors
        return (_composed_backward if torch.is_grad_enabled() else _backward)(x, dy, w1, w2, b, r)


@torch.library.custom_op("moiety::quadratic", mutates_args=(), device_types="cpu")
def _operator(x: Tensor, w1: Tensor, w2: Tensor, b: Tensor, r: Tensor | None = None) -> Tensor:
    _check(x, w1, w2, b, r)
    return _forward(x, w1, w2, b, r) if _fits_kernel(x, w1, w2, b, r) else composed_quadratic(x, w1, w2, b, r)


@_operator.register_fake
def _(x: Tensor, w1: Tensor, w2: Tensor, b: Tensor, r: Tensor | None = None) -> Tensor:
    return torch.empty_like(x)


@torch.library.custom_op("moiety::quadratic_backward", mutates_args=(), device_types="cpu")
def _backward_operator(
    x: Tensor, dy: Tensor, w1: Tensor, w2: Tensor, b: Tensor, r: Tensor | None
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """An operator cannot return None: without r, its gradient is a tensor of no elements."""
    run = _backward if _fits_kernel(x, w1, w2, b, r) else _composed_backward
    dx, dw1, dw2, db, dr = run(x, dy, w1, w2, b, r)
    return dx, dw1, dw2, db, w1.new_empty(0) if dr is None else dr


@_backward_operator.register_fake
def _(
    x: Tensor, dy: Tensor, w1: Tensor, w2: Tensor, b: Tensor, r: Tensor | None
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    dr = w1.new_empty(0) if r is None else torch.empty_like(r)
    return torch.empty_like(x), torch.empty_like(w1), torch.empty_like(w2), torch.empty_like(b), dr


def _save(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs)


def _differentiate(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
    x, w1, w2, b, r = ctx.saved_tensors
    dx, dw1, dw2, db, dr = torch.ops.moiety.quadratic_backward(x, dy, w1, w2, b, r)
    return dx, dw1, dw2, db, None if r is None else dr


_operator.register_autograd(_differentiate, setup_context=_save)
