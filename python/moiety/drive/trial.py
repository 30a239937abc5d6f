"""One network of a run: found, trained, kept and weighed, in a folder of its own.

    architecture.json   weights.safetensors   result.json   metrics.jsonl   checkpoint-*.safetensors while it goes on

Every step that is over is in the folder, so that a run that was killed goes on from its last epoch.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import nn

from moiety import private
from moiety.cost import Cost, backend
from moiety.models import load_network, save_network
from moiety.search import (
    Architecture,
    FitConfig,
    Scorer,
    evaluate,
    evolve,
    finetune,
    fit,
    greedy,
    prepare,
    random_architectures,
    search,
    uniform,
    uniform_architecture,
)

from .bench import Bench, calibration, compile_program
from .checkpoint import Checkpoint
from .config import RunConfig
from .distributed import agree
from .files import read_json, write_atomic, write_json
from .metrics import read_metrics
from .place import RESULT, WEIGHTS, Place

__all__ = ["RESULT", "Trial", "needs_teacher", "run_trial", "train_teacher"]


@dataclass(frozen=True)
class Trial:
    """What to make: `method` of results.METHODS, or "shared", the weights that searches of a seed score with."""

    method: str
    seed: int
    target: float | None = None  # seconds
    index: int = 0
    choice: str = ""

    @property
    def name(self) -> str:
        """Of its folder."""
        parts = [self.method]
        if self.target is not None:
            parts.append(f"{self.target * 1e3:.3f}ms")
        if self.choice:
            parts.append(self.choice)
        parts.append(f"seed{self.seed}")
        return "-".join([*parts, *([str(self.index)] if self.index else [])])


def run_trial(run: Path, trial: Trial, bench: Bench) -> dict[str, Any]:
    """The trial's result.json; made now unless it is there already."""
    folder = run / "trials" / trial.name
    if agree((folder / RESULT).exists):
        return agree(lambda: read_json(folder / RESULT))
    started = time.monotonic()
    place = Place(folder)
    if trial.method == "shared":
        _shared(bench, trial.seed, place)
        place.finish({"spent": time.monotonic() - started})
        return agree(lambda: read_json(folder / RESULT))
    if trial.method == "train":
        choices, outcome, cost = _train(trial, bench, place)
    else:
        architecture = _architecture(run, trial, bench, place)
        choices = dict(architecture.gates)
        twin = agree(lambda: _twin(run, trial, choices))
        outcome = _tuned(architecture, trial.seed, bench, place) if twin is None else _taken_over(run, twin, place)
        cost = bench.latency.exact(architecture)
    found = {
        "seed": trial.seed,
        "predicted": cost.seconds,
        "rounds": cost.rounds,
        "bytes_online": cost.bytes_online,
        "spent": time.monotonic() - started,
        "folder": str(folder.relative_to(run)),
    }
    place.finish({"gates": choices, **outcome, **found})
    return agree(lambda: read_json(folder / RESULT))


def _twin(run: Path, trial: Trial, choices: dict[str, Any]) -> dict[str, Any] | None:
    """The result of another trial of this seed that has trained the same architecture, if one is done."""
    for path in sorted((run / "trials").glob(f"*/{RESULT}")):
        found = read_json(path)
        if trial.seed == found.get("seed") and found.get("gates") == choices:
            return found
    return None


def _taken_over(run: Path, twin: dict[str, Any], place: Place) -> dict[str, Any]:
    """A twin's weights and training as this trial's own: to train again would give the same."""
    theirs = run / twin["folder"]
    if place.metrics is not None:
        place.metrics.keep("fit", 0)
        for event in read_metrics(theirs / place.metrics.path.name):
            if event["part"] == "fit":
                place.metrics.record("fit", event)
        shutil.copyfile(theirs / WEIGHTS, place.folder / WEIGHTS)
    return {key: twin[key] for key in ("valid", "test")}


def _train(trial: Trial, bench: Bench, place: Place) -> tuple[dict[str, Any], dict[str, Any], Cost]:
    """A network of `moiety train`: with the given architecture from the teacher's weights, else drawn by the seed."""
    config = bench.config
    choices: dict[str, Any] = {}
    if config.architecture is not None:
        architecture = Architecture.load(config.architecture)
        made_for = (architecture.model or {}).get("name", config.model.name)
        if made_for != config.model.name:
            raise ValueError(f"{config.architecture} is of a {made_for}: expected one of a {config.model.name}")
        choices = dict(architecture.gates)
        if place.writes:
            write_json(place.folder / "architecture.json", architecture.to_dict())
        outcome = _tuned(architecture, trial.seed, bench, place)
    else:
        teacher = bench.tutor if needs_teacher(config) else None
        outcome = _fitted(bench.new_network(trial.seed), trial.seed, bench, place, config.fit, teacher)
    program = compile_program(*load_network(place.folder / WEIGHTS), config)
    told = config.latency
    return choices, outcome, backend(told.backend).cost(program, batch=told.batch, comparison=told.comparison)


def needs_teacher(config: RunConfig) -> bool:
    """Whether `moiety train` distils: from the given teacher, and always where an architecture is trained."""
    return config.architecture is not None or config.teacher.weights is not None


def _architecture(run: Path, trial: Trial, bench: Bench, place: Place) -> Architecture:
    path = place.folder / "architecture.json"
    if agree(path.exists):
        return Architecture.load(path)
    found = _find(run, trial, bench, place)
    if place.writes:
        model = {"name": bench.config.model.name, "kwargs": bench.model_arguments}
        write_json(path, Architecture(found.gates, model).to_dict())
    place.checkpoint("search").remove()
    return found


