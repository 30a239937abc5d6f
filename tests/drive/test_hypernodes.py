"""Hypernode classification: training, whole runs, tables with spreads beside published figures, pages, resumes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import pytest
import torch
from torch import nn
from typer.testing import CliRunner

from moiety.cli import app
from moiety.data import load_hypergraph
from moiety.data.hypergraph_data import HypergraphData
from moiety.drive.config import load_task
from moiety.drive.hypernodes.config import HyperFitConfig, HyperModelConfig, HypernodesConfig, HyperSetConfig
from moiety.drive.hypernodes.fitting import fit_split, step
from moiety.drive.hypernodes.results import Cell, Outcome, read_hyper_results
from moiety.drive.hypernodes.running import run
from moiety.drive.metrics import read_metrics
from moiety.drive.report import load_run, page, picture, tables
from moiety.drive.running import Where
from moiety.drive.settings import SettingsError, build
from moiety.models import create_model, load_network

FAST = HyperFitConfig(epochs=4)
SMALL = {"nodes": 80, "hyperedges": 60, "splits": 3}


@pytest.fixture(scope="module")
def planted() -> HypergraphData:
    return load_hypergraph("planted", nodes=200, hyperedges=250)


def network(data: HypergraphData, name: str = "hypergcn", seed: int = 0, **options: Any) -> nn.Module:
    torch.manual_seed(seed)
    return create_model(name, in_features=data.num_features, num_classes=data.num_classes, **options)


def test_training_learns_and_repeats(planted: HypergraphData) -> None:
    fit = HyperFitConfig(epochs=40)
    models = [network(planted) for _ in range(2)]
    found = []
    for model in models:
        torch.manual_seed(5)
        found.append(fit_split(model, planted, 2, fit))
    assert found[0] == found[1]
    assert found[0].train > 0.9
    assert found[0].test > 0.8
    assert all(torch.equal(a, b) for a, b in zip(models[0].parameters(), models[1].parameters(), strict=True))
    with torch.no_grad():
        right = models[0](planted.x, planted.hypergraph).argmax(1) == planted.y
    assert float(right[planted.split(2)[1]].float().mean()) == found[0].test  # the weights are the last epoch's


def test_labels_outside_the_split_are_not_seen(planted: HypergraphData) -> None:
    _, others = planted.split(1)
    hidden = planted.y.clone()
    hidden[others] = 0
    weights = []
    for data in (planted, replace(planted, y=hidden)):
        model = network(planted)
        torch.manual_seed(1)
        fit_split(model, data, 1, FAST)
        weights.append(torch.cat([p.flatten() for p in model.parameters()]))
    assert torch.equal(weights[0], weights[1])


def test_a_penalty_counts(planted: HypergraphData) -> None:
    nodes, _ = planted.split(1)
    losses = []
    for hlr in (0.0, 0.01):
        model = network(planted, "hyper_mlp", hlr=hlr, dropout=0.0)
        optimizer = torch.optim.SGD(model.parameters(), 0.1)
        losses.append(step(model, planted, nodes, planted.y[nodes], optimizer))
    assert losses[1] > losses[0]


def outcome(split: int, seed: int, test: float) -> Outcome:
    return Outcome("planted", "HGNN", seed, split, 1.0, test, 0.1, 0.5)


def test_the_spread_is_of_all_and_the_error_of_splits() -> None:
    cell = Cell.of([outcome(1, 0, 0.9), outcome(1, 1, 0.8), outcome(2, 0, 0.7), outcome(2, 1, 0.7)])
    assert cell.mean == pytest.approx(22.5)
    assert cell.deviation == pytest.approx(stdev([10, 20, 30, 30]))
    assert cell.error == pytest.approx(stdev([15, 30]) / 2**0.5)
    assert cell.count == 4
    assert Cell.of([outcome(1, 0, 0.75)]) == Cell(25.0, 0.0, 0.0, 1)


def config(**changed: Any) -> HypernodesConfig:
    models = (
        HyperModelConfig("hypergcn", "HyperGCN", {"hidden": 8}, {"planted": {"hidden": 6}}, FAST),
        HyperModelConfig("hgnn", "HGNN", fit=FAST),
    )
    given = {"seeds": (0, 3), "splits": (3, 1), "sets": (HyperSetConfig("planted", SMALL),), "models": models}
    return HypernodesConfig(name="run", **{**given, **changed})


def test_a_run(tmp_path: Path) -> None:
    out = tmp_path / "run"
    results = run(config(), out, where=Where(jobs=1), quiet=True)
    said = [(o.dataset, o.model, o.seed, o.split) for o in results.outcomes]
    assert said == [("planted", m, seed, k) for m in ("HyperGCN", "HGNN") for seed in (0, 3) for k in (3, 1)]
    cell = results.cell("planted", "HGNN")
    assert cell is not None
    assert cell.mean == pytest.approx(fmean(100 * (1 - o.test) for o in results.outcomes if o.model == "HGNN"))
    assert results.cell("planted", "GAT") is None
    assert results.models["HyperGCN"]["parameters"] == {"planted": 200 * 6 + 6 + 6 * 4 + 4}
    assert sorted(path.name for path in out.iterdir() if not path.name.startswith(".")) == [
        "config.toml", "env.json", "metrics.jsonl", "results.json", "trials", "weights.safetensors",
    ]  # fmt: skip
    assert load_task(str(out / "config.toml")) == config()
    assert run(config(), out, quiet=True) == results == read_hyper_results(out)  # nothing is trained again

    model, metadata = load_network(out / "weights.safetensors")  # of the first split that was asked for
    data = load_hypergraph("planted", **SMALL)
    with torch.no_grad():
        right = model.eval()(data.x, data.hypergraph).argmax(1) == data.y
    assert float(right[data.split(3)[1]].float().mean()) == results.outcomes[0].test
    assert metadata["trained_on"] == {"name": "planted", "options": SMALL, "split": 3}
    events = list(read_metrics(out / "metrics.jsonl"))
    assert [event["phase"] for event in events] == ["split 3", "split 1"]

    shown = load_run(out)
    text = page([shown])
    assert text.count("<svg") >= 2
    assert f"{cell.mean:.2f} ± {cell.deviation:.2f}" in text
    assert tables(shown).splitlines()[3] == f"| HGNN | {cell.mean:.2f} ± {cell.deviation:.2f} |"
    with pytest.raises(ValueError, match="weighs no latency"):
        picture(shown)


def test_a_run_goes_on(tmp_path: Path) -> None:
    """What is in the folder is not made again, and the rest is as it would have been."""
    whole = run(config(), tmp_path / "whole", where=Where(jobs=1), quiet=True)
    out = tmp_path / "part"
    run(config(), out, where=Where(jobs=1), quiet=True)
    (out / "results.json").unlink()
    kept, gone, part = (out / "trials" / f"train-planted.{name}" / "result.json"
                        for name in ("HGNN-seed0", "HGNN-seed3", "HyperGCN-seed3"))  # fmt: skip
    gone.unlink()
    found = json.loads(part.read_text())  # as if killed behind its first split
    part.with_name("splits.json").write_text(json.dumps({"outcomes": found["outcomes"][:1]}))
    part.unlink()
    before = kept.stat().st_mtime_ns
    again = run(config(), out, where=Where(jobs=1), quiet=True)
    assert kept.stat().st_mtime_ns == before
    assert json.loads(part.read_text())["outcomes"][0] == found["outcomes"][0]  # its seconds as well
    assert not part.with_name("splits.json").exists()
    assert [replace(o, spent=0.0) for o in again.outcomes] == [replace(o, spent=0.0) for o in whole.outcomes]


def test_published_figures_stand_beside_ours(data: Path, tmp_path: Path) -> None:
    sets = (HyperSetConfig("coauthorship-cora", {"data": str(data)}),)
    models = (HyperModelConfig("hypergcn", "HyperGCN", fit=HyperFitConfig(epochs=2)),)
    run(config(sets=sets, models=models, splits=(1,), seeds=(0,)), tmp_path / "run", where=Where(jobs=1), quiet=True)
    shown = load_run(tmp_path / "run")
    assert "(30.08 ± 1.8)" in tables(shown)
    text = page([shown])
    assert "HyperGCN, published: 30.08 ± 1.8" in text
    assert "2,708 nodes, 1,072 hyperedges, 140 nodes trained on" in text


def test_the_command(tmp_path: Path) -> None:
    out = tmp_path / "planted"
    models = "[{ name = 'hgnn', label = 'HGNN', fit = { epochs = 2 } }]"
    sets = f"sets=[{{ name = 'planted', options = {{ {', '.join(f'{k} = {v}' for k, v in SMALL.items())} }} }}]"
    arguments = ["train", "planted", "--out", str(out), "--set", f"models={models}", "--set", sets, "--jobs", "1", "-q"]
    said = CliRunner().invoke(app, [*arguments, "--json"])
    assert said.exit_code == 0, said.output
    document = json.loads(said.stdout)
    assert document["results"]["task"] == "hypernodes"
    assert document["summary"][0]["count"] == 3
    again = CliRunner().invoke(app, arguments)
    assert again.exit_code == 0
    assert "planted, HGNN: " in again.stdout
    assert CliRunner().invoke(app, ["report", str(out)]).exit_code == 0
    assert (out / "report.html").read_text().startswith("<!doctype html>")
    refused = CliRunner().invoke(app, ["search", "planted"])
    assert refused.exit_code == 1
    assert "expected images, which are what is searched on" in refused.stderr


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"seeds": []}, "expected different seeds"),
        ({"splits": [0]}, "different splits, counted from 1"),
        ({"splits": [2, 2]}, "different splits"),
        ({"sets": []}, "different names of sets"),
        ({"models": [{"name": "hgnn"}, {"name": "hgnn"}]}, "different labels of models"),
        ({"models": [{"name": "hgnn", "fit": {"epochs": 0}}]}, "expected epochs >= 1"),
        ({"models": [{"name": "hgnn", "options_on": {"planted": 3}}]}, "a table of options a data set"),
        ({"models": [{"names": "hgnn"}]}, "did you mean name"),
        ({"name": "a/b"}, "a name that a folder can have"),
        ({"threads": 0}, "at least one thread"),
    ],
)
def test_impossible_settings(values: dict[str, object], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        build(HypernodesConfig, {"task": "hypernodes", **values})


def test_the_committed_table_has_one_setting_for_all_sets() -> None:
    found = load_task(str(Path(__file__).parents[2] / "configs" / "hypergcn.toml"))
    assert isinstance(found, HypernodesConfig)
    assert len(found.seeds) == 5
    assert not found.models[0].seeds
    assert found.splits == ()  # all ten
    assert {model.title for model in found.models} >= {"HyperGCN", "FastHyperGCN", "1-HyperGCN", "HGNN", "UniSAGE"}
    for model in found.models:
        assert (model.fit.epochs, model.fit.learning_rate, model.fit.weight_decay) == (200, 0.01, 5e-4)
        assert not model.options_on
