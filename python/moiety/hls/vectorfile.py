"""The file of golden vectors: a few lines of text, then arrays, little-endian.

    moiety-vectors 1                 format and version
    kernel relu                      which test bench reads it
    ring 64
    program <sha256>                 of the compiled program the shares belong to (`Program.hash`)
    source layers.0.act1             where in it
    value NAME INTEGER               settings, any number
    array NAME BYTES COUNT           elements of 4, 8 or 16 bytes, any number
    data BYTES CRC32                 of everything after this line; each array starts at a multiple of 8

hls/tb/vectors.hpp reads it.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["VERSION", "Vectors", "VectorsError"]

FORMAT, VERSION = "moiety-vectors", 1
Array = npt.NDArray[Any]


class VectorsError(ValueError):
    """A file that holds no vectors, or damaged ones, or those of another version or program; the message says which."""


@dataclass(frozen=True)
class Vectors:
    """One kernel's vectors. Arrays are flat: uint32, uint64, or bytes of shape (n, 16)."""

    kernel: str
    ring: int
    program: str
    source: str
    values: Mapping[str, int] = field(default_factory=dict)
    arrays: Mapping[str, Array] = field(default_factory=dict)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the file."""
        parts = []
        lines = [f"{FORMAT} {VERSION}", f"kernel {self.kernel}", f"ring {self.ring}", f"program {self.program}"]
        lines.append(f"source {self.source}")
        lines += [f"value {name} {value}" for name, value in self.values.items()]
        for name, array in self.arrays.items():
            size = array.shape[1] if array.ndim == 2 else array.itemsize
            data = np.ascontiguousarray(array).tobytes()
            lines.append(f"array {name} {size} {len(data) // size}")
            parts.append(data + bytes(-len(data) % 8))
        data = b"".join(parts)
        lines.append(f"data {len(data)} {zlib.crc32(data)}\n")
        Path(path).write_bytes("\n".join(lines).encode() + data)

    @staticmethod
    def load(path: str | os.PathLike[str]) -> Vectors:
        """Reads a file of `save`. Raises VectorsError for anything else."""
        again = "write them again with moiety hls vectors"
        try:
            content = Path(path).read_bytes()
        except OSError as error:
            raise VectorsError(f"expected vectors at {path}: {error.strerror}: {again}") from None
        head: dict[str, str] = {}
        values: dict[str, int] = {}
        shapes: list[tuple[str, int, int]] = []
        at = 0
        try:
            while "data" not in head:
                end = content.index(b"\n", at)
                key, _, rest = content[at:end].decode().partition(" ")
                at = end + 1
                if key == FORMAT and rest != str(VERSION):
                    raise VectorsError(f"{path}: expected vectors of version {VERSION}, found {rest}: {again}")
                if not head and key != FORMAT:
                    raise VectorsError(f"{path} holds no vectors: expected it to begin with {FORMAT!r}: {again}")
                match key, rest.split():
                    case "value", [name, value]:
                        values[name] = int(value)
                    case "array", [name, width, count]:
                        shapes.append((name, int(width), int(count)))
                    case _:
                        head[key] = rest
            size, crc = map(int, head["data"].split())
            data = content[at:]
            if len(data) != size or zlib.crc32(data) != crc:
                raise VectorsError(f"{path} is damaged: expected {size} bytes of data, CRC {crc}: {again}")
            arrays: dict[str, Array] = {}
            at = 0
            for name, each, elements in shapes:
                raw = np.frombuffer(data, np.uint8, each * elements, at)
                arrays[name] = raw.reshape(-1, 16) if each == 16 else raw.view(f"<u{each}")
                at += -(-each * elements // 8) * 8
            return Vectors(head["kernel"], int(head["ring"]), head["program"], head["source"], values, arrays)
        except VectorsError:
            raise
        except (ValueError, KeyError, TypeError) as error:
            raise VectorsError(f"{path} holds no vectors, or damaged ones ({error}): {again}") from error

    def require(self, program: str) -> None:
        """Raises VectorsError unless they belong to the program with this hash."""
        if self.program != program:
            raise VectorsError(
                f"these vectors of {self.kernel} belong to program {self.program[:12]}, expected {program[:12]}: "
                "write them again with moiety hls vectors"
            )
