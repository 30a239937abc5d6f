"""Many independent trials: in this process, in processes of one machine, or on a Ray cluster.

A trial needs its run's folder and nothing else, so every place gives the same result; on a cluster the folder has to
lie on a file system that all machines share.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from .trial import Trial

__all__ = ["Place", "TrialError", "run_trials"]

Place = Literal["here", "processes", "ray"]
Watch = Callable[[list[str], list[str]], None]  # called often, with the names of the trials at work and of those done
PAUSE_S = 0.2
ENDING_S = 10.0


class TrialError(RuntimeError):
    """A trial failed; the message names it and says why."""


def run_trials(
    run: Path, trials: Sequence[Trial], place: Place, jobs: int, threads: int, watch: Watch
) -> list[dict[str, Any]]:
    """The results of `trials`, in their order; those whose result is in the folder are not made again."""
    if not trials:
        return []
    run = run.resolve()
    if place == "ray":
        return _on_ray(run, trials, threads, watch)
    if place == "here":
        return _here(run, trials, watch)
    return _in_processes(run, trials, jobs, threads, watch)


def _here(run: Path, trials: Sequence[Trial], watch: Watch) -> list[dict[str, Any]]:
    from .worker import answer

    results: list[dict[str, Any]] = []
    for i, trial in enumerate(trials):
        watch([trial.name], [t.name for t in trials[:i]])
        try:
            results.append(answer(run, asdict(trial)))
        except (ValueError, RuntimeError, ArithmeticError, OSError) as error:
            raise TrialError(f"trial {trial.name}: {error}") from error
    watch([], [trial.name for trial in trials])
    return results


class _Worker:
    """A process that makes trials; its words on standard error go to a log in the run's folder."""

    def __init__(self, run: Path, number: int, threads: int) -> None:
        self.trial: int | None = None
        self._log = run / "logs" / f"worker-{number}.log"
        self._log.parent.mkdir(exist_ok=True)
        limits = {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "moiety.drive.worker", str(run)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env={**os.environ, **limits},
            )
        assert self._process.stdout is not None
        assert self._process.stdin is not None
        self._input, self._output = self._process.stdin, self._process.stdout
        os.set_blocking(self._output.fileno(), False)
        self._heard = b""

    def give(self, index: int, trial: Trial) -> None:
        self.trial = index
        with suppress(BrokenPipeError):  # a process that has died says so when it is asked for the answer
            self._input.write(json.dumps(asdict(trial)).encode() + b"\n")
            self._input.flush()

    def answer(self) -> dict[str, Any] | None:
        """The answer to the trial given, if it has come."""
        ended = self._process.poll() is not None
        self._heard += self._output.read() or b""
        line, newline, rest = self._heard.partition(b"\n")
        if newline:
            self._heard, self.trial = rest, None
            return dict(json.loads(line))
        if ended:
            words = self._log.read_text(errors="replace").strip().splitlines()
            last = words[-1] if words else "it said nothing"
            raise TrialError(
                f"its process ended with code {self._process.returncode} ({last}); all that it said is in {self._log}"
            )
        return None

    def stop(self) -> None:
        """The end of its input ends the process."""
        with suppress(OSError):
            self._input.close()
        try:
            self._process.wait(ENDING_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._output.close()


def _in_processes(run: Path, trials: Sequence[Trial], jobs: int, threads: int, watch: Watch) -> list[dict[str, Any]]:
    results: dict[int, dict[str, Any]] = {}
    waiting = list(range(len(trials)))
    workers: list[_Worker] = []
    try:
        workers += [_Worker(run, number, threads) for number in range(min(jobs, len(trials)))]
        while len(results) < len(trials):
            for worker in workers:
                if (index := worker.trial) is not None:
                    _collect(worker, index, trials[index], results)
                if worker.trial is None and waiting:
                    index = waiting.pop(0)
                    worker.give(index, trials[index])
            at_work = [trials[w.trial].name for w in workers if w.trial is not None]
            watch(at_work, [trials[i].name for i in results])
            time.sleep(PAUSE_S)
    finally:
        for worker in workers:
            worker.stop()
    return [results[i] for i in range(len(trials))]


def _collect(worker: _Worker, index: int, trial: Trial, results: dict[int, dict[str, Any]]) -> None:
    try:
        said = worker.answer()
    except TrialError as error:
        raise TrialError(f"trial {trial.name}: {error}") from None
    if said is None:
        return
    if "error" in said:
        raise TrialError(f"trial {trial.name}: {said['error']}")
    results[index] = said["result"]


def _on_ray(run: Path, trials: Sequence[Trial], threads: int, watch: Watch) -> list[dict[str, Any]]:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is told to anybody unasked
    try:
        import ray
    except ImportError:
        raise TrialError(
            "--trials-on ray needs Ray: pip install 'moiety[scale]', or take --trials-on processes"
        ) from None

    from .worker import answer

    def make(words: dict[str, Any]) -> dict[str, Any]:
        return answer(run, words)

    begun = not ray.is_initialized()
    if begun:
        ray.init(
            address=os.environ.get("RAY_ADDRESS"),
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
    try:
        path = {"env_vars": {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OMP_NUM_THREADS": str(threads)}}
        remote = ray.remote(num_cpus=threads, runtime_env=path, max_retries=2)(make)
        pending = {remote.remote(asdict(trial)): i for i, trial in enumerate(trials)}
        results: dict[int, dict[str, Any]] = {}
        while pending:
            done, _ = ray.wait(list(pending), timeout=1.0)
            for reference in done:
                index = pending.pop(reference)
                try:
                    results[index] = ray.get(reference)
                except ray.exceptions.RayError as error:
                    cause = getattr(error, "cause", None) or error
                    raise TrialError(f"trial {trials[index].name}: {cause}") from None
            at_work = [t.name for t in trials if (run / "trials" / t.name / "progress.json").exists()]
            watch(at_work, [trials[i].name for i in results])
        return [results[i] for i in range(len(trials))]
    finally:
        if begun:
            ray.shutdown()
