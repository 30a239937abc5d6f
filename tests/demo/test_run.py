"""The demo end to end, as `moiety demo` runs it, and its refusals."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from moiety import demo, private
from moiety.demo.run import TOLERANCE

PHASES = {"setup", "offline", "online"}


def test_both_variants_on_two_photographs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chosen = demo.photos()[:2]
    document = demo.run(chosen, json_path=tmp_path / "out" / "demo.json")
    assert json.loads((tmp_path / "out" / "demo.json").read_text()) == document
    assert set(document["variants"]) == {"searched", "x2"}
    for variant in document["variants"].values():
        assert variant["largest_difference"] <= TOLERANCE
        assert [image["file"] for image in variant["images"]] == [str(path) for path in chosen]
        for image in variant["images"]:
            assert len(image["private"]) == len(image["plaintext"]) == 5
            logits = [answer["logit"] for answer in image["private"]]
            assert logits == sorted(logits, reverse=True)
        assert {party: set(phases) for party, phases in variant["stats"].items()} == dict.fromkeys(
            ("client", "server", "dealer"), PHASES
        )
        assert variant["stats"]["client"]["online"]["bytes_sent"] > 0
    # A quadratic needs no comparison: that is why the second variant exists.
    relu, x2 = (document["variants"][name]["stats"]["client"]["online"] for name in ("searched", "x2"))
    assert x2["rounds"] < relu["rounds"]
    said = capsys.readouterr().out
    assert all(path.name in said for path in chosen)
    assert "Who learned what" in said
    assert "all-x^2, private" in said


def test_command_line(tmp_path: Path) -> None:
    out = tmp_path / "demo.json"
    command = [sys.executable, "-m", "moiety", "demo", str(demo.photos()[0]), "--variant", "x2", "--out", str(out)]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=120)
    assert ended.returncode == 0, ended.stderr
    assert set(json.loads(out.read_text())["variants"]) == {"x2"}


def test_command_line_refuses_what_is_no_image(tmp_path: Path) -> None:
    (tmp_path / "notes.jpg").write_text("not a photograph")
    command = [sys.executable, "-m", "moiety", "demo", "notes.jpg"]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=120)
    assert ended.returncode == 1
    assert ended.stderr.strip() == "moiety: notes.jpg is not an image"
    assert not (tmp_path / "demo-output").exists()


def test_wrong_answer_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(program: object, x: torch.Tensor, **_: object) -> SimpleNamespace:
        counters = dict.fromkeys(("bytes_sent", "rounds", "cpu_seconds", "wall_seconds", "peak_bytes"), 0)
        stats = {party: dict.fromkeys(PHASES, counters) for party in ("client", "server", "dealer")}
        return SimpleNamespace(output=torch.zeros(len(x), 10), stats=SimpleNamespace(to_dict=lambda: stats))

    monkeypatch.setattr(private, "run_local", wrong)
    with pytest.raises(demo.Disagreement, match="differs from the plaintext one by"):
        demo.run(demo.photos()[:1], json_path=None, variant="x2")
