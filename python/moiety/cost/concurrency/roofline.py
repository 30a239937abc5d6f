"""Seconds of kernels on a machine: the roofline, and a prediction from measured rates.

    roofline   = max(work / peak, compulsory bytes / bandwidth of the level that holds them)
    prediction = calls a + rows b + edges c + work d + sum over levels (streamed bytes s_l + gathered bytes g_l)
                 + what calling the modules takes, for a whole network

Rows that indices lead to are not equally popular: the most popular ones stay in the caches. The `near` bytes of the
most popular rows count as gathered from near, the next ones up to `middle` from the middle, and the rest from far.
Bytes that are read or written in their order count by the size of all that the kernel touches. The coefficients of each
kind of kernel are fitted to measured calls of the operators themselves (`calibration`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from .kernels import FUNCTIONS, Fold, Gemm, Index, Kernel, Map, Pattern, Spmm

__all__ = ["FEATURES", "Machine", "default_machine", "features", "kind_of", "load_machine"]

FEATURES = (
    "calls", "rows", "edges", "work", "stream near", "stream middle", "stream far", "gather near", "gather middle",
    "gather far",
)  # fmt: skip
LINE = 64  # bytes that come from memory together
VERSION = 1


def kind_of(kernel: Kernel) -> str:
    """Which row of rates a kernel has."""
    if isinstance(kernel, Spmm):
        return "spmm" if kernel.reduce in ("sum", "mean") else "spmm extreme"
    if isinstance(kernel, Map):
        return "map special" if FUNCTIONS[kernel.function].specials else "map"
    if isinstance(kernel, Fold):
        return "softmax" if kernel.function.endswith("softmax") else "fold"
    return "map" if kernel.name == "other" else kernel.name


def features(kernel: Kernel, near: int, middle: int) -> tuple[float, ...]:
    """How much of each of `FEATURES` a kernel does, on a machine with these levels in bytes."""
    row, uses = kernel.gathered
    fetched = [0.0, 0.0, 0.0]
    held = 0
    if uses is not None and len(uses):
        lines = -(-row // LINE) * LINE
        ends = np.searchsorted(np.arange(1, len(uses) + 1) * lines, (near, middle), side="right")
        parts = np.split(uses, ends)
        fetched = [float(lines * part.sum()) for part in parts]
        held = len(uses) * row
    streamed = [0.0, 0.0, 0.0]
    touched = kernel.compulsory
    streamed[_level(touched, near, middle)] = float(touched - held)
    return (1.0, float(_rows(kernel)), float(kernel.count.edges), float(kernel.count.work), *streamed, *fetched)


def _level(size: int, near: int, middle: int) -> int:
    return 0 if size <= near else 1 if size <= middle else 2


def _rows(kernel: Kernel) -> int:
    pattern = getattr(kernel, "pattern", None)
    if isinstance(pattern, Pattern):
        return pattern.rows
    index = getattr(kernel, "index", None)
    if isinstance(index, Index):
        return index.touched
    if isinstance(kernel, Gemm):
        return kernel.batch * kernel.n
    return kernel.outer * kernel.inner if isinstance(kernel, Fold) else 0


@dataclass(frozen=True)
class Machine:
    """What is known of a machine, for one thread. `rates`: kind of kernel to seconds a unit of each of `FEATURES`."""

    name: str
    peak: float  # operations a second of a large dense product in float32
    bandwidth: tuple[float, float, float]  # bytes a second of copies, read and written: near, middle, far
    gather: float  # bytes a second of rows of 256 bytes from far, in random order
    near: int  # bytes
    middle: int
    module: float  # seconds that calling a module takes beside its kernels
    rates: Mapping[str, tuple[float, ...]]
    errors: Mapping[str, float] = field(default_factory=dict)  # mean relative miss of each kind's own samples
    made: Mapping[str, Any] = field(default_factory=dict)

    def roofline(self, kernel: Kernel) -> float:
        """Seconds from peak and bandwidth, everything distinct moved once, from the level that holds all of it."""
        touched = kernel.compulsory
        return max(kernel.count.work / self.peak, touched / self.bandwidth[_level(touched, self.near, self.middle)])

    @property
    def ridge(self) -> float:
        """Operations a byte from far from which on arithmetic bounds a kernel, and not memory."""
        return self.peak / self.bandwidth[2]

    def seconds(self, kernel: Kernel) -> float:
        """The prediction."""
        kind = kind_of(kernel)
        if kind not in self.rates:
            raise ValueError(f"machine {self.name!r} has no rates of {kind!r}: calibrate anew")
        found = features(kernel, self.near, self.middle)
        return sum(rate * amount for rate, amount in zip(self.rates[kind], found, strict=True))

    def save(self, path: Path) -> None:
        path.write_text(json.dumps({"version": VERSION, **asdict(self)}, indent=1) + "\n")


def load_machine(path: str | Path) -> Machine:
    """A file of `moiety analyse --calibrate`. Raises ValueError for other files."""
    try:
        document = json.loads(Path(path).read_text())
        if document.pop("version") != VERSION:
            raise ValueError("another version")
        document["bandwidth"] = tuple(document["bandwidth"])
        document["rates"] = {kind: tuple(rates) for kind, rates in document["rates"].items()}
        if any(len(r) != len(FEATURES) or min(r) < 0 for r in document["rates"].values()):
            raise ValueError("other features")
        return Machine(**document)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(
            f"{path}: expected a machine as `moiety analyse --calibrate FILE` writes it, got {error!r}"
        ) from None


@cache
def default_machine() -> Machine:
    """The machine that the package was calibrated on; `name` says which."""
    return load_machine(Path(__file__).with_name("machine.json"))
