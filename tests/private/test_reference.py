"""The reference interpreter's own arithmetic."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from compile_helpers import samples
from torch import nn

from moiety import private
from moiety.private import reference

CASES: dict[str, dict[str, Any]] = {
    "plain": {"in": [1, 6, 5], "kernel": [1, 3, 3]},
    "padded": {"in": [1, 6, 5], "kernel": [1, 3, 2], "stride": [1, 2, 1], "padding": [0, 1, 1]},
    "dilated": {"in": [1, 9, 8], "kernel": [1, 3, 3], "dilation": [1, 2, 3], "padding": [0, 2, 0], "groups": 2},
    "volume": {"in": [4, 5, 3], "kernel": [2, 3, 1], "stride": [2, 1, 1], "padding": [1, 1, 0]},
    "depthwise": {"in": [1, 5, 5], "kernel": [1, 3, 3], "groups": 4, "out_channels": 8},
    "transposed": {"in": [1, 4, 3], "kernel": [1, 3, 2], "stride": [1, 2, 3], "padding": [0, 1, 0], "transposed": True},
    "transposed_more": {
        "in": [2, 3, 3],
        "kernel": [2, 3, 3],
        "stride": [2, 2, 3],
        "padding": [1, 1, 2],
        "dilation": [1, 2, 1],
        "output_padding": [1, 1, 2],
        "groups": 2,
        "transposed": True,
    },
    "matrix": {"in": [1, 1, 1], "kernel": [1, 1, 1]},
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("dtype", [np.uint32, np.uint64])
def test_convolution_equals_the_core_and_torch(name: str, dtype: type[np.unsignedinteger[Any]]) -> None:
    conv: dict[str, Any] = {
        "in_channels": 4,
        "out_channels": 6,
        "groups": 1,
        "stride": [1, 1, 1],
        "padding": [0, 0, 0],
        "dilation": [1, 1, 1],
        "output_padding": [0, 0, 0],
        "transposed": False,
        **CASES[name],
    }
    rng = np.random.default_rng(1)
    first, second = (
        (4, conv["out_channels"] // conv["groups"])
        if conv["transposed"]
        else (conv["out_channels"], 4 // conv["groups"])
    )
    high = np.iinfo(dtype).max
    x = rng.integers(0, high, (2, 4, *conv["in"]), dtype=dtype)
    w = rng.integers(0, high, (first, second, *conv["kernel"]), dtype=dtype)
    plain = reference.plain_convolve(x, w, conv)
    np.testing.assert_array_equal(plain, reference.convolve(x, w, conv))
    a, b = (torch.from_numpy(v.astype(np.int64) % 1000) for v in (x, w))
    arguments = [conv["stride"], conv["padding"]]
    if conv["transposed"]:
        y = nn.functional.conv_transpose3d(
            a, b, None, *arguments, conv["output_padding"], conv["groups"], conv["dilation"]
        )
    else:
        y = nn.functional.conv3d(a, b, None, *arguments, conv["dilation"], conv["groups"])
    small = reference.plain_convolve(a.numpy().astype(dtype), b.numpy().astype(dtype), conv)
    np.testing.assert_array_equal(small.astype(np.int64), y.numpy())


def test_truncation_is_the_floor_and_wraps_like_shares() -> None:
    program = private.compile(nn.Sequential(nn.Linear(1, 1), nn.ReLU()).eval(), torch.ones(1, 1), input_bound=4.0)
    (truncate,) = (op for op in program.ops if op.kind == "truncate")
    machine = reference.Machine(program, np.zeros((1, 1)))
    machine.values = {truncate.inputs[0]: np.array([[-1, 0, 1, 65535, 65536, -65536, -65537]], dtype=np.int64)}
    np.testing.assert_array_equal(machine.step(truncate), [[-1, 0, 0, 0, 1, -1, -2]])
    wrapped = reference.wrap(np.array([0, 127, 128, 255, -129], dtype=np.int64), 8)
    np.testing.assert_array_equal(wrapped, [0, 127, -128, -1, 127])


def test_inputs_are_checked() -> None:
    program = private.compile(nn.Linear(3, 2).eval(), samples((3,)), input_bound=4.0)
    for x, message in (
        (np.zeros((1, 4)), "expected an input of shape"),
        (np.zeros(3), "expected an input of shape"),
        (np.full((1, 3), np.nan), "finite"),
        (np.full((1, 3), np.inf), "finite"),
        (np.full((1, 3), 4.5), "at most 4"),
    ):
        with pytest.raises(ValueError, match=message):
            reference.run(program, x)
    assert reference.run(program, np.full((2, 3), -4.0)).shape == (2, 2)


def test_trace_holds_every_tensor() -> None:
    model = nn.Sequential(nn.Conv2d(2, 3, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(3, 2)).eval()
    x = samples((2, 4, 4))
    program = private.compile(model, x, calibration=x)
    trace = reference.run(program, x.numpy(), trace=True)
    assert isinstance(trace, reference.Trace)
    assert set(trace.tensors) == {op.output for op in program.ops}
    (relu,) = (op for op in program.ops if op.kind == "relu")
    expected = model[2](model[1](model[0](x))).detach().numpy()
    np.testing.assert_allclose(trace.tensors[relu.output], expected, atol=1e-3)
