"""The kernels on the 32-bit ring: the engine's protocols on the low halves of a demo layer's shares."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from moiety.hls import flow
from moiety.hls.record import Half, Tap, expand, run_pair
from moiety.hls.vectorfile import Vectors
from moiety.hls.vectors import comparison, demo_recording

Array = npt.NDArray[Any]
N, BITS, SHIFT = 5000, 24, 8  # a whole tile of a comparison and a ragged one
SPECS: list[dict[str, Any]] = [
    {"kind": "circuit", "n": N, "bits": BITS, "operands": [BITS], "self_operand": True},
    {"kind": "bit_product", "n": N, "bits": 32 - BITS},
    {"kind": "bit_product", "n": N, "bits": SHIFT},
    {"kind": "cross", "n": N},
]


def drive(party: Any, task: int) -> Array:
    while not party.done(task):
        party.step()
    result: Array = party.result(task)
    return result


@pytest.fixture(scope="session")
def vectors_32_at(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """relu, extend, truncate and square, each on the result of the one before."""
    recording = demo_recording("searched")
    relu = next(op for op in recording.program.ops if op.kind == "relu")
    names = ("relu", "extend", "truncate", "square")
    arrays: dict[str, dict[str, Array]] = {name: {} for name in names}
    values = {name: {"n": N, "shift": 0, "bits": 0, "signed": 0} for name in names}
    values["relu"]["bits"] = values["extend"]["bits"] = BITS
    values["truncate"]["shift"] = SHIFT

    def body(party: Any, tap: Tap, half: Half) -> None:
        me = "server" if half.server else "client"
        ours = recording.server if half.server else recording.client
        y = recording.share(ours, relu.inputs[0])[:N].astype(np.uint32)
        for index, name in enumerate(names):
            c = expand(SPECS[index], index, half.server, half.seed, half.dealt[index], 32)
            x = y
            match name:
                case "relu":
                    y = drive(party, party.relu(index, x))
                    named = comparison(c, BITS, N, tap.messages())
                case "square":
                    y = drive(party, party.square(index, x))
                    named = {"own": c.ring, "ab": c.share, "message": np.frombuffer(tap.messages()[0], "<u4")}
                case _:
                    task = party.extend(index, x, BITS, False) if name == "extend" else party.truncate(index, x, SHIFT)
                    y = drive(party, task)
                    named = {"own": c.bits, "uv": c.share, "message": np.frombuffer(tap.messages()[0], "<u8")}
            arrays[name] |= {f"{me}.{key}": array for key, array in {**named, "x": x, "y": y}.items()}

    run_pair(32, SPECS, "ring 32", [], body)
    directory = tmp_path_factory.mktemp("vectors32")
    for name in names:
        kernel = "truncate" if name == "extend" else name
        made = Vectors(kernel, 32, recording.program.hash, "ring 32", values[name], arrays[name])
        made.save(directory / f"{name}.vec")
    return directory


@pytest.mark.slow
@pytest.mark.parametrize("kernel", ["relu", "extend", "truncate", "square"])
def test_a_kernel_is_the_engine(kernel: str, hls: Path, vectors_32_at: Path, build_at: Path) -> None:
    outcome = flow.csim(hls, [kernel], vectors_32_at, build_at)
    assert outcome.passed, outcome.runs[0].text
    assert (build_at / "shim-32" / f"tb_{flow.top_of(kernel)}").is_file()
