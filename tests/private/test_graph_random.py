"""Random models over random graphs: whatever order the compiler finds for their products, the answer is torch's."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
import torch
from compile_helpers import certified
from torch import Tensor, nn
from torch.nn import functional as F

from moiety import private
from moiety.graph import Graph
from moiety.nn import APPNP, GATConv, GCNConv, GINConv, SAGEConv, SGConv, X2Act
from moiety.ops import spmm
from moiety.private import reference

NODES, FEATURES = 24, 6
# What reads one earlier value, and what reads two.
ONE = (
    *("linear", "linear", "norm", "relu", "x2", "sum", "sum", "ones", "mean", "scale", "negative", "divide", "times"),
    *("gcn", "sage", "gin", "appnp", "sgc", "attention", "residual"),
)
TWO = ("add", "subtract", "concat")


class RandomModel(nn.Module):
    """Steps that read one of the last three values, and perhaps any other of the same width."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.draw = random.Random(seed)
        self.steps: list[tuple[str, int, int]] = []
        self.parts = nn.ModuleList()
        widths = [FEATURES]
        for _ in range(self.draw.randint(2, 7)):
            kind = self.draw.choice(ONE + TWO)
            read = self.draw.randrange(max(0, len(widths) - 3), len(widths))
            fitting = [i for i, n in enumerate(widths) if n == widths[read] or kind == "concat"]
            other = self.draw.choice(fitting)
            part, width = self.part(kind, widths[read])
            widths.append(width + widths[other] if kind == "concat" else width)
            self.steps.append((kind, read, other))
            self.parts.append(part)

    def part(self, kind: str, width: int) -> tuple[nn.Module, int]:
        out = self.draw.choice((2, 5, 9))
        match kind:
            case "linear":
                return nn.Linear(width, out, bias=self.draw.random() < 0.5), out
            case "norm":
                norm = nn.BatchNorm1d(width)
                for name, low, high in (("running_mean", -0.5, 0.5), ("running_var", 0.5, 2.0), ("weight", -1.0, 1.0)):
                    nn.init.uniform_(getattr(norm, name), low, high)
                return norm, width
            case "x2":
                return X2Act(width if self.draw.random() < 0.5 else None), width
            case "gcn":
                return GCNConv(width, out), out
            case "sage":
                return SAGEConv(width, out, aggr=self.draw.choice(("mean", "sum"))), out
            case "gin":
                inner = nn.Sequential(nn.Linear(width, 4), nn.ReLU(), nn.Linear(4, out))
                return GINConv(inner, train_eps=self.draw.random() < 0.5, eps=0.1), out
            case "appnp":
                return APPNP(self.draw.randint(1, 3), 0.2), width
            case "sgc":
                return SGConv(width, out, K=self.draw.randint(1, 3)), out
            case "attention":
                return GATConv(width, 2, 2, attention=self.draw.choice(("relu", "square"))), 4
            case "times":
                return nn.ParameterList([nn.Parameter(torch.randn(self.draw.choice((1, width))))]), width
        return nn.Identity(), width

    def forward(self, x: Tensor, graph: Graph) -> Tensor:
        values = [x]
        for (kind, read, other), part in zip(self.steps, self.parts, strict=True):
            values.append(self.step(kind, values[read], values[other], part, graph))
        return values[-1]

    def step(self, kind: str, x: Tensor, y: Tensor, part: Any, graph: Graph) -> Tensor:
        simple = {
            "relu": lambda: F.relu(x),
            "sum": lambda: spmm(graph, x),
            "ones": lambda: 0.3 * spmm(graph.with_weight(None), x),
            "mean": lambda: spmm(graph, x, reduce="mean"),
            "scale": lambda: -0.25 * x,
            "negative": lambda: -x,
            "divide": lambda: x / 4 + 0.2,
            "times": lambda: x * part[0],
            "residual": lambda: x + 0.7 * spmm(graph, x) - spmm(graph, x, reduce="mean"),
            "add": lambda: x + y,
            "subtract": lambda: x - y,
            "concat": lambda: torch.cat([x, y], 1),
        }
        if kind in simple:
            return torch.as_tensor(simple[kind]())
        result: Tensor = part(x) if kind in ("linear", "norm", "x2") else part(x, graph)
        return result


@pytest.mark.parametrize("seed", range(30))
def test_any_model_is_compiled_to_what_it_computes(seed: int) -> None:
    torch.manual_seed(seed)
    draw = np.random.default_rng(seed)
    weight = torch.from_numpy(draw.normal(size=60).astype(np.float32) * 0.4)
    graph = Graph.from_edge_index(torch.from_numpy(draw.integers(0, NODES, (2, 60))), NODES, weight=weight)
    model, x = RandomModel(seed).eval(), 2 * torch.rand(NODES, FEATURES) - 1
    program = private.compile(model, x, calibration=x, graph=graph)
    trace = reference.run(program, x[None].numpy(), trace=True)
    certified(program, trace)
    with torch.no_grad():
        expected = model.double()(x.double(), graph).numpy()
    assert np.abs(trace.output[0] - expected).max() < 2e-3 * max(1.0, np.abs(expected).max())
