"""Scalable vector graphics by hand: elements, linear scales with round ticks, and one labelled pair of axes.

Colours are CSS classes of the page (`style.css`), so that a figure follows the reader's light or dark setting.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

__all__ = ["Axes", "Scale", "element", "figure", "image", "number", "text", "ticks"]


def element(tag: str, *children: str, **attributes: object) -> str:
    """`<tag attributes>children</tag>`; `class_` stands for class, `a_b` for a-b, None for no attribute."""
    said = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{escape(number(value), quote=True)}"'
        for name, value in attributes.items()
        if value is not None
    )
    return f"<{tag}{said}>{''.join(children)}</{tag}>" if children else f"<{tag}{said}/>"


def number(value: object) -> str:
    """A coordinate with two decimals at most, anything else as text."""
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


def text(x: float, y: float, words: str, class_: str = "", anchor: str | None = None, **attributes: object) -> str:
    return element(
        "text", escape(words), x=float(x), y=float(y), class_=class_ or None, text_anchor=anchor, **attributes
    )


def figure(width: float, height: float, parts: Iterable[str], name: str, label: str) -> str:
    """An inline figure that scales with the page; `label` is what a screen reader says."""
    return element(
        "svg",
        *parts,
        viewBox=f"0 0 {number(float(width))} {number(float(height))}",
        id=f"plot-{name}",
        class_="plot",
        role="img",
        aria_label=label,
        style=f"max-width:{number(float(width))}px",
    )


def image(width: float, height: float, parts: Iterable[str], label: str, style: str) -> str:
    """A figure as a file of its own, on the colour of a page."""
    paper = element("rect", width=width, height=height, fill="var(--card)")
    inside = (element("title", escape(label)), f"<style>{style}</style>", paper, *parts)
    return element(
        "svg",
        *inside,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {number(float(width))} {number(float(height))}",
        class_="plot",
        role="img",
        aria_label=label,
    )


def ticks(low: float, high: float, count: int = 6) -> list[float]:
    """Round values from `low` to `high`, about `count` of them."""
    span = high - low
    if not span > 0:
        return [low]
    raw = span / max(count, 1)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [round(i * step, 12) for i in range(first, math.floor(high / step + 1e-9) + 1)]


@dataclass(frozen=True)
class Scale:
    """From values [low, high] to coordinates [start, stop]."""

    low: float
    high: float
    start: float
    stop: float

    @staticmethod
    def around(values: Sequence[float], start: float, stop: float, margin: float = 0.06) -> Scale:
        """A scale that shows all `values` with some room on either side."""
        low, high = min(values), max(values)
        room = (high - low) * margin or abs(high) * margin or 1.0
        return Scale(low - room, high + room, start, stop)

    def __call__(self, value: float) -> float:
        return self.start + (value - self.low) / (self.high - self.low) * (self.stop - self.start)


@dataclass(frozen=True)
class Axes:
    """A plotting area with grid lines, tick labels and names of both axes."""

    x: Scale
    y: Scale
    x_name: str
    y_name: str

    def draw(self) -> list[str]:
        parts = [text(self.x.start - 8, self.y.stop - 14, self.y_name, "name", "start")]
        for value in ticks(self.y.low, self.y.high, 5):
            y = self.y(value)
            parts.append(element("line", x1=self.x.start, x2=self.x.stop, y1=y, y2=y, class_="grid"))
            parts.append(text(self.x.start - 8, y + 4, f"{value:g}", "tick", "end"))
        return parts + self.draw_x()

    def draw_x(self) -> list[str]:
        """Only the horizontal axis, for bars that carry their own labels."""
        left, right, bottom = self.x.start, self.x.stop, self.y.start
        parts = []
        for value in ticks(self.x.low, self.x.high, 7):
            x = self.x(value)
            parts.append(element("line", x1=x, x2=x, y1=bottom, y2=bottom + 4, class_="axis"))
            parts.append(text(x, bottom + 18, f"{value:g}", "tick", "middle"))
        parts.append(element("line", x1=left, x2=right, y1=bottom, y2=bottom, class_="axis"))
        parts.append(text((left + right) / 2, bottom + 38, self.x_name, "name", "middle"))
        return parts
