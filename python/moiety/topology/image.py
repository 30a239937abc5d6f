"""Persistence images of zigzag barcodes as a product of two small matrices.

A bar (b, d) contributes g(d - b) times a Gaussian bump, and the bump is a function of one coordinate times one of the
other. Bars of a window of W steps have their ends on the half-integers 0, 1/2, ..., W - 1, so that a barcode is a
histogram H (2W, 2W) of integers and its image is K_y^T (g H)^T K_x with K (2W, resolution). Bars with any ends are the
same product with one row a bar. `moiety.ops.separable_images` multiplies and scales.

code:  what Z-GCNETs' authors compute. Axes birth and death, sampled at `resolution` points from the least to the
       largest birth (death) of the window; the bump is exp(-((x - b)^2 + (y - d)^2) / bandwidth); each image is scaled
       to [0, 1].
paper: definition 3.1 and section 3 of Y. Chen, I. Segovia-Dominguez and Y. R. Gel, ICML 2021. Axes birth and
       persistence d - b over all of [0, W)^2; the bump exp(-|z - (b, d - b)|^2 / (2 bandwidth^2)) is integrated over
       each pixel. With g(0) = 0 it is stable (`stability_constant`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from moiety.ops import graph_common as common
from moiety.ops.separable_images import histogram_images, separable_images

if TYPE_CHECKING:
    from moiety.topology import Barcode

__all__ = ["Variant", "histograms", "image_of_bars", "image_of_histograms", "persistence_image", "spans",
           "stability_constant"]  # fmt: skip

Variant = Literal["code", "paper"]
Weight = float | Callable[[Tensor], Tensor]  # of a bar by its persistence: a power, or a function with g(0) = 0
Ends = npt.NDArray[np.float64]


def histograms(barcodes: Sequence[Barcode], window: int, dimension: int = 1) -> npt.NDArray[np.uint16]:
    """Bars by both ends in half steps: entry [k, i, j] counts those of barcode k with birth i / 2 and death j / 2.

    Bars of other dimensions are left out, and those with death = birth, which weigh nothing. Raises ValueError for
    `window` steps' barcodes with other ends than half-integers in [0, window).
    """
    if window < 1:
        raise ValueError(f"expected a window of at least one step, got {window}")
    size = 2 * window
    counts = np.zeros((len(barcodes), size, size), np.int64)
    for k, barcode in enumerate(barcodes):
        doubled = 2 * np.asarray(barcode.intervals(dimension), np.float64)
        whole = np.rint(np.clip(doubled, 0, size - 1))
        off = ~(np.abs(doubled - whole) < 1e-9).all(1)
        if off.any():
            birth, death = doubled[off][0] / 2
            raise ValueError(
                f"barcode {k}: expected ends on half-integers in [0, {window}), got ({birth:g}, {death:g})"
            )
        ends = whole.astype(np.int64)
        np.add.at(counts[k], (ends[:, 0], ends[:, 1]), 1)
        np.fill_diagonal(counts[k], 0)
    if counts.size and counts.max() > np.iinfo(np.uint16).max:
        raise ValueError(f"expected at most 65535 bars with the same ends, got {counts.max()}")
    return counts.astype(np.uint16)


def spans(*counts: npt.NDArray[np.integer]) -> npt.NDArray[np.float64]:
    """The least and the largest birth and the least and the largest death (B, 4) over all `counts` (B, 2W, 2W) given,
    such as those of dimensions 0 and 1; of no bars at all [0, W - 1/2] twice."""
    there = np.logical_or.reduce([np.asarray(count) > 0 for count in counts])
    found = np.empty((len(there), 4))
    for place, axis in ((0, 2), (2, 1)):
        used = there.any(axis)  # (B, 2W)
        found[:, place] = used.argmax(1)
        found[:, place + 1] = used.shape[1] - 1 - used[:, ::-1].argmax(1)
        found[~used.any(1), place] = 0.0
    return found / 2


def persistence_image(
    bars: Barcode | Ends,
    resolution: int = 100,
    bandwidth: float = 1.0,
    weight: Weight = 1.0,
    variant: Variant = "code",
    *,
    dimension: int = 1,
    window: int | None = None,
    span: Sequence[float] | None = None,
) -> Ends:
    """The image (resolution, resolution) of one barcode's bars of `dimension`, or of bars (n, 2) of births and deaths.

    weight: the power of a bar's persistence, or a function of a tensor of persistences with value 0 at 0. window: the
    steps that the paper's axes cover; needed there. span: the code's axes (`spans`), by default those of the bars.
    """
    ends = np.asarray(bars if isinstance(bars, np.ndarray) else bars.intervals(dimension), np.float64).reshape(-1, 2)
    if variant == "paper" and window is None:
        raise ValueError("expected window, the number of steps that the paper's image covers")
    if not np.isfinite(ends).all():
        raise ValueError("expected bars with finite ends, got others: give the window that they are cut to")
    kept = torch.from_numpy(ends)[None]
    given = None if span is None else torch.tensor([tuple(span)], dtype=torch.float64)
    return cast(Ends, image_of_bars(kept, resolution, bandwidth, weight, variant, window or 1, given)[0].numpy())


def image_of_histograms(
    counts: Tensor,
    resolution: int = 100,
    bandwidth: float | Tensor = 1.0,
    weight: Weight = 1.0,
    variant: Variant = "code",
    span: Tensor | None = None,
    *,
    dtype: torch.dtype = torch.float64,
) -> Tensor:
    """The images (B, resolution, resolution) of histograms (B, 2W, 2W), in `dtype`; span (B, 4) as of `spans`."""
    check(counts, resolution, bandwidth, variant)
    if counts.ndim != 3 or counts.shape[1] != counts.shape[2] or counts.shape[1] % 2:
        raise ValueError(f"expected histograms (B, 2 window, 2 window), got {tuple(counts.shape)}")
    size = counts.shape[1]
    make = constant if common.plain(counts) else computed
    table = (make if isinstance(weight, float | int) else computed)(weights, size, weight, dtype)
    if isinstance(bandwidth, Tensor) and common.needs_gradient(bandwidth):
        make = computed
    elif isinstance(bandwidth, Tensor):
        bandwidth = bandwidth.item()
    if variant == "paper":
        at = torch.arange(size)
        death = at[:, None] + at  # of birth i and persistence j
        inside, death = death < size, death.clamp(max=size - 1)
        counts = counts.to(torch.int32).gather(2, death.expand(len(counts), -1, -1)) * inside
        one = make(window_integrals, size, resolution, bandwidth, dtype)[None]
        return histogram_images(counts, table.gather(1, death), one, one, torch.zeros(len(counts), dtype=torch.int64))
    if span is None:
        span = torch.from_numpy(spans(counts.numpy()))
    places: dict[tuple[float, ...], int] = {}
    own = [places.setdefault(tuple(row), len(places)) for row in span.to(dtype).tolist()]
    if len(places) > 1:
        make = computed
    across, up = make(window_gaussians, tuple(places), size, resolution, bandwidth, dtype)
    groups = None if len(places) == len(own) else torch.tensor(own)
    return histogram_images(counts, table, up, across, groups, scaled=True)


def image_of_bars(
    bars: Tensor,
    resolution: int = 100,
    bandwidth: float | Tensor = 1.0,
    weight: Weight = 1.0,
    variant: Variant = "code",
    window: int = 1,
    span: Tensor | None = None,
) -> Tensor:
    """The images (B, resolution, resolution) of bars (B, n, 2) with any ends, differentiable in them.

    Bars with death = birth weigh nothing: pad with them. The code's axes are constants of the derivative.
    """
    check(bars, resolution, bandwidth, variant)
    if bars.ndim != 3 or bars.shape[2] != 2 or not bars.is_floating_point():
        raise ValueError(f"expected bars (B, n, 2) of floating point, got {bars.dtype} {tuple(bars.shape)}")
    births, deaths = bars.unbind(2)
    heights = weigh((deaths - births).clamp(min=0), weight).unsqueeze(2)  # (B, n, 1)
    if variant == "paper":
        pixels = edges(window, resolution, bars.dtype)
        across, up = integrals(pixels, births, bandwidth), integrals(pixels, deaths - births, bandwidth)
        return separable_images(up * heights, across)
    if span is None:
        span = span_of_bars(bars.detach())
    over, along = axes(span.to(bars.dtype), resolution)
    across, up = gaussians(over, births, bandwidth), gaussians(along, deaths, bandwidth)
    return separable_images(up * heights, across, scaled=True)


def stability_constant(
    bandwidth: float, resolution: int, window: int, bound: float | None = None, lipschitz: float = 1.0
) -> float:
    """C with max |image - image'| <= C W_1(barcode, barcode'), for the paper's variant; W_1 is the 1-Wasserstein
    distance of the diagrams with the maximum norm between points.

    bound, lipschitz: of the weight g on [0, window); by default those of g(p) = p. In birth and persistence a point
    that moves by at most e in either end moves by at most sqrt(5) e. There the bump is at most 1 and its slope at most
    e^(-1/2) / bandwidth, so that the slope of g times it is at most bound e^(-1/2) / bandwidth + lipschitz; it is 0
    where bars vanish, on the diagonal. A pixel integrates that over its area (after H. Adams et al., Persistence
    Images, JMLR 2017, theorem 4).
    """
    top = float(window) if bound is None else bound
    slope = top * math.exp(-0.5) / bandwidth + lipschitz
    return math.sqrt(5) * slope * (window / resolution) ** 2


def check(bars: Tensor, resolution: int, bandwidth: float | Tensor, variant: str) -> None:
    if variant not in get_args(Variant):
        raise ValueError(f"expected the variant 'code' or 'paper', got {variant!r}")
    width = float(bandwidth.detach() if isinstance(bandwidth, Tensor) else bandwidth)
    if resolution < 1 or not width > 0:
        raise ValueError(f"expected a resolution of at least 1 and a bandwidth > 0, got {resolution}, {width:g}")
    if not isinstance(bars, Tensor):
        raise TypeError(f"expected a torch tensor, got {type(bars).__name__}")


def weigh(persistence: Tensor, weight: Weight) -> Tensor:
    """g of persistences at least 0; 0 stays 0 for every power, the power 0 among them."""
    if callable(weight):
        return weight(persistence)
    return torch.where(persistence > 0, persistence**weight, torch.zeros_like(persistence))


@lru_cache(maxsize=64)
def constant(make: Callable[..., Any], *arguments: Any) -> Any:
    """What `make` makes of numbers alone: most windows have the same axes, and a small image takes less time than the
    Gaussians along them."""
    with torch.inference_mode(False):
        return make(*arguments)


def computed(make: Callable[..., Any], *arguments: Any) -> Any:
    """The same where the arguments are learned or the result is not asked for again."""
    return make(*arguments)


def half_steps(size: int, dtype: torch.dtype) -> Tensor:
    return torch.arange(size, dtype=dtype) / 2


def weights(size: int, weight: Weight, dtype: torch.dtype) -> Tensor:
    """Of a histogram's bars by birth and death, (size, size)."""
    times = half_steps(size, dtype)
    return weigh((times - times[:, None]).clamp(min=0), weight)


