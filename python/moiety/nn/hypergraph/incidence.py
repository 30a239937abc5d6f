"""Layers that aggregate by fixed sums over the incidence: HGNN, UniGCN and UniSAGE. Linear in their features, so that
two parties apply them to shares without a word between them."""

from __future__ import annotations

from typing import Literal, cast

from torch import Tensor, nn
from torch.nn import functional as F

from moiety.graph import Graph, Hypergraph
from moiety.nn.graph.convolution import reduce_of
from moiety.nn.graph.parts import glorot, linear, set_bias, zeros
from moiety.nn.graph.structure import Features
from moiety.nn.hypergraph.structure import averaged, check_nodes, looped, row_normalized, sides
from moiety.ops import spmm

__all__ = ["HGNNConv", "Normalization", "UniGCNConv", "UniSAGEConv"]

Normalization = Literal["symmetric", "row"]


class HGNNConv(nn.Module):
    """x' = D_v^-1/2 H W_e D_e^-1 H^T D_v^-1/2 x W + b (Y. Feng et al., Hypergraph Neural Networks, AAAI 2019,
    equation 10).

    normalization: "symmetric" as above, or "row", D_v^-1 H W_e D_e^-1 H^T, which is PyTorch Geometric's
    `HypergraphConv`; its state dict loads. self_loops: every node is a hyperedge by itself as well; without them a node
    in no hyperedge gets only the bias. PyG counts hyperedge weights in D_v alone, this layer in W_e too, as the paper.
    """

    bias: Tensor | None

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        normalization: Normalization = "symmetric",
        self_loops: bool = False,
        bias: bool = True,
    ) -> None:
        super().__init__()
        if normalization not in ("symmetric", "row"):
            raise ValueError(f"normalization must be 'symmetric' or 'row', got {normalization!r}")
        self.in_channels, self.out_channels = in_channels, out_channels
        self.normalization: Normalization = normalization
        self.self_loops = self_loops
        self.lin = nn.Linear(in_channels, out_channels, bias=False)
        set_bias(self, out_channels if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        glorot(self.lin.weight)
        zeros(self.bias)

    def forward(self, x: Features, hypergraph: Hypergraph | Graph) -> Tensor:
        """x (nodes, in_channels), dense or a sparse `Graph`. Returns (nodes, out_channels).

        hypergraph: also a square `Graph`, the operator itself, as `Hypergraph.expand("hgnn")` gives it.
        """
        h = linear(x, self.lin.weight)  # (nodes, out_channels)
        if isinstance(hypergraph, Graph):
            y = cast(Tensor, spmm(hypergraph, h))
        else:
            check_nodes("HGNNConv", x, hypergraph)
            over = looped(hypergraph) if self.self_loops else hypergraph
            y = over.propagate(h) if self.normalization == "symmetric" else row_normalized(over, h.dtype).apply(h)
        return y if self.bias is None else y + self.bias

    def extra_repr(self) -> str:
        return f"{self.in_channels}, {self.out_channels}, {self.normalization!r}, self_loops={self.self_loops}"


class UniGCNConv(nn.Module):
    """x_i' = d_i^-1/2 sum_(e of i) d_e^-1/2 W h_e, h_e the mean of x over e (J. Huang and J. Yang, UniGNN: a Unified
    Framework for Graph and Hypergraph Neural Networks, IJCAI 2021).

    self_loops: every node is a hyperedge by itself as well; without them a node in no hyperedge gets zeros. normalize:
    rows of the result to length 1. Weights of the hypergraph do not count.
    """

    def __init__(self, in_channels: int, out_channels: int, self_loops: bool = False, normalize: bool = False) -> None:
        super().__init__()
        self.in_channels, self.out_channels = in_channels, out_channels
        self.self_loops, self.normalize = self_loops, normalize
        self.lin = nn.Linear(in_channels, out_channels, bias=False)

    def reset_parameters(self) -> None:
        self.lin.reset_parameters()

    def forward(self, x: Features, hypergraph: Hypergraph) -> Tensor:
        """x (nodes, in_channels), dense or a sparse `Graph`. Returns (nodes, out_channels)."""
        check_nodes("UniGCNConv", x, hypergraph)
        h = linear(x, self.lin.weight)
        y = averaged(looped(hypergraph) if self.self_loops else hypergraph, h.dtype).apply(h)
        return F.normalize(y, dim=-1) if self.normalize else y

    def extra_repr(self) -> str:
        return f"{self.in_channels}, {self.out_channels}, self_loops={self.self_loops}"


class UniSAGEConv(nn.Module):
    """x_i' = W (x_i + aggregate_(e of i) h_e), h_e an aggregate of x over e (J. Huang and J. Yang, IJCAI 2021).

    first, second: the aggregates over a hyperedge and over a node's hyperedges, "mean", "sum", "max" or "min"; the
    published settings are mean and sum. self_loops, normalize: as in `UniGCNConv`.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        first: str = "mean",
        second: str = "sum",
        self_loops: bool = False,
        normalize: bool = False,
    ) -> None:
        super().__init__()
        self.in_channels, self.out_channels = in_channels, out_channels
        self.first, self.second = reduce_of(first), reduce_of(second)
        self.self_loops, self.normalize = self_loops, normalize
        self.lin = nn.Linear(in_channels, out_channels, bias=False)

    def reset_parameters(self) -> None:
        self.lin.reset_parameters()

    def forward(self, x: Features, hypergraph: Hypergraph) -> Tensor:
        """x (nodes, in_channels), dense or a sparse `Graph`. Returns (nodes, out_channels)."""
        check_nodes("UniSAGEConv", x, hypergraph)
        over = sides(looped(hypergraph) if self.self_loops else hypergraph)
        h = linear(x, self.lin.weight)
        y = h + spmm(over.to_nodes, spmm(over.to_hyperedges, h, reduce=self.first), reduce=self.second)
        return F.normalize(y, dim=-1) if self.normalize else y

    def extra_repr(self) -> str:
        return f"{self.in_channels}, {self.out_channels}, {self.first} of {self.second}"
