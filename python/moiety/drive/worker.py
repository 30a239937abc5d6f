"""A process that makes trials, one after another: `python -m moiety.drive.worker RUN`.

Standard input has a trial's fields as JSON a line, standard output one JSON answer a line. When the input ends, which
it also does when the run is killed, the process ends at once: a run that goes on must not meet its own past.
"""

from __future__ import annotations

import importlib
import json
import os
import queue
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from .trial import Trial

__all__ = ["answer", "main"]


def answer(run: Path, words: dict[str, Any]) -> dict[str, Any]:
    """The result of the trial with the fields `words`, in a run whose config.toml and teacher are there."""
    from .trial import Trial

    if run not in _makers:
        _makers[run] = _maker(run)
    return _makers[run](Trial(**words))


def _maker(run: Path) -> Callable[[Trial], dict[str, Any]]:
    import torch

    from .config import RunConfig, load_task

    config = load_task(str(run / "config.toml"))
    torch.set_num_threads(config.threads)
    if not isinstance(config, RunConfig):
        workshop = importlib.import_module(f".{config.task}.running", __package__).Workshop(run, config)
        return cast("Callable[[Trial], dict[str, Any]]", workshop.make)
    from .bench import Bench
    from .trial import run_trial

    bench = Bench(config, run / "teacher" / "weights.safetensors")
    return lambda trial: run_trial(run, trial, bench)


_makers: dict[Path, Callable[[Trial], dict[str, Any]]] = {}


def main(run: Path) -> None:
    trials: queue.Queue[str] = queue.Queue()

    def read() -> None:
        for line in sys.stdin:
            trials.put(line)
        os._exit(0)

    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints must not come between the answers
    threading.Thread(target=read, daemon=True).start()
    while True:
        words = json.loads(trials.get())
        said: dict[str, Any]
        try:
            said = {"result": answer(run, words)}
        except (ValueError, RuntimeError, ArithmeticError, OSError, ImportError) as error:
            said = {"error": str(error) or type(error).__name__}
        print(json.dumps(said), file=answers, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
