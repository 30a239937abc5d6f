"""`moiety search` and `moiety train`: teacher, trials, measured latency, results, and the network that is kept."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from moiety.models import load_network
from moiety.search import Latency, uniform_architecture

from .bench import Bench, compile_program
from .config import RunConfig
from .display import Display, display
from .distributed import agree, process_group, world
from .files import read_json, write_atomic
from .folder import open_run
from .measure import key_of, measure_all
from .place import RESULT
from .results import Network, Results, Target, read_results, write_results
from .trial import Trial, needs_teacher, train_teacher
from .trials import Place, run_trials

__all__ = ["Where", "make_trials", "run_search", "run_train", "summary"]


@dataclass(frozen=True)
class Where:
    """Where trials run, and how many at once (0: as many as there are cores for)."""

    trials_on: Place = "processes"
    jobs: int = 0

    def jobs_of(self, threads: int) -> int:
        """How many trials of so many threads run at once."""
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        return self.jobs or max(1, cores // threads)


def run_search(
    config: RunConfig, out: Path, *, where: Where | None = None, resume: bool = False, quiet: bool = False
) -> Results:
    """Search at every target with every seed, train what is found and what it is compared with, measure, keep one.

    Under torchrun all processes work at one trial after another, with the result that one process would have.
    """
    with process_group(), open_run(out, config, resume=resume) as again, display(out, quiet=quiet) as shown:
        if again and agree((out / "results.json").exists):
            shown.say(f"{out} is finished")
            return agree(lambda: read_results(out))
        bench = Bench(config, out / "teacher" / "weights.safetensors")
        _teach(out, bench, shown)
        targets = agree(lambda: _targets(config, bench.latency))
        shared, trials = _plan(config, targets)
        make_trials(out, shared, config.threads, where, shown, "shared weights")
        made = make_trials(out, trials, config.threads, where, shown, "networks")
        return _finish(out, "search", bench, list(zip(trials, made, strict=True)), targets, shown)


def run_train(
    config: RunConfig, out: Path, *, where: Where | None = None, resume: bool = False, quiet: bool = False
) -> Results:
    """Train the model, or the architecture that the configuration names, with every seed; measure, keep the best."""
    with process_group(), open_run(out, config, resume=resume) as again, display(out, quiet=quiet) as shown:
        if again and agree((out / "results.json").exists):
            shown.say(f"{out} is finished")
            return agree(lambda: read_results(out))
        bench = Bench(config, out / "teacher" / "weights.safetensors")
        if needs_teacher(config):
            _teach(out, bench, shown)
        trials = [Trial("train", seed) for seed in config.seeds]
        made = make_trials(out, trials, config.threads, where, shown, "networks")
        return _finish(out, "train", bench, list(zip(trials, made, strict=True)), (), shown)


def _teach(out: Path, bench: Bench, shown: Display) -> None:
    shown.begin("teacher", 1)
    with shown.following("teacher"):
        said = train_teacher(out, bench)
    shown.say(f"  teacher: test accuracy {said['test']:.2%}")


def _targets(config: RunConfig, latency: Latency) -> tuple[Target, ...]:
    """In seconds, rising."""
    low, high = (latency.exact(uniform_architecture(latency, name)).seconds for name in config.targets.between)
    wanted = [Target(milliseconds / 1e3) for milliseconds in config.targets.milliseconds]
    wanted += [Target(low + fraction * (high - low), fraction) for fraction in config.targets.fractions]
    return tuple(sorted(wanted, key=lambda target: target.seconds))


def _plan(config: RunConfig, targets: Sequence[Target]) -> tuple[list[Trial], list[Trial]]:
    """Trials that train a seed's shared weights, and then the networks."""
    compared = config.baselines
    shared = [Trial("shared", seed) for seed in config.seeds]
    trials: list[Trial] = []
    for seed in config.seeds:
        trials += [Trial("everywhere", seed, choice=name) for name in compared.everywhere]
        for target in targets:
            trials.append(Trial("search", seed, target.seconds))
            trials += [Trial("random", seed, target.seconds, index) for index in range(compared.random)]
            trials += [Trial("evolve", seed, target.seconds)] * compared.evolve
    for target in targets:  # no seed is in these architectures: one training of each
        for method, wanted in (("greedy", compared.greedy), ("uniform", compared.uniform)):
            trials += [Trial(method, config.seeds[0], target.seconds)] * wanted
    return shared, trials


def make_trials(
    out: Path, trials: Sequence[Trial], threads: int, where: Where | None, shown: Display, title: str
) -> list[dict[str, Any]]:
    """The results of the trials, made where it is wanted and shown meanwhile."""
    where = where or Where()
    jobs = min(where.jobs_of(threads), len(trials))
    place = where.trials_on
    if world() > 1 or (place == "processes" and jobs == 1):
        place = "here"
    shown.begin(title, len(trials))
    if place != "here":
        return run_trials(out, trials, place, jobs, threads, shown.watch)
    results: list[dict[str, Any]] = []
    for trial in trials:  # one at a time, so that this process's own work is watched from beside it
        with shown.following(trial.name):
            results += run_trials(out, [trial], place, jobs, threads, lambda *_: None)
        shown.watch([], [done.name for done in trials[: len(results)]])
    return results


