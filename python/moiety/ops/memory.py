"""Where results of operators lie: the large ones in memory that earlier results left behind.

A fresh page from the system is cleared before it is written, and a sparse product writes as much as it is made of: that
clearing is a good part of its time. torch keeps freed memory on GPUs and not on the CPU, so the core does it for the
operators here (csrc/core/scratch.hpp): at most a sixteenth of the machine's memory that no tensor uses. What is beyond
256 MiB a system that runs short takes back by itself.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from moiety import _core

__all__ = ["empty", "empty_like", "free_memory"]

_LARGE = 1 << 20  # bytes; below, the C library keeps memory by itself


def empty(shape: Sequence[int], dtype: torch.dtype) -> Tensor:
    """A tensor of any values. The storage of a large one cannot be resized, like that of one from NumPy."""
    count = math.prod(shape)
    if count * dtype.itemsize < _LARGE:
        return torch.empty(shape, dtype=dtype)
    # In place: autograd refuses to write to the views that a function of ours returns.
    return torch.frombuffer(_core.Memory(count * dtype.itemsize), dtype=dtype, count=count).resize_(shape)


def empty_like(x: Tensor) -> Tensor:
    """The same in the shape and dtype of x, contiguous."""
    return empty(x.shape, x.dtype)


def free_memory() -> int:
    """Give the memory that operators keep for their next results back to the system; returns how many bytes."""
    return _core.free_kept()
