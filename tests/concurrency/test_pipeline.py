"""Pipelines: closed forms of uniform ones, an event-driven simulation of any, staleness, and the trace."""

from __future__ import annotations

import heapq
import json
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moiety.cost.concurrency.pipeline import STAGES, Pipeline, Schedule, schedules, simulate


def uniform(layers: int, parts: int) -> Pipeline:
    return Pipeline((((1.0,) * parts,) * 3,) * layers)


@given(st.integers(1, 5), st.integers(1, 6))
@settings(max_examples=40, deadline=None)
def test_closed_forms_of_unit_stages(layers: int, parts: int) -> None:
    found = {(s.micro, s.macro): s for s in schedules(uniform(layers, parts))}
    assert found["sync", "sync"].makespan == layers * (2 * parts + 1)
    assert found["async", "sync"].makespan == layers * (parts + 2)
    assert found["sync", "async"].makespan == (layers - 1) * (parts + 2) + 2 * parts + 1
    assert found["async", "async"].makespan == 3 * layers + parts - 1
    for s in found.values():
        assert s.bubbles == pytest.approx(1 - 3 * layers * parts / (3 * layers * s.makespan))


def by_events(pipeline: Pipeline, micro: str, macro: str, passes: int) -> dict[tuple[int, int, int, int], float]:
    """When each task ends, from a clock and a heap: a worker starts its next task as soon as what it needs is done."""
    layers, parts = pipeline.layers, pipeline.parts
    queue = {
        (layer, s): [(t, layer, s, p) for t in range(passes) for p in range(parts)]
        for layer in range(layers)
        for s in range(3)
    }

    def needs(task: tuple[int, int, int, int]) -> set[tuple[int, int, int, int]]:
        t, layer, s, p = task
        found = set()
        if macro == "sync" and t > 0:
            found |= {(t - 1, layers - 1, 2, q) for q in range(parts)}
        if s == 0 and layer > 0:
            found |= {(t, layer - 1, 2, q) for q in (range(parts) if macro == "sync" else (p,))}
        if s > 0:
            found |= {(t, layer, s - 1, q) for q in (range(parts) if micro == "sync" and s == 1 else (p,))}
        return found

    done: dict[tuple[int, int, int, int], float] = {}
    busy: set[tuple[int, int]] = set()
    running: list[tuple[float, tuple[int, int, int, int]]] = []
    now = 0.0
    while True:
        for worker, tasks in queue.items():
            if worker not in busy and tasks and needs(tasks[0]) <= done.keys():
                t, layer, s, p = tasks.pop(0)
                busy.add(worker)
                heapq.heappush(running, (now + pipeline.seconds[layer][s][p], (t, layer, s, p)))
        if not running:
            return done
        now, task = heapq.heappop(running)
        done[task] = now
        busy.discard((task[1], task[2]))


@st.composite
def pipelines(draw: st.DrawFn) -> Pipeline:
    layers, parts = draw(st.integers(1, 3)), draw(st.integers(1, 4))
    whole = st.integers(0, 9).map(float)
    stage = st.tuples(*[whole] * parts)
    return Pipeline(draw(st.tuples(*[st.tuples(stage, stage, stage)] * layers)))


@given(pipelines(), st.integers(1, 3))
@settings(max_examples=60, deadline=None)
def test_any_pipeline_ends_as_an_event_simulation_does(pipeline: Pipeline, passes: int) -> None:
    for found in schedules(pipeline, passes):
        expected = by_events(pipeline, found.micro, found.macro, passes)
        assert {(t.step, t.layer, t.stage, t.part): t.stop for t in found.tasks} == expected
        assert no_worker_does_two_things_at_once(found)
        assert all(0 <= s <= 1 for s in found.staleness)
        if found.macro == "sync":
            assert found.max_staleness == 0


def no_worker_does_two_things_at_once(found: Schedule) -> bool:
    rows: dict[tuple[int, int], list[tuple[float, float]]] = {}
    for t in found.tasks:
        rows.setdefault((t.layer, t.stage), []).append((t.start, t.stop))
    return all(a[1] <= b[0] for row in rows.values() for a, b in pairwise(row))


def test_an_asynchronous_macro_pipeline_reads_the_pass_before() -> None:
    """Partition 0 of layer 2 starts before partition 1 has left layer 1: it reads that one's vertices a pass late."""
    found = simulate(uniform(2, 2), "async", "async", passes=2)
    assert found.max_staleness == 1
    assert 0 < found.mean_staleness < 1
    none = simulate(Pipeline(uniform(2, 2).seconds, (frozenset(), frozenset())), "async", "async", passes=2)
    assert none.staleness == ()  # no edges between the partitions, nothing is read


def test_the_trace_is_what_chrome_reads() -> None:
    found = simulate(uniform(2, 3), "async", "sync")
    events = json.loads(json.dumps(found.trace()))
    spans = [e for e in events if e["ph"] == "X"]
    assert len(spans) == 2 * 3 * 3 == len(found.tasks)
    assert max(e["ts"] + e["dur"] for e in spans) == pytest.approx(1e6 * found.makespan)
    names = {e["tid"]: e["args"]["name"] for e in events if e["name"] == "thread_name"}
    assert {names[e["tid"]] for e in spans} == {f"layer {i}, {s}" for i in (1, 2) for s in STAGES}


def test_refusals() -> None:
    with pytest.raises(ValueError, match="3 stages"):
        Pipeline((((1.0,), (1.0,)),))
    with pytest.raises(ValueError, match=">= 0"):
        Pipeline((((1.0,), (-1.0,), (1.0,)),))
    with pytest.raises(ValueError, match="reads from"):
        Pipeline(uniform(1, 2).seconds, (frozenset({5}), frozenset()))
    with pytest.raises(ValueError, match="micro"):
        simulate(uniform(1, 1), "now")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="passes"):
        simulate(uniform(1, 1), passes=0)
