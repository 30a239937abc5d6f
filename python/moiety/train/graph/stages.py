"""A network as a row of layers that a schedule can place, cut and delay.

`Stages` holds an encoder, layers of one convolution each and a decoder. Called with features and a graph it is the
plain network; schedules call its parts. A layer reads a *block*: rows are the nodes that it computes, columns the nodes
that it reads, and row i is the same node as column i, so that layers find a node's own features and self-loops.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from moiety.graph import Graph
from moiety.nn.graph import EdgeConv, GATConv, GATv2Conv, GCNConv, GINConv, SAGEConv
from moiety.nn.graph.structure import gcn_graph, unweighted
from moiety.ops import spmm

__all__ = ["Layer", "Stages"]

CONVOLUTIONS = (GCNConv, SAGEConv, GINConv, GATConv, GATv2Conv, EdgeConv)


class Layer(nn.Module):
    """One convolution over direct neighbours and what follows it; dropout is what its input goes through first."""

    def __init__(
        self,
        conv: nn.Module,
        activation: nn.Module | None = None,
        dropout: nn.Module | None = None,
        normalize: bool = False,
    ) -> None:
        super().__init__()
        if not isinstance(conv, CONVOLUTIONS):
            names = ", ".join(c.__name__ for c in CONVOLUTIONS)
            raise TypeError(f"stages: expected a convolution over direct neighbours ({names}), got {conv!r}")
        self.conv = conv
        self.activation = nn.Identity() if activation is None else activation
        self.dropout = nn.Identity() if dropout is None else dropout
        self.normalize = normalize

    def operand(self, graph: Graph) -> Graph:
        """The graph whose blocks the convolution reads: normalised for GCN, which needs all degrees for that."""
        conv = self.conv
        if isinstance(conv, GCNConv):
            if not conv.normalize:
                return graph
            dtype = conv.lin.weight.dtype
            found, weight = gcn_graph(graph, None, dtype, improved=conv.improved, loops=conv.add_self_loops)
            return found if weight is None else found.with_weight(weight)
        return unweighted(graph)

    @property
    def sums(self) -> bool:
        """Whether the convolution is a weighted sum over neighbours and then a map of each node by itself."""
        conv = self.conv
        return isinstance(conv, GCNConv | GINConv) or (
            isinstance(conv, SAGEConv) and conv.aggr in ("mean", "sum", "add") and not conv.project
        )

    def summed(self, graph: Graph) -> Graph:
        """`graph`, an operand or the rows of one, with the weights of that sum."""
        if isinstance(self.conv, SAGEConv) and self.conv.aggr == "mean":
            degree = graph.in_degrees().clamp(min=1)
            target = torch.repeat_interleave(torch.arange(graph.num_rows), graph.in_degrees())
            return graph.with_weight(degree.to(self.conv.lin_l.weight.dtype).reciprocal()[target])
        return graph

    def neural(self, total: Tensor, target: Tensor) -> Tensor:
        """The map of each node: neighbours' sum (rows, in) and own features (rows, in) -> (rows, out)."""
        conv = self.conv
        if isinstance(conv, GCNConv):
            y = F.linear(total, conv.lin.weight, conv.bias)
        elif isinstance(conv, GINConv):
            y = conv.nn((1 + conv.eps) * target + total)
        elif isinstance(conv, SAGEConv):
            y = conv.lin_l(total)
            y = y + conv.lin_r(target) if conv.root_weight else y
            y = F.normalize(y, p=2.0, dim=-1) if conv.normalize else y
        else:
            raise TypeError(f"stages: expected a convolution that is a sum and then a map of nodes, got {conv!r}")
        return self.after(y)

    def after(self, y: Tensor) -> Tensor:
        """What follows the convolution."""
        y = self.activation(y)
        return F.normalize(y, dim=-1) if self.normalize else y

    def forward(self, source: Tensor, target: Tensor, block: Graph) -> Tensor:
        """Features of the block's columns and of its rows -> (rows, out). `block` is of `operand`'s graph."""
        conv = self.conv
        if isinstance(conv, GCNConv):
            wide = conv.lin.in_features > conv.lin.out_features
            y = spmm(block, conv.lin(source)) if wide else conv.lin(spmm(block, source))
            return self.after(y if conv.bias is None else y + conv.bias)
        return self.after(conv((source, target), block))


