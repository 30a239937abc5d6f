"""A schedule as a picture: a row a unit, time to the right, colours by kind of operation."""

from __future__ import annotations

from html import escape

from .isa import Schedule, Unit

__all__ = ["gantt"]

_COLOURS = {
    "linear": "#4269d0",
    "open": "#efb118",
    "truncate": "#3ca951",
    "shift": "#3ca951",
    "extend": "#6cc5b0",
    "square": "#ff725c",
    "x2": "#ff725c",
    "multiply": "#ff725c",
    "relu": "#a463f2",
    "hardtanh": "#a463f2",
    "maxpool": "#97bbf5",
    "argmax": "#97bbf5",
    "output": "#9c6b4e",
}
_OTHER = "#9498a0"
_ROW, _LEFT, _TOP, _FOOT = 26, 90, 24, 44


def gantt(schedule: Schedule, width: int = 1000) -> str:
    """SVG text. Neighbours of one kind closer than a fifth of a pixel are drawn as one bar."""
    total = max(1, schedule.cycles)
    scale = (width - _LEFT - 10) / total
    units = [unit for unit in Unit if any(each.unit == unit for each in schedule.instructions)]
    height = _TOP + _ROW * len(units) + _FOOT
    frequency = schedule.about.get("frequency")
    end = f"{total} cycles" + (f", {1e3 * total / frequency:.3f} ms" if frequency else "")
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" '
        f'font-size="11">',
        f'<text x="{_LEFT}" y="14">{escape(str(schedule.about.get("part", "")))} {escape(end)}</text>',
    ]
    kinds: list[str] = []
    for line, unit in enumerate(units):
        y = _TOP + _ROW * line
        parts.append(f'<text x="4" y="{y + 16}">{unit.name.lower()}</text>')
        parts.append(f'<rect x="{_LEFT}" y="{y + 2}" width="{total * scale:.1f}" height="{_ROW - 4}" fill="#f2f2f2"/>')
        bars: list[tuple[str, float, float]] = []
        for each in schedule.instructions:
            if each.unit == unit:
                start, stop = each.start * scale, (each.start + each.cycles) * scale
                if bars and bars[-1][0] == each.kind and start - bars[-1][2] < 0.2:
                    bars[-1] = (each.kind, bars[-1][1], stop)
                else:
                    bars.append((each.kind, start, stop))
        for kind, start, stop in bars:
            if kind not in kinds:
                kinds.append(kind)
            parts.append(
                f'<rect x="{_LEFT + start:.1f}" y="{y + 2}" width="{max(0.3, stop - start):.1f}" height="{_ROW - 4}" '
                f'fill="{_COLOURS.get(kind, _OTHER)}"/>'
            )
    x = float(_LEFT)
    for kind in kinds:
        colour = _COLOURS.get(kind, _OTHER)
        parts.append(f'<rect x="{x:.0f}" y="{height - 24}" width="10" height="10" fill="{colour}"/>')
        parts.append(f'<text x="{x + 14:.0f}" y="{height - 15}">{kind}</text>')
        x += 26 + 7 * len(kind)
    return "\n".join([*parts, "</svg>\n"])
