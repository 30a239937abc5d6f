"""Weight epochs: the random names under which one mask A belongs to one set of weights W.

A with other weights would reveal W - W', so the server binds each epoch to its weights' hash, durably, before
E = W - A leaves it; the dealer binds each epoch to the seed of A, to the program and to the server's certificate; the
client keeps E by epoch and program. The epoch itself is 128 random bits and says nothing about any of them.

    server  state/epochs/<epoch>.json        {program, weights, source, weight_seed, retired}
    dealer  state/seeds/<epoch>.json         {program, owner, weight_seed}
    client  state/masks/<epoch>-<program>    one JSON line {sizes, sha256}, then the arrays
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import secrets
import threading
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from moiety import ProtocolError

from .ledger import private_file, read_private, write_durably
from .link import Link

__all__ = ["DealerEpochs", "ServerEpochs", "load_masks", "mint_id", "receive_masks", "require_id", "send_masks"]

_CHUNK = 8 << 20
_HEADER = 1 << 20
_lock = threading.Lock()


def mint_id() -> str:
    """128 random bits as 32 hexadecimal digits: names of epochs, sessions and deals."""
    return secrets.token_hex(16)


def require_id(value: object, what: str) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"[0-9a-f]{32}", value):
        raise ProtocolError(f"{what} {str(value)[:40]!r}: expected 32 hexadecimal digits")
    return value


def _read(path: Path) -> dict[str, Any] | None:
    data = read_private(path)
    if data is None:
        return None
    try:
        record = json.loads(data)
    except ValueError:
        record = None
    if not isinstance(record, dict):
        raise ValueError(f"{path} is damaged: expected JSON; remove it to mint a new weight epoch")
    return record


def _write(path: Path, record: dict[str, Any], *, replace: bool) -> bool:
    return write_durably(path, [json.dumps(record).encode()], replace=replace)


class ServerEpochs:
    """Which epoch belongs to which weights."""

    def __init__(self, state: Path, program: str, weights: str) -> None:
        self._root = state / "epochs"
        self._bound = {"program": program, "weights": weights}

    def _fits(self, record: dict[str, Any]) -> bool:
        return {name: record.get(name) for name in self._bound} == self._bound

    def current(self) -> str:
        """The epoch of these weights with the dealer: the one on record, else a new one."""
        with _lock:
            for path in sorted(self._root.glob("*.json")):
                record = _read(path)
                if record and not record.get("retired") and record.get("source") == "dealer" and self._fits(record):
                    return path.stem
            epoch = mint_id()
            record = {**self._bound, "source": "dealer", "weight_seed": None, "retired": False}
            _write(self._root / f"{epoch}.json", record, replace=False)
            return epoch

    def bind(self, epoch: str, source: str, weight_seed: bytes) -> None:
        """Record that `weight_seed` masks these weights under `epoch`; refuse what contradicts the record."""
        path = self._root / f"{epoch}.json"
        record = {**self._bound, "source": source, "weight_seed": weight_seed.hex(), "retired": False}
        with _lock:
            known = _read(path)
            if known is None and not _write(path, record, replace=False):
                known = _read(path)
            if known is None:
                return
            if not self._fits(known):
                raise ProtocolError(
                    f"weight epoch {epoch} belongs to other weights: expected a new epoch after a change "
                    "of weights; deal anew"
                )
            if known.get("weight_seed") is None:
                _write(path, record, replace=True)
            elif known != record:
                _write(path, {**known, "retired": True}, replace=True)
                raise ProtocolError(
                    f"weight epoch {epoch} came with another mask than on record (did the {source} lose its state?): "
                    "the epoch is retired, the next session starts a new one"
                )


class DealerEpochs:
    """The seed of A for each epoch, given to its server alone."""

    def __init__(self, state: Path) -> None:
        self._root = state / "seeds"

    def seed(self, epoch: str, program: str, owner: str | None) -> bytes:
        """The seed of `epoch`, minted at its first use. `owner` is the fingerprint of the server's certificate."""
        path = self._root / f"{epoch}.json"
        with _lock:
            record = _read(path)
            if record is None:
                record = {"program": program, "owner": owner, "weight_seed": secrets.token_hex(16)}
                if not _write(path, record, replace=False):
                    record = _read(path) or {}
        if record.get("program") != program:
            raise ProtocolError(
                f"weight epoch {epoch}: expected program {str(record.get('program'))[:16]}, came {program[:16]}"
            )
        if record.get("owner") != owner:
            raise ProtocolError(f"weight epoch {epoch}: expected the server that opened it, came another certificate")
        return bytes.fromhex(str(record["weight_seed"]))

    def known(self, epoch: str) -> bytes:
        """The seed of an epoch that its server has opened."""
        record = _read(self._root / f"{epoch}.json")
        if record is None:
            raise ProtocolError(f"weight epoch {epoch} is not open: expected the server to name it first")
        return bytes.fromhex(str(record["weight_seed"]))


