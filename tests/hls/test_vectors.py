"""The vectors' file: what is written is read, and what does not belong here is refused with the reason."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from moiety._core import mpc
from moiety.hls import flow
from moiety.hls.tournament import tournament
from moiety.hls.vectorfile import Vectors, VectorsError
from moiety.hls.vectors import demo_program, manifest, write


@pytest.fixture(scope="session")
def bench(hls: Path, vectors_at: Path, build_at: Path) -> Path:
    """The smallest bench, compiled."""
    assert flow.csim(hls, ["avgpool"], vectors_at, build_at).passed
    return build_at / "shim-64" / "tb_avgpool"


def run(bench: Path, *arguments: object) -> tuple[int, str]:
    ran = subprocess.run([bench, *map(str, arguments)], capture_output=True, text=True, check=False)
    return ran.returncode, ran.stderr


def test_what_is_written_is_read(tmp_path: Path) -> None:
    arrays = {
        "words": np.arange(3, dtype=np.uint64),
        "halves": np.arange(5, dtype=np.uint32),
        "blocks": np.arange(32, dtype=np.uint8).reshape(2, 16),
    }
    made = Vectors("relu", 64, "ab" * 32, "layer 1", {"n": 3}, arrays)
    made.save(tmp_path / "relu.vec")
    found = Vectors.load(tmp_path / "relu.vec")
    assert (found.kernel, found.ring, found.program, found.source) == ("relu", 64, "ab" * 32, "layer 1")
    assert found.values == {"n": 3}
    for name, array in arrays.items():
        np.testing.assert_array_equal(found.arrays[name], array)


def test_the_same_vectors_every_time(vectors_at: Path, tmp_path: Path) -> None:
    write(tmp_path, ["relu", "x2act"])
    for kernel in ("relu", "x2act"):
        assert (tmp_path / f"{kernel}.vec").read_bytes() == (vectors_at / f"{kernel}.vec").read_bytes()


def test_vectors_are_whole_layers(vectors_at: Path) -> None:
    kernels = manifest(vectors_at)["kernels"]
    parties = {"avgpool": 2}  # a small layer of each
    assert all(parties.get(name, 1) * entry["values"]["n"] >= 4096 for name, entry in kernels.items())
    assert kernels["relu"]["source"] == "layers.0.act1"


def test_other_versions_and_damage_are_refused(bench: Path, vectors_at: Path, tmp_path: Path) -> None:
    content = (vectors_at / "avgpool.vec").read_bytes()
    cases = {
        "version 1, found 7": content.replace(b"moiety-vectors 1\n", b"moiety-vectors 7\n"),
        "damaged": content[:-1] + bytes([content[-1] ^ 1]),
        "no ": b"something else\n",
    }
    for reason, changed in cases.items():
        (tmp_path / "avgpool.vec").write_bytes(changed)
        with pytest.raises(VectorsError, match=reason):
            Vectors.load(tmp_path / "avgpool.vec")
        code, said = run(bench, tmp_path / "avgpool.vec")
        assert code == 2
        assert reason in said
    with pytest.raises(VectorsError, match="No such file"):
        Vectors.load(tmp_path / "missing.vec")
    assert run(bench, tmp_path / "missing.vec")[0] == 2


def test_vectors_of_another_program_kernel_or_ring_are_refused(
    bench: Path, hls: Path, vectors_at: Path, build_at: Path, tmp_path: Path
) -> None:
    other = demo_program("x2").hash
    with pytest.raises(VectorsError, match=f"expected {other[:12]}"):
        flow.csim(hls, ["avgpool"], vectors_at, build_at, program=other)
    code, said = run(bench, vectors_at / "avgpool.vec", "--program", other)
    assert code == 2
    assert f"expected vectors of program {other}" in said
    code, said = run(bench, vectors_at / "relu.vec")
    assert code == 2
    assert "expected vectors of avgpool, found those of relu" in said
    replace(Vectors.load(vectors_at / "avgpool.vec"), ring=32).save(tmp_path / "avgpool.vec")
    code, said = run(bench, tmp_path / "avgpool.vec")
    assert code == 2
    assert "ring of 64 bits, found 32" in said


def test_a_bench_can_fail(bench: Path, vectors_at: Path, tmp_path: Path) -> None:
    vectors = Vectors.load(vectors_at / "avgpool.vec")
    wrong = vectors.arrays["client.y"].copy()
    wrong[100] += 1
    replace(vectors, arrays={**vectors.arrays, "client.y": wrong}).save(tmp_path / "avgpool.vec")
    assert run(bench, tmp_path / "avgpool.vec")[0] == 1


def test_a_kernel_that_there_is_not(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="there is no kernel softmax"):
        write(tmp_path, ["softmax"])


@pytest.mark.parametrize("axis", [(16, 2, 2, 0, 1, 8), (16, 3, 2, 1, 1, 8), (7, 3, 1, 0, 2, 3), (5, 5, 1, 0, 1, 1)])
def test_tournaments_are_the_cores(axis: tuple[int, ...]) -> None:
    levels, winners = tournament(*axis)
    assert [len(level) for level in levels] == mpc.pool_comparisons(1, [axis])
    assert len(winners) == axis[-1]
