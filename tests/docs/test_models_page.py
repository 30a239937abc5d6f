"""The table of docs/models.md is what the networks themselves say."""

from __future__ import annotations

from pathlib import Path

from moiety.models import list_models
from moiety.models.cards import Counts, model_card
from moiety.models.registry import IMAGE_FILES

PAGE = Path(__file__).parents[2] / "docs" / "models.md"


def numbers(counts: Counts | None) -> str:
    if counts is None:
        return " | | | "
    return f"{counts.parameters:,} | {counts.macs / 1e6:,.0f} | {counts.activations} | {counts.activation_elements:,}"


def row(name: str) -> str:
    small = model_card(name, image_size=32, num_classes=10)
    try:
        large = model_card(name, image_size=224, num_classes=1000).counts
    except ValueError:
        large = None  # for small images only
    return f"| `{name}` | {small.summary.rstrip('.')} | {numbers(small.counts)} | {numbers(large)} |"


def test_the_table_is_counted() -> None:
    own = [name for name in list_models(inputs="images") if any(name in names for names in IMAGE_FILES.values())]
    expected = [row(name) for name in own]
    found = [line for line in PAGE.read_text().splitlines() if line.startswith("| `") and line.count("|") == 11]
    assert found == expected, "replace the rows in docs/models.md by:\n" + "\n".join(expected)
