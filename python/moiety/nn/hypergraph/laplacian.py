"""HyperGCN's layer: convolution with a Laplacian that the features themselves choose (N. Yadati et al., HyperGCN,
NeurIPS 2019)."""

from __future__ import annotations

from typing import Literal, cast

import torch
from torch import Tensor, nn

from moiety.graph import Graph, Hypergraph
from moiety.graph.hypergraph import Search, Weighting
from moiety.nn.graph.parts import glorot, linear, set_bias, zeros
from moiety.nn.graph.structure import Features
from moiety.nn.hypergraph.structure import check_nodes
from moiety.ops import spmm

__all__ = ["HyperGCNConv", "Initial"]

Initial = Literal["glorot", "code"]


class HyperGCNConv(nn.Module):
    """x' = L(x W) x W + b, L = D^-1/2 (I + A) D^-1/2, where A has for every hyperedge e the edge between the two nodes
    of it whose signal S = x W differs most, and with mediators those of both with all others of e.

    mediators: every one of the 2|e| - 3 edges has weight 1 / (2|e| - 3); without them (1-HyperGCN) the one edge has
    the hyperedge's ("paper") or 1 / |e| of it ("code", what the published program does). pairs: "exact" compares the
    distances of all pairs; "projection" the nodes' places on one random line, as the published program does: a new
    line in every training step, and in evaluation always the buffer `projection` (out_channels,), which is drawn with
    the parameters and saved with them, so that a network predicts the same thing twice.

    initial: weights by Glorot and Bengio and a bias of zeros, or with "code" the published program's: both uniform in
    +-1 / sqrt(out_channels), which is larger by far where features are many.

    The signal is not differentiated: L counts as a constant.
    """

    bias: Tensor | None
    projection: Tensor

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        mediators: bool = True,
        weighting: Weighting = "paper",
        pairs: Search = "projection",
        bias: bool = True,
        initial: Initial = "glorot",
    ) -> None:
        super().__init__()
        if initial not in ("glorot", "code"):
            raise ValueError(f"expected initial 'glorot' or 'code', got {initial!r}")
        if weighting not in ("paper", "code") or pairs not in ("projection", "exact"):
            raise ValueError(
                f"expected weighting 'paper' or 'code' and pairs 'projection' or 'exact', got {weighting!r}, {pairs!r}"
            )
        self.in_channels, self.out_channels = in_channels, out_channels
        self.mediators, self.weighting, self.pairs = mediators, weighting, pairs
        self.initial = initial
        self.lin = nn.Linear(in_channels, out_channels, bias=False)
        self.register_buffer("projection", torch.rand(out_channels))
        set_bias(self, out_channels if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        if self.initial == "glorot":
            glorot(self.lin.weight)
            zeros(self.bias)
        else:
            for value in self.parameters():
                nn.init.uniform_(value, -(self.out_channels**-0.5), self.out_channels**-0.5)
        with torch.no_grad():
            self.projection.uniform_()

    def forward(self, x: Features, hypergraph: Hypergraph | Graph) -> Tensor:
        """x (nodes, in_channels), dense or a sparse `Graph`. Returns (nodes, out_channels).

        hypergraph: also a `Graph`, a Laplacian that somebody has made already, such as FastHyperGCN's.
        """
        h = linear(x, self.lin.weight)  # (nodes, out_channels)
        if isinstance(hypergraph, Graph):
            y = cast(Tensor, spmm(hypergraph, h))
        else:
            check_nodes("HyperGCNConv", x, hypergraph)
            y = hypergraph.smooth(
                h,
                signal=h.detach(),
                mediators=self.mediators,
                weighting=self.weighting,
                pairs=self.pairs,
                projection=self._line(h) if self.pairs == "projection" else None,
            )
        return y if self.bias is None else y + self.bias

    def _line(self, h: Tensor) -> Tensor:
        return torch.rand(h.shape[1], dtype=h.dtype) if self.training else self.projection.to(h.dtype)

    def extra_repr(self) -> str:
        return (
            f"{self.in_channels}, {self.out_channels}, mediators={self.mediators}, weighting={self.weighting!r}, "
            f"pairs={self.pairs!r}"
        )
