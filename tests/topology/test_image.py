"""Persistence images: the published dense sums, integrals, the layer's gradients, stability, and refusals."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import dblquad
from scipy.optimize import linear_sum_assignment

from moiety.nn import ZigzagImage
from moiety.topology.image import (
    histograms,
    image_of_bars,
    image_of_histograms,
    persistence_image,
    spans,
    stability_constant,
)

Floats = npt.NDArray[np.float64]
WINDOW = 6


def barcode(*by_dimension: Any) -> Any:
    """What images ask of a barcode."""
    return SimpleNamespace(intervals=lambda d: np.asarray(by_dimension[d], np.float64).reshape(-1, 2))


def random_bars(seed: int, count: int = 25, window: int = WINDOW) -> Floats:
    rng = np.random.default_rng(seed)
    return np.sort(rng.integers(0, 2 * window, (count, 2)), 1) / 2


def dense(bars: Floats, others: Floats, resolution: int, bandwidth: float, power: float) -> Floats:
    """The published computation: axes over both diagrams, one plane a bar, all of them summed, scaled to [0, 1]."""
    everything = np.vstack([part[part[:, 0] < part[:, 1]] for part in (bars, others)])
    x, y = (np.linspace(everything[:, k].min(), everything[:, k].max(), resolution) for k in (0, 1))
    across, up = np.meshgrid(x, y)
    birth, death = bars[:, 0], bars[:, 1]
    squares = (across[..., None] - birth) ** 2 + (up[..., None] - death) ** 2
    image = (np.abs(death - birth) ** power * np.exp(-squares / bandwidth)).sum(-1)
    return (image - image.min()) / (image.max() - image.min())


@pytest.mark.parametrize(("bandwidth", "power"), [(1.0, 1.0), (0.3, 2.0), (5.0, 0.5)])
def test_the_code_variant_is_the_published_sum(bandwidth: float, power: float) -> None:
    pairs = [(random_bars(2 * k), random_bars(2 * k + 1)) for k in range(5)]
    made = [barcode(zero, one) for zero, one in pairs]
    zeroth, first = histograms(made, WINDOW, 0), histograms(made, WINDOW, 1)
    assert first.dtype == np.uint16
    images = image_of_histograms(
        torch.from_numpy(first), 50, bandwidth, power, span=torch.from_numpy(spans(zeroth, first))
    )
    for (zero, one), found, span in zip(pairs, images, spans(zeroth, first), strict=True):
        expected = dense(one, zero, 50, bandwidth, power)
        np.testing.assert_allclose(found.numpy(), expected, rtol=0, atol=1e-12)
        again = persistence_image(one, 50, bandwidth, power, span=span.tolist())
        np.testing.assert_allclose(again, expected, rtol=0, atol=1e-12)


def test_a_hundred_pixels_of_many_bars() -> None:
    """The size of a window of PeMSD4 at the published resolution."""
    zero, one = random_bars(0, 670, 12), random_bars(1, 327, 12)
    made = [barcode(zero, one)]
    span = torch.from_numpy(spans(histograms(made, 12, 0), histograms(made, 12, 1)))
    found = image_of_histograms(torch.from_numpy(histograms(made, 12, 1)), 100, span=span)[0]
    np.testing.assert_allclose(found.numpy(), dense(one, zero, 100, 1.0, 1.0), rtol=0, atol=1e-12)


def test_the_paper_variant_is_an_integral() -> None:
    bars, theta, resolution = np.array([[0.5, 2.0], [1.0, 1.5], [0.0, 5.5]]), 0.7, 6
    found = persistence_image(bars, resolution, theta, variant="paper", window=WINDOW)

    def surface(p: float, b: float) -> float:
        births, heights = bars[:, 0], bars[:, 1] - bars[:, 0]
        return float((heights * np.exp(-((b - births) ** 2 + (p - heights) ** 2) / (2 * theta**2))).sum())

    side = WINDOW / resolution
    for row, column in ((0, 0), (1, 1), (5, 0), (2, 3)):
        expected = dblquad(surface, column * side, (column + 1) * side, row * side, (row + 1) * side)[0]
        assert found[row, column] == pytest.approx(expected, rel=1e-7)
    assert found.sum() == pytest.approx(
        image_of_bars(torch.from_numpy(bars)[None], 100, theta, 1.0, "paper", WINDOW).sum().item(), rel=1e-10
    )


@pytest.mark.parametrize("variant", ["code", "paper"])
def test_bars_and_their_histogram_have_one_image(variant: Any) -> None:
    bars = [random_bars(k) for k in range(4)]
    counts = torch.from_numpy(histograms([barcode([], b) for b in bars], WINDOW))
    by_counts = image_of_histograms(counts, 20, 0.8, 1.5, variant)
    by_bars = image_of_bars(torch.from_numpy(np.stack(bars)), 20, 0.8, 1.5, variant, WINDOW)
    torch.testing.assert_close(by_counts, by_bars, rtol=0, atol=1e-12)


def test_histograms_and_spans() -> None:
    made = [barcode([[0, 1]], [[0.5, 2.0], [0.5, 2.0], [1.0, 1.0]]), barcode([], [])]
    counts = histograms(made, 3)
    assert counts.shape == (2, 6, 6)
    assert counts[0, 1, 4] == 2 == counts.sum()  # the bar without length weighs nothing
    assert spans(counts).tolist() == [[0.5, 0.5, 2.0, 2.0], [0.0, 2.5, 0.0, 2.5]]
    assert spans(histograms(made, 3, 0), counts)[0].tolist() == [0.0, 0.5, 1.0, 2.0]
    nothing = image_of_histograms(torch.from_numpy(counts), 10)[1]
    assert nothing.shape == (10, 10)
    assert bool((nothing == 0).all())
    assert bool((image_of_bars(torch.zeros(1, 3, 2), 10) == 0).all())


@pytest.mark.parametrize(
    ("bars", "said"),
    [
        ([[0.5, 3.0]], r"half-integers in \[0, 3\), got \(0.5, 3\)"),
        ([[0.25, 1.0]], r"got \(0.25, 1\)"),
        ([[0.0, np.inf]], r"got \(0, inf\)"),
        ([[-0.5, 1.0]], r"got \(-0.5, 1\)"),
    ],
)
def test_ends_off_the_grid(bars: list[list[float]], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        histograms([barcode([], bars)], 3)


def test_refusals() -> None:
    counts = torch.zeros(2, 6, 6, dtype=torch.int64)
    with pytest.raises(ValueError, match="'code' or 'paper', got 'mean'"):
        image_of_histograms(counts, variant="mean")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="bandwidth > 0, got 10, 0"):
        image_of_histograms(counts, 10, 0.0)
    with pytest.raises(ValueError, match=r"histograms \(B, 2 window, 2 window\), got \(2, 6, 5\)"):
        image_of_histograms(counts[:, :, :5])
    with pytest.raises(TypeError, match="expected a torch tensor"):
        image_of_histograms(counts.numpy())  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"bars \(B, n, 2\) of floating point, got torch.int64"):
        image_of_bars(counts)
    with pytest.raises(ValueError, match="expected window"):
        persistence_image(np.zeros((1, 2)), variant="paper")
    with pytest.raises(ValueError, match="finite ends"):
        persistence_image(np.array([[0.0, np.inf]]))
    with pytest.raises(ValueError, match="at least one step, got 0"):
        histograms([], 0)
    for bad in ({"window": 1}, {"window": 3, "bandwidth": -1.0}, {"window": 3, "variant": "other"}):
        with pytest.raises(ValueError, match="expected"):
            ZigzagImage(**bad)
    with pytest.raises(ValueError, match=r"integer histograms \(B, 6, 6\)"):
        ZigzagImage(3)(torch.zeros(2, 8, 8, dtype=torch.int64))


def test_the_layer_begins_as_the_published_image_and_learns() -> None:
    counts = torch.from_numpy(histograms([barcode([], random_bars(k)) for k in range(3)], WINDOW))
    layer = ZigzagImage(WINDOW, 32).double()
    images = layer(counts)
    assert images.shape == (3, 1, 32, 32)
    torch.testing.assert_close(images[:, 0], image_of_histograms(counts, 32), rtol=0, atol=1e-12)
    assert ZigzagImage(WINDOW, 32)(counts).dtype is torch.float32
    target = image_of_histograms(counts, 32, 0.4, 2.0).unsqueeze(1)
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.05)
    losses = []
    for _ in range(60):
        optimizer.zero_grad()
        loss = (layer(counts) - target).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.05 * losses[0]
    assert layer.bandwidth.item() == pytest.approx(0.4, rel=0.25)
    frozen = ZigzagImage(WINDOW, learnable=False)
    assert not any(p.requires_grad for p in frozen.parameters())


@pytest.mark.parametrize("variant", ["code", "paper"])
def test_gradients_of_bars_and_parameters(variant: Any) -> None:
    layer = ZigzagImage(WINDOW, 7, variant=variant).double()
    rng = np.random.default_rng(3)
    ends = np.sort(rng.random((2, 4, 2)), 2) * [2.0, 5.0] + [0.0, 0.4]  # no end on the grid, where g has a corner
    bars = torch.from_numpy(ends).requires_grad_()
    span = torch.tensor([[0.0, 2.0, 0.5, 5.5]] * 2, dtype=torch.float64)
    with torch.no_grad():
        layer.log_weight.copy_(torch.randn(2 * WINDOW, generator=torch.Generator().manual_seed(0), dtype=torch.float64))

    def image(bars: torch.Tensor, bandwidth: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        named = {"log_bandwidth": bandwidth, "log_weight": weight}
        out: torch.Tensor = torch.func.functional_call(layer, named, (bars, span))
        return out

    parameters = (layer.log_bandwidth.detach().requires_grad_(), layer.log_weight.detach().requires_grad_())
    assert torch.autograd.gradcheck(image, (bars, *parameters))


def wasserstein(first: Floats, second: Floats) -> float:
    """W_1 of two diagrams with the maximum norm: the best matching, in which a point may go to the diagonal."""
    n, m = len(first), len(second)
    cost = np.zeros((n + m, n + m))
    cost[:n, :m] = np.abs(first[:, None] - second[None]).max(-1)
    cost[:n, m:] = ((first[:, 1] - first[:, 0]) / 2)[:, None]
    cost[n:, :m] = ((second[:, 1] - second[:, 0]) / 2)[None]
    rows, columns = linear_sum_assignment(cost)
    return float(cost[rows, columns].sum())


points = st.lists(
    st.tuples(st.floats(0, WINDOW - 0.5), st.floats(0, WINDOW - 0.5)).map(sorted), min_size=0, max_size=7
).map(lambda found: np.array(found, np.float64).reshape(-1, 2))


@settings(max_examples=60, deadline=None)
@given(points, points, st.sampled_from([0.2, 1.0, 3.0]))
def test_stability(first: Floats, second: Floats, bandwidth: float) -> None:
    """Proposition 3.1: images are no farther apart than C times the 1-Wasserstein distance of the barcodes."""
    resolution = 16
    images = [persistence_image(b, resolution, bandwidth, variant="paper", window=WINDOW) for b in (first, second)]
    constant = stability_constant(bandwidth, resolution, WINDOW)
    assert np.abs(images[0] - images[1]).max() <= constant * wasserstein(first, second) + 1e-12


def test_the_constant_is_not_idle() -> None:
    """A point that moves a little moves its image by a part of the bound that is no rounding error."""
    first, second = np.array([[1.0, 4.0]]), np.array([[1.01, 3.99]])
    images = [persistence_image(b, 16, 1.0, variant="paper", window=WINDOW) for b in (first, second)]
    moved = np.abs(images[0] - images[1]).max()
    assert wasserstein(first, second) == pytest.approx(0.01)
    assert moved > 0.05 * stability_constant(1.0, 16, WINDOW) * 0.01


def test_the_code_variant_is_not_stable() -> None:
    """Its scaling to [0, 1] blows up a bar however short: why the theorem is about the paper's."""
    short = persistence_image(np.array([[1.0, 1.001]]), 16, span=(0, 5, 0, 5))
    assert short.max() == 1.0
    assert persistence_image(np.zeros((0, 2)), 16, span=(0, 5, 0, 5)).max() == 0.0
