"""`moiety train` of a run with `task = "hypernodes"`: errors of every network on every data set, over seeds and splits.

A trial is one network on one data set with one seed, on all splits in turn. The first seed's network of the first split
is kept in its folder, and that of the first network and data set in the run's.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from moiety.data import load_hypergraph
from moiety.data.hypergraph_data import HypergraphData
from moiety.models import create_model, save_network

from ..display import display
from ..distributed import agree, process_group
from ..files import read_json, write_atomic, write_json
from ..folder import open_run
from ..place import RESULT, WEIGHTS, Place
from ..running import Where, make_trials
from ..trial import Trial
from .config import HyperModelConfig, HypernodesConfig, HyperSetConfig, slug
from .fitting import fit_split
from .results import HyperResults, Outcome, read_hyper_results, write_hyper_results

__all__ = ["Workshop", "run", "summary"]

SO_FAR = "splits.json"  # what a trial that was killed goes on from


class Workshop:
    """What all trainings of one run share; `make` makes one trial."""

    def __init__(self, run: Path, config: HypernodesConfig) -> None:
        self.run, self.config = run, config
        self._sets: dict[str, HypergraphData] = {}

    def data(self, one: HyperSetConfig) -> HypergraphData:
        if one.name not in self._sets:
            self._sets[one.name] = load_hypergraph(one.name, **one.options)
        return self._sets[one.name]

    def options(self, model: HyperModelConfig, one: HyperSetConfig) -> dict[str, Any]:
        """The arguments of a network's factory."""
        data = self.data(one)
        sizes = {"in_features": data.num_features, "num_classes": data.num_classes}
        return {**sizes, **model.options_for(one.name)}

    def trials(self) -> list[Trial]:
        """One a data set, network and seed; `choice` says which."""
        return [
            Trial("train", seed, choice=_choice(one, model))
            for model in self.config.models
            for one in self.config.sets
            for seed in model.seeds or self.config.seeds
        ]

    def make(self, trial: Trial) -> dict[str, Any]:
        """The trial's result.json; made now unless it is there already."""
        folder = self.run / "trials" / trial.name
        if not agree((folder / RESULT).exists):
            self._train(trial, Place(folder))
        return agree(lambda: read_json(folder / RESULT))

    def _train(self, trial: Trial, place: Place) -> None:
        one, model = next(
            (one, model)
            for one in self.config.sets
            for model in self.config.models
            if _choice(one, model) == trial.choice
        )
        data, options = self.data(one), self.options(model, one)
        splits = self.config.splits or tuple(range(1, data.num_splits + 1))
        tell = place.progress("nodes")
        so_far = place.folder / SO_FAR
        done: list[dict[str, Any]] = agree(lambda: read_json(so_far)["outcomes"] if so_far.exists() else [])
        for i, split in enumerate(splits[len(done) :], len(done)):
            started = time.monotonic()
            torch.manual_seed(trial.seed * 1_000_003 + split)
            network = create_model(model.name, **options)

            def told(epoch: int, loss: float, split: int = split, place: int = i) -> None:
                tell({"phase": f"split {split}", "epoch": place, "epochs": len(splits), "step": epoch + 1,
                      "steps": model.fit.epochs, "loss": loss})  # fmt: skip

            found = fit_split(network, data, split, model.fit, told)
            if i == 0 and trial.seed == (model.seeds or self.config.seeds)[0]:
                self._keep(place.folder / WEIGHTS, network, model, one, split)
            spent = round(time.monotonic() - started, 3)
            done.append({"split": split, **vars(found), "spent": spent})
            if place.writes:
                write_json(so_far, {"outcomes": done})
        parameters = sum(p.numel() for p in create_model(model.name, **options).parameters())
        place.finish(
            {
                "dataset": one.name,
                "model": model.title,
                "seed": trial.seed,
                "outcomes": done,
                "test": sum(outcome["test"] for outcome in done) / len(done),
                "parameters": parameters,
                "spent": round(sum(outcome["spent"] for outcome in done), 3),
            }
        )
        if place.writes:
            so_far.unlink(missing_ok=True)

    def _keep(self, path: Path, network: nn.Module, model: HyperModelConfig, one: HyperSetConfig, split: int) -> None:
        data = self.data(one)
        metadata = {
            "model": {"name": model.name, "kwargs": self.options(model, one)},
            "features": data.num_features,
            "classes": list(data.classes),
            "trained_on": {"name": data.name, "options": one.options, "split": split},
        }
        agree(lambda: save_network(path, network, metadata, half=False))


def _choice(one: HyperSetConfig, model: HyperModelConfig) -> str:
    return f"{slug(one.name)}.{slug(model.title)}"


def run(
    config: HypernodesConfig, out: Path, *, where: Where | None = None, resume: bool = False, quiet: bool = False
) -> HyperResults:
    """Train every network on every split of every data set with every seed, and tell the errors of all."""
    with process_group(), open_run(out, config, resume=resume) as again, display(out, quiet=quiet) as shown:
        if again and agree((out / "results.json").exists):
            shown.say(f"{out} is finished")
            return agree(lambda: read_hyper_results(out))
        torch.set_num_threads(config.threads)
        workshop = Workshop(out, config)
        trials = workshop.trials()
        made = make_trials(out, trials, config.threads, where, shown, "networks")
        return agree(lambda: _finish(workshop, trials, made))


def _finish(workshop: Workshop, trials: Sequence[Trial], made: Sequence[dict[str, Any]]) -> HyperResults:
    out, config = workshop.run, workshop.config
    outcomes = tuple(
        Outcome(dataset=found["dataset"], model=found["model"], seed=found["seed"], **one)
        for found in made
        for one in found["outcomes"]
    )
    parameters: dict[str, dict[str, int]] = {}
    for found in made:
        parameters.setdefault(found["model"], {})[found["dataset"]] = found["parameters"]
    results = HyperResults(
        name=config.name,
        sets={one.name: _described(workshop.data(one)) for one in config.sets},
        models={
            model.title: {
                "name": model.name,
                "options": model.options,
                "options_on": model.options_on,
                "fit": vars(model.fit),
                "parameters": parameters[model.title],
            }
            for model in config.models
        },
        outcomes=outcomes,
        spent=round(sum(found["spent"] for found in made), 3),
    )
    for name in (WEIGHTS, "metrics.jsonl"):
        path = out / "trials" / trials[0].name / name
        if path.is_file():
            write_atomic(out / name, path.read_bytes())
    write_hyper_results(out, results)
    shutil.rmtree(out / "logs", ignore_errors=True)
    return results


def _described(data: HypergraphData) -> dict[str, Any]:
    return {
        "nodes": data.num_nodes,
        "hyperedges": data.hypergraph.num_hyperedges,
        "incidences": data.hypergraph.num_incidences,
        "features": data.num_features,
        "classes": data.num_classes,
        "train": int(data.train[0].sum()),
        "splits": data.num_splits,
        "notes": list(data.notes),
    }


def summary(out: Path, results: HyperResults) -> str:
    """What the command prints in the end."""
    lines = [f"{out}: {len(results.outcomes)} networks trained, {results.spent:.1f} s of work; test error in %"]
    for dataset, about in results.sets.items():
        for model in results.models:
            if (cell := results.cell(dataset, model)) is not None:
                lines.append(f"{dataset}, {model}: {cell.mean:.2f} +- {cell.deviation:.2f} of {cell.count}")
        lines += [f"note: {note}" for note in about["notes"]]
    return "\n".join(lines)