class Stages(nn.Module):
    """encoder, layers, decoder. `of` takes the graph models of `moiety.models`, whose parameters it shares."""

    def __init__(
        self, layers: Sequence[Layer], encoder: nn.Module | None = None, decoder: nn.Module | None = None
    ) -> None:
        super().__init__()
        if not layers:
            raise ValueError("stages: expected at least one layer, got none")
        self.encoder = nn.Identity() if encoder is None else encoder
        self.layers = nn.ModuleList(layers)
        self.decoder = nn.Identity() if decoder is None else decoder

    @classmethod
    def of(cls, model: nn.Module) -> Stages:
        """Of a model with `convs` and perhaps `activations` and `dropouts`: gcn, graphsage, gat, gatv2, gin."""
        if isinstance(model, Stages):
            return model
        convs = getattr(model, "convs", None)
        if not isinstance(convs, nn.ModuleList):
            raise TypeError(f"stages: expected a model with convs, as gcn or graphsage, got {type(model).__name__}")
        activations, dropouts = (list(getattr(model, name, ())) for name in ("activations", "dropouts"))
        last = len(convs) - 1
        return cls(
            [
                Layer(
                    conv,
                    activations[k] if k < len(activations) else None,
                    dropouts[k] if k < len(dropouts) else None,
                    bool(getattr(model, "normalize", False)) and k < last,
                )
                for k, conv in enumerate(convs)
            ]
        )

    def __getitem__(self, layer: int) -> Layer:
        """The layer of a number from 1 on, as equation (3) counts them."""
        return cast(Layer, self.layers[layer - 1])

    def __len__(self) -> int:
        return len(self.layers)

    def drop(self, layer: int, h: Tensor) -> Tensor:
        """h(layer) as the next layer reads it: dropped out by the node's owner, once for all readers."""
        return cast(Tensor, self[layer + 1].dropout(h)) if layer < len(self) else h

    def widths(self, width: int, dtype: torch.dtype = torch.float32) -> list[int]:
        """The width of h(0), the first layer's input, and of every layer's result, for inputs of `width`."""
        modes = [(module, module.training) for module in self.modules()]
        self.eval()
        alone = Graph.from_edge_index(torch.zeros(2, 1, dtype=torch.int64), 1)
        with torch.no_grad():
            h = self.encoder(torch.zeros(1, width, dtype=dtype))
            found = [h.shape[1]]
            for layer in range(1, len(self) + 1):
                h = self[layer](h, h, self[layer].operand(alone))
                found.append(h.shape[1])
        for module, mode in modes:
            module.training = mode
        return found

    def check_parts(self) -> None:
        """Refuse layers whose result for a node depends on which others are computed beside it."""
        for name, module in self.named_modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                raise ValueError(
                    f"stages: {name} normalises over the nodes of a batch, which a part of the graph would change; "
                    "build the model without batch normalisation (gin: norm=False)"
                )

    def forward(self, x: Tensor, graph: Graph) -> Tensor:
        """The plain network: x (nodes, in) -> (nodes, out)."""
        h = self.drop(0, self.encoder(x))
        for layer in range(1, len(self) + 1):
            h = self.drop(layer, self[layer](h, h, self[layer].operand(graph)))
        return cast(Tensor, self.decoder(h))

    def on_blocks(self, x: Tensor, blocks: Sequence[Graph]) -> Tensor:
        """Over the blocks of a sample, one a layer: x (columns of the first, in) -> (rows of the last, out).

        Blocks are sampled from `operand`'s graph, whose weights they carry; sums take these weights into account.
        """
        if len(blocks) != len(self):
            raise ValueError(f"stages: expected a block for each of {len(self)} layers, got {len(blocks)}")
        h = self.drop(0, self.encoder(x))
        for layer, block in enumerate(blocks, 1):
            stage, own = self[layer], h[: block.num_rows]
            y = stage.neural(spmm(stage.summed(block), h), own) if stage.sums else stage(h, own, block)
            h = self.drop(layer, y)
        return cast(Tensor, self.decoder(h))
