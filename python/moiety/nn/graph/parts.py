"""What the graph layers share: initial values, and linear maps of features that may be sparse."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from moiety.graph import Graph
from moiety.ops import spmm

__all__ = ["SparseLinear", "glorot", "linear", "rows_of", "set_bias", "zeros"]


def glorot(value: Tensor | None) -> None:
    """Uniform in +-sqrt(6 / (fan in + fan out)) of the last two axes (X. Glorot and Y. Bengio, 2010, eq. 16)."""
    if value is not None:
        bound = math.sqrt(6.0 / (value.shape[-2] + value.shape[-1]))
        nn.init.uniform_(value, -bound, bound)


def zeros(value: Tensor | None) -> None:
    if value is not None:
        nn.init.zeros_(value)


def set_bias(module: nn.Module, size: int | None) -> None:
    """`module.bias`: a parameter of so many zeros, or None."""
    module.register_parameter("bias", None if size is None else nn.Parameter(torch.zeros(size)))


def linear(x: Tensor | Graph, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x (nodes, in) times weight (out, in) transposed, plus bias: `F.linear`, for x that may be a sparse matrix."""
    if isinstance(x, Tensor):
        return F.linear(x, weight, bias)
    y: Tensor = spmm(x, weight.t().contiguous())
    return y if bias is None else y + bias


def rows_of(x: Tensor | Graph) -> int:
    return x.num_rows if isinstance(x, Graph) else x.shape[0]


class SparseLinear(nn.Linear):
    """`nn.Linear` for features (nodes, in_features) that may be a sparse matrix."""

    def forward(self, input: Tensor | Graph) -> Tensor:
        return linear(input, self.weight, self.bias)
