"""Data-parallel training by torch.distributed, with the result of one process up to rounding.

Gradients are averaged after the backward pass by one reduction over all of them. DistributedDataParallel would hide
that time behind the backward pass, but its hooks neither see `torch.autograd.grad`, which second-order search is made
of, nor like parameters that a sampled path leaves out. Batch statistics are those of the global batch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial

import torch
import torch.distributed as dist
import torch.distributed.nn.functional as dist_nn
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["average_gradients", "mean", "rank", "same_everywhere", "synchronised", "world"]

BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def world() -> int:
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    return dist.get_rank() if world() > 1 else 0


@torch.no_grad()
def average_gradients(gradients: Iterable[Tensor | None]) -> None:
    """In place, over the processes; None (a parameter outside the sampled path) is none everywhere."""
    if world() == 1:
        return
    present = [g for g in gradients if g is not None]
    flat = torch.cat([g.reshape(-1) for g in present])
    dist.all_reduce(flat)
    flat /= world()
    for gradient, part in zip(present, torch.split(flat, [g.numel() for g in present]), strict=True):
        gradient.copy_(part.view_as(gradient))


@torch.no_grad()
def mean(value: float) -> float:
    """Over the processes."""
    if world() == 1:
        return value
    total = torch.tensor(value, dtype=torch.float64)
    dist.all_reduce(total)
    return float(total) / world()


@torch.no_grad()
def same_everywhere(model: nn.Module) -> None:
    """Gives every process the first one's parameters and buffers."""
    if world() > 1:
        for value in model.state_dict().values():
            dist.broadcast(value, 0)


@contextmanager
def synchronised(model: nn.Module) -> Iterator[None]:
    """While entered, batch normalisations in training mode use the statistics of the global batch.

    torch.nn.SyncBatchNorm does that on accelerators only. The processes' batches must be of one size.
    """
    norms = [module for module in model.modules() if isinstance(module, BATCH_NORMS)] if world() > 1 else []
    for norm in norms:
        norm.forward = partial(_global_batch_norm, norm)  # type: ignore[method-assign, arg-type]
    try:
        yield
    finally:
        for norm in norms:
            del norm.forward


def _global_batch_norm(norm: nn.BatchNorm2d, x: Tensor) -> Tensor:
    if not norm.training:
        return F.batch_norm(x, norm.running_mean, norm.running_var, norm.weight, norm.bias, False, 0.0, norm.eps)
    values = x.float()
    axes = [0, *range(2, x.ndim)]
    moments = torch.stack([values.mean(axes), values.square().mean(axes)])  # (2, C)
    centre, square = dist_nn.all_reduce(moments) / world()  # type: ignore[no-untyped-call]
    variance = square - centre * centre
    if norm.running_mean is not None and norm.running_var is not None and norm.num_batches_tracked is not None:
        with torch.no_grad():
            norm.num_batches_tracked += 1
            momentum = 1 / float(norm.num_batches_tracked) if norm.momentum is None else norm.momentum
            count = x.numel() // x.shape[1] * world()
            norm.running_mean.lerp_(centre.detach(), momentum)
            norm.running_var.lerp_(variance.detach() * (count / (count - 1)), momentum)
    shape = (1, -1, *[1] * (x.ndim - 2))
    scale = torch.rsqrt(variance + norm.eps) * (1 if norm.weight is None else norm.weight)
    shift = -centre * scale + (0 if norm.bias is None else norm.bias)
    y: Tensor = values * scale.view(shape) + shift.view(shape)
    return y.to(x.dtype)
