"""cocotb bench of a twin that has one result, `out`: results in order and bit for bit, none lost, none twice.

    MOIETY_TWIN_VECTORS    an .npz: for each input port, and for `out`, a value a beat (tests/hls/test_cocotb.py)

Ports are driven at the falling edge and read once they have settled, so what is read is what the rising edge takes.
"""

from __future__ import annotations

import os
import random
from typing import Any

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, ReadOnly

Beat = dict[str, int]
PATIENCE = 200  # cycles a result may take; and as many are watched after the last one


def load() -> list[Beat]:
    """Beats of the vectors: a value a port, `out` among them."""
    with np.load(os.environ["MOIETY_TWIN_VECTORS"]) as file:
        columns = {port: file[port].tolist() for port in file.files}
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


async def offer(dut: Any, beats: list[Beat], gap: float, rng: random.Random) -> None:
    """Each beat in turn until it is taken, with gaps between them in which the ports hold noise."""
    ports = [port for port in beats[0] if port != "out"]
    for beat in beats:
        while rng.random() < gap:
            for port in ports:
                dut[port].value = rng.getrandbits(len(dut[port]))
            await FallingEdge(dut.clk)
        for port in ports:
            dut[port].value = beat[port]
        dut.in_valid.value = 1
        await ReadOnly()
        while not dut.in_ready.value:
            await FallingEdge(dut.clk)
            await ReadOnly()
        await FallingEdge(dut.clk)
        dut.in_valid.value = 0


async def take(dut: Any, beats: list[Beat], stall: float, rng: random.Random) -> None:
    """Takes results and compares them. One that is held back must stay."""
    results, waited, held = 0, 0, None
    while waited < PATIENCE:
        ready = rng.random() >= stall
        dut.out_ready.value = ready
        await ReadOnly()
        value = int(dut.out.value) if dut.out_valid.value else None
        assert held is None or value == held, f"result {results}: {held} was held back and became {value}"
        if value is not None:
            assert results < len(beats), f"expected {len(beats)} results, got {value} after them"
            assert value == beats[results]["out"], f"result {results}: expected {beats[results]}, got {value}"
        held = None if ready else value
        waited = waited + 1 if value is None else 0
        results += ready and value is not None
        await FallingEdge(dut.clk)
    assert results == len(beats), f"expected {len(beats)} results, got {results}"


@cocotb.test()
@cocotb.parametrize((("gap", "stall"), [(0.0, 0.0), (0.5, 0.1), (0.1, 0.5), (0.0, 0.8)]))
async def in_order_and_complete(dut: Any, gap: float, stall: float) -> None:
    beats = load()
    Clock(dut.clk, 10, unit="ns").start()
    dut.in_valid.value = 0
    dut.out_ready.value = 0
    dut.rst.value = 1
    for _ in range(2):
        await FallingEdge(dut.clk)
    dut.rst.value = 0
    offered = cocotb.start_soon(offer(dut, beats, gap, random.Random(1)))
    await take(dut, beats, stall, random.Random(2))
    assert offered.done(), "the twin did not take all beats"
