"""Searching a network over a graph or hypergraph: its activations are gates as those of images are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from moiety.private import Program

__all__ = ["WholeGraph"]


class WholeGraph(nn.Module):
    """A network of nodes with its graph, as `relax`, `Latency`, `freeze` and the baselines take it: x (samples, nodes,
    features) -> (samples, nodes, classes), each sample the features of all nodes.

    graph, and options such as pairs=, are those of `moiety.private.compile`, by which its latency is found.
    """

    def __init__(self, model: nn.Module, graph: Any, **options: Any) -> None:
        super().__init__()
        self.model, self.graph, self.options = model, graph, options

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([self.model(one, self.graph) for one in x])

    def program(self, example: Tensor, calibration: Tensor | dict[str, float]) -> Program:
        """The network compiled for a sample of `example` (samples, nodes, features)."""
        from moiety import private

        if isinstance(calibration, dict):  # paths within the network itself
            calibration = {path.removeprefix("model."): value for path, value in calibration.items()}
        return private.compile(self.model, example[0], calibration, graph=self.graph, **self.options)
