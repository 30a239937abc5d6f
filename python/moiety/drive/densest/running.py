"""`moiety train` of a run with `task = "densest"`: networks that learn dense parts, beside greedy methods."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from functools import cached_property, partial
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from torch import Tensor

from moiety.models import create_model, save_network
from moiety.train.hypergraph import (
    Dense,
    choose,
    fit_densest,
    inside,
    max_degree,
    planted_dense,
    remove_min_degree,
)

from ..display import display
from ..distributed import agree, process_group
from ..files import read_json, write_atomic
from ..folder import open_run
from ..hypernodes.config import slug
from ..place import RESULT, WEIGHTS, Place
from ..running import Where, make_trials
from ..trial import Trial
from .config import DensestConfig
from .results import DensestResults, Found, read_densest_results, write_densest_results

__all__ = ["Workshop", "run", "summary"]

GREEDY = {"MaxDegree": max_degree, "RemoveMinDegree": remove_min_degree}


class Workshop:
    """What all trainings of one run share; `make` makes one of them."""

    def __init__(self, run: Path, config: DensestConfig) -> None:
        self.run, self.config = run, config

    @cached_property
    def train(self) -> list[Dense]:
        return self._drawn(0, self.config.data.train)

    @cached_property
    def test(self) -> list[Dense]:
        return self._drawn(self.config.data.train, self.config.data.test)

    def _drawn(self, first: int, count: int) -> list[Dense]:
        data = self.config.data
        return [planted_dense(**data.options, seed=data.seed + first + i) for i in range(count)]

    def ratios(self, method: Callable[[Dense], Tensor]) -> list[float]:
        """Of every hypergraph to test with."""
        return [inside(one.hypergraph, method(one)) / max(one.held, 1) for one in self.test]

    def trials(self) -> list[Trial]:
        config = self.config
        return [Trial("train", seed, choice=slug(model.title)) for model in config.models for seed in config.seeds]

    def make(self, trial: Trial) -> dict[str, Any]:
        """The trial's result.json; made now unless it is there already."""
        folder = self.run / "trials" / trial.name
        if not agree((folder / RESULT).exists):
            self._train(trial, Place(folder))
        return agree(lambda: read_json(folder / RESULT))

    def _train(self, trial: Trial, place: Place) -> None:
        config, started = self.config, time.monotonic()
        model = next(one for one in config.models if slug(one.title) == trial.choice)
        options = {"in_features": self.test[0].x.shape[1], "num_classes": config.maps, **model.options}
        torch.manual_seed(trial.seed)
        network = create_model(model.name, **options)
        tell = place.progress("nodes")

        def told(epoch: int, loss: float) -> None:
            tell({"phase": "training", "epoch": epoch, "epochs": config.fit.epochs, "loss": loss})

        loss = fit_densest(network, self.train, config.fit, told)

        def chosen(one: Dense, candidates: float) -> Tensor:
            return choose(network, one.hypergraph, one.x, one.k, candidates)

        plain, peeled = (self.ratios(partial(chosen, candidates=by)) for by in (1.0, config.candidates))
        metadata = {"model": {"name": model.name, "kwargs": options}, "features": options["in_features"]}
        agree(lambda: save_network(place.folder / WEIGHTS, network, metadata, half=False))
        place.finish(
            {
                "model": model.title,
                "seed": trial.seed,
                "plain": plain,
                "peeled": peeled,
                "loss": loss,
                "parameters": sum(p.numel() for p in network.parameters()),
                "spent": round(time.monotonic() - started, 3),
            }
        )


def run(
    config: DensestConfig, out: Path, *, where: Where | None = None, resume: bool = False, quiet: bool = False
) -> DensestResults:
    """Train every network with every seed and choose dense parts by it and by the greedy methods."""
    with process_group(), open_run(out, config, resume=resume) as again, display(out, quiet=quiet) as shown:
        if again and agree((out / "results.json").exists):
            shown.say(f"{out} is finished")
            return agree(lambda: read_densest_results(out))
        torch.set_num_threads(config.threads)
        workshop = Workshop(out, config)
        trials = workshop.trials()
        made = make_trials(out, trials, config.threads, where, shown, "networks")
        return agree(lambda: _finish(workshop, trials, made))


def _finish(workshop: Workshop, trials: Sequence[Trial], made: Sequence[dict[str, Any]]) -> DensestResults:
    out, config, test = workshop.run, workshop.config, workshop.test
    found = []
    for name, method in GREEDY.items():
        started = time.monotonic()
        ratios = workshop.ratios(partial(_greedily, method))
        found.append(Found(name, tuple(ratios), spent=round(time.monotonic() - started, 3)))
    for suffix, key in (("", "plain"), (" + RemoveMinDegree", "peeled")):
        found += [
            Found(f"{one['model']}{suffix}", tuple(one[key]), one["seed"], one["loss"], one["spent"]) for one in made
        ]
    results = DensestResults(
        name=config.name,
        data={
            "nodes": test[0].hypergraph.num_nodes,
            "hyperedges": test[0].hypergraph.num_hyperedges,
            "k": test[0].k,
            "held": fmean(one.held for one in test),
            "train": config.data.train,
            "test": config.data.test,
        },
        models={
            model.title: {
                "name": model.name,
                "options": model.options,
                "parameters": next(one["parameters"] for one in made if one["model"] == model.title),
            }
            for model in config.models
        },
        found=tuple(found),
        spent=round(sum(one["spent"] for one in made), 3),
    )
    for name in (WEIGHTS, "metrics.jsonl"):
        path = out / "trials" / trials[0].name / name
        if path.is_file():
            write_atomic(out / name, path.read_bytes())
    write_densest_results(out, results)
    shutil.rmtree(out / "logs", ignore_errors=True)
    return results


def _greedily(method: Callable[[Any, int], Tensor], one: Dense) -> Tensor:
    return method(one.hypergraph, one.k)


def summary(out: Path, results: DensestResults) -> str:
    """What the command prints in the end."""
    data = results.data
    lines = [
        f"{out}: {data['k']} of {data['nodes']} nodes on {data['test']} hypergraphs; "
        "hyperedges inside over those inside the planted part"
    ]
    for method in results.methods():
        mean, spread = results.ratio(method)
        lines.append(f"{method}: {mean:.3f} +- {spread:.3f}")
    return "\n".join(lines)
