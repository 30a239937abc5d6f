"""Dropout whose random numbers are cheap: 16 bits an element, four of them from one draw of torch's generator.

`torch.nn.functional.dropout` draws a number of its own for every element, which on a CPU takes longer than a layer's
products do on a hypergraph.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

__all__ = ["quick_dropout"]

STEPS = 1 << 16


def quick_dropout(x: Tensor, p: float) -> Tensor:
    """x with every element 0 with probability p, else divided by 1 - p; p is taken to the nearest 1 / 65536.

    Draws from torch's default generator, in eager mode on the CPU; the stream is not that of `F.dropout`.
    """
    dropped = round(p * STEPS)
    if not 0 <= dropped < STEPS:
        raise ValueError(f"dropout must be in [0, 1), got {p}")
    if not dropped:
        return x
    bits = torch.empty(-(-x.numel() // 4), dtype=torch.int64).random_(-(2**63), None)
    kept = bits.view(torch.int16)[: x.numel()].view(x.shape) >= dropped - STEPS // 2
    y: Tensor = _Kept.apply(x, kept, STEPS / (STEPS - dropped))  # type: ignore[no-untyped-call]
    return y


class _Kept(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, kept: Tensor, scale: float) -> Tensor:
        ctx.scale = scale
        ctx.save_for_backward(kept)
        y: Tensor = torch.ops.aten.native_dropout_backward(x, kept, scale)  # x * kept * scale in one pass
        return y

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor, None, None]:
        (kept,) = ctx.saved_tensors
        return _Kept.apply(dy, kept, ctx.scale), None, None  # type: ignore[no-untyped-call]
