"""Training with the rounding of the private program: fixed point with f fraction bits.

The program folds a batch normalisation into the convolution in front, rounds weights to multiples of 2^-f, and
truncates every layer's result to multiples of 2^-f (docs/engine.md). Here the same is done in float32, and the gradient
passes rounding as if it were the identity (straight-through estimator, Y. Bengio et al., arXiv 1308.3432).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["fixed_point", "round_through"]


class _Round(torch.autograd.Function):
    @staticmethod
    def forward(ctx: object, x: Tensor, step: float) -> Tensor:
        return torch.round(x / step) * step

    @staticmethod
    def backward(ctx: object, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0], None


def round_through(x: Tensor, fraction_bits: int) -> Tensor:
    """x to the nearest multiple of 2^-fraction_bits; the gradient is that of the identity."""
    rounded: Tensor = _Round.apply(x, 2.0**-fraction_bits)  # type: ignore[no-untyped-call]
    return rounded


@contextmanager
def fixed_point(model: nn.Module, example: Tensor, fraction_bits: int) -> Iterator[None]:
    """While entered, `model` computes as its program would: rounded weights, rounded results of every layer.

    example: an input (N, ...), run once to see which batch normalisation follows which convolution. Batch
    normalisations that are to count as folded must be in evaluation mode.
    """
    if not 1 <= fraction_bits <= 30:
        raise ValueError(f"expected 1 to 30 fraction bits, found {fraction_bits}")
    pairs = _folded(model, example)
    handles = []
    linear = [module for module in model.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    for module in linear:
        module.forward = partial(_rounded_linear, module, pairs.get(module), fraction_bits)  # type: ignore[method-assign]
    for leaf in model.modules():
        if not list(leaf.children()) and leaf not in pairs:
            handles.append(leaf.register_forward_hook(lambda _m, _i, y: round_through(y, fraction_bits)))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
        for module in linear:
            del module.forward


def _rounded_linear(
    module: nn.Conv2d | nn.Linear, norm: nn.BatchNorm2d | None, fraction_bits: int, x: Tensor
) -> Tensor:
    weight = module.weight
    if norm is None or norm.training:
        weight = round_through(weight, fraction_bits)
    else:
        assert norm.running_var is not None
        scale = torch.rsqrt(norm.running_var + norm.eps) * (1.0 if norm.weight is None else norm.weight.detach())
        scale = torch.where(scale == 0, torch.ones_like(scale), scale).view(-1, *[1] * (weight.ndim - 1))
        weight = round_through(weight * scale, fraction_bits) / scale
    if isinstance(module, nn.Linear):
        return F.linear(x, weight, module.bias)
    y: Tensor = module._conv_forward(x, weight, module.bias)
    return y


@torch.no_grad()
def _folded(model: nn.Module, example: Tensor) -> dict[nn.Module, nn.BatchNorm2d]:
    """Convolution or linear layer -> the batch normalisation that alone reads its result first."""
    results: dict[int, tuple[nn.Module, Tensor]] = {}  # holds the tensors, so that their ids stay theirs
    pairs: dict[nn.Module, nn.BatchNorm2d] = {}

    def produced(module: nn.Module, inputs: tuple[Tensor, ...], y: Tensor) -> None:
        results[id(y)] = (module, y)

    def consumed(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if id(inputs[0]) in results and isinstance(module, nn.BatchNorm2d):
            pairs.setdefault(results[id(inputs[0])][0], module)

    handles = []
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            handles.append(module.register_forward_hook(produced))
        elif isinstance(module, nn.BatchNorm2d):
            handles.append(module.register_forward_pre_hook(consumed))
    modes = {module: module.training for module in model.modules()}
    try:
        model.eval()(example[:1])
    finally:
        for handle in handles:
            handle.remove()
        for module, mode in modes.items():
            module.training = mode
    return pairs
