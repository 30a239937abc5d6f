"""The scheduler kernel: whole networks on two boards, each share the engine's; broken schedules end with the reason."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from moiety.hls import flow
from moiety.hls.image import require_executed, scheduler_vectors
from moiety.hls.isa import HEADER_WORDS, INSTRUCTION_WORDS, Schedule, ScheduleError
from moiety.hls.vectorfile import Vectors, VectorsError
from moiety.hls.vectors import demo_program, demo_recording, write
from moiety.hls.vectors_graph import graph_recording
from moiety.private.program import Op

NETWORKS = ("scheduler_searched", "scheduler_x2", "scheduler_graph")


@pytest.fixture(scope="session")
def networks_at(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("networks")
    write(directory, NETWORKS)
    return directory


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_networks_run_on_two_boards(hls: Path, networks_at: Path, build_at: Path) -> None:
    """Weights, correlations and the input's shares are the engine's; so are then all shares of both parties."""
    outcome = flow.csim(hls, NETWORKS, networks_at, build_at)
    assert [run.text for run in outcome.runs if not run.passed] == []
    recordings = (demo_recording("searched"), demo_recording("x2"), graph_recording())
    for run, recording in zip(outcome.runs, recordings, strict=True):
        shares = [half.shares[op.output] for half in recording.halves for op in recording.program.ops[1:]]
        compared = sum(share.size for share in shares if share is not None)
        # One word more a party: that all that was expected was compared.
        assert f"{compared + 2} of {compared + 2} words equal" in run.text


def schedule_word(index: int, value: int) -> Callable[[np.ndarray], None]:
    def change(words: np.ndarray) -> None:
        words[index] = value

    return change


def swap_first_and_last(words: np.ndarray) -> None:
    first = slice(HEADER_WORDS, HEADER_WORDS + INSTRUCTION_WORDS)
    last = slice(words.size - INSTRUCTION_WORDS, words.size)
    words[first], words[last] = words[last].copy(), words[first].copy()


BROKEN = {
    "holds no schedule": schedule_word(0, 1),
    "of another version": schedule_word(1, 9),
    "for another ring": schedule_word(2, 32),
    "belongs to another program": schedule_word(9, 1),
    "no operation of the program": schedule_word(HEADER_WORDS + 1, 10_000),
    "does not execute this kind|names no operation": schedule_word(HEADER_WORDS, 7 | 5 << 8 | 3 << 16),
    "comes before what it needs": swap_first_and_last,
    "a slot that the board does not have": schedule_word(HEADER_WORDS + 7, 99 | 99 << 16),
}


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("reason", BROKEN)
def test_a_broken_schedule_stops_with_the_reason(
    reason: str, hls: Path, networks_at: Path, build_at: Path, tmp_path: Path
) -> None:
    vectors = Vectors.load(networks_at / "scheduler_x2.vec")
    words = vectors.arrays["schedule"].copy()
    BROKEN[reason](words)
    replace(vectors, arrays={**vectors.arrays, "schedule": words}).save(tmp_path / "scheduler_x2.vec")
    with pytest.raises(VectorsError, match=reason):
        flow.csim(hls, ["scheduler_x2"], tmp_path, build_at)


def test_a_schedule_of_another_program_is_refused() -> None:
    empty = Schedule(demo_program("x2").hash, 64, 12, 12, 4096, ())
    with pytest.raises(ScheduleError, match="belongs to program"):
        scheduler_vectors(demo_recording("searched"), empty)


def test_an_operation_that_the_kernel_does_not_execute_is_named() -> None:
    program = demo_program("searched")
    ops = (*program.ops, Op("argmax", (program.ops[-1].output,), 99, {}, "head"))
    with pytest.raises(ScheduleError, match="head: the scheduler kernel does not execute 'argmax'"):
        require_executed(replace(program, ops=ops))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_schedule_that_ends_early_is_no_inference(
    hls: Path, networks_at: Path, build_at: Path, tmp_path: Path
) -> None:
    vectors = Vectors.load(networks_at / "scheduler_x2.vec")
    words = vectors.arrays["schedule"].copy()
    words[3] -= 1  # the last instruction: the client's output
    replace(vectors, arrays={**vectors.arrays, "schedule": words}).save(tmp_path / "scheduler_x2.vec")
    outcome = flow.csim(hls, ["scheduler_x2"], tmp_path, build_at)
    assert not outcome.passed
    assert "client.operation" in outcome.runs[0].text
