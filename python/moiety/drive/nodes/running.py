"""`moiety train` of a run with `task = "nodes"`: a network a seed, their accuracies, and the one that is kept."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from moiety.data import load_graph
from moiety.data.graph_data import GraphData
from moiety.models import create_model, load_network, save_network

from ..display import display
from ..distributed import agree, process_group
from ..files import read_json, write_atomic
from ..folder import open_run
from ..place import RESULT, WEIGHTS, Place
from ..running import Where, make_trials
from ..trial import Trial
from .config import NodesConfig
from .engines import make_engine
from .fitting import fit_nodes, scores
from .results import NodeResults, Seed, read_node_results, write_node_results

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Workshop", "run", "summary"]


class Workshop:
    """What all trainings of one run share; `make` makes one of them."""

    def __init__(self, run: Path, config: NodesConfig) -> None:
        self.run, self.config = run, config
        self._data: GraphData | None = None

    @property
    def data(self) -> GraphData:
        if self._data is None:
            self._data = load_graph(self.config.data.name, **self.config.data.options)
        return self._data

    @property
    def options(self) -> dict[str, Any]:
        """The arguments of the network's factory."""
        return {
            "in_features": self.data.num_features,
            "num_classes": self.data.num_classes,
            **self.config.model.options,
        }

    def new_network(self, seed: int) -> nn.Module:
        """An untrained one, drawn by the seed."""
        torch.manual_seed(seed)
        return create_model(self.config.model.name, **self.options)

    def make(self, trial: Trial) -> dict[str, Any]:
        """The trial's result.json; made now unless it is there already."""
        folder = self.run / "trials" / trial.name
        if not agree((folder / RESULT).exists):
            self._train(trial, Place(folder))
        return agree(lambda: read_json(folder / RESULT))

    def _train(self, trial: Trial, place: Place) -> None:
        started = time.monotonic()
        network = self.new_network(trial.seed)
        kept = place.checkpoint("nodes")
        fitted = fit_nodes(
            network,
            self.data,
            make_engine(network, self.data, self.config.batches, trial.seed, self.config.fit.label_smoothing),
            self.config.fit,
            trial.seed,
            progress=place.progress("nodes"),
            checkpoint=kept,
        )
        found = agree(lambda: self._keep(place.folder / WEIGHTS, network))
        place.finish(
            {
                "seed": trial.seed,
                "epoch": fitted.kept,
                "epochs": fitted.epochs,
                **found,
                "spent": round(time.monotonic() - started, 3),
                "folder": str(place.folder.relative_to(self.run)),
            }
        )
        kept.remove()

    def _keep(self, path: Path, network: nn.Module) -> dict[str, float]:
        """Write the network's file; the accuracies of what it holds."""
        data = self.data
        now = scores(network, data)
        said = {"train": now.train, "valid": now.valid, "test": now.test}
        metadata = {
            "model": {"name": self.config.model.name, "kwargs": self.options},
            "features": data.num_features,
            "classes": list(data.classes),
            "trained_on": {"name": data.name, "options": self.config.data.options},
            "accuracy": said,
        }
        save_network(path, network, metadata, half=False)
        return said


def run(
    config: NodesConfig, out: Path, *, where: Where | None = None, resume: bool = False, quiet: bool = False
) -> NodeResults:
    """Train the model with every seed, keep the best by validation, and tell the accuracies of all."""
    with process_group(), open_run(out, config, resume=resume) as again, display(out, quiet=quiet) as shown:
        if again and agree((out / "results.json").exists):
            shown.say(f"{out} is finished")
            return agree(lambda: read_node_results(out))
        torch.set_num_threads(config.threads)
        trials = [Trial("train", seed) for seed in config.seeds]
        made = make_trials(out, trials, config.threads, where, shown, "networks")
        return agree(lambda: _finish(out, config, made))


def _finish(out: Path, config: NodesConfig, made: Sequence[dict[str, Any]]) -> NodeResults:
    workshop = Workshop(out, config)
    data = workshop.data
    seeds = tuple(Seed(**found) for found in made)
    network, _ = load_network(out / seeds[0].folder / WEIGHTS)
    results = NodeResults(
        name=config.name,
        graph={
            "dataset": data.name,
            "nodes": data.num_nodes,
            "edges": data.graph.num_edges,
            "features": data.num_features,
            "classes": data.num_classes,
            **{name: int(getattr(data, name).sum()) for name in ("train", "valid", "test")},
        },
        model={
            "name": config.model.name,
            "options": workshop.options,
            "parameters": sum(p.numel() for p in network.parameters()),
        },
        batches=config.batches.kind,
        seeds=seeds,
        chosen=max(range(len(seeds)), key=lambda i: seeds[i].valid),
        notes=data.notes,
        spent=round(sum(seed.spent for seed in seeds), 3),
    )
    for name in (WEIGHTS, "metrics.jsonl"):
        path = out / results.seeds[results.chosen].folder / name
        if path.is_file():
            write_atomic(out / name, path.read_bytes())
    write_node_results(out, results)
    shutil.rmtree(out / "logs", ignore_errors=True)
    return results


def summary(out: Path, results: NodeResults) -> str:
    """What the command prints in the end."""
    test = results.mean(lambda seed: seed.test), results.deviation(lambda seed: seed.test)
    count = len(results.seeds)
    of = f"mean of {count} seeds, standard deviation {test[1]:.2%}" if count > 1 else f"seed {results.seeds[0].seed}"
    lines = [
        f"{out}: {results.model['name']} on {results.graph['dataset']}, {results.spent:.1f} s of work",
        f"test accuracy {test[0]:.2%} ({of})",
        *(f"note: {note}" for note in results.notes),
    ]
    return "\n".join(lines)