def _finish(
    out: Path,
    command: str,
    bench: Bench,
    made: Sequence[tuple[Trial, dict[str, Any]]],
    targets: tuple[Target, ...],
    shown: Display,
) -> Results:
    def finish() -> Results:
        config = bench.config
        shown.begin("measuring", 1)
        measured = measure_all(
            out,
            [found for _, found in made],
            bench,
            lambda done, total: (
                shown.say(f"  measuring {total} architectures at {config.latency.network}") if not done else None
            ),
        )
        networks = tuple(_network(trial, found, measured) for trial, found in made)
        chosen = _choose(config, networks, targets)
        results = Results(
            name=config.name,
            command=command,
            task=_task(bench),
            latency={
                "backend": config.latency.backend,
                "network": config.latency.network,
                "batch": config.latency.batch,
                "comparison": config.latency.comparison,
            },
            ends=_ends(bench) if command == "search" else {},
            table=bench.added_seconds() if any(n.gates for n in networks) else {},
            targets=targets,
            networks=networks,
            chosen=chosen,
            teacher=_teacher(out),
            spent=round(sum(found["spent"] for _, found in made), 1),
        )
        _keep(out, out / networks[chosen].folder, config)
        write_results(out, results)
        return results

    return agree(finish)


def _network(trial: Trial, found: dict[str, Any], measured: dict[str, list[float]]) -> Network:
    return Network(
        method=trial.method,
        seed=trial.seed,
        gates=found["gates"],
        predicted=found["predicted"],
        test=found["test"],
        valid=found["valid"],
        target=trial.target,
        index=trial.index,
        rounds=found["rounds"],
        bytes_online=found["bytes_online"],
        measured=tuple(measured.get(key_of(found["gates"]), ())),
        choice=trial.choice,
        folder=found["folder"],
        spent=found["spent"],
    )


def _choose(config: RunConfig, networks: Sequence[Network], targets: Sequence[Target]) -> int:
    """The best by held-out accuracy (the faster of equal ones) of the networks searched at the target to keep."""
    candidates = [i for i, n in enumerate(networks) if n.method == "train"]
    if targets:
        wanted = config.output.target
        known = {target.fraction: target for target in targets} | {1e3 * target.seconds: target for target in targets}
        if wanted is not None and wanted not in known:
            raise ValueError(
                f"[output] target is {wanted}: expected one of {sorted(k for k in known if k is not None)}"
            )
        kept = targets[len(targets) // 2] if wanted is None else known[wanted]
        candidates = [i for i, n in enumerate(networks) if n.method == "search" and n.target == kept.seconds]
    return max(candidates, key=lambda i: (networks[i].valid or 0.0, -networks[i].predicted))


def _task(bench: Bench) -> dict[str, Any]:
    config = bench.config
    return {
        "dataset": config.data.name,
        "model": config.model.name,
        "options": bench.model_arguments,
        "parameters": sum(p.numel() for p in bench.new_network(0).parameters()),
        "images": {"train": len(bench.train), "valid": len(bench.valid), "test": len(bench.test)},
        "classes": len(bench.dataset.classes),
    }


def _teacher(out: Path) -> dict[str, Any]:
    """The teacher's accuracies, where there is one."""
    path = out / "teacher" / RESULT
    return read_json(path) if path.exists() else {}


def _ends(bench: Bench) -> dict[str, float]:
    latency = bench.latency
    return {name: latency.exact(uniform_architecture(latency, name)).seconds for name in bench.config.gates.activations}


def _keep(out: Path, trial: Path, config: RunConfig) -> None:
    """The chosen trial's files become the run's own, and its program is compiled if wanted."""
    for name in ("architecture.json", "weights.safetensors", "metrics.jsonl"):
        if (trial / name).is_file():
            write_atomic(out / name, (trial / name).read_bytes())
    if config.output.compile:
        program = compile_program(*load_network(out / "weights.safetensors"), config)
        for kept, name in ((program, "program.moiety"), (program.without_weights(), "program-client.moiety")):
            draft = out / f".draft-{name}"
            kept.save(draft)
            os.replace(draft, out / name)
    shutil.rmtree(out / "logs", ignore_errors=True)


def summary(out: Path, results: Results) -> str:
    """What the commands print in the end."""
    assert results.chosen is not None
    network = results.networks[results.chosen]
    how = "measured" if network.measured else "predicted"
    lines = [
        f"{out}: {len(results.networks)} networks trained, {results.spent:.0f} s of work",
        f"kept: {network.test:.2%} test accuracy at {network.seconds * 1e3:.1f} ms {how}, {network.rounds} rounds",
    ]
    return "\n".join(lines)
