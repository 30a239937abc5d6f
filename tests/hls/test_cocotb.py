"""RTL twins on their own ports under cocotb: the engine's vectors, random gaps in them, random back-pressure."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hls.played import Array, N, correlation, played, shares, uniform

sys.path.insert(0, str(Path(__file__).parents[2] / "hls" / "model"))
import rtl_bench as bench

COCOTB = importlib.util.find_spec("cocotb_tools") is not None
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bench.verilator() is None, reason=bench.MISSING),
    pytest.mark.skipif(not COCOTB, reason="cocotb is not installed: pip install cocotb"),
]


def shuffled(halves: list[dict[str, Any]]) -> dict[str, Array]:
    """Both parties' beats by port, `out` among them, in random order: every beat brings its own `server`."""
    order = np.random.default_rng(18).permutation(len(halves) * N)
    return {port: np.concatenate([np.broadcast_to(h[port], N) for h in halves])[order] for port in halves[0]}


def square(ring: int) -> dict[str, Array]:
    specs: list[dict[str, Any]] = [{"kind": "cross", "n": N}]
    x = (uniform(1, ring), uniform(2, ring))
    halves = played(ring, specs, lambda party: party.square(0, x[not party.server]))
    d, e = (np.frombuffer(half.messages[0][0], f"<u{ring // 8}") for half in halves)
    beats = []
    for half, y in zip(halves, x, strict=True):
        held = correlation(half, specs, ring)
        ports = {"server": half.server, "y": y, "z": y, "d": d, "e": e, "own": held.ring, "rest": held.share}
        beats.append(ports | {"out": half.shares[0]})
    return shuffled(beats)


def truncation(ring: int, shift: int) -> dict[str, Array]:
    specs: list[dict[str, Any]] = [{"kind": "bit_product", "n": N, "bits": shift}]
    x = shares(12, ring, ring - 2)
    halves = played(ring, specs, lambda party: party.truncate(0, x[not party.server], shift))
    d, e = (np.unpackbits(np.frombuffer(h.messages[0][0], np.uint8), bitorder="little") for h in halves)
    beats = []
    for half, y in zip(halves, x, strict=True):
        held = correlation(half, specs, ring)
        own = np.unpackbits(held.bits.view(np.uint8), bitorder="little")
        ports = {"server": half.server, "shift": shift, "y": y, "d": d, "e": e, "own": own, "uv": held.share}
        beats.append(ports | {"out": half.shares[0]})
    return shuffled(beats)


def simulate(twin: str, ring: int, vectors: dict[str, Array], folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Builds a twin and runs hls/rtl/cocotb_twins.py on it; what cocotb finds fails the test."""
    from cocotb_tools.runner import get_runner

    found = bench.verilator()
    assert found is not None
    command, environment = found
    patch.setenv("PATH", f"{Path(command).parent}{os.pathsep}{environment['PATH']}")
    if "VERILATOR_ROOT" in environment:
        patch.setenv("VERILATOR_ROOT", environment["VERILATOR_ROOT"])
    patch.syspath_prepend(bench.RTL)
    np.savez(folder / "vectors.npz", allow_pickle=False, **vectors)
    runner = get_runner("verilator")
    sources = [bench.RTL / f"{name}.sv" for name in bench.SOURCES]
    runner.build(sources=sources, hdl_toplevel=twin, parameters={"W": ring}, build_dir=folder)
    settings = {"MOIETY_TWIN_VECTORS": str(folder / "vectors.npz")}
    runner.test("cocotb_twins", twin, build_dir=folder, extra_env=settings)


def test_square(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    simulate("x2act", 32, square(32), tmp_path, monkeypatch)


def test_truncate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    simulate("truncate_finish", 64, truncation(64, 16), tmp_path, monkeypatch)