def _chunks(arrays: Sequence[NDArray[Any]]) -> Iterator[bytes]:
    for array in arrays:
        view = np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
        for start in range(0, len(view), _CHUNK):
            yield bytes(view[start : start + _CHUNK])


def send_masks(link: Link, masks: Sequence[NDArray[Any]]) -> None:
    """Server: E = W - A, layer by layer."""
    link.send("masks", sizes=[int(mask.size) for mask in masks])
    digest = hashlib.sha256()
    for chunk in _chunks(masks):
        digest.update(chunk)
        link.send_material(chunk)
    link.send("masks sent", sha256=digest.hexdigest())


def receive_masks(
    link: Link, sizes: Sequence[int], dtype: np.dtype[Any], state: Path | None, epoch: str, program: str
) -> list[NDArray[Any]]:
    """Client: E, for layers of `sizes`, kept in `state` for the next session of this epoch."""
    offered = link.receive("masks").get("sizes")
    if offered != list(sizes):
        raise ProtocolError(
            f"{link.peer} offers masked weights of sizes {str(offered)[:80]}: expected {str(list(sizes))[:80]}"
        )
    masks = [np.empty(size, dtype) for size in sizes]
    digest = hashlib.sha256()
    for mask in masks:
        view = mask.view(np.uint8)
        for start in range(0, len(view), _CHUNK):
            end = min(start + _CHUNK, len(view))
            view[start:end] = np.frombuffer(link.receive_material(end - start), np.uint8)
            digest.update(view[start:end].data)
    told = link.receive("masks sent").get("sha256")
    if told != digest.hexdigest():
        raise ProtocolError(
            f"{link.peer} sent masked weights with digest {digest.hexdigest()[:16]}: expected {str(told)[:16]}"
        )
    if state is not None:
        header = json.dumps({"sizes": list(sizes), "sha256": told}).encode() + b"\n"
        write_durably(_masks_path(state, epoch, program), chain([header], _chunks(masks)), replace=True)
    return masks


def _masks_path(state: Path, epoch: str, program: str) -> Path:
    return state / "masks" / f"{epoch}-{program[:16]}"


def load_masks(
    state: Path | None, sizes: Sequence[int], dtype: np.dtype[Any], epoch: str, program: str
) -> list[NDArray[Any]] | None:
    """E from the client's own state, or None when it is not there or damaged (then the server sends it again)."""
    if state is None:
        return None
    with (
        contextlib.suppress(FileNotFoundError, ValueError, KeyError, TypeError),
        private_file(_masks_path(state, epoch, program)) as file,
    ):
        header = json.loads(file.readline(_HEADER))
        masks = [np.fromfile(file, dtype, size) for size in sizes] if header["sizes"] == list(sizes) else []
        digest = hashlib.sha256()
        for mask in masks:
            digest.update(mask.view(np.uint8).data)
        if header["sha256"] == digest.hexdigest() and not file.read(1):
            return masks
    return None
