"""`moiety train` of a run with `task = "forecast"`: every network with every seed, their errors, and what is drawn.

A trial is one network with one seed. The barcodes of all windows are computed once, before the first trial.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from moiety.data import load_series
from moiety.data.series import SeriesData
from moiety.models import create_model, load_network, save_network

from ..display import display
from ..distributed import process_group, world
from ..files import read_json, write_atomic, write_json
from ..folder import open_run
from ..place import RESULT, WEIGHTS, Place
from ..running import Where, make_trials
from ..settings import to_dict
from ..trial import Trial
from .config import ForecastConfig, ForecastModelConfig
from .errors import BASELINES, baseline, errors
from .fitting import Forecaster, fit, forecasts
from .images import Images, make_images
from .results import ForecastResults, Outcome, mean_and_deviation, read_forecast_results, write_forecast_results
from .shown import SHOWN, draw
from .windows import Windows

__all__ = ["Workshop", "run", "summary"]


class Workshop:
    """What all trainings of one run share; `make` makes one trial."""

    def __init__(self, run: Path, config: ForecastConfig) -> None:
        self.run, self.config = run, config
        self._data: SeriesData | None = None
        self._windows: Windows | None = None
        self._images: Images | None = None

    @property
    def data(self) -> SeriesData:
        if self._data is None:
            self._data = load_series(self.config.data.name, **self.config.data.options)
        return self._data

    @property
    def windows(self) -> Windows:
        if self._windows is None:
            self._windows = Windows(self.data, self.config.windows)
        return self._windows

    def images(self, model: ForecastModelConfig) -> Images | None:
        """What the network reads beside the values."""
        if model.name != "zgcnet" or not model.topology:
            return None
        if self._images is None:
            self._images = make_images(self.run, self.data, self.config.windows.lag, self.config.topology)
        return self._images

    def trials(self) -> list[Trial]:
        """`choice` says which network."""
        return [Trial("train", seed, choice=slug(model)) for model in self.config.models for seed in self.config.seeds]

    def options(self, model: ForecastModelConfig) -> dict[str, Any]:
        """The arguments of a network's factory."""
        windows = self.config.windows
        sizes = {"num_nodes": self.data.num_nodes, "in_channels": self.windows.channels, "out_channels": 1,
                 "lag": windows.lag, "horizon": windows.horizon}  # fmt: skip
        if model.name == "zgcnet":
            sizes["resolution"] = self.config.topology.resolution if model.topology else 0
        return {**sizes, **model.options}

    def new_forecaster(self, model: ForecastModelConfig, seed: int) -> Forecaster:
        """An untrained one, drawn by the seed."""
        torch.manual_seed(seed)
        network = create_model(model.name, **self.options(model))
        if callable(use := getattr(network, "use_graph", None)):
            use(self.data.adjacency)
        return Forecaster(network, self.images(model), self.config.fit.residual)

    def make(self, trial: Trial) -> dict[str, Any]:
        """The trial's result.json; made now unless it is there already."""
        folder = self.run / "trials" / trial.name
        if not (folder / RESULT).exists():
            self._train(trial, Place(folder))
        return read_json(folder / RESULT)

    def _train(self, trial: Trial, place: Place) -> None:
        model = next(model for model in self.config.models if slug(model) == trial.choice)
        started = time.monotonic()
        forecaster, kept = self.new_forecaster(model, trial.seed), place.checkpoint("nodes")
        tell = place.progress("nodes")
        fitted = fit(forecaster, self.windows, self.config.fit, trial.seed, progress=tell, checkpoint=kept)
        test = self.windows.test
        found = to_dict(errors(forecasts(forecaster, self.windows, test), self.windows.batch(test).y))
        self._keep(place.folder / WEIGHTS, forecaster, model, found)
        place.finish(
            {
                "model": model.label,
                "seed": trial.seed,
                "epoch": fitted.kept,
                "epochs": fitted.epochs,
                "valid": round(fitted.valid, 6),
                **found,
                "spent": round(time.monotonic() - started, 3),
                "folder": str(place.folder.relative_to(self.run)),
            }
        )
        kept.remove()

    def _keep(self, path: Path, made: Forecaster, model: ForecastModelConfig, errors: dict[str, Any]) -> None:
        metadata = {
            "model": {"name": model.name, "kwargs": self.options(model)},
            "features": self.windows.channels,
            "trained_on": {"name": self.data.name, "options": self.config.data.options},
            "scales": {**self.windows.scales, "forecast": [self.windows.mean, self.windows.spread]},
            "residual": made.residual,
            "errors": errors,
        }
        if made.image is not None:
            learned = {name: value.tolist() for name, value in made.image.state_dict().items()}
            metadata["topology"] = {**to_dict(self.config.topology), "window": self.config.windows.lag, **learned}
        save_network(path, made.network, metadata, half=False)

    def load(self, outcome: Outcome) -> Forecaster:
        """The forecaster that a trial left in its folder."""
        model = next(model for model in self.config.models if model.label == outcome.model)
        network, metadata = load_network(self.run / outcome.folder / WEIGHTS)
        made = Forecaster(network, self.images(model), self.config.fit.residual)
        if made.image is not None:
            state = {name: torch.tensor(metadata["topology"][name]) for name in made.image.state_dict()}
            made.image.load_state_dict(state)
        return made


