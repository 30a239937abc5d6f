"""`separable_images`: images that are products of two thin matrices, such as persistence images."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from moiety._core import topology as _core
from moiety.ops import graph_common as common

__all__ = ["composed_images", "histogram_images", "separable_images"]

_RENDER = {torch.float32: _core.render_f32, torch.float64: _core.render_f64}
_BACKWARD = {torch.float32: _core.render_backward_f32, torch.float64: _core.render_backward_f64}


def separable_images(left: Tensor, right: Tensor, own: Tensor | None = None, scaled: bool = False) -> Tensor:
    """``left[b].T @ right[own[b]]`` (B, side, side) of left (B, terms, side) and right (G, terms, side).

    own (B,) int64: without it every image has a right factor of its own, G = B. scaled: each image to [0, 1], one that
    is the same everywhere to 0 with derivative 0. float32 or float64; differentiable in both factors as often as asked
    (of several least or largest pixels the first has the derivative of the scale). TypeError and ValueError for other
    dtypes and shapes. Results do not depend on the number of threads.
    """
    _check(left, right)
    _check_own(len(left), len(right), own)
    result: Tensor
    if not common.plain(left, right, own):
        result = torch.ops.moiety.separable_images(left, right, own, scaled)[0]
    elif common.needs_gradient(left, right):
        result = _Images.apply(left, right, own, scaled)  # type: ignore[no-untyped-call]
    else:
        result = _forward(left, right, own, scaled, False)[0]
    return result


def histogram_images(
    counts: Tensor, weight: Tensor, up: Tensor, right: Tensor, own: Tensor | None = None, scaled: bool = False
) -> Tensor:
    """``separable_images((counts * weight) @ up[own], right, own, scaled)`` of counts (B, terms, terms) of integers,
    weight (terms, terms), up and right (G, terms, side): in one pass over the counts where no gradient is asked for.
    """
    if not common.plain(counts, weight, up, right, own) or common.needs_gradient(weight, up, right):
        each = up[0] if len(up) == 1 else up if own is None else up[own]
        left = (counts.to(weight.dtype) * weight) @ each
        return separable_images(left, right, own, scaled)
    _check(up, right)
    images, (groups, terms, side) = len(counts), right.shape
    if counts.shape != (images, terms, terms) or weight.shape != (terms, terms) or weight.dtype is not right.dtype:
        raise ValueError(
            f"histogram_images: expected counts (B, {terms}, {terms}) and weight ({terms}, {terms}) of {right.dtype}, "
            f"got {tuple(counts.shape)} and {tuple(weight.shape)} of {weight.dtype}"
        )
    _check_own(images, groups, own)
    counts, weight, up = counts.to(torch.int32).contiguous(), weight.contiguous(), up.contiguous()
    made_of = (counts.data_ptr(), weight.data_ptr(), up.data_ptr())
    return _render((images, groups, terms, side), made_of, right, own, scaled, False)[0]


def composed_images(left: Tensor, right: Tensor, own: Tensor | None, scaled: bool) -> Tensor:
    """The same from ATen operators, for derivatives of a higher order."""
    y = left.mT @ (right if own is None else right[own])
    if not scaled:
        return y
    flat = y.flatten(1)
    low, high = (flat.gather(1, at(1, keepdim=True)) for at in (flat.argmin, flat.argmax))
    there = high > low
    return torch.where(there, (flat - low) / torch.where(there, high - low, torch.ones_like(high)), 0.0).view_as(y)


def _check(left: Tensor, right: Tensor) -> None:
    if left.device.type != "cpu":
        common.refuse_device("separable_images", left)
    if left.dtype not in _RENDER or right.dtype is not left.dtype:
        raise TypeError(
            f"separable_images: expected two factors of float32 or two of float64, got {left.dtype} and {right.dtype}"
        )
    if left.ndim != 3 or right.ndim != 3 or left.shape[1:] != right.shape[1:] or left.shape[2] < 1:
        raise ValueError(
            "separable_images: expected factors (B, terms, side) and (G, terms, side) with side >= 1, got "
            f"{tuple(left.shape)} and {tuple(right.shape)}"
        )


def _check_own(images: int, rights: int, own: Tensor | None) -> None:
    if own is None:
        if rights != images:
            raise ValueError(
                f"separable_images: expected a right factor for each of {images} images, or own; got {rights}"
            )
    elif own.dtype is not torch.int64 or tuple(own.shape) != (images,):
        raise ValueError(f"separable_images: expected own ({images},) of int64, got {own.dtype} {tuple(own.shape)}")


def _render(
    sizes: tuple[int, int, int, int],
    left: int | tuple[int, int, int],
    right: Tensor,
    own: Tensor | None,
    scaled: bool,
    kept: bool,
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """Images; and where `kept` and scaled the places of their least and largest pixels and what multiplied them."""
    images, _, _, side = sizes
    right = right.contiguous()
    own = None if own is None else own.contiguous()
    y = right.new_empty(images, side, side)
    kept = kept and scaled
    scale, at = (right.new_empty(images), right.new_empty(images, 2, dtype=torch.int64)) if kept else (None, None)
    _RENDER[right.dtype](
        sizes,
        left,
        right.data_ptr(),
        common.address(own),
        scaled,
        y.data_ptr(),
        common.address(at),
        common.address(scale),
        torch.get_num_threads(),
    )
    return y, at, scale


def _forward(
    left: Tensor, right: Tensor, own: Tensor | None, scaled: bool, kept: bool
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    left = left.contiguous()
    return _render((len(left), len(right), *left.shape[1:]), left.data_ptr(), right, own, scaled, kept)


def _backward(
    left: Tensor, right: Tensor, own: Tensor | None, y: Tensor, at: Tensor | None, scale: Tensor | None, dy: Tensor
) -> tuple[Tensor, Tensor]:
    images, terms, side = left.shape
    left, right, dy = left.contiguous(), right.contiguous(), dy.contiguous()
    own = None if own is None else own.contiguous()
    dleft, each = torch.empty_like(left), torch.empty_like(left)
    _BACKWARD[left.dtype](
        (images, len(right), terms, side),
        left.data_ptr(),
        right.data_ptr(),
        common.address(own),
        y.data_ptr(),
        common.address(at),
        common.address(scale),
        dy.data_ptr(),
        dleft.data_ptr(),
        each.data_ptr(),
        torch.get_num_threads(),
    )
    return dleft, each if own is None else torch.zeros_like(right).index_add_(0, own, each)


class _Images(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, left: Tensor, right: Tensor, own: Tensor | None, scaled: bool) -> Tensor:
        y, at, scale = _forward(left, right, own, scaled, True)
        ctx.scaled = scaled
        ctx.save_for_backward(left, right, own, y, at, scale)
        return y

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        left, right, own, y, at, scale = ctx.saved_tensors
        if torch.is_grad_enabled():  # a second derivative is asked for
            known = (left, right)
            found = iter(
                torch.autograd.grad(
                    composed_images(left, right, own, ctx.scaled),
                    [v for v in known if v.requires_grad],
                    dy,
                    create_graph=True,
                )
            )
            dleft, dright = (next(found) if v.requires_grad else None for v in known)
        else:
            dleft, dright = _backward(left, right, own, y, at, scale, dy)
        return dleft, dright, None, None


# --- registered operator ---------------------------------------------------------------------------------------------


@torch.library.custom_op("moiety::separable_images", mutates_args=(), device_types="cpu")
def _operator(left: Tensor, right: Tensor, own: Tensor | None, scaled: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Without scales their tensors have no elements."""
    _check(left, right)
    _check_own(len(left), len(right), own)
    y, at, scale = _forward(left, right, own, scaled, True)
    return (
        y,
        left.new_empty(0, 2, dtype=torch.int64) if at is None else at,
        left.new_empty(0) if scale is None else scale,
    )


