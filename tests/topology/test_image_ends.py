"""Bars with continuous ends: by hand, gradients against finite differences, against the zigzag of snapshots."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from moiety.nn import ZigzagImage
from moiety.topology import Snapshots, snapshots_barcode
from moiety.topology.image_ends import continuous_bars

CYCLE = [(0, 1), (1, 2), (2, 3), (0, 3)]


def random_weights(seed: int, steps: int = 5, nodes: int = 6) -> tuple[Tensor, list[tuple[int, int]]]:
    edges = [(u, v) for u in range(nodes) for v in range(u + 1, nodes)]
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(steps, len(edges), generator=generator, dtype=torch.float64), edges


def test_a_cycle_by_hand() -> None:
    weights = torch.full((3, 4), 0.1, dtype=torch.float64)
    weights[0, 3] = 0.9  # enters at alpha = 0.5 where 0.9 -> 0.1 crosses it, in the middle
    weights[2, 0] = 0.6  # leaves at 1 + 0.4 / 0.5
    weights.requires_grad_()
    (bar,) = continuous_bars(weights, CYCLE, 4, 0.5)
    assert bar.tolist() == pytest.approx([0.5, 1.8])
    bar.sum().backward()
    expected = torch.zeros(3, 4, dtype=torch.float64)
    expected[0, 3], expected[1, 3] = 0.5 / 0.8, 0.5 / 0.8  # dt / dw of t = (alpha - a) / (b - a) at both ends
    expected[1, 0], expected[2, 0] = -0.1 / 0.25, -0.4 / 0.25
    torch.testing.assert_close(weights.grad, expected)


def test_components_by_hand() -> None:
    weights = torch.tensor([[0.9], [0.1], [0.9]], dtype=torch.float64)
    bars = continuous_bars(weights, [(0, 1)], 2, 0.5, 0)
    assert sorted(bars.tolist()) == [[0.0, 0.5], [0.0, 2.0], [1.5, 2.0]]


def test_a_triangle_has_no_hole() -> None:
    weights = torch.full((3, 3), 0.1, dtype=torch.float64)
    weights[0] = torch.tensor([0.9, 0.8, 0.7])  # its edges enter one after another
    assert continuous_bars(weights, [(0, 1), (0, 2), (1, 2)], 3, 0.5).shape == (0, 2)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([0, 1]))
def test_alive_at_snapshots_as_in_the_zigzag_of_snapshots(seed: int, dimension: int) -> None:
    """At every snapshot both complexes are the same, so as many bars live there."""
    weights, edges = random_weights(seed)
    found = continuous_bars(weights, edges, 6, 0.5, dimension).numpy()
    betti = snapshots_barcode(Snapshots.from_weights(6, edges, weights.numpy(), 0.5)).betti(dimension)[::2]
    for step in range(1, len(weights) - 1):
        assert int(((found[:, 0] < step) & (step < found[:, 1])).sum()) == betti[step]


@pytest.mark.parametrize(("variant", "seed"), [("code", 0), ("paper", 1)])
def test_gradients_of_an_image_reach_the_weights(variant: Any, seed: int) -> None:
    """Backward through image and barcode against central differences, at every weight."""
    weights, edges = random_weights(seed)
    layer = ZigzagImage(5, 8, variant=variant).double()
    span = torch.tensor([[0.0, 4.0, 0.0, 4.0]], dtype=torch.float64)
    targets = torch.rand(8, 8, generator=torch.Generator().manual_seed(9), dtype=torch.float64)

    def loss(given: Tensor) -> Tensor:
        image = layer(continuous_bars(given, edges, 6, 0.5).unsqueeze(0), span)
        return (image[0, 0] * targets).sum()

    leaf = weights.clone().requires_grad_()
    loss(leaf).backward()
    assert leaf.grad is not None
    assert int((leaf.grad != 0).sum()) >= 6
    step = 1e-6
    with torch.no_grad():
        for k in range(weights.numel()):
            moved = [weights.clone(), weights.clone()]
            moved[0].view(-1)[k] += step
            moved[1].view(-1)[k] -= step
            slope = (loss(moved[0]) - loss(moved[1])) / (2 * step)
            assert float(leaf.grad.view(-1)[k]) == pytest.approx(float(slope), rel=1e-4, abs=1e-6)


def test_descent_lengthens_a_cycle() -> None:
    """A few steps along the gradient keep a hole open longer."""
    weights = torch.full((4, 4), 0.3, dtype=torch.float64)
    weights[0, 3], weights[3, 1] = 0.8, 0.9
    weights.requires_grad_()
    optimizer = torch.optim.SGD([weights], 0.05)
    lengths = []
    for _ in range(10):
        optimizer.zero_grad()
        bars = continuous_bars(weights, CYCLE, 4, 0.5)
        length = (bars[:, 1] - bars[:, 0]).sum()
        (-length).backward()
        optimizer.step()
        lengths.append(length.item())
    assert lengths[-1] > lengths[0] + 0.2


@pytest.mark.parametrize(
    ("weights", "edges", "options", "said"),
    [
        (torch.zeros(1, 4), CYCLE, {}, r"\(steps >= 2, 4 edges\)"),
        (torch.zeros(3, 2), CYCLE, {}, r"got torch.float32 \(3, 2\)"),
        (torch.zeros(3, 4, dtype=torch.int64), CYCLE, {}, "of floating point"),
        (torch.full((3, 4), -1.0), CYCLE, {}, "step 0: expected finite weights >= 0, got -1.0 for the edge 0"),
        (torch.full((3, 4), float("nan")), CYCLE, {}, "got nan"),
        (torch.zeros(3, 4), [(0, 1), (1, 0), (1, 2), (2, 3)], {}, "each once"),
        (torch.zeros(3, 4), [(0, 9), (1, 0), (1, 2), (2, 3)], {}, "nodes below 4"),
        (torch.zeros(3, 4), CYCLE, {"dimension": 2}, "dimension 0 or 1"),
        (torch.zeros(3, 4), CYCLE, {"alpha": float("nan")}, "alpha >= 0"),
    ],
)
def test_refusals(weights: Tensor, edges: Any, options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        continuous_bars(weights, edges, 4, **{"alpha": 0.5, **options})


def test_no_edges() -> None:
    bars = continuous_bars(torch.zeros(3, 0), np.zeros((0, 2), np.int64), 2, 0.5, 0)
    assert bars.tolist() == [[0.0, 2.0], [0.0, 2.0]]
