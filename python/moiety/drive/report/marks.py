"""How methods and operators look: one shape and colour each, with letters where colour alone would not do."""

from __future__ import annotations

from collections import Counter
from html import escape
from typing import Any

from .svg import element, text

__all__ = ["LETTERS", "legend", "method_mark", "operator_class", "operator_letter", "operator_name", "shares"]

LETTERS = {"relu": "R", "x2": "x²", "identity": "I", "max": "M", "avg": "A"}
NAMES = {"relu": "ReLU", "x2": "x²", "identity": "identity", "max": "max pooling", "avg": "average pooling"}


def operator_class(name: str) -> str:
    return f"op-{name}" if name in LETTERS else "op-other"


def operator_letter(name: str) -> str:
    return LETTERS.get(name, name[:2])


def operator_name(name: str) -> str:
    return NAMES.get(name, name)


def shares(choice: Any) -> dict[str, float]:
    """The part of the channels that has each operator; a gate with one choice for all has one entry of 1."""
    if isinstance(choice, str):
        return {choice: 1.0}
    counted = Counter(map(str, choice))
    order = {name: i for i, name in enumerate(LETTERS)}
    names = sorted(counted, key=lambda name: (order.get(name, len(order)), name))
    return {name: counted[name] / len(choice) for name in names}


def method_mark(method: str, x: float, y: float, size: float = 6.0, class_: str = "mark", title: str = "") -> str:
    """A point: disc for search, square for random, triangle for greedy, cross for evolution,
    its point down for evenly spread, diamond for one operator everywhere."""
    said = [element("title", escape(title))] if title else []
    kind = f"{class_} {method}"
    match method:
        case "random":
            half = size * 0.88
            return element("rect", *said, x=x - half, y=y - half, width=2 * half, height=2 * half, class_=kind)
        case "greedy":
            points = [(x, y - size * 1.15), (x + size * 1.1, y + size * 0.8), (x - size * 1.1, y + size * 0.8)]
        case "evolve":
            w, s = size * 1.15, size * 0.42
            points = [
                (x - s, y - w), (x + s, y - w), (x + s, y - s), (x + w, y - s), (x + w, y + s), (x + s, y + s),
                (x + s, y + w), (x - s, y + w), (x - s, y + s), (x - w, y + s), (x - w, y - s), (x - s, y - s),
            ]  # fmt: skip
        case "uniform":
            points = [(x, y + size * 1.15), (x + size * 1.1, y - size * 0.8), (x - size * 1.1, y - size * 0.8)]
        case "everywhere":
            w = size * 1.25
            points = [(x, y - w), (x + w, y), (x, y + w), (x - w, y)]
        case _:
            return element("circle", *said, cx=x, cy=y, r=size, class_=kind)
    return element("polygon", *said, points=" ".join(f"{a:.2f},{b:.2f}" for a, b in points), class_=kind)


def swatch(operator: str) -> str:
    """An operator's cell, small."""
    kind = operator_class(operator)
    return element("rect", x=0.0, y=0.0, width=22.0, height=16.0, rx=3.0, class_=kind) + text(
        11, 12.5, operator_letter(operator), f"letter on-{kind[3:]}", "middle"
    )


def legend(entries: list[tuple[str, str]]) -> str:
    """A list of (drawing in a box of 22 x 16, words)."""
    items = "".join(
        f'<li><svg viewBox="0 0 22 16" aria-hidden="true">{drawing}</svg>{escape(words)}</li>'
        for drawing, words in entries
    )
    return f'<ul class="legend">{items}</ul>'
