"""The order in which a program runs: every operation as soon as its inputs are there, hops merged.

The executor and the estimate drive the same loop, so the estimate's rounds and bytes are the counters'.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable

from .program import Program

__all__ = ["run_flow"]


def run_flow(
    program: Program,
    start: Callable[[int], bool],
    hop: Callable[[], list[int]],
    release: Callable[[int], None] = lambda tensor: None,
) -> None:
    """Runs `program.ops` in dataflow order, the same at both parties.

    `start(op)` begins an operation and says whether it is complete; `hop()` does one hop for everything under way and
    returns the operations that it completed, in any order; `release(tensor)` is called when no operation needs a
    tensor any more.
    """
    missing: dict[int, int] = {}
    consumers: dict[int, list[int]] = {}
    uses: dict[int, int] = {}
    for index, op in enumerate(program.ops):
        missing[index] = len(set(op.inputs))
        for tensor in set(op.inputs):
            consumers.setdefault(tensor, []).append(index)
            uses[tensor] = uses.get(tensor, 0) + 1
    ready = [index for index, count in missing.items() if count == 0]
    heapq.heapify(ready)
    under_way = 0

    def complete(index: int) -> None:
        op = program.ops[index]
        for tensor in set(op.inputs):
            uses[tensor] -= 1
            if uses[tensor] == 0:
                release(tensor)
        for consumer in consumers.get(op.output, ()):
            missing[consumer] -= 1
            if missing[consumer] == 0:
                heapq.heappush(ready, consumer)

    while ready or under_way:
        while ready:
            index = heapq.heappop(ready)
            if start(index):
                complete(index)
            else:
                under_way += 1
        if under_way:
            for index in sorted(hop()):
                under_way -= 1
                complete(index)