def window_integrals(size: int, resolution: int, bandwidth: float | Tensor, dtype: torch.dtype) -> Tensor:
    """Of a bump at every half step over the pixels of one axis, (size, resolution)."""
    return integrals(edges(size // 2, resolution, dtype), half_steps(size, dtype), bandwidth)


def window_gaussians(
    span: Sequence[Sequence[float]], size: int, resolution: int, bandwidth: float | Tensor, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    """At every half step along the axes of each of the spans (G, 4): of births and of deaths, (G, size, resolution)."""
    over, along = axes(torch.tensor(span, dtype=dtype).view(-1, 4), resolution)
    times = half_steps(size, dtype)
    return gaussians(over, times, bandwidth), gaussians(along, times, bandwidth)


def edges(window: int, resolution: int, dtype: torch.dtype) -> Tensor:
    """Of the pixels of one axis over [0, window), (resolution + 1,)."""
    return torch.linspace(0, window, resolution + 1, dtype=dtype)


def integrals(pixels: Tensor, centres: Tensor, bandwidth: float | Tensor) -> Tensor:
    """Of exp(-(x - c)^2 / (2 bandwidth^2)) over each pixel, (..., n, resolution) for centres (..., n)."""
    scale = bandwidth * math.sqrt(2)
    below = torch.erf((pixels - centres.unsqueeze(-1)) / scale)
    return bandwidth * math.sqrt(math.pi / 2) * below.diff(dim=-1)


def axes(span: Tensor, resolution: int) -> tuple[Tensor, Tensor]:
    """The points (B, resolution) of the birth and the death axis, ends included."""
    steps = torch.linspace(0, 1, resolution, dtype=span.dtype)
    low, high = span[:, 0::2], span[:, 1::2]  # (B, 2): births, deaths
    points = low[..., None] + (high - low)[..., None] * steps
    return points[:, 0], points[:, 1]


def gaussians(points: Tensor, centres: Tensor, bandwidth: float | Tensor) -> Tensor:
    """exp(-(x - c)^2 / bandwidth), (B, n, resolution) for points (B, resolution) and centres (n,) or (B, n); 0 where it
    is below the least normal number, with which processors are slow."""
    exponent = -((points[:, None] - centres.unsqueeze(-1)) ** 2) / bandwidth
    return torch.exp(exponent).masked_fill(exponent < math.log(torch.finfo(exponent.dtype).tiny), 0.0)


def span_of_bars(bars: Tensor) -> Tensor:
    """As `spans`, of bars (B, n, 2) of which those with death = birth do not count; of none of them zeros."""
    there = (bars[..., 1] > bars[..., 0])[..., None]
    infinity = torch.full_like(bars, math.inf)
    low = torch.where(there, bars, infinity).amin(1)
    high = torch.where(there, bars, -infinity).amax(1)
    found = torch.stack([low[:, 0], high[:, 0], low[:, 1], high[:, 1]], 1)
    return torch.where(found.isfinite(), found, torch.zeros_like(found))
