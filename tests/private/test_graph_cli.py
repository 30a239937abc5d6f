"""The commands on a graph program: compile, estimate, infer against a server, and what they print."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from moiety import private
from moiety.cli import app
from moiety.data.graphs import load_graph
from moiety.models import create_model, save_network

MODEL = """
import torch
from moiety.data.graphs import load_graph
from moiety.models import create_model

def club():
    data = load_graph("karate")
    torch.manual_seed(0)
    model = create_model("sgc", in_features=data.num_features, num_classes=data.num_classes)
    return model, (data.dense(), data.graph), {"classes": list(data.classes)}
"""


def run(*words: object) -> Any:
    result = CliRunner().invoke(app, [*map(str, words), "--json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_a_trained_network_is_compiled_for_its_graph(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What `moiety train` leaves says what it was trained on; another graph is named, and has to fit."""
    monkeypatch.chdir(tmp_path)
    options = {"in_features": 5, "num_classes": 3}
    data = {"name": "sbm", "options": {"nodes": 40, "classes": 3, "features": 5, "train": 3, "valid": 3}}
    metadata = {"model": {"name": "gcn", "kwargs": options}, "features": 5, "trained_on": data}
    save_network("gcn.safetensors", create_model("gcn", **options), metadata, half=False)
    program = private.load(run("compile", "gcn.safetensors")["server"])
    assert program.input_shape == (40, 5)
    assert {op.kind for op in program.ops} >= {"spmm", "relu"}
    for words, reason in (
        (["gcn.safetensors", "--graph", "karate"], "takes 5 features a node, karate has"),
        (["clubs:club", "--graph", "karate"], "expected --graph with a network's file only"),
    ):
        result = CliRunner().invoke(app, ["compile", *words])
        assert result.exit_code == 1
        assert reason in result.output


@pytest.mark.parametrize("output", ["logits", "class"])
def test_a_graph_program_from_compile_to_infer(
    output: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_site: Callable[..., Any]
) -> None:
    (tmp_path / "clubs.py").write_text(MODEL)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    data = load_graph("karate")
    np.save("x.npy", data.dense().numpy())
    made = run("compile", "clubs:club", "--calibration", "x.npy", "--output", output)
    program = private.load(made["server"])
    cost = run("estimate", "--program", made["client"], "--network", "lan")
    assert cost["rounds"] == private.estimate(program, "lan").rounds
    site = make_site(tmp_path, program)
    try:
        site.both()
        words = ["infer", "x.npy", "--program", made["client"], "--server", site.address("server")]
        words += ["--dealer", site.address("dealer"), "--state", str(tmp_path / "state"), "--insecure-plaintext"]
        document = run(*words)
        shown = CliRunner().invoke(app, words)
    finally:
        site.close()
    torch.manual_seed(0)
    model = create_model("sgc", in_features=data.num_features, num_classes=data.num_classes).eval()
    with torch.no_grad():
        expected = model(data.dense(), data.graph)
    found = np.array(document["outputs"][0]["output"])
    assert document["stats"][0]["client"]["online"]["operators"]["spmm"]["bytes_sent"] == 0
    if output == "class":
        np.testing.assert_array_equal(found, expected.argmax(1).numpy())
        most = int(expected.argmax(1).bincount().argmax())
        assert f"  {data.classes[most]:20} {int((expected.argmax(1) == most).sum()):10} nodes" in shown.output
    else:
        np.testing.assert_allclose(found, expected.numpy(), atol=1e-3)
        assert f"an output of shape ({data.num_nodes}, {data.num_classes})" in shown.output