@_operator.register_fake
def _(left: Tensor, right: Tensor, own: Tensor | None, scaled: bool) -> tuple[Tensor, Tensor, Tensor]:
    images, side = left.shape[0], left.shape[2]
    kept = images if scaled else 0
    return left.new_empty(images, side, side), left.new_empty(kept, 2, dtype=torch.int64), left.new_empty(kept)


@torch.library.custom_op("moiety::separable_images_backward", mutates_args=(), device_types="cpu")
def _backward_operator(
    left: Tensor, right: Tensor, own: Tensor | None, y: Tensor, at: Tensor, scale: Tensor, dy: Tensor, scaled: bool
) -> tuple[Tensor, Tensor]:
    return _backward(left, right, own, y, at if scaled else None, scale if scaled else None, dy)


@_backward_operator.register_fake
def _(left: Tensor, right: Tensor, *rest: Any) -> tuple[Tensor, Tensor]:
    return torch.empty_like(left), torch.empty_like(right)


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor, Tensor]) -> None:
    left, right, own, ctx.scaled = inputs
    ctx.save_for_backward(left, right, own, *output)


def _differentiate(ctx: Any, dy: Tensor, *rest: Any) -> tuple[Tensor | None, ...]:
    dleft, dright = torch.ops.moiety.separable_images_backward(*ctx.saved_tensors, dy, ctx.scaled)
    return dleft, dright, None, None


_operator.register_autograd(_differentiate, setup_context=_save)
