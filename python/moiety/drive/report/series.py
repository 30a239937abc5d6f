"""The figures of forecasts: errors by step ahead, series with their forecasts, barcodes, and persistence images."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from html import escape

from .marks import legend, method_mark
from .svg import Axes, Scale, element, figure, text

__all__ = ["barcode", "by_step", "forecast", "topology"]

WIDTH = 960.0
KINDS = (
    "search",
    "greedy",
    "everywhere",
    "evolve",
    "uniform",
)  # colours of networks, in turn; grey is what costs nothing
FREE = "random"
BARS = 90  # of a dimension that are drawn
Bars = Sequence[tuple[float, float]]


def by_step(series: Mapping[str, Sequence[float]], free: Sequence[str], unit: str) -> str:
    """Lines over steps ahead; those named in `free` are forecasts that cost nothing."""
    numbers = [value for line in series.values() for value in line]
    steps = max(len(line) for line in series.values())
    x, y = Scale(1, max(steps, 2), 62, WIDTH - 24), Scale.around(numbers, 250, 36, 0.08)
    parts, entries = Axes(x, y, "steps ahead", f"mean absolute error ({unit})").draw(), []
    networks = [label for label in series if label not in free]
    for label, line in series.items():
        kind = FREE if label in free else KINDS[networks.index(label) % len(KINDS)]
        parts.append(
            _curve([(x(i + 1), y(v)) for i, v in enumerate(line)], kind, f"{label}: {line[-1]:.3f} at the end")
        )
        for i, value in enumerate(line):
            parts.append(method_mark(kind, x(i + 1), y(value), 4.5, "mark", f"{label}, step {i + 1}: {value:.3f}"))
        entries.append((method_mark(kind, 11, 8, 5.0), label))
    return legend(entries) + figure(WIDTH, 296, parts, "steps", f"Errors by step ahead of {len(series)} forecasts")


def forecast(truth: Sequence[float], first: int, lines: Mapping[str, Sequence[float]], name: str, unit: str) -> str:
    """A node's values, grey, and what was said of them before."""
    numbers = [*truth, *(value for line in lines.values() for value in line)]
    x, y = Scale(first, first + max(len(truth) - 1, 1), 62, WIDTH - 24), Scale.around(numbers, 200, 30, 0.06)
    parts, entries = Axes(x, y, "step", unit).draw(), []
    for label, line, kind in [("measured", truth, FREE), *((k, v, KINDS[i]) for i, (k, v) in enumerate(lines.items()))]:
        parts.append(_curve([(x(first + i), y(v)) for i, v in enumerate(line)], kind, label))
        entries.append((element("line", x1=0, x2=22, y1=8, y2=8, class_=f"curve {kind}"), label))
    return legend(entries) + figure(WIDTH, 246, parts, name, f"{name}: measured and forecast")


def barcode(bars: Mapping[int, Bars], lag: int, left: float, width: float, top: float) -> tuple[list[str], float]:
    """The longest bars of each dimension, one below the other by birth; and the height that they take."""
    x = Scale(0, lag - 0.5, left, left + width)
    parts, at = [], top
    for dimension, own in bars.items():
        kind = KINDS[dimension % len(KINDS)]
        shown = sorted(sorted(own, key=lambda bar: bar[0] - bar[1])[:BARS])
        more = f", the {BARS} longest" if len(own) > BARS else ""
        parts.append(text(left, at + 12, f"H{dimension}: {len(own)} bars{more}", "name"))
        at += 20
        step = min(7.0, 150 / max(len(shown), 1))
        for birth, death in shown:
            title = element("title", escape(f"H{dimension}: from {birth:g} to {death:g}"))
            parts.append(
                element("line", title, x1=x(birth), x2=x(death), y1=at + step / 2, y2=at + step / 2,
                        class_=f"curve {kind}", style=f"stroke-width:{0.6 * step:.2f}")
            )  # fmt: skip
            at += step
        at += 10
    return [*Axes(x, Scale(0, 1, at, top), "step of the window", "").draw_x(), *parts], at + 44


def topology(bars: Mapping[int, Bars], lag: int, image: Sequence[Sequence[int]]) -> tuple[list[str], float]:
    """A window's barcode, and to the right of it the persistence image that the network reads."""
    parts, height = barcode(bars, lag, 8.0, 500.0, 8.0)
    side, left = 340.0, 580.0
    parts.append(
        element("image", href=_png(image), x=left, y=24.0, width=side, height=side, style="image-rendering:pixelated")
    )
    parts.append(text(left, 16, "death", "name"))
    parts.append(text(left + side, side + 42, "birth", "name", "end"))
    return parts, max(height, side + 56)


def _curve(points: Sequence[tuple[float, float]], kind: str, title: str) -> str:
    path = "".join(f"{'L' if i else 'M'}{x:.2f} {y:.2f}" for i, (x, y) in enumerate(points))
    return element("path", element("title", escape(title)), d=path, class_=f"curve {kind}")


def _png(image: Sequence[Sequence[int]]) -> str:
    """Numbers in [0, 255], the first row below, as a data URI."""
    import numpy as np
    from PIL import Image

    level = np.flipud(np.asarray(image, np.float64))[..., None] / 255
    low, high = np.array([251, 250, 247.0]), np.array([11, 74, 92.0])
    middle = np.array([76, 194, 184.0])
    colours = np.where(level < 0.5, low + 2 * level * (middle - low), middle + (2 * level - 1) * (high - middle))
    buffer = io.BytesIO()
    Image.fromarray(colours.round().astype(np.uint8)).save(buffer, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
