"""Checkpoints give back what was saved, run no code, and take their events along."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from moiety.drive.checkpoint import Checkpoint, load_tree, save_tree
from moiety.drive.metrics import Metrics, read_metrics


def test_a_tree_comes_back(tmp_path: Path) -> None:
    shared = torch.randn(3, 4)
    images = torch.randn(2, 3, 4, 4).to(memory_format=torch.channels_last)
    tree = {
        "model": {"w": shared, "view": shared[1:], "channels_last": images},
        "state": {0: {"step": torch.tensor(3.0), "half": torch.ones(2, dtype=torch.bfloat16)}, 1: {}},
        "plain": [1, 2.5, None, True, "text", (1, 2), float("inf")],
        "empty": torch.zeros(0, 2),
        "__tensor__": {"__items__": 1},
    }  # fmt: skip
    save_tree(tmp_path / "c.safetensors", tree)
    loaded = load_tree(tmp_path / "c.safetensors")
    assert loaded["plain"] == [1, 2.5, None, True, "text", [1, 2], float("inf")]
    assert loaded["__tensor__"] == {"__items__": 1}
    assert list(loaded["state"]) == [0, 1]
    for path in (("model", "w"), ("model", "view"), ("model", "channels_last"), ("state", 0, "half"), ("empty",)):
        there, here = tree, loaded
        for key in path:
            there, here = there[key], here[key]
        torch.testing.assert_close(here, there, rtol=0, atol=0)


def test_an_optimiser_comes_back(tmp_path: Path) -> None:
    weight = torch.nn.Parameter(torch.randn(4))
    adam = torch.optim.Adam([weight], lr=0.1)
    weight.sum().backward()
    adam.step()
    save_tree(tmp_path / "c", adam.state_dict())
    other = torch.optim.Adam([torch.nn.Parameter(weight.detach().clone())], lr=0.5)
    other.load_state_dict(load_tree(tmp_path / "c"))
    assert other.param_groups[0]["lr"] == 0.1
    torch.testing.assert_close(other.state_dict()["state"][0]["exp_avg"], adam.state_dict()["state"][0]["exp_avg"])


def test_what_is_no_plain_value_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="/a is a object"):
        save_tree(tmp_path / "c", {"a": object()})
    assert not (tmp_path / "c").exists()


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "c"
    save_tree(path, {"a": torch.ones(100)})
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(ValueError, match="no whole checkpoint"):
        load_tree(path)


def test_events_after_the_checkpoint_are_dropped(tmp_path: Path) -> None:
    metrics = Metrics(tmp_path / "metrics.jsonl")
    metrics.record("search", {"epoch": 0})
    metrics.record("fit", {"epoch": 0})
    kept = Checkpoint(tmp_path / "fit", metrics, "fit")
    kept.save({"epoch": 1})
    metrics.record("fit", {"epoch": 1})
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"part": "fit", "epo')  # the process was killed here

    again = Metrics(tmp_path / "metrics.jsonl")
    assert Checkpoint(tmp_path / "fit", again, "fit").load() == {"epoch": 1}
    again.record("fit", {"epoch": 1})
    assert [(e["part"], e["epoch"]) for e in read_metrics(tmp_path / "metrics.jsonl")] == [
        ("search", 0),
        ("fit", 0),
        ("fit", 1),
    ]


def test_without_a_checkpoint_the_part_begins_again(tmp_path: Path) -> None:
    metrics = Metrics(tmp_path / "metrics.jsonl")
    metrics.record("fit", {"epoch": 0})
    assert Checkpoint(tmp_path / "fit", metrics, "fit").load() is None
    assert list(read_metrics(tmp_path / "metrics.jsonl")) == []