def _find(run: Path, trial: Trial, bench: Bench, place: Place) -> Architecture:
    config, latency = bench.config, bench.latency
    if trial.method == "everywhere":
        return uniform_architecture(latency, trial.choice)
    assert trial.target is not None
    match trial.method:
        case "search":
            wanted = replace(config.search, target=trial.target, seed=trial.seed)
            scorer = _scorer(run, trial.seed, bench)
            return search(
                bench.supernet,
                bench.train,
                bench.valid,
                latency,
                wanted,
                teacher=bench.tutor,
                scorer=scorer,
                progress=place.progress("search"),
                checkpoint=place.checkpoint("search"),
            ).architecture
        case "random":
            count, tolerance = config.baselines.random, config.baselines.tolerance
            return random_architectures(latency, trial.target, count, seed=trial.seed, tolerance=tolerance)[trial.index]
        case "greedy":
            return greedy(latency, trial.target)
        case "uniform":
            return uniform(latency, trial.target)
        case "evolve":
            return evolve(latency, trial.target, _scorer(run, trial.seed, bench), seed=trial.seed)
    raise ValueError(f"no method {trial.method!r}")


_scorers: dict[tuple[Path, int], Scorer] = {}


def _scorer(run: Path, seed: int, bench: Bench) -> Scorer:
    """Scores with the shared weights of a seed, which a trial of its own has trained before."""
    if (run, seed) not in _scorers:
        folder = run / "trials" / Trial("shared", seed).name
        kept = Checkpoint(folder / "checkpoint-shared.safetensors", writes=False)
        _scorers.clear()  # a supernet is large, and trials come seed by seed
        _scorers[run, seed] = _prepare(bench, seed, kept, None)
    return _scorers[run, seed]


def _shared(bench: Bench, seed: int, place: Place) -> None:
    _prepare(bench, seed, place.checkpoint("shared"), place.progress("shared"))


def _prepare(bench: Bench, seed: int, kept: Checkpoint, progress: Callable[[dict[str, Any]], None] | None) -> Scorer:
    return prepare(
        bench.supernet,
        bench.train,
        bench.valid,
        bench.latency,
        replace(bench.config.search, seed=seed),
        teacher=bench.tutor,
        progress=progress,
        checkpoint=kept,
    )


def _tuned(architecture: Architecture, seed: int, bench: Bench, place: Place) -> dict[str, Any]:
    """Fine-tune an architecture from the teacher's weights."""

    def train(kept: Checkpoint) -> nn.Module:
        return finetune(
            bench.supernet,
            architecture,
            bench.train,
            replace(bench.config.fit, seed=seed),
            ramp=bench.config.gates.ramp,
            teacher=bench.tutor,
            valid=bench.held_out,
            progress=place.progress("fit"),
            checkpoint=kept,
        )[0]

    return _trained(train, dict(architecture.gates), bench, place)


def _fitted(
    network: nn.Module, seed: int, bench: Bench, place: Place, settings: FitConfig, teacher: nn.Module | None
) -> dict[str, Any]:
    """Train a network as its factory made it."""

    def train(kept: Checkpoint) -> nn.Module:
        fit(
            network,
            bench.train,
            replace(settings, seed=seed),
            teacher=teacher,
            valid=bench.held_out,
            progress=place.progress("fit"),
            checkpoint=kept,
        )
        return network

    return _trained(train, {}, bench, place)


def _trained(
    train: Callable[[Checkpoint], nn.Module], choices: dict[str, Any], bench: Bench, place: Place
) -> dict[str, Any]:
    """Train, write weights.safetensors, and tell the accuracies of what the file holds."""
    weights = place.folder / WEIGHTS
    kept = place.checkpoint("fit")
    if not agree(weights.exists):
        network = train(kept)
        agree(lambda: keep_network(weights, network, choices, bench))
    kept.remove()
    accuracy = agree(lambda: load_network(weights)[1]["accuracy"])
    return {"valid": accuracy["valid"], "test": accuracy["test"]}


def keep_network(path: Path, network: nn.Module, choices: dict[str, Any], bench: Bench) -> None:
    """Write a trained network in float16 with its ranges and accuracies, those of the rounded weights."""
    metadata = bench.metadata(choices)
    draft = path.with_name(f".draft-{os.getpid()}-{path.name}")
    try:
        save_network(draft, network, metadata)
        rounded, _ = load_network(draft)
        data = calibration(bench.train, bench.config.output.calibration)
        metadata["activation_bounds"] = private.calibrate(rounded, data)
        valid = evaluate(rounded, bench.held_out) if bench.held_out is not None else None
        metadata["accuracy"] = {"valid": valid, "test": evaluate(rounded, bench.test)}
        save_network(path, rounded, metadata)
    finally:
        draft.unlink(missing_ok=True)


def train_teacher(run: Path, bench: Bench) -> dict[str, Any]:
    """The all-ReLU network: the file that the configuration names, or trained now; its accuracies."""
    given = bench.config.teacher.weights
    place = Place(run / "teacher")
    if given is not None and not agree(bench.teacher_file.exists):
        load_network(given)  # a file that is no network is refused now
        if place.writes:
            write_atomic(bench.teacher_file, given.read_bytes())
        agree(lambda: None)
    seed = bench.config.seeds[0]
    said = _fitted(bench.new_network(seed), seed, bench, place, bench.config.teacher.fit, None)
    place.finish(said)
    return said
