"""Rows of means with bars of their deviations, one row a method, several marks in it."""

from __future__ import annotations

from collections.abc import Sequence

from .marks import method_mark
from .svg import Axes, Scale, element, figure, text

__all__ = ["Mark", "bars"]

Mark = tuple[str, float, float, str]  # a method of `marks.method_mark` for shape and colour, mean, deviation, words
WIDTH, ROW, STEP = 960.0, 34.0, 11.0


def bars(rows: Sequence[tuple[str, Sequence[Mark]]], axis: str, name: str) -> str:
    """A figure whose horizontal axis is called `axis`; the marks of a row lie under each other."""
    ends = [end for _, marks in rows for _, mean, spread, _ in marks for end in (mean - spread, mean + spread)]
    left = 28.0 + 7.8 * max(len(label) for label, _ in rows)
    top, bottom = 10.0, 10.0 + ROW * len(rows)
    x = Scale.around(ends, left, WIDTH - 24)
    drawn = Axes(x, Scale(0, 1, bottom, top), axis, "").draw_x()
    for i, (label, marks) in enumerate(rows):
        middle = top + (i + 0.5) * ROW
        drawn.append(text(left - 12, middle + 4, label, "row", "end"))
        for j, (kind, mean, spread, words) in enumerate(marks):
            y = middle + (j - (len(marks) - 1) / 2) * STEP
            ticks = "".join(f"M{x(end):.2f} {y - 4:.2f}v8" for end in (mean - spread, mean + spread))
            drawn.append(element("path", d=f"M{x(mean - spread):.2f} {y:.2f}H{x(mean + spread):.2f}{ticks}",
                                 class_=f"bar {kind}"))  # fmt: skip
            drawn.append(method_mark(kind, x(mean), y, 5.0, "mark", words))
    return figure(WIDTH, bottom + 48, drawn, name, f"{axis} of {len(rows)} methods")
