"""What the pages of all kinds of runs are put together from."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

__all__ = ["background", "boxes", "card", "table"]


def card(title: str, words: str, content: str) -> str:
    """A framed part of the page with its heading and what to know before one looks."""
    return f'<div class="card"><h2>{escape(title)}</h2><p class="lead">{escape(words)}</p>{content}</div>'


def boxes(entries: Sequence[tuple[str, str]]) -> str:
    """The figures on top: (value, words) each."""
    inside = "".join(f"<div><b>{escape(value)}</b><span>{escape(words)}</span></div>" for value, words in entries)
    return f'<div class="figures">{inside}</div>'


def table(head: Sequence[str], rows: Sequence[Sequence[str]], marked: int | None = None) -> str:
    """Numbers under their names, one row of them marked as the chosen one."""
    mark = ' class="chosen"'
    cells = "".join(f"<th class=n>{escape(name)}</th>" for name in head)
    body = ""
    for i, row in enumerate(rows):
        numbers = "".join(f'<td class="n">{escape(cell)}</td>' for cell in row)
        body += f"<tr{mark if i == marked else ''}>{numbers}</tr>"
    return f'<div class="scroll"><table><thead><tr>{cells}</tr></thead><tbody>{body}</tbody></table></div>'


def background(config: str, environment: Mapping[str, Any]) -> str:
    """How a run was made: its configuration and machine."""
    rows = "".join(
        f"<tr><td>{escape(str(key))}</td><td>{escape(value if isinstance(value, str) else json.dumps(value))}</td></tr>"
        for key, value in environment.items()
    )
    return (
        '<div class="card"><h2>How it was made</h2><p class="lead">The same configuration on a similar machine makes '
        "the same run.</p>"
        f"<details><summary>Configuration</summary><pre>{escape(config)}</pre></details>"
        '<details><summary>Environment</summary><div class="scroll"><table class="plain"><tbody>'
        f"{rows}</tbody></table></div></details></div>"
    )
