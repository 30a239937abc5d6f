"""Measures the quadratic activation, forward and backward, beside torch's composed expression and a copy."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cases import Activation
from moiety.ops import quadratic
from moiety.ops.quadratic import composed_quadratic

__all__ = ["activation", "steps", "traffic"]

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def _inputs(case: Activation, quick: bool) -> tuple[list[Tensor], Tensor]:
    """x and its coefficients, and the gradient of the result."""
    shape = case.tiny if quick else case.shape
    torch.manual_seed(0)
    layout = torch.channels_last if case.channels_last else torch.contiguous_format
    x = torch.randn(shape).to(DTYPES[case.dtype]).contiguous(memory_format=layout)
    coefficients = [torch.randn(shape[1]) for _ in range(4 if case.hinge else 3)]
    return [v.requires_grad_() for v in [x, *coefficients]], torch.randn_like(x)


def traffic(case: Activation, quick: bool = False) -> int:
    """Bytes: forward reads x and writes y, backward reads x and dy and writes dx."""
    return 5 * int(np.prod(case.tiny if quick else case.shape)) * DTYPES[case.dtype].itemsize


def steps(case: Activation, quick: bool = False) -> dict[str, Callable[[], object]]:
    """One forward and backward through autograd, ours and torch's, and a copy that moves as many bytes.

    Results are allocated anew each time on both sides, as in training; the copy's buffers are reused.
    """
    values, dy = _inputs(case, quick)
    source = np.ones(traffic(case, quick) // 16, np.uint64)
    target = np.zeros_like(source)

    def step(function: Callable[..., Tensor]) -> object:
        return torch.autograd.grad(function(*values), values, dy)

    return {
        "moiety": partial(step, quadratic),
        "torch": partial(step, composed_quadratic),
        "copy": partial(np.copyto, target, source),
    }


def activation(case: Activation, quick: bool, seconds: float = 12.0) -> dict[str, Any]:
    """Least CPU seconds of the calling thread for each of `steps`, taken in turns."""
    calls = steps(case, quick)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    best = dict.fromkeys(calls, float("inf"))
    turns = 0
    try:
        end = time.perf_counter() + (0.0 if quick else seconds)
        while turns < 3 or (time.perf_counter() < end and turns < 2000):
            for name, call in calls.items():
                start = time.thread_time()
                call()
                best[name] = min(best[name], time.thread_time() - start)
            turns += 1
    finally:
        torch.set_num_threads(threads)
    return {"bytes": traffic(case, quick), "turns": turns, "seconds": best}
