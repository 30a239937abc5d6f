"""Training of one network on one split of a hypergraph's nodes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from moiety.data.hypergraph_data import HypergraphData
from moiety.models.hypergraph_parts import Regularised

from .config import HyperFitConfig

__all__ = ["Fitted", "fit_split", "step"]


@dataclass(frozen=True)
class Fitted:
    """Accuracies of the network as the last epoch left it, and that epoch's loss."""

    train: float
    test: float
    loss: float


def fit_split(
    model: nn.Module,
    data: HypergraphData,
    split: int,
    config: HyperFitConfig,
    progress: Callable[[int, float], None] = lambda epoch, loss: None,
) -> Fitted:
    """Train `model` on the nodes of a split and leave the last epoch's weights in it; epochs see the whole hypergraph.

    Random numbers come from torch's generator. The nodes to test with are looked at once, in the end.
    """
    nodes, others = data.split(split)
    labels = data.y[nodes]
    optimizer = torch.optim.Adam(
        model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay, fused=True
    )
    loss = 0.0
    model.train()
    for epoch in range(config.epochs):
        loss = step(model, data, nodes, labels, optimizer)
        progress(epoch, loss)
    model.eval()
    with torch.no_grad():
        right = model(data.x, data.hypergraph).argmax(1) == data.y
    return Fitted(float(right[nodes].float().mean()), float(right[others].float().mean()), loss)


def step(
    model: nn.Module, data: HypergraphData, nodes: Tensor, labels: Tensor, optimizer: torch.optim.Optimizer
) -> float:
    """One epoch: one step on the cross entropy of the nodes (k,), and on what the network adds to it; the loss."""
    optimizer.zero_grad(set_to_none=True)
    logits = model(data.x, data.hypergraph)
    loss = F.cross_entropy(logits[nodes], labels)
    if isinstance(model, Regularised):
        loss = loss + model.penalty(logits, data.hypergraph)
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    return loss.item()
