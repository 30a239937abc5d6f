"""Forecasting: windows and their scales, errors, training, whole runs, their pages, kills and resumes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from moiety.cli import app
from moiety.data import generated_traffic
from moiety.data.series import SeriesData
from moiety.drive.checkpoint import Checkpoint
from moiety.drive.config import load_task
from moiety.drive.forecast import fitting
from moiety.drive.forecast.config import ForecastConfig, ForecastFitConfig, TopologyConfig, WindowConfig
from moiety.drive.forecast.errors import baseline, errors
from moiety.drive.forecast.fitting import Fitted, Forecaster, fit, forecasts
from moiety.drive.forecast.images import FILE, barcodes, make_images
from moiety.drive.forecast.results import mean_and_deviation
from moiety.drive.forecast.running import Workshop, run
from moiety.drive.forecast.windows import Windows
from moiety.drive.metrics import read_metrics
from moiety.drive.report import load_run, page, picture, tables
from moiety.drive.running import Where
from moiety.drive.settings import SettingsError, build
from moiety.models import create_model, load_network

SMALL = ["data.options.nodes=8", "data.options.steps=260", "windows.lag=4", "windows.horizon=3", "fit.epochs=3",
         "topology.resolution=32", "name=run"]  # fmt: skip
MODELS = (
    'models=[{name="zgcnet",options={hidden=4,layers=1,embedding=3}},'
    '{name="zgcnet",title="plain",topology=false,options={hidden=4,layers=1,embedding=3}},'
    '{name="tgcn",options={hidden=4}}]'
)


@pytest.fixture(scope="module")
def traffic() -> SeriesData:
    return generated_traffic(nodes=8, steps=300)


def small(**options: Any) -> WindowConfig:
    return WindowConfig(**{"lag": 4, "horizon": 3, **options})


def test_windows_lie_within_their_parts(traffic: SeriesData) -> None:
    windows = Windows(traffic, small())
    steps, tested, validated = 300, 240, 210
    for starts, low, high in (
        (windows.train, 0, validated),
        (windows.valid, validated, tested),
        (windows.test, tested, steps),
    ):
        assert int(starts[0]) == low
        assert int(starts[-1]) + 4 + 3 == high
    batch = windows.batch(torch.tensor([5, 100]))
    flow = traffic.values[..., 0]
    assert batch.x.shape == (2, 4, 8, 1)
    assert torch.equal(batch.y[1, :, :, 0], flow[104:107])
    torch.testing.assert_close(windows.unscaled(batch.x[1, :, :, 0]), flow[100:104])
    torch.testing.assert_close(windows.unscaled(batch.base()[:, 0, :, 0]), flow[[8, 103]])
    torch.testing.assert_close(windows.unscaled(batch.base(3)[1, 0, :, 0]), flow[101:104].median(0).values)
    trained = flow[:validated]
    assert windows.mean == pytest.approx(float(trained.mean()), rel=1e-5)
    assert windows.spread == pytest.approx(float(trained.std(correction=0)), rel=1e-5)
    both = Windows(traffic, small(read=("speed", "flow")))
    assert both.channels == 2
    torch.testing.assert_close(both.batch(torch.tensor([7])).x[..., 1], windows.batch(torch.tensor([7])).x[..., 0])


def test_the_clock(traffic: SeriesData) -> None:
    windows = Windows(traffic, small(clock=True))
    assert windows.channels == 3
    x = windows.batch(torch.tensor([72])).x[0, 0, :, 1:]  # six o'clock
    torch.testing.assert_close(x, torch.tensor([1.0, 0.0]).expand(8, 2), atol=1e-4, rtol=0)


def test_scales_do_not_see_the_future(traffic: SeriesData) -> None:
    other = SeriesData("x", traffic.values.clone(), traffic.channels, "u", 5.0, traffic.adjacency, traffic.edges)
    other.values[210:] *= 100
    assert Windows(other, small()).scales == Windows(traffic, small()).scales


def test_impossible_windows(traffic: SeriesData) -> None:
    with pytest.raises(ValueError, match="30 steps of a part are fewer than a window's 20 \\+ 20"):
        Windows(traffic, WindowConfig(lag=20, horizon=20))
    with pytest.raises(ValueError, match="has no channel weather: expected some of flow, occupancy, speed"):
        Windows(traffic, small(read=("weather",)))
    still = SeriesData("x", torch.ones(300, 8, 1), ("a",), "u", 5.0, traffic.adjacency, traffic.edges)
    with pytest.raises(ValueError, match="values that change"):
        Windows(still, small())


def test_errors() -> None:
    y = torch.tensor([[[[2.0], [0.0]], [[4.0], [1.0]]]])  # one window, two steps, two nodes
    found = errors(torch.tensor([[[[3.0], [1.0]], [[4.0], [4.0]]]]), y)
    assert found.mae == (1.0, 1.5)
    assert found.rmse == (1.0, pytest.approx(4.5**0.5, abs=1e-6))
    assert found.mape == (50.0, 150.0)  # the entry 0 is left out
    assert found.all_mae == 1.25
    assert found.all_rmse == pytest.approx((11 / 4) ** 0.5, abs=1e-6)
    assert found.all_mape == pytest.approx(350 / 3, abs=1e-4)


def test_baselines(traffic: SeriesData) -> None:
    windows = Windows(traffic, small())
    flow = traffic.values[..., 0]
    last = baseline("last", windows, windows.test)
    expected = (flow[244 : 300 - 2] - flow[243 : 300 - 3]).abs().mean()
    assert last.mae[0] == pytest.approx(float(expected), rel=1e-5)
    assert last.mae[0] < last.mae[2]
    assert baseline("zero", windows, windows.test).all_mape == pytest.approx(100.0)
    truth = windows.batch(windows.test).y
    assert baseline("one", windows, windows.test).all_mae == pytest.approx(float((truth - 1).abs().mean()), rel=1e-5)


def plain(windows: Windows, residual: int = 0) -> Forecaster:
    torch.manual_seed(0)
    network = create_model("agcrn", num_nodes=8, lag=4, horizon=3, hidden=8, layers=1, embedding=3)
    return Forecaster(network, None, residual)


def fitted(windows: Windows, config: ForecastFitConfig, **how: Any) -> tuple[Fitted, Forecaster]:
    model = plain(windows, config.residual)
    return fit(model, windows, config, 0, **how), model


def test_training_learns_and_repeats(traffic: SeriesData) -> None:
    windows = Windows(traffic, small())
    config = ForecastFitConfig(epochs=8, batch=32, learning_rate=0.02, schedule="cosine")
    (first, model), (second, again) = fitted(windows, config), fitted(windows, config)
    assert first == second
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True))
    truth = windows.batch(windows.valid).y
    assert first.valid == pytest.approx(float((forecasts(model, windows, windows.valid) - truth).abs().mean()))
    assert first.valid < 0.8 * baseline("mean", windows, windows.valid).all_mae


@pytest.mark.parametrize(("residual", "base"), [(1, "last"), (3, "median")])
def test_a_residual_begins_at_its_base(traffic: SeriesData, residual: int, base: str) -> None:
    windows = Windows(traffic, small())
    model = plain(windows, residual)
    torch.nn.init.zeros_(model.network.head.weight)
    torch.nn.init.zeros_(model.network.head.bias)
    found = errors(forecasts(model, windows, windows.test), windows.batch(windows.test).y)
    assert found.mae == pytest.approx(baseline(base, windows, windows.test).mae, rel=1e-5)


def test_patience_and_the_best_epoch(traffic: SeriesData) -> None:
    windows, events = Windows(traffic, small()), []
    config = ForecastFitConfig(epochs=60, batch=64, learning_rate=0.3, patience=2)
    best, _ = fitted(windows, config, progress=events.append)
    valid = [event["valid"] for event in events if "valid" in event]
    assert best.valid == min(valid) == valid[best.kept]
    assert best.epochs == best.kept + 3 == len(valid) < 60


class Killed(Exception):
    pass


def test_a_continued_training_is_the_uninterrupted_one(
    traffic: SeriesData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fitting, "CHECKPOINT_S", 0.0)
    windows, config = Windows(traffic, small()), ForecastFitConfig(epochs=4, batch=64)
    whole, model = fitted(windows, config)
    checkpoint = Checkpoint(tmp_path / "checkpoint.safetensors")

    def kill(event: dict[str, Any]) -> None:
        if event["epoch"] == 2:
            raise Killed

    with pytest.raises(Killed):
        fitted(windows, config, checkpoint=checkpoint, progress=kill)
    assert checkpoint.load()["epoch"] == 2
    again, other = fitted(windows, config, checkpoint=checkpoint)
    assert again == whole
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), other.parameters(), strict=True))


def test_a_diverging_training_is_refused(traffic: SeriesData) -> None:
    windows = Windows(traffic, small())
    model = plain(windows)
    torch.nn.init.constant_(model.network.head.bias, float("nan"))
    with pytest.raises(ValueError, match="the loss of epoch 0 is nan: expected a smaller learning rate"):
        fit(model, windows, ForecastFitConfig(epochs=1), 0)


def test_images_of_a_run(traffic: SeriesData, tmp_path: Path) -> None:
    config = TopologyConfig(resolution=32, dimension=0)
    images = make_images(tmp_path, traffic, 4, config)
    assert (tmp_path / FILE).is_file()
    counts, axes = images.of(torch.tensor([0, 17, 296]))
    assert counts.shape == (3, 8, 8)
    assert axes.shape == (3, 4)
    (alone,) = barcodes(traffic, 4, config, 17, 18)
    bars = alone.intervals(0)
    assert int(counts[1].sum()) == int((bars[:, 1] > bars[:, 0]).sum()) > 0
    before = (tmp_path / FILE).stat().st_mtime_ns
    again, _ = make_images(tmp_path, traffic, 4, config).of(torch.tensor([0, 17, 296]))
    assert torch.equal(again, counts)
    assert (tmp_path / FILE).stat().st_mtime_ns == before


def test_a_run(tmp_path: Path) -> None:
    config = load_task("traffic", [*SMALL, MODELS, "seeds=[0,1]"])
    assert isinstance(config, ForecastConfig)
    out = tmp_path / "run"
    results = run(config, out, where=Where(jobs=1), quiet=True)
    assert list(results.models) == ["zgcnet", "plain", "tgcn"]
    assert [(o.model, o.seed) for o in results.outcomes] == [(m, s) for m in results.models for s in (0, 1)]
    kept = results.outcomes[results.chosen]
    assert kept.valid == min(o.valid for o in results.outcomes)
    assert results.topology["seconds"] > 0
    workshop = Workshop(out, config)
    for outcome in results.outcomes[::2]:
        windows = workshop.windows
        found = errors(forecasts(workshop.load(outcome), windows, windows.test), windows.batch(windows.test).y)
        assert found.mae == pytest.approx(outcome.mae, abs=2e-5)
    model, metadata = load_network(out / "weights.safetensors")
    assert metadata["errors"]["all_mae"] == kept.all_mae
    assert sum(p.numel() for p in model.parameters()) == results.models[kept.model]["parameters"]
    events = list(read_metrics(out / "metrics.jsonl"))
    assert [event["epoch"] for event in events] == [0, 1, 2]
    assert load_task(str(out / "config.toml")) == config
    assert run(config, out, quiet=True) == results  # nothing is trained again
    loaded = load_run(out)
    text = page([loaded])
    assert text.count("<svg") >= 4
    assert "Node " in text
    mean, _ = mean_and_deviation(results.of("tgcn"), lambda o: o.all_mae)
    assert f"| tgcn | {results.models['tgcn']['parameters']:,} | 2 | {mean:.3f} ± " in tables(loaded)
    assert len(loaded.document()["summary"]) == 3


def test_a_run_with_topology_is_drawn(tmp_path: Path) -> None:
    only = 'models=[{name="zgcnet",options={hidden=4,layers=1,embedding=3}}]'
    config = load_task(
        "traffic", [*SMALL, only, "topology.learnable=true", "topology.dimension=0", "topology.mode=paper"]
    )
    results = run(config, tmp_path / "run", where=Where(jobs=1), quiet=True)
    _, metadata = load_network(tmp_path / "run" / "weights.safetensors")
    assert metadata["topology"]["log_bandwidth"] != 0.0  # learned
    assert len(metadata["topology"]["log_weight"]) == 8
    shown = json.loads((tmp_path / "run" / "shown.json").read_text())
    assert {len(row) for row in shown["image"]} == {32}
    assert max(map(max, shown["image"])) == 255
    counts, _ = Workshop(tmp_path / "run", config).images(config.models[0]).of(torch.arange(208, 254))
    assert counts.sum((1, 2))[shown["window"]["step"] - 208] == counts.sum((1, 2)).max()
    loaded = load_run(tmp_path / "run")
    assert "data:image/png;base64," in page([loaded])
    assert "H0: " in picture(loaded)
    assert f"{results.topology['seconds']:.1f} s." in page([loaded])


def test_a_run_without_topology(tmp_path: Path) -> None:
    out = tmp_path / "plain"
    only = 'models=[{name="agcrn",options={hidden=4,layers=1,embedding=3}}]'
    arguments = ["train", "traffic", "--out", str(out), "--jobs", "1", "-q"]
    for assignment in [*SMALL, only]:
        arguments += ["--set", assignment]
    said = CliRunner().invoke(app, [*arguments, "--json"])
    assert said.exit_code == 0, said.output
    document = json.loads(said.stdout)
    assert document["results"]["task"] == "forecast"
    assert document["results"]["topology"] == {}
    assert not (out / FILE).exists()
    again = CliRunner().invoke(app, arguments)
    assert "last value: MAE" in again.stdout
    assert CliRunner().invoke(app, ["report", str(out)]).exit_code == 0
    assert (out / "report.html").read_text().startswith("<!doctype html>")
    refused = CliRunner().invoke(app, ["report", str(out), "--svg", str(tmp_path / "x.svg")])
    assert refused.exit_code == 1
    assert "without topology" in refused.stderr


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"seeds": []}, "expected different seeds"),
        ({"name": "a/b"}, "a name that a folder can have"),
        ({"threads": 0}, "at least one thread"),
        ({"fit": {"residual": 13}}, "residual to be at most the 12 steps read, found 13"),
        ({"fit": {"residual": -1}}, r"\[fit\] expected residual >= 0"),
        ({"fit": {"epochs": 0}}, r"\[fit\] expected epochs and batch >= 1"),
        ({"fit": {"weight_decay": -1.0}}, "weight_decay >= 0"),
        ({"fit": {"loss": "rmse"}}, "expected one of 'mae', 'huber', 'mse'"),
        ({"windows": {"lag": 1}}, r"\[windows\] expected lag >= 2"),
        ({"topology": {"dimension": 2}}, "dimension 0 or 1"),
        ({"models": []}, "different titles, at least one"),
        ({"models": [{"name": "tgcn"}, {"name": "agcrn", "title": "TGCN"}]}, "different titles"),
        ({"models": [{"title": "a/b"}]}, "titles of letters"),
    ],
)
def test_impossible_settings(values: dict[str, object], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        build(ForecastConfig, {"task": "forecast", **values})
