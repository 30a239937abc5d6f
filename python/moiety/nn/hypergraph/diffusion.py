"""ED-HNN's layer: an equivariant diffusion over the star expansion (P. Wang et al., Equivariant Hypergraph Diffusion
Neural Operators, ICLR 2023, algorithm 1)."""

from __future__ import annotations

from functools import partial
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from moiety.graph import Hypergraph
from moiety.nn.graph.convolution import reduce_of
from moiety.nn.graph.messages import reset
from moiety.nn.graph.structure import at_sources, at_targets, to_targets
from moiety.nn.hypergraph.parts import perceptron
from moiety.nn.hypergraph.structure import Sides, check_nodes, looped, sides
from moiety.ops import spmm

__all__ = ["EDHNNConv"]


class EDHNNConv(nn.Module):
    """z_e = aggregate_(v in e) phi(x_v); y_v = aggregate_(e of v) rho(x_v, z_e);
    x_v' = psi((1 - alpha) y_v + alpha x0_v).

    layers: of the perceptrons phi, rho and psi; phi of none is the identity, rho of none gives z_e back, psi of none
    the identity. rho of one layer is linear and is applied to nodes and hyperedges, not to their incidences. aggr:
    "mean" or "sum", of both aggregates. self_loops: every node is a hyperedge by itself as well, without which a node
    in no hyperedge keeps nothing but alpha x0. Weights of the hypergraph do not count.
    """

    def __init__(
        self,
        channels: int,
        layers: tuple[int, int, int] = (0, 0, 1),
        aggr: str = "mean",
        alpha: float = 0.0,
        dropout: float = 0.0,
        norm: bool = False,
        self_loops: bool = True,
    ) -> None:
        super().__init__()
        if reduce_of(aggr) not in ("mean", "sum") or not 0 <= alpha <= 1:
            raise ValueError(f"expected aggr 'mean' or 'sum' and alpha in [0, 1], got {aggr!r}, {alpha}")
        self.channels, self.aggr, self.alpha, self.self_loops = channels, reduce_of(aggr), alpha, self_loops
        phi, rho, psi = layers
        build = partial(perceptron, hidden=channels, out_features=channels, dropout=dropout, norm=norm)
        self.phi = build(channels, layers=phi)
        self.rho = build(2 * channels, layers=rho) if rho else None
        self.psi = build(channels, layers=psi)

    def reset_parameters(self) -> None:
        for network in (self.phi, self.rho, self.psi):
            if network is not None:
                reset(network)

    def forward(self, x: Tensor, hypergraph: Hypergraph, x0: Tensor | None = None) -> Tensor:
        """x (nodes, channels); x0 (nodes, channels): what alpha mixes in, x itself by default. (nodes, channels)."""
        check_nodes("EDHNNConv", x, hypergraph)
        over = sides(looped(hypergraph) if self.self_loops else hypergraph)
        z = cast(Tensor, spmm(over.to_hyperedges, self.phi(x), reduce=self.aggr))  # (hyperedges, channels)
        y = self._received(over, x, z)
        if self.alpha:
            y = (1 - self.alpha) * y + self.alpha * (x if x0 is None else x0)
        return cast(Tensor, self.psi(y))

    def _received(self, over: Sides, x: Tensor, z: Tensor) -> Tensor:
        """The aggregate of rho (nodes, channels)."""
        graph = over.to_nodes
        if self.rho is None:
            return cast(Tensor, spmm(graph, z, reduce=self.aggr))
        if len(self.rho) == 1:  # linear: of nodes and hyperedges, not of every incidence
            lin = cast(nn.Linear, self.rho[0])
            own, other = lin.weight[:, : self.channels], lin.weight[:, self.channels :]
            degree = graph.in_degrees().to(x.dtype).view(-1, 1)
            count = degree if self.aggr == "sum" else degree.clamp(max=1)
            received = cast(Tensor, spmm(graph, F.linear(z, other), reduce=self.aggr))
            return received + count * F.linear(x, own, lin.bias)
        messages = self.rho(torch.cat([at_targets(graph, x), at_sources(graph, z)], 1))  # (incidences, channels)
        return to_targets(graph, messages, self.aggr)

    def extra_repr(self) -> str:
        return f"{self.channels}, aggr={self.aggr}, alpha={self.alpha}"
