"""Node classification: training, whole runs, their pages, kills and resumes, mini-batches, and parts over processes."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from moiety.cli import app
from moiety.data import load_graph
from moiety.data.graph_data import GraphData
from moiety.drive.checkpoint import Checkpoint
from moiety.drive.config import load_config, load_task
from moiety.drive.metrics import read_metrics
from moiety.drive.nodes import fitting
from moiety.drive.nodes.config import BatchConfig, NodeFitConfig, NodesConfig
from moiety.drive.nodes.engines import make_engine, rows
from moiety.drive.nodes.fitting import Fitted, Scores, fit_nodes, parameter_groups
from moiety.drive.nodes.running import run as run_nodes
from moiety.drive.report import load_run, page, picture, tables
from moiety.drive.running import Where
from moiety.drive.settings import SettingsError, build
from moiety.graph import Graph
from moiety.models import create_model, load_network

FAST = NodeFitConfig(epochs=6, learning_rate=0.02)


@pytest.fixture(scope="module")
def blocks() -> GraphData:
    return load_graph("sbm", nodes=200, classes=3, train=8, valid=12)


def network(data: GraphData, name: str = "gcn", seed: int = 0, **options: Any) -> torch.nn.Module:
    torch.manual_seed(seed)
    return create_model(name, in_features=data.num_features, num_classes=data.num_classes, **options)


def fitted(
    data: GraphData, fit: NodeFitConfig = FAST, kind: BatchConfig | None = None, **how: Any
) -> tuple[Fitted, torch.nn.Module]:
    model = network(data)
    return fit_nodes(model, data, make_engine(model, data, kind or BatchConfig(), 0), fit, 0, **how), model


def test_training_learns_and_repeats(blocks: GraphData) -> None:
    fit = NodeFitConfig(epochs=60, learning_rate=0.02)
    (first, model), (second, again) = fitted(blocks, fit), fitted(blocks, fit)
    assert first == second
    assert first.scores.test > 0.85
    assert fitting.scores(model, blocks) == first.scores  # the weights are those of the epoch kept
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True))


def test_the_best_epoch_is_kept(blocks: GraphData) -> None:
    events: list[dict[str, Any]] = []
    best, _ = fitted(blocks, NodeFitConfig(epochs=30, learning_rate=0.1), progress=events.append)
    assert best.scores.valid == max(event["valid"] for event in events)
    assert events[best.kept]["valid"] == best.scores.valid
    last, _ = fitted(blocks, NodeFitConfig(epochs=30, learning_rate=0.1, keep="last"))
    assert last.kept == 29
    assert Scores(0.5, 0.5, 0.9, 2.0).better_than(Scores(0.5, 0.5, 0.1, 2.1))
    assert not Scores(0.5, 0.5, 0.9, 2.0).better_than(Scores(0.5, 0.6, 0.1, 2.1))


def test_patience(blocks: GraphData) -> None:
    long, _ = fitted(blocks, NodeFitConfig(epochs=200, learning_rate=0.1))
    short, _ = fitted(blocks, NodeFitConfig(epochs=200, learning_rate=0.1, patience=10))
    assert short.epochs < 200 == long.epochs
    assert short.epochs == short.kept + 11


class Killed(Exception):
    pass


def test_a_continued_training_is_the_uninterrupted_one(
    blocks: GraphData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fitting, "CHECKPOINT_S", 0.0)
    fit = NodeFitConfig(epochs=12, learning_rate=0.05, patience=5)
    kind = BatchConfig("neighbors", size=7, fanouts=(3, 3))
    whole, model = fitted(blocks, fit, kind)
    checkpoint = Checkpoint(tmp_path / "checkpoint.safetensors")

    def kill(event: dict[str, Any]) -> None:
        if event["epoch"] == 4:
            raise Killed

    with pytest.raises(Killed):
        fitted(blocks, fit, kind, checkpoint=checkpoint, progress=kill)
    assert checkpoint.load()["epoch"] == 4
    again, other = fitted(blocks, fit, kind, checkpoint=checkpoint)
    assert again == whole
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), other.parameters(), strict=True))


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("gcn", ["convs.0.lin.weight", "convs.0.bias"]),
        ("sgc", ["conv.lin.weight", "conv.lin.bias"]),
        ("appnp", ["lins.0.weight", "lins.0.bias"]),
    ],
)
def test_weight_decay_of_the_first_layer(blocks: GraphData, name: str, first: list[str]) -> None:
    model = network(blocks, name)
    decayed, rest = parameter_groups(model, NodeFitConfig(decay="first"))
    names = {id(parameter): path for path, parameter in model.named_parameters()}
    assert sorted(names[id(p)] for p in decayed["params"]) == sorted(first)
    assert len(rest["params"]) == len(names) - len(first)
    assert (decayed["weight_decay"], rest["weight_decay"]) == (5e-4, 0.0)


def test_full_and_all_neighbors_and_one_cluster_are_the_same_step(blocks: GraphData) -> None:
    """Every neighbour, every node, every part: no batch leaves anything out."""
    losses = {}
    kinds = {
        "full": BatchConfig("full"),
        "neighbors": BatchConfig("neighbors", size=blocks.num_nodes, fanouts=(-1, -1, -1)),
        "clusters": BatchConfig("clusters", size=3, parts=3),
        "partitions": BatchConfig("partitions", parts=3),
    }
    for name, kind in kinds.items():
        model = network(blocks, dropout=0.0)
        optimizer = torch.optim.SGD(model.parameters(), 0.5)
        engine = make_engine(model, blocks, kind, 0)
        losses[name] = [engine.epoch(number, optimizer) for number in range(3)]
    for name in ("neighbors", "clusters", "partitions"):
        assert losses[name] == pytest.approx(losses["full"], rel=1e-4), name
    assert losses["full"][2] < losses["full"][0]


def test_epochs_of_batches_differ_and_repeat(blocks: GraphData) -> None:
    def epochs(seed: int) -> list[float]:
        model = network(blocks)
        engine = make_engine(model, blocks, BatchConfig("clusters", size=2, parts=6), seed)
        optimizer = torch.optim.SGD(model.parameters(), 0.0)
        model.eval()
        return [engine.epoch(number, optimizer) for number in (0, 1, 0)]

    first, second, again = epochs(0)
    assert first == again != second
    assert epochs(1)[0] != first


def test_rows_of_sparse_features() -> None:
    x = torch.randn(9, 5, generator=torch.Generator().manual_seed(0)).relu()
    where = x.nonzero()
    sparse = Graph.from_edge_index(where.t().flip(0), 9, x[where[:, 0], where[:, 1]], num_sources=5)
    nodes = torch.tensor([7, 0, 3, 3])
    found = rows(sparse, nodes)
    assert isinstance(found, Graph)
    dense = torch.zeros(4, 5).index_put((found.edge_index[1], found.edge_index[0]), found.weight)
    assert torch.equal(dense, x[nodes])
    assert torch.equal(rows(x, nodes), x[nodes])


@pytest.mark.parametrize("sets", [[], ["data.name=cora"]])
def test_a_run(tmp_path: Path, request: pytest.FixtureRequest, sets: list[str]) -> None:
    if sets:
        root = request.getfixturevalue("data")
        sets = [*sets, f"data.options.data={root}", "fit.epochs=3", "seeds=[4]"]
    config = load_task("karate", [*sets, "name=run"])
    assert isinstance(config, NodesConfig)
    out = tmp_path / "run"
    results = run_nodes(config, out, where=Where(jobs=1), quiet=True)
    assert [seed.seed for seed in results.seeds] == list(config.seeds)
    kept = results.seeds[results.chosen]
    assert kept.valid == max(seed.valid for seed in results.seeds)
    if not sets:
        assert results.mean(lambda seed: seed.test) > 0.8
    model, metadata = load_network(out / "weights.safetensors")
    data = load_graph(config.data.name, **config.data.options)
    assert fitting.scores(model, data).test == kept.test == metadata["accuracy"]["test"]
    events = list(read_metrics(out / "metrics.jsonl"))
    assert [event["epoch"] for event in events] == list(range(config.fit.epochs))
    assert sorted(path.name for path in out.iterdir() if not path.name.startswith(".")) == [
        "config.toml", "env.json", "metrics.jsonl", "results.json", "trials", "weights.safetensors",
    ]  # fmt: skip
    assert load_task(str(out / "config.toml")) == config
    assert run_nodes(config, out, quiet=True) == results  # nothing is trained again
    run = load_run(out)
    text = page([run])
    assert text.count("<svg") >= 2
    assert f"{100 * kept.test:.2f}" in text
    assert f"| {data.name} | gcn | full | {len(config.seeds)} |" in tables(run)
    with pytest.raises(ValueError, match="weighs no latency"):
        picture(run)


def test_the_command(tmp_path: Path) -> None:
    out = tmp_path / "karate"
    arguments = [
        "train",
        "karate",
        "--out",
        str(out),
        "--set",
        "seeds=[1]",
        "--set",
        "fit.epochs=4",
        "--jobs",
        "1",
        "-q",
    ]
    said = CliRunner().invoke(app, [*arguments, "--json"])
    assert said.exit_code == 0, said.output
    document = json.loads(said.stdout)
    assert document["results"]["task"] == "nodes"
    assert document["summary"][0]["count"] == 1
    again = CliRunner().invoke(app, arguments)
    assert again.exit_code == 0
    assert "test accuracy" in again.stdout
    assert CliRunner().invoke(app, ["report", str(out)]).exit_code == 0
    assert (out / "report.html").read_text().startswith("<!doctype html>")
    refused = CliRunner().invoke(app, ["search", "karate"])
    assert refused.exit_code == 1
    assert "expected images, which are what is searched on" in refused.stderr


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"seeds": []}, "expected different seeds"),
        ({"name": "a/b"}, "a name that a folder can have"),
        ({"threads": 0}, "at least one thread"),
        ({"fit": {"epochs": 0}}, r"\[fit\] expected epochs >= 1"),
        ({"fit": {"keep": "first"}}, "expected one of 'best', 'last'"),
        ({"fit": {"label_smoothing": 1.0}}, r"label_smoothing in \[0, 1\)"),
        ({"batches": {"kind": "walks"}}, "expected one of 'full', 'neighbors', 'clusters', 'partitions'"),
        ({"batches": {"kind": "clusters", "size": 9, "parts": 8}}, "at most as many clusters a batch as parts"),
        ({"batches": {"fanouts": []}}, "a fan-out a layer"),
        ({"batches": {"staleness": [1, 1]}}, "a list of 6 values"),
        ({"model": {"names": "gcn"}}, "did you mean name"),
    ],
)
def test_impossible_settings(values: dict[str, object], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        build(NodesConfig, {"task": "nodes", **values})


def test_tasks(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('task = "edges"\n')
    with pytest.raises(SettingsError, match="task is 'edges': expected 'images', 'nodes', 'hypernodes'"):
        load_task(str(path))
    with pytest.raises(SettingsError, match="compile a graph network from its file"):
        load_task("karate", ["output.compile=true"])
    path.write_text('task = "images"\n')
    assert load_config(str(path)).name == "mine"


def test_processes_share_parts(tmp_path: Path) -> None:
    """Two processes with a part each find what one process with both parts finds."""
    sets = ["data.name=sbm", "data.options.nodes=400", "seeds=[0]", "fit.epochs=3", "batches.kind=partitions",
            "batches.parts=2", "model.options.dropout=0.0", "name=parts"]  # fmt: skip
    alone = run_nodes(load_task("karate", sets), tmp_path / "alone", where=Where(jobs=1), quiet=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", str(port),
               "-m", "moiety", "train", "karate", "-q", "--out", str(tmp_path / "both")]  # fmt: skip
    for assignment in sets:
        command += ["--set", assignment]
    done = subprocess.run(
        command, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    losses = [
        [event["loss"] for event in read_metrics(tmp_path / name / "metrics.jsonl")] for name in ("alone", "both")
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    both = json.loads((tmp_path / "both" / "results.json").read_text())
    assert both["seeds"][0]["test"] == pytest.approx(alone.seeds[0].test)
