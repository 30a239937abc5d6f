"""Evaluates a float graph with torch: for calibration, and to check that passes keep the function."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from moiety.private.graph import Floats, Graph, Node
from moiety.private.hyperedges import Hyperedges, extremes, laplacian

if TYPE_CHECKING:
    import torch

__all__ = ["Evaluator", "convolve"]


def conv3d(x: torch.Tensor, weight: torch.Tensor, conv: dict[str, Any]) -> torch.Tensor:
    """Convolution by the ConvShape fields; x (N, channels, *in) with three spatial axes."""
    import torch.nn.functional as F

    w = weight.reshape(*weight.shape[:2], *conv["kernel"])
    s, p, d, g = conv["stride"], conv["padding"], conv["dilation"], conv["groups"]
    if conv["transposed"]:
        return F.conv_transpose3d(x, w, None, s, p, conv["output_padding"], g, d)
    if x.shape[2] == w.shape[2] == 1 and p[0] == 0:  # torch's 2-D kernels are much faster
        y = F.conv2d(x.squeeze(2), w.squeeze(2), None, s[1:], p[1:], d[1:], g)
        return y.unsqueeze(2)
    return F.conv3d(x, w, None, s, p, d, g)


def convolve(x: Floats, weight: Floats, conv: dict[str, Any]) -> Floats:
    """The same on float64 arrays."""
    import torch

    y = conv3d(torch.from_numpy(np.array(x)), torch.from_numpy(np.array(weight)), conv)
    return np.asarray(y.numpy())


def window_view(x: torch.Tensor) -> torch.Tensor:
    """(N, channels, *space) with three spatial axes, unused ones leading."""
    return x.reshape(*x.shape[:2], *[1] * (5 - x.dim()), *x.shape[2:])


class Evaluator:
    """A float graph ready to run on batches of torch tensors, in float32 or float64."""

    def __init__(self, graph: Graph, dtype: torch.dtype | None = None) -> None:
        import torch

        self.graph = graph
        self.dtype = dtype or torch.float32
        self.nodes = graph.nodes()
        self.last_use = {x: node for node in self.nodes for x in node.inputs}
        self.constants: dict[tuple[Node, str], torch.Tensor] = {}
        for node in self.nodes:
            for key in ("weight", "bias", "a", "b", "c2", "c1", "c0", "matrix"):
                if node.attrs.get(key) is not None:
                    array = torch.from_numpy(np.array(node.attrs[key]))
                    self.constants[node, key] = array.to(self.dtype)

    def __call__(
        self,
        x: torch.Tensor | Sequence[torch.Tensor],
        observe: Callable[[Node, torch.Tensor], None] | None = None,
    ) -> torch.Tensor:
        """Output for x (N, *input shape), or one tensor for each input; `observe` sees every node's value."""
        import torch

        given = dict(zip(self.graph.inputs, [x] if isinstance(x, torch.Tensor) else x, strict=True))
        values: dict[Node, torch.Tensor] = {}
        with torch.no_grad():
            for node in self.nodes:
                inputs = [values[i] for i in node.inputs]
                value = given[node].to(self.dtype) if node.kind == "input" else self.apply(node, inputs)
                values[node] = value
                if observe is not None:
                    observe(node, value)
                for i in set(node.inputs):
                    if self.last_use[i] is node and i is not self.graph.output:
                        values.pop(i, None)
        return values[self.graph.output]

    def get(self, node: Node, key: str) -> torch.Tensor | None:
        return self.constants.get((node, key))

    def apply(self, node: Node, inputs: list[torch.Tensor]) -> torch.Tensor:
        """Value of one node; every tensor has the batch as axis 0."""
        import torch
        import torch.nn.functional as F

        kind, a, x = node.kind, node.attrs, inputs[0]
        n = x.shape[0]
        if kind == "linear":
            conv = a["conv"]
            y = conv3d(x.reshape(n, conv["in_channels"], *conv["in"]), self.constants[node, "weight"], conv)
            y = y.reshape(n, *node.shape)
            bias = self.get(node, "bias")
            if bias is None:
                return y
            return y + (bias.reshape(-1, *[1] * (y.dim() - 2)) if bias.dim() == 1 else bias)
        if kind == "affine":
            if "divisor" in a:
                return torch.div(x, float(a["divisor"]))
            weight, bias = self.get(node, "a"), self.get(node, "b")
            y = x if weight is None else x * weight
            return y if bias is None else y + bias
        if kind == "x2":
            c2, c1, c0 = (self.constants[node, key] for key in ("c2", "c1", "c0"))
            return (c2 * x + c1) * x + c0
        if kind == "maxpool":
            y = F.max_pool3d(
                window_view(x), a["kernel"], a["stride"], a["padding"], a["dilation"], ceil_mode=a["ceil_mode"]
            )
            return y.reshape(n, *node.shape)
        if kind == "sumpool":
            y = F.avg_pool3d(window_view(x), a["kernel"], a["stride"], a["padding"], divisor_override=1)
            return y.reshape(n, *node.shape)
        if kind == "concat":
            return torch.cat(inputs, dim=a["axis"] + 1)
        if kind == "permute":
            return x.permute(0, *[i + 1 for i in a["axes"]])
        if kind == "slice":
            index = [slice(None)] * (a["axis"] + 1) + [slice(a["start"], a["stop"], a["step"])]
            return x[tuple(index)]
        if kind == "pad":
            return F.pad(x, [n for pair in a["padding"][::-1] for n in pair])
        if kind == "upsample":
            for axis, factor in enumerate(a["factors"][5 - x.dim() :], start=2):
                x = x.repeat_interleave(factor, dim=axis)
            return x
        if kind == "spmm":
            product: torch.Tensor = a["sparse"].apply(x)
            return product
        if kind in ("extremes", "sparse_multiply", "revealed"):
            return hypergraph_value(node, inputs)
        if kind == "resample":
            positions = x.reshape(n, x.shape[1], -1)
            spread: torch.Tensor = torch.matmul(positions, self.constants[node, "matrix"].T)
            return spread.reshape(n, *node.shape)
        simple: dict[str, Callable[[], torch.Tensor]] = {
            "relu": lambda: torch.relu(x),
            "sigmoid": lambda: torch.sigmoid(x),
            "tanh": lambda: torch.tanh(x),
            "hardtanh": lambda: torch.clamp(x, a["low"], a["high"]),
            "square": lambda: x * x,
            "factor": lambda: x * a["factor"],
            "add": lambda: x + inputs[1],
            "subtract": lambda: x - inputs[1],
            "multiply": lambda: x * inputs[1],
            "reshape": lambda: x.reshape(n, *node.shape),
            "argmax": lambda: torch.argmax(x, dim=a["axis"] + 1),
        }
        return simple[kind]()


def hypergraph_value(node: Node, inputs: list[torch.Tensor]) -> torch.Tensor:
    """Of a node of private/oblivious.py."""
    import torch

    a, x = node.attrs, inputs[-1]
    if node.kind == "extremes":
        return torch.from_numpy(extremes(x.numpy(), a["indptr"], a["indices"])).to(x.dtype)
    if node.kind == "sparse_multiply":
        row = torch.from_numpy(np.repeat(np.arange(a["indptr"].size - 1), np.diff(a["indptr"])))
        weights = inputs[0].reshape(x.shape[0], *[1] * (x.dim() - 2), -1)
        terms = x[..., torch.from_numpy(a["indices"])] * weights
        return x.new_zeros((*x.shape[:-1], a["indptr"].size - 1)).index_add_(-1, row, terms)
    edges: Hyperedges = a["edges"]
    pairs = (edges.pairs(z) for z in inputs[0].numpy())
    return torch.stack([laplacian(edges, a["rule"], *ends).apply(one) for ends, one in zip(pairs, x, strict=True)])
