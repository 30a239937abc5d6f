"""A profile of a few operators on the real engine: the machinery, not the figures."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from moiety.cli import app
from moiety.cost import load_table, profile
from moiety.cost.profile import Case, cases, work_of_one
from moiety.cost.table import Table
from moiety.cost.work import ROWS

FEW = [
    Case("depthwise", "depthwise", 64, {"channels": 4, "size": 8, "kernel": 3, "stride": 1}, more=3),
    Case("open", "open", 64, {"n": 64}, more=3),
    Case("circuit", "relu", 64, {"n": 64, "bits": 16}, more=2),
    Case("dcf", "relu", 64, {"n": 64, "bits": 16}, 2, "dcf", more=2),
    Case("output", "output", 64, {"n": 8, "bits": 16}),
]


@pytest.mark.parametrize("quick", [False, True])
def test_a_profile_covers_every_row_in_both_rings(quick: bool) -> None:
    every = cases(quick)
    for ring in (32, 64):
        assert {case.row for case in every if case.ring == ring} == set(ROWS)
    assert {case.batch for case in every} == {1, 8}
    for case in every[:: 7 if quick else 31]:
        assert work_of_one(case).row == case.row


def test_profile_measures_fits_and_saves(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("moiety.cost.profile.cases", lambda quick: FEW)
    monkeypatch.setattr("moiety.cost.profile.RTT_MS", (1.0,))
    path = tmp_path / "table.json"
    done = CliRunner().invoke(app, ["profile", "--out", str(path), "--network", "1,1000", "--quick", "--json"])
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    assert document["made"]["network"] == {"rtt_ms": 1.0, "mbit": 1000.0}
    assert len(document["made"]["load"]["before"]) == 3
    assert "raw" not in document
    table = load_table(path)
    assert isinstance(table, Table)
    assert set(table.rings[64]) == {case.row for case in FEW}
    assert [sample["batch"] for sample in table.raw] == [1, 1, 1, 2, 1]
    assert all(len(run) == 3 for sample in table.raw for runs in sample["runs"] for run in runs)
    assert [waited for waited, _ in table.link.sleep] == [0.5e-3]


def test_profile_says_what_it_expected(tmp_path: Path) -> None:
    for words in (["--network", "fast"], ["--out", str(tmp_path / "none" / "table.json")]):
        done = CliRunner().invoke(app, ["profile", *words])
        assert done.exit_code == 1
        assert "expected" in done.output
    assert callable(profile.profile)
