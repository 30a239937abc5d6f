import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from moiety import _core, ring

CONV = {1: torch.nn.functional.conv1d, 2: torch.nn.functional.conv2d, 3: torch.nn.functional.conv3d}
TRANSPOSED = {
    1: torch.nn.functional.conv_transpose1d,
    2: torch.nn.functional.conv_transpose2d,
    3: torch.nn.functional.conv_transpose3d,
}


def oracle(x, w, stride, padding, dilation, groups, transposed=False, output_padding=0):
    """torch's int64 convolution, reduced to the ring of x."""
    tx, tw = (torch.from_numpy(a.astype(np.uint64).view(np.int64)) for a in (x, w))
    dims = x.ndim - 2
    if transposed:
        y = TRANSPOSED[dims](tx, tw, None, stride, padding, output_padding, groups, dilation)
    else:
        y = CONV[dims](tx, tw, None, stride, padding, dilation, groups)
    return y.numpy().view(np.uint64).astype(x.dtype)


# x, w, stride, padding, dilation, groups: the kinds that networks have, with ragged tails.
CASES = {
    "3x3": ((1, 17, 15, 13), (19, 17, 3, 3), 1, 1, 1, 1),
    "deep": ((1, 70, 9, 9), (33, 70, 3, 3), 1, 1, 1, 1),
    "batched small images": ((9, 12, 4, 4), (11, 12, 3, 3), 1, 1, 1, 1),
    "pointwise": ((2, 24, 7, 7), (9, 24, 1, 1), 1, 0, 1, 1),
    "strided pointwise": ((2, 8, 9, 9), (5, 8, 1, 1), 2, 0, 1, 1),
    "stem": ((1, 3, 33, 31), (16, 3, 7, 7), 2, 3, 1, 1),
    "dilated": ((1, 5, 20, 20), (6, 5, 3, 3), 1, 2, 2, 1),
    "grouped": ((2, 12, 10, 10), (18, 4, 3, 3), 1, 1, 1, 3),
    "many groups": ((1, 24, 10, 10), (24, 4, 3, 3), 1, 1, 1, 6),
    "depthwise": ((2, 7, 37, 41), (7, 1, 3, 3), 1, 1, 1, 7),
    "strided depthwise": ((2, 7, 37, 41), (7, 1, 5, 5), 2, 2, 1, 7),
    "depthwise multiplied": ((2, 5, 9, 9), (15, 1, 3, 3), (1, 2), (0, 1), 1, 5),
    "one by five": ((1, 6, 8, 30), (7, 6, 1, 5), 1, (0, 2), 1, 1),
    "1-d": ((3, 6, 50), (5, 6, 4), 3, 2, 2, 1),
    "3-d": ((2, 4, 6, 7, 8), (6, 2, 3, 3, 3), (1, 2, 1), 1, 1, 2),
    "padding beyond the input": ((1, 2, 1, 1), (3, 2, 3, 3), 1, 4, 1, 1),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
@pytest.mark.parametrize("threads", [1, 3])
def test_conv_equals_torch(isa, draw, case, threads):
    x_shape, w_shape, stride, padding, dilation, groups = case
    x, w = draw(*x_shape), draw(*w_shape)
    y = ring.conv(x, w, stride, padding, dilation, groups, threads=threads)
    np.testing.assert_array_equal(y, oracle(x, w, stride, padding, dilation, groups))


TRANSPOSED_CASES = {
    "upsampling": ((2, 12, 7, 9), (12, 10, 2, 2), 2, 0, 1, 1, 0),
    "3x3 by 2": ((1, 9, 6, 5), (9, 7, 3, 3), 2, 1, 1, 1, 1),
    "stride past the kernel": ((1, 4, 5, 5), (4, 3, 2, 2), 3, 0, 1, 1, 2),
    "grouped dilated": ((2, 6, 7), (6, 2, 3), 2, 2, 2, 2, 1),
    "depthwise": ((1, 5, 8, 8), (5, 1, 4, 4), 2, 1, 1, 5, 0),
    "3-d": ((1, 3, 3, 4, 5), (3, 4, 2, 3, 2), (2, 1, 2), (0, 1, 0), 1, 1, (1, 0, 0)),
}


@pytest.mark.parametrize("case", TRANSPOSED_CASES.values(), ids=TRANSPOSED_CASES.keys())
def test_transposed_equals_torch(isa, draw, case):
    x_shape, w_shape, stride, padding, dilation, groups, output_padding = case
    x, w = draw(*x_shape), draw(*w_shape)
    y = ring.conv(x, w, stride, padding, dilation, groups, transposed=True, output_padding=output_padding)
    np.testing.assert_array_equal(y, oracle(x, w, stride, padding, dilation, groups, True, output_padding))


@st.composite
def problems(draw):
    dims = draw(st.integers(1, 3))

    def each(low, high):
        return [draw(st.integers(low, high)) for _ in range(dims)]

    groups = draw(st.integers(1, 4))
    ins, outs = draw(st.integers(1, 5)), draw(st.integers(1, 10))
    transposed = draw(st.booleans())
    stride, dilation = each(1, 3), each(1, 3)
    limits = [max(s, d) - 1 for s, d in zip(stride, dilation, strict=True)]
    w_channels = [groups * ins, outs] if transposed else [groups * outs, ins]
    return {
        "x": [draw(st.integers(1, 3)), groups * ins, *each(1, 12)],
        "w": [*w_channels, *each(1, 4)],
        "stride": stride,
        "padding": each(0, 3),
        "dilation": dilation,
        "groups": groups,
        "transposed": transposed,
        "output_padding": [draw(st.integers(0, limit)) if transposed else 0 for limit in limits],
        "dtype": draw(st.sampled_from([np.uint32, np.uint64])),
        "seed": draw(st.integers(0, 2**32 - 1)),
    }


@settings(max_examples=150, deadline=None)
@given(problems())
def test_every_level_equals_torch(p):
    rng = np.random.default_rng(p["seed"])
    x, w = (rng.integers(0, 2**64, p[name], dtype=np.uint64).astype(p["dtype"]) for name in ("x", "w"))
    arguments = (p["stride"], p["padding"], p["dilation"], p["groups"], p["transposed"], p["output_padding"])
    try:
        expected = oracle(x, w, *arguments)
    except RuntimeError:  # torch, too, finds no output
        assume(False)
    before = _core.isa()
    try:
        for level in ("scalar", "avx2", "avx512"):
            if level == "scalar" or _core.cpu_features()[level]:
                _core.set_isa(level)
                np.testing.assert_array_equal(ring.conv(x, w, *arguments), expected, err_msg=level)
    finally:
        _core.set_isa(before)


def test_conv_is_linear(draw):
    x, y, w = draw(1, 4, 9, 9), draw(1, 4, 9, 9), draw(6, 4, 3, 3)
    together = ring.add(ring.conv(x, w, padding=1), ring.conv(y, w, padding=1))
    np.testing.assert_array_equal(ring.conv(ring.add(x, y), w, padding=1), together)


@pytest.mark.parametrize(
    ("x", "w", "options", "message"),
    [
        ((1, 3, 8, 8), (4, 2, 3, 3), {}, "expected 3 input channels a group"),
        ((1, 3, 8, 8), (4, 3, 3), {}, "same one to three spatial"),
        ((1, 3), (4, 3), {}, "same one to three spatial"),
        ((1, 3, 2, 2), (4, 3, 5, 5), {}, "output would be empty"),
        ((1, 4, 8, 8), (6, 1, 3, 3), {"groups": 3}, "groups to divide both"),
        ((1, 4, 8, 8), (6, 4, 3, 3), {"groups": 0}, "groups >= 1"),
        ((1, 4, 8, 8), (6, 4, 3, 3), {"stride": 0}, "positive input, kernel, stride"),
        ((1, 4, 8, 8), (6, 4, 3, 3), {"padding": -1}, "padding >= 0"),
        ((1, 4, 8, 8), (6, 4, 3, 3), {"stride": (1, 2, 3)}, "stride: expected one number or 2"),
        ((1, 4, 8, 8), (6, 4, 3, 3), {"output_padding": 1}, "only when transposed"),
        ((0, 4, 8, 8), (6, 4, 3, 3), {}, "positive batch"),
        ((1, 4, 8, 8), (6, 4, 3, 3), {"padding": 2**60}, "padding >= 0"),
    ],
)
def test_bad_shapes(x, w, options, message):
    with pytest.raises(ValueError, match=message):
        ring.conv(np.ones(x, np.uint64), np.ones(w, np.uint64), **options)
