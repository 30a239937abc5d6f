"""The one-time ledger: a correlation serial is recorded durably before the first byte that depends on it is sent.

    state/ledger/<role>/<deal>/<serial>      one empty file a serial, made with O_EXCL

Making the file is the claim: of any number of threads, processes and restarts exactly one wins. The file and its
directory are synced before `claim` returns, so a crash afterwards cannot forget it. Both parties keep a ledger, so
restoring one side's state or file brings nothing back.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

__all__ = ["Ledger", "make_directory", "private_file", "read_private", "write_durably"]


class Ledger:
    def __init__(self, state: Path, role: str) -> None:
        self._root = state / "ledger" / role

    def used(self, deal: str) -> set[int]:
        """The serials of `deal` that are spoken for."""
        with contextlib.suppress(FileNotFoundError):
            return {int(entry) for entry in os.listdir(self._root / deal) if entry.isdigit()}
        return set()

    def claim(self, deal: str, serial: int) -> bool:
        """Record `serial` durably; False when it was recorded before."""
        directory = self._root / deal
        make_directory(directory)
        try:
            handle = os.open(directory / str(serial), os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        except FileExistsError:
            return False
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
        _sync_directory(directory)
        return True


def _sync_directory(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def make_directory(directory: Path) -> None:
    """Make `directory` and its parents, for this user alone, durably."""
    if directory.is_dir():
        return
    make_directory(directory.parent)
    with contextlib.suppress(FileExistsError):
        directory.mkdir(mode=0o700)
        _sync_directory(directory.parent)


def write_durably(path: Path, data: Iterable[bytes], *, replace: bool) -> bool:
    """Write a private file, given in pieces, whole or not at all. Without `replace`, False when it was there."""
    make_directory(path.parent)
    part = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    handle = os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.writelines(data)
            file.flush()
            os.fsync(file.fileno())
        if replace:
            os.replace(part, path)
        else:
            try:
                os.link(part, path)
            except FileExistsError:
                return False
        _sync_directory(path.parent)
        return True
    finally:
        part.unlink(missing_ok=True)


@contextlib.contextmanager
def private_file(path: Path) -> Iterator[IO[bytes]]:
    """The file, open for reading. A secret that others can read is refused."""
    with path.open("rb") as file:
        mode = os.fstat(file.fileno()).st_mode & 0o777
        if mode & 0o077:
            raise ValueError(f"{path} holds secrets and is open to others (mode {mode:o}): expected mode 600")
        yield file


def read_private(path: Path) -> bytes | None:
    """The file's bytes, or None when it is not there."""
    try:
        with private_file(path) as file:
            return file.read()
    except FileNotFoundError:
        return None