def slug(model: ForecastModelConfig) -> str:
    return model.label.lower().replace(" ", "-")


def run(
    config: ForecastConfig, out: Path, *, where: Where | None = None, resume: bool = False, quiet: bool = False
) -> ForecastResults:
    """Train every network with every seed, and tell the errors of all beside those of forecasts that cost nothing."""
    if world() > 1:
        raise ValueError(
            f"a run of forecasting is one process, or trials in several (--jobs): got {world()} by torchrun"
        )
    with process_group(), open_run(out, config, resume=resume) as again, display(out, quiet=quiet) as shown:
        if again and (out / "results.json").exists():
            shown.say(f"{out} is finished")
            return read_forecast_results(out)
        torch.set_num_threads(config.threads)
        workshop, started = Workshop(out, config), time.monotonic()
        if config.reads_images:
            shown.say(f"  barcodes of windows of {config.windows.lag} steps")
            make_images(out, workshop.data, config.windows.lag, config.topology)
        spent = time.monotonic() - started
        made = make_trials(out, workshop.trials(), config.threads, where, shown, "networks")
        return _finish(workshop, made, spent)


def _finish(workshop: Workshop, made: Sequence[dict[str, Any]], barcode_seconds: float) -> ForecastResults:
    out, config, data, windows = workshop.run, workshop.config, workshop.data, workshop.windows
    outcomes = tuple(Outcome(**{**found, **_tuples(found)}) for found in made)
    parts = {name: len(getattr(windows, name)) for name in ("train", "valid", "test")}
    results = ForecastResults(
        name=config.name,
        series={
            "dataset": data.name,
            "channel": data.channels[0],
            "unit": data.unit,
            "minutes": data.minutes,
            "steps": len(data.values),
            "nodes": data.num_nodes,
            "lag": config.windows.lag,
            "horizon": config.windows.horizon,
            **parts,
        },
        topology={**to_dict(config.topology), "seconds": round(barcode_seconds, 3)} if config.reads_images else {},
        models={
            model.label: {
                "name": model.name,
                "options": workshop.options(model),
                "parameters": _size(workshop.new_forecaster(model, 0).network),
            }
            for model in config.models
        },
        outcomes=outcomes,
        baselines={name: to_dict(baseline(name, windows, windows.test)) for name in BASELINES},
        chosen=min(range(len(outcomes)), key=lambda i: outcomes[i].valid),
        notes=data.notes,
        spent=round(sum(outcome.spent for outcome in outcomes), 3),
    )
    chosen = outcomes[results.chosen]
    for name in (WEIGHTS, "metrics.jsonl"):
        path = out / chosen.folder / name
        if path.is_file():
            write_atomic(out / name, path.read_bytes())
    drawn = draw(data, windows, workshop.load(chosen), config)
    write_json(out / SHOWN, drawn)
    write_forecast_results(out, results)
    shutil.rmtree(out / "logs", ignore_errors=True)
    return results


def _tuples(found: dict[str, Any]) -> dict[str, tuple[float, ...]]:
    return {name: tuple(found[name]) for name in ("mae", "rmse", "mape")}


def _size(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def summary(out: Path, results: ForecastResults) -> str:
    """What the command prints in the end."""
    series = results.series
    lines = [
        f"{out}: {len(results.outcomes)} networks trained, {results.spent:.0f} s of work; test errors over "
        f"{series['horizon']} steps, {series['unit']}"
    ]
    for name in results.baselines:
        found = results.baseline(name)
        lines.append(
            f"{BASELINES[name]}: MAE {found.all_mae:.3f}, RMSE {found.all_rmse:.3f}, MAPE {found.all_mape:.2f} %"
        )
    for model in results.models:
        own = results.of(model)
        (mae, e), (rmse, f), (mape, g) = (
            mean_and_deviation(own, value)
            for value in (lambda o: o.all_mae, lambda o: o.all_rmse, lambda o: o.all_mape)
        )
        spread = f", mean and standard deviation of {len(own)} seeds" if len(own) > 1 else ""
        lines.append(
            f"{model}: MAE {mae:.3f} +- {e:.3f}, RMSE {rmse:.3f} +- {f:.3f}, MAPE {mape:.2f} +- {g:.2f} %{spread}"
        )
    return "\n".join([*lines, *(f"note: {note}" for note in results.notes)])
