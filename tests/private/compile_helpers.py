"""What the tests of the compiler share."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from moiety import private
from moiety.private import reference
from moiety.private.program import Program


class Call(nn.Module):
    """A module made of a function and the modules or parameters that it uses."""

    def __init__(self, function: Any, **parts: Any) -> None:
        super().__init__()
        self.function = function
        for name, part in parts.items():
            setattr(self, name, nn.Parameter(part) if isinstance(part, Tensor) else part)

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self, x)


def kinds(program: Program) -> Counter[str]:
    return Counter(op.kind for op in program.ops)


def samples(shape: tuple[int, ...], count: int = 4, seed: int = 0) -> Tensor:
    return torch.randn(count, *shape, generator=torch.Generator().manual_seed(seed))


def certified(program: Program, trace: reference.Trace) -> None:
    """Every tensor stays within its certified bound."""
    for number, value in trace.tensors.items():
        t = program.tensors[number]
        assert t.bound is not None
        assert np.abs(value).max() <= t.bound, (number, program.ops[number])


def agree(model: nn.Module, shape: tuple[int, ...], tolerance: float = 2e-3, count: int = 3, **options: Any) -> Program:
    """Compiles, runs the reference on random inputs and compares with torch in float64. Returns the program."""
    model = model.eval()
    x = samples(shape, count)
    options.setdefault("calibration", torch.cat([x, samples(shape, 8, seed=1)]))
    options.setdefault("input_bound", 8.0)
    program = private.compile(model, x, **options)
    trace = reference.run(program, x.numpy(), trace=True)
    with torch.no_grad():
        expected = model.double()(x.double()).numpy()
    model.float()
    assert trace.output.shape == expected.shape
    error = np.abs(trace.output - expected).max()
    assert error <= tolerance, f"{error:.2e} > {tolerance:.2e}\n{program.summary()}"
    certified(program, trace)
    return program
