"""Opening, linear layers, truncation, extension and the output against plain integers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mpc.formulas import Cost, packed, plane
from mpc.two_parties import (
    Array,
    Pair,
    Run,
    Shares,
    finish,
    ring_elements,
    run_protocol,
    share,
    signed,
    uniform,
)

RINGS = [32, 64]
SIZES = [1, 63, 64, 65, 1000]


def assert_cost(run: Run, expected: Cost) -> None:
    assert run.payload == (expected.server, expected.client)
    assert run.rounds == expected.rounds


def edges(limit: int) -> list[int]:
    """Around zero and at both ends of |y| < limit."""
    values = [0, 1, -1, 2, -2, limit - 1, 1 - limit, limit - 2, 2 - limit, limit // 2, -limit // 2, limit // 3]
    return [v for v in values if abs(v) < limit]


def sample(rng: np.random.Generator, limit: int, n: int) -> Array:
    """The edges first, then magnitudes of every size, alternating in sign."""
    values = np.array(edges(limit), np.int64)[:n]
    rest = rng.integers(0, limit, size=n - len(values), dtype=np.int64)
    rest >>= rng.integers(0, max(1, limit.bit_length() - 1), size=len(rest))
    rest[::2] *= -1
    return np.concatenate([values, rest])


def adversarial(y: Array, ring: int) -> list[Shares]:
    """Shares at which carries and wraps are decided: the server's at the ends of the ring's halves and quarters."""
    corners = [0, 1, (1 << ring) - 1]
    for top in (ring - 1, ring - 2):
        corners += [(1 << top) - 1, 1 << top, (1 << top) + 1]
    corners += [3 << (ring - 2), (3 << (ring - 2)) - 1]
    out = []
    for corner in corners:
        server = np.full(y.shape, corner, np.dtype(f"uint{ring}"))
        out.append(Shares(server, ring_elements(y, ring) - server))
    return out


# ---- opening and linear layers --------------------------------------------------------------------------------------


@pytest.mark.parametrize("ring", RINGS)
@pytest.mark.parametrize("n", SIZES)
def test_open_gives_the_server_x_minus_the_mask(ring: int, n: int) -> None:
    rng = np.random.default_rng(n)
    x = share(rng, sample(rng, 1 << (ring - 1), n), ring)
    pair = Pair(ring, [{"kind": "mask", "n": n}], recorded=True)
    run = pair.run(
        lambda p: finish(p, p.open(0, x.server)),
        lambda p: finish(p, p.open(0, x.client)),
    )
    mask = x.client - np.frombuffer(run.sent[1][0], x.client.dtype)
    np.testing.assert_array_equal(run.server + mask, x.server + x.client)
    assert_cost(run, Cost(0, n * ring // 8, 1))
    assert run.frames == (0, 1)
    assert run.dealt == (0, 0)


CONVS: list[dict[str, Any]] = [
    {"batch": 3, "in_channels": 5, "out_channels": 4},
    {"batch": 2, "in_channels": 3, "out_channels": 4, "in": [1, 6, 5], "kernel": [1, 3, 3], "padding": [0, 1, 1]},
    {
        "batch": 1,
        "in_channels": 4,
        "out_channels": 4,
        "groups": 4,
        "in": [1, 5, 5],
        "kernel": [1, 3, 3],
        "stride": [1, 2, 2],
    },
    {"batch": 2, "in_channels": 2, "out_channels": 3, "in": [3, 4, 4], "kernel": [2, 3, 3], "dilation": [1, 1, 1]},
    {
        "batch": 2,
        "in_channels": 3,
        "out_channels": 2,
        "in": [1, 4, 4],
        "kernel": [1, 3, 3],
        "stride": [1, 2, 2],
        "padding": [0, 1, 1],
        "output_padding": [0, 1, 1],
        "transposed": True,
    },
]


def plain_conv(x: Array, w: Array, conv: dict[str, Any]) -> Array:
    from moiety.private.reference import convolve

    full = {
        "groups": 1,
        "in": [1, 1, 1],
        "kernel": [1, 1, 1],
        "stride": [1, 1, 1],
        "padding": [0, 0, 0],
        "dilation": [1, 1, 1],
        "output_padding": [0, 0, 0],
        "transposed": False,
    } | conv
    shape = (full["in_channels"], full["out_channels"] // full["groups"])
    if not full["transposed"]:
        shape = (full["out_channels"], full["in_channels"] // full["groups"])
    return convolve(
        x.reshape(full["batch"], full["in_channels"], *full["in"]), w.reshape(*shape, *full["kernel"]), full
    )


@pytest.mark.parametrize("ring", RINGS)
@pytest.mark.parametrize("conv", CONVS, ids=range(len(CONVS)))
def test_linear(ring: int, conv: dict[str, Any]) -> None:
    rng = np.random.default_rng(7)
    n_in = conv["batch"] * conv["in_channels"] * int(np.prod(conv.get("in", [1, 1, 1])))
    n_weight = (
        conv["in_channels"]
        * conv["out_channels"]
        // conv.get("groups", 1)
        * int(np.prod(conv.get("kernel", [1, 1, 1])))
    )
    w = uniform(rng, n_weight, ring)
    x = share(rng, sample(rng, 1 << (ring - 1), n_in), ring)
    expected = plain_conv(x.server + x.client, w, conv)
    specs: list[dict[str, Any]] = [
        {"kind": "mask", "n": n_in},
        {"kind": "linear", "n": expected.size, "conv": conv, "layer": 0, "masks": [0]},
    ]
    pair = Pair(ring, specs, weights=[w])

    def server(party: Any) -> Array:
        return np.asarray(party.linear(1, finish(party, party.open(0, x.server))))

    def client(party: Any) -> Array:
        finish(party, party.open(0, x.client))
        return np.asarray(party.linear(1, None))

    run = pair.run(server, client)
    np.testing.assert_array_equal(run.total, expected.reshape(-1))
    assert_cost(run, Cost(0, n_in * ring // 8, 1))
    assert run.dealt == (0, expected.size * ring // 8)


@pytest.mark.parametrize("ring", RINGS)
def test_one_opening_serves_sums_concatenations_and_views(ring: int) -> None:
    """Opened tensors are added, concatenated and permuted at the server, their masks at the client."""
    rng = np.random.default_rng(3)
    shape = (2, 3, 4)  # batch, channels, positions
    n = 24
    w = [uniform(rng, size, ring) for size in (3, 6 * 2, 4 * 2)]
    x, y = (share(rng, sample(rng, 1 << (ring - 2), n), ring) for _ in range(2))
    conv = {"batch": 2, "in": [1, 1, 4]}
    specs: list[dict[str, Any]] = [
        {"kind": "mask", "n": n},
        {"kind": "mask", "n": n},
        {"kind": "mask_add", "n": n, "masks": [0, 1]},
        {"kind": "linear", "n": 2 * 4, "conv": conv | {"in_channels": 3, "out_channels": 1}, "layer": 0, "masks": [2]},
        {"kind": "mask_concat", "n": 2 * n, "masks": [0, 1], "batch": 2},
        {
            "kind": "linear",
            "n": 2 * 2 * 4,
            "conv": conv | {"in_channels": 6, "out_channels": 2},
            "layer": 1,
            "masks": [4],
        },
        # (batch, positions 1 and 3, channels) of x.
        {"kind": "mask_view", "n": 12, "masks": [0], "shape": [2, 2, 3], "strides": [12, 2, 4], "offset": 1},
        {
            "kind": "linear",
            "n": 2 * 4 * 3,
            "conv": {"batch": 2, "in": [1, 1, 3], "in_channels": 2, "out_channels": 4},
            "layer": 2,
            "masks": [6],
        },
    ]
    pair = Pair(ring, specs, weights=w)

    def server(party: Any) -> list[Array]:
        first, second = party.open(0, x.server), party.open(1, y.server)
        f = finish(party, first).reshape(shape)
        g = finish(party, second).reshape(shape)
        viewed = np.ascontiguousarray(f[:, :, 1::2].transpose(0, 2, 1))
        return [party.linear(3, f + g), party.linear(5, np.concatenate([f, g], axis=1)), party.linear(7, viewed)]

    def client(party: Any) -> list[Array]:
        first, second = party.open(0, x.client), party.open(1, y.client)
        finish(party, first)
        finish(party, second)
        return [party.linear(3, None), party.linear(5, None), party.linear(7, None)]

    run = pair.run(server, client)
    a, b = ((s.server + s.client).reshape(shape) for s in (x, y))
    expected = [
        plain_conv(a + b, w[0], specs[3]["conv"]),
        plain_conv(np.concatenate([a, b], axis=1), w[1], specs[5]["conv"]),
        plain_conv(np.ascontiguousarray(a[:, :, 1::2].transpose(0, 2, 1)), w[2], specs[7]["conv"]),
    ]
    for got_s, got_c, want in zip(run.server, run.client, expected, strict=True):
        np.testing.assert_array_equal(got_s + got_c, want.reshape(-1))
    assert_cost(run, Cost(0, 2 * n * ring // 8, 1))  # two openings in one frame


# ---- truncation -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ring", RINGS)
def test_exact_truncation_is_the_floor_or_one_more(ring: int) -> None:
    rng = np.random.default_rng(1)
    limit = 1 << (ring - 2)
    for shift in (1, 2, 7, 13, 16, ring // 2, ring - 3, ring - 2):
        for n in SIZES:
            y = sample(rng, limit, n)
            specs = [{"kind": "bit_product", "n": n, "bits": shift}]
            run = run_protocol("truncate", ring, specs, [share(rng, y, ring)], shift)
            error = signed(run.total, ring) - (y >> shift)
            assert np.isin(error, (0, 1)).all(), (shift, n)
            assert_cost(run, Cost(plane(n), plane(n), 1))
            assert run.dealt == (0, n * packed(shift))


@pytest.mark.parametrize("ring", RINGS)
def test_exact_truncation_where_shares_wrap(ring: int) -> None:
    y = np.array(edges(1 << (ring - 2)), np.int64)
    for shift in (1, 16, ring - 2):
        for x in adversarial(y, ring):
            run = run_protocol("truncate", ring, [{"kind": "bit_product", "n": y.size, "bits": shift}], [x], shift)
            assert np.isin(signed(run.total, ring) - (y >> shift), (0, 1)).all()


@pytest.mark.parametrize("ring", RINGS)
def test_local_truncation_is_right_in_the_low_bits(ring: int) -> None:
    """No message: each party shifts its share, the server adds one; right to one unit mod 2^(ring - shift)."""
    rng = np.random.default_rng(2)
    for shift in (1, 8, 13, 16, ring // 2, ring - 2):
        k = ring - shift
        y = sample(rng, 1 << (ring - 1), 4096)
        for x in [share(rng, y, ring), *adversarial(y, ring)]:
            total = (
                (x.server >> np.array(shift, x.server.dtype))
                + (x.client >> np.array(shift, x.server.dtype))
                + x.server.dtype.type(1)
            )
            error = signed(total - ring_elements(y >> shift, ring), k)
            assert np.isin(error, (0, 1)).all(), shift


@pytest.mark.parametrize("ring", RINGS)
@pytest.mark.parametrize("exact", [True, False])
def test_truncation_has_mean_error_zero(ring: int, exact: bool) -> None:
    """The real error lies in (-1, 1] with variance 1/6: the mean of 2^20 is within 6 standard deviations of zero."""
    rng = np.random.default_rng(5)
    n, shift = 1 << 20, 12
    for magnitude in (20, ring - 2):
        y = rng.integers(-(1 << magnitude) + 1, 1 << magnitude, size=n, dtype=np.int64)
        x = share(rng, y, ring)
        if exact:
            total = run_protocol("truncate", ring, [{"kind": "bit_product", "n": n, "bits": shift}], [x], shift).total
        else:
            total = (
                (x.server >> np.array(shift, x.server.dtype))
                + (x.client >> np.array(shift, x.server.dtype))
                + x.server.dtype.type(1)
            )
        units = signed(total - ring_elements(y >> shift, ring), ring - shift)
        error = units - (y & ((1 << shift) - 1)) / 2.0**shift
        assert np.isin(units, (0, 1)).all()
        assert abs(error.mean() - 2.0**-shift) < 6 * np.sqrt(1 / 6 / n)
        assert abs(error.var() - 1 / 6) < 0.002


# ---- extension and output -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ring", RINGS)
@pytest.mark.parametrize("is_signed", [False, True])
def test_extension_from_every_width(ring: int, is_signed: bool) -> None:
    rng = np.random.default_rng(4)
    for k in range(3 if is_signed else 2, ring):
        n = SIZES[k % len(SIZES)]
        v = sample(rng, 1 << (k - 2), n) if is_signed else np.abs(sample(rng, 1 << (k - 1), n))
        x = share(rng, v, ring, bits=k)
        run = run_protocol("extend", ring, [{"kind": "bit_product", "n": n, "bits": ring - k}], [x], k, is_signed)
        np.testing.assert_array_equal(signed(run.total, ring), v, err_msg=f"k = {k}")
        assert_cost(run, Cost(plane(n), plane(n), 1))
        assert run.dealt == (0, n * packed(ring - k))


@pytest.mark.parametrize("ring", RINGS)
def test_output_of_every_width_goes_to_the_client_alone(ring: int) -> None:
    rng = np.random.default_rng(6)
    for bits in range(1, ring + 1):
        n = SIZES[bits % len(SIZES)]
        v = uniform(rng, n, ring) & np.array((1 << bits) - 1, f"uint{ring}")
        run = run_protocol("reveal", ring, [], [share(rng, v, ring, bits=bits)], bits)
        np.testing.assert_array_equal(run.client, v)
        assert_cost(run, Cost(n * packed(bits), 0, 1))
        assert run.frames == (1, 0)
