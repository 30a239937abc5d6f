"""The folder of a run: one configuration, one run at a time, everything in it whole.

config.toml   as resolved              env.json       versions, machine, commit, seeds, times
teacher/      the all-ReLU network     trials/NAME/   one network each (trial.py)
measured.json seconds by architecture  results.json   what the report shows
architecture.json, weights.safetensors, metrics.jsonl [, program.moiety, program-client.moiety]   of the network kept
"""

from __future__ import annotations

import fcntl
import os
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .distributed import agree, first
from .environment import environment, now
from .files import read_json, write_atomic, write_json
from .settings import differences, dump, to_dict

__all__ = ["open_run"]

SHOWN = 8  # differences of a refused configuration


@contextmanager
def open_run(folder: Path, config: Any, *, resume: bool) -> Iterator[bool]:
    """Make or reopen the folder for `config`; gives whether there was a run to go on with.

    Refused: a folder that another process is at work in, that holds a run of another configuration, or other files.
    `resume` refuses to begin.
    """
    if not first():
        yield agree(lambda: False)
        return
    lock = None
    try:

        def enter() -> bool:
            nonlocal lock
            again = _check(folder, config, resume)
            folder.mkdir(parents=True, exist_ok=True)
            lock = _lock(folder)
            if not again:
                write_json(folder / "env.json", environment(config.seeds))
                write_atomic(folder / "config.toml", dump(to_dict(config)))
            return again

        yield agree(enter)
        told = read_json(folder / "env.json")
        write_json(folder / "env.json", {**told, "finished": told.get("finished", now())})
    finally:
        if lock is not None:
            os.close(lock)


def _check(folder: Path, config: Any, resume: bool) -> bool:
    path = folder / "config.toml"
    if not path.is_file():
        if resume:
            raise ValueError(
                f"--resume: there is no run in {folder}: expected its config.toml; leave --resume out to begin"
            )
        if folder.exists() and any(entry.name != "env.json" for entry in folder.iterdir() if entry.name != ".lock"):
            raise ValueError(f"{folder} holds other files: expected a new or empty folder; give another one by --out")
        return False
    try:
        theirs = tomllib.loads(path.read_text())
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{path} is no TOML file ({error}): give another folder by --out") from None
    if lines := differences(theirs, to_dict(config)):
        more = f"; and {len(lines) - SHOWN} more" if len(lines) > SHOWN else ""
        raise ValueError(
            f"{folder} holds a run of another configuration ({'; '.join(lines[:SHOWN])}{more}): "
            "give another folder by --out, or the same configuration to go on"
        )
    return True


def _lock(folder: Path) -> int:
    """Held until this process ends, however it ends."""
    handle = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        raise ValueError(
            f"another process is at work in {folder}: wait for it, or give another folder by --out"
        ) from None
    return handle
