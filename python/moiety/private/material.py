"""Correlation files: made at a third place by `moiety deal`, one for the server and one for the client.

    MOIETYCR | version u32 | header length u32 | header JSON | sha256 of all before
    `count` records of one length: seed (16 bytes) | material in the plan's order | sha256 of (deal, role, serial, both)

All integers are little-endian. A record is used once: its serial is claimed in the ledger of *both* sides before either
sends a byte that depends on it, and its seed is then erased in the file. Whoever holds both files sees everything.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

from moiety import ProtocolError
from moiety._core import mpc

from .cost import choose
from .epochs import DealerEpochs, mint_id, require_id
from .ledger import Ledger
from .plan import Plan
from .plan import plan as make_plan
from .program import Program
from .session import material_sizes
from .transport import Network

__all__ = ["FORMAT", "FileMaterial", "MaterialFile", "deal_files", "dealt_batch"]

FORMAT = 1
_MAGIC = b"MOIETYCR"
_HEAD = struct.Struct("<8sII")
_SEED, _SUM = 16, 32
_HEADER_LIMIT = 64 << 20


def deal_files(
    program: Program,
    batch: int,
    count: int,
    out_server: Path,
    out_client: Path,
    *,
    comparison: str = "auto",
    state: Path | None = None,
    epoch: str | None = None,
    threads: int = 1,
    network: Network | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> str:
    """Write `count` inferences' correlations for batches of `batch`; the weight epoch that they belong to.

    `network` is what "auto" chooses the comparison for. With `epoch` and `state` the mask of an epoch that this dealer
    opened before goes on (clients keep their E).
    """
    if batch < 1 or count < 1:
        raise ValueError(f"batch {batch}, count {count}: expected both to be at least 1")
    if epoch is not None and state is None:
        raise ValueError("a weight epoch goes on only with the state directory that opened it: expected --state too")
    epoch = mint_id() if epoch is None else require_id(epoch, "weight epoch")
    if comparison == "auto":
        comparison = choose(program, network, batch=batch)
    plan = make_plan(program, batch, comparison)
    program_hash, deal = program.hash, mint_id()
    weight_seed = secrets.token_bytes(16) if state is None else DealerEpochs(state).seed(epoch, program_hash, None)
    sizes = {role: sum(material_sizes(plan, role)) for role in ("server", "client")}
    paths = {"server": out_server, "client": out_client}
    files = {}
    try:
        for role, path in paths.items():
            header = {
                "role": role,
                "deal": deal,
                "program": program_hash,
                "epoch": epoch,
                "batch": batch,
                "count": count,
                "record": _SEED + sizes[role] + _SUM,
                "plan": plan.to_json(),
                "weight_seed": weight_seed.hex() if role == "server" else None,
            }
            try:
                handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
            except FileExistsError:
                raise ValueError(f"{path} is there already: expected a new name") from None
            files[role] = os.fdopen(handle, "wb")
            text = json.dumps(header, separators=(",", ":")).encode()
            head = _HEAD.pack(_MAGIC, FORMAT, len(text)) + text
            files[role].write(head + hashlib.sha256(head).digest())
        for serial in range(count):
            seeds = {role: secrets.token_bytes(_SEED) for role in files}
            digests = {role: _digest(deal, role, serial) for role in files}
            for role, file in files.items():
                file.write(seeds[role])
                digests[role].update(seeds[role])
            dealer = mpc.Dealer(plan.ring, plan.requests, seeds["server"], seeds["client"], weight_seed, threads)
            for index in range(len(plan.requests)):
                for role, piece in zip(("server", "client"), dealer.deal(index), strict=True):
                    files[role].write(piece.data)
                    digests[role].update(piece.data)
            for role, file in files.items():
                file.write(digests[role].digest())
            if progress is not None:
                progress(serial + 1, count)
        for file in files.values():
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        for role in files:  # a pair that is not whole is no pair
            paths[role].unlink(missing_ok=True)
        raise
    finally:
        for file in files.values():
            file.close()
    return epoch


def _digest(deal: str, role: str, serial: int) -> Any:
    return hashlib.sha256(f"{deal} {role} {serial} ".encode())


def _refusal(path: Path, expected: object, came: object, advice: str = "deal new files") -> ValueError:
    return ValueError(f"{path}: expected {expected}, came {came}; {advice}")


def _read_header(handle: int, path: Path) -> tuple[dict[str, Any], int]:
    """The header of an open file, checked against its checksum, and the offset of the first record."""
    mode = os.fstat(handle).st_mode & 0o777
    if mode & 0o077:
        raise _refusal(path, "mode 600, because it holds secrets", f"mode {mode:o}", "chmod 600 it")
    head = os.pread(handle, _HEAD.size, 0)
    if len(head) < _HEAD.size:
        raise _refusal(path, "a correlation file", f"{len(head)} bytes (truncated)")
    magic, version, length = _HEAD.unpack(head)
    if magic != _MAGIC:
        raise _refusal(path, "a correlation file", "a file of another kind", "give a file that `moiety deal` made")
    if version != FORMAT:
        raise _refusal(path, f"correlation file version {FORMAT}", f"version {version}")
    if length > _HEADER_LIMIT:
        raise _refusal(path, f"a header of at most {_HEADER_LIMIT} bytes", f"{length} (altered)")
    text = os.pread(handle, length, _HEAD.size)
    told = os.pread(handle, _SUM, _HEAD.size + length)
    if len(text) < length or len(told) < _SUM:
        raise _refusal(path, f"a header of {length + _SUM} bytes", f"{len(text) + len(told)} (truncated)")
    if hashlib.sha256(head + text).digest() != told:
        raise _refusal(path, "a header that matches its checksum", "another one (altered)")
    return dict(json.loads(text)), _HEAD.size + length + _SUM


def dealt_batch(path: Path) -> int:
    """The batch that the correlation file at `path` was dealt for."""
    try:
        with path.open("rb") as file:
            return int(_read_header(file.fileno(), path)[0]["batch"])
    except FileNotFoundError:
        raise ValueError(f"{path} is not there: `moiety deal` makes correlation files") from None


class MaterialFile:
    """One side's correlation file, opened and checked. Safe to share between threads."""

    def __init__(self, path: Path, role: str, program_hash: str, state: Path) -> None:
        self.path = path
        self.role = role
        self.ledger = Ledger(state, role)
        try:
            self._file = path.open("r+b", buffering=0)
        except FileNotFoundError:
            raise ValueError(f"{path} is not there: `moiety deal` makes correlation files") from None
        except PermissionError:
            raise ValueError(
                f"{path} cannot be written: expected write access, because used records are erased"
            ) from None
        try:
            header, self._start = _read_header(self._file.fileno(), path)
            self._check(header, program_hash)
        except BaseException:
            self._file.close()
            raise

    def _refuse(self, expected: object, came: object, advice: str = "deal new files") -> ValueError:
        return _refusal(self.path, expected, came, advice)

    def _check(self, header: dict[str, Any], program_hash: str) -> None:
        if header["role"] != self.role:
            raise self._refuse(
                f"the {self.role}'s file",
                f"the {header['role']}'s",
                "the two files were swapped: no party may read the other's",
            )
        if header["program"] != program_hash:
            raise self._refuse(
                f"program {program_hash[:16]}", f"program {header['program'][:16]}", "deal for this program"
            )
        self.deal: str = header["deal"]
        self.epoch: str = header["epoch"]
        self.batch: int = header["batch"]
        self.count: int = header["count"]
        self.plan = Plan.from_json(header["plan"])
        self.comparison = self.plan.comparison
        self.weight_seed = bytes.fromhex(header["weight_seed"]) if header["weight_seed"] else None
        self._record: int = header["record"]
        size = os.fstat(self._file.fileno()).st_size
        whole = self._start + self.count * self._record
        if size != whole:
            raise self._refuse(f"{whole} bytes ({self.count} records)", f"{size} bytes (truncated or altered)")

    def unused(self) -> list[int]:
        """Serials that this side has neither claimed nor erased."""
        used = self.ledger.used(self.deal)
        return [serial for serial in range(self.count) if serial not in used and any(self._seed(serial))]

    def _seed(self, serial: int) -> bytes:
        return os.pread(self._file.fileno(), _SEED, self._start + serial * self._record)

    def claim(self, serial: int) -> bool:
        """Record durably that this side uses `serial`; False when it was used before."""
        return 0 <= serial < self.count and any(self._seed(serial)) and self.ledger.claim(self.deal, serial)

    def read(self, serial: int) -> FileMaterial:
        """The record of a serial that was just claimed; its seed is erased in the file."""
        start = self._start + serial * self._record
        record = os.pread(self._file.fileno(), self._record, start)
        while len(record) < self._record and (
            more := os.pread(self._file.fileno(), self._record - len(record), start + len(record))
        ):
            record += more
        digest = _digest(self.deal, self.role, serial)
        digest.update(memoryview(record)[:-_SUM])
        if len(record) < self._record or digest.digest() != record[-_SUM:]:
            raise ProtocolError(
                f"the {self.role}'s correlation file: record {serial} is damaged: expected {self._record} "
                "bytes that match "
                f"their checksum; deal new files"
            )
        os.pwrite(self._file.fileno(), bytes(_SEED), start)
        os.fsync(self._file.fileno())
        return FileMaterial(record[:_SEED], memoryview(record)[_SEED:-_SUM])

    def close(self) -> None:
        self._file.close()


class FileMaterial:
    """One record, taken front to back."""

    def __init__(self, seed: bytes, body: memoryview) -> None:
        self.seed = seed
        self._body = body
        self._at = 0

    def take(self, size: int) -> memoryview:
        piece = self._body[self._at : self._at + size]
        self._at += size
        return piece

    def finish(self) -> dict[str, Any]:
        if self._at != len(self._body):
            raise ProtocolError(f"the correlation record has {len(self._body)} bytes: expected {self._at}")
        return {}
