"""The form of the benches' tables: what is short is bold, rows are measured one at a time, the report collects them."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def sheet(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "bench"))
    monkeypatch.setattr(sys, "argv", ["made_up.py"])
    return importlib.import_module("sheet")


def test_rows_checks_and_summary(sheet: ModuleType, tmp_path: Path) -> None:
    made = sheet.Sheet("MADE_UP", "Made up", "About it.", 4)
    out = tmp_path / "MADE_UP.md"
    calls: list[str] = []

    def fast() -> object:
        calls.append("fast")
        checks = [sheet.at_least(4.0, 3.0, "a peer"), sheet.at_most(7.0, 5.0), sheet.at_least(2.0, None, "another")]
        return sheet.Row("a row", {"ours": 1.0, "peer": 4.0, "other": "does not run"}, checks, "notes", "1.0 / 2.0")

    def broken() -> object:
        raise OSError("no such | data")

    rows = {"fast": fast, "broken": broken}
    assert made.measure(rows, made.parser("", list(rows)).parse_args(["--out", str(out)])) == 0
    table = out.read_text()
    assert "| a row | ours 1, peer 4, other does not run | 4x a peer, **7 ms (at most 5 ms)**, 2x another |" in table
    assert "| broken | not measured OSError: no such / data |" in table

    # One row anew: the other one stays as it was.
    made.measure(rows, made.parser("", list(rows)).parse_args(["--out", str(out), "--rows", "broken"]))
    assert calls == ["fast"]
    raw = json.loads((tmp_path / "made_up.json").read_text())
    assert list(raw["rows"]) == ["fast", "broken"]

    (tmp_path / "results.json").write_text('{"machine": {}}')  # what is no sheet is passed over
    found = sheet.summary(tmp_path)
    assert "### [Made up](MADE_UP.md)" in found
    assert "Issue 4: 1 of 2 met" in found
    assert "| a row | 4x a peer (at least 3x), **7 ms (at most 5 ms)** |" in found
    assert "another" not in found
    assert sheet.summary(tmp_path / "empty") == ""


def test_what_is_committed_is_what_the_raw_figures_say(sheet: ModuleType) -> None:
    """`python bench/run.py --collect` writes tables and report from raw figures; nobody else does."""
    folder = ROOT / "bench"
    for raw in sheet.sheets(folder):
        if "pairs" not in raw:
            assert (folder / f"{raw['name']}.md").read_text() == sheet.render(raw), raw["name"]
