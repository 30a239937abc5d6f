"""What the engine refuses, with what was expected: reuse, wrong sizes, kinds, roles, material, peers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from moiety import _core
from moiety._core import mpc
from mpc.two_parties import Pair, finish

RING = 64
N = 10
X = np.arange(N, dtype=np.uint64)
COMPARE = {"n": N, "bits": 8, "operands": [8], "self_operand": True}
CONV = {"batch": 1, "in_channels": 2, "out_channels": 2, "groups": 2, "in": [1, 1, 5]}
POOL = {"n": 5, "bits": 8, "operands": [8], "self_operand": True}
AXES = [(2, 2, 2, 0, 1, 1)]
C = np.ones(2, np.uint64)
PAIRS = (np.arange(0, N + 1, 2), np.arange(N, dtype=np.int32))  # five rows of two

# name -> requests, weights, how a party starts the protocol
PROTOCOLS: dict[str, tuple[list[dict[str, Any]], list[Any], Callable[[Any], int]]] = {
    "open": ([{"kind": "mask", "n": N}], [], lambda p: p.open(0, X)),
    "truncate": ([{"kind": "bit_product", "n": N, "bits": 4}], [], lambda p: p.truncate(0, X, 4)),
    "extend": ([{"kind": "bit_product", "n": N, "bits": 56}], [], lambda p: p.extend(0, X, 8, False)),
    "relu circuit": ([{"kind": "circuit", **COMPARE}], [], lambda p: p.relu(0, X)),
    "relu dcf": ([{"kind": "dcf", **COMPARE}], [], lambda p: p.relu(0, X)),
    "hardtanh": ([{"kind": "circuit", **COMPARE}], [], lambda p: p.hardtanh(0, X[:5], 0, 6)),
    "piecewise": ([{"kind": "circuit", **COMPARE}], [], lambda p: p.piecewise(0, X[:5], [0, 3], [1, 2], 6)),
    "indicator": ([{"kind": "dcf", "n": N, "bits": 8, "indicator_bits": 1}], [], lambda p: p.indicator(0, X)),
    "maxpool": ([{"kind": "circuit", **POOL}], [], lambda p: p.maxpool(0, X, 5, AXES)),
    "argmax": ([{"kind": "circuit", **POOL, "operands": [8, 4]}], [], lambda p: p.argmax(0, X, 5, 2)),
    "square": ([{"kind": "cross", "n": N}], [], lambda p: p.square(0, X)),
    "multiply": ([{"kind": "cross", "n": N}] * 2, [], lambda p: p.multiply(0, X, X)),
    "sparse_multiply": (
        [{"kind": "sparse", "n": N, "indptr": [0, 1, 3], "indices": [0, 1, 0], "columns": 2}],
        [],
        lambda p: p.sparse_multiply(0, X[:3], X),
    ),
    "extremes": (
        [
            {"kind": "circuit", "n": 10, "bits": 8, "operands": [8], "self_operand": True, "indicator_bits": 64},
            {"kind": "circuit", "n": 5, "bits": 8, "indicator_bits": 64},
            {"kind": "cross", "n": 10},
            {"kind": "cross", "n": 10},
        ],
        [],
        lambda p: p.extremes(0, X, *PAIRS, 10, 0),
    ),
    "x2": (
        [
            {"kind": "cross", "n": N},
            {"kind": "mask", "n": N},
            {"kind": "linear", "n": N, "conv": CONV, "layer": 0, "masks": [1]},
        ],
        [C],
        lambda p: p.x2(0, X, [C, C, C] if p.server else None, 2, 5),
    ),
}


@pytest.mark.parametrize("name", PROTOCOLS)
def test_every_correlation_serves_once(name: str) -> None:
    specs, weights, start = PROTOCOLS[name]
    pair = Pair(RING, specs, weights=weights)
    pair.run(lambda p: finish(p, start(p)), lambda p: finish(p, start(p)))
    for party in (pair.server, pair.client):
        with pytest.raises(ValueError, match="used before: every correlation serves once"):
            start(party)


def test_a_linear_layers_material_serves_once() -> None:
    specs = [{"kind": "mask", "n": N}, {"kind": "linear", "n": N, "conv": CONV, "layer": 0, "masks": [0]}]
    pair = Pair(RING, specs, weights=[C])
    for party, opened in ((pair.server, X), (pair.client, None)):
        party.linear(1, opened)
        with pytest.raises(ValueError, match="correlation 1 was used before"):
            party.linear(1, opened)


@pytest.mark.parametrize("name", PROTOCOLS)
def test_nothing_starts_before_its_correlation_has_arrived(name: str) -> None:
    specs, weights, start = PROTOCOLS[name]
    pair = Pair(RING, specs, weights=weights, feed=False)
    for party in (pair.server, pair.client):
        with pytest.raises(ValueError, match="correlation 0 has not arrived: the offline phase ended at 0"):
            start(party)


Y = np.zeros(N + 1, np.uint64)
WRONG_SIZES: dict[str, tuple[Callable[[Any], int], str]] = {
    "open": (lambda p: p.open(0, Y), "planned for 10 elements, got 11"),
    "truncate": (lambda p: p.truncate(0, Y, 4), "planned for 10 elements mod 2.4, needed 11 mod 2.4"),
    "extend": (lambda p: p.extend(0, Y, 8, False), "planned for 10 elements mod 2.56, needed 11"),
    "relu circuit": (lambda p: p.relu(0, Y), "planned for 10 elements, got 11"),
    "relu dcf": (lambda p: p.relu(0, Y), "planned for 10 elements, got 11"),
    "hardtanh": (lambda p: p.hardtanh(0, X, 0, 6), "planned for 10 elements, got 20"),
    "piecewise": (lambda p: p.piecewise(0, X, [0, 3], [1, 2], 6), "planned for 10 elements, got 20"),
    "indicator": (lambda p: p.indicator(0, Y), "planned for 10 elements, got 11"),
    "maxpool": (lambda p: p.maxpool(0, Y, 5, AXES), "planned for 10 elements, got 11"),
    "argmax": (lambda p: p.argmax(0, Y, 5, 2), "argmax over 5 x 2 got 11 elements"),
    "square": (lambda p: p.square(0, Y), "planned for 10 elements, got 11"),
    "multiply": (lambda p: p.multiply(0, X, Y), "planned for 10 elements, got 11"),
    "sparse_multiply": (lambda p: p.sparse_multiply(0, X, X), "planned for 3 values and 10 elements, got 10 and 10"),
    "extremes": (lambda p: p.extremes(0, Y, *PAIRS, 10, 0), "extremes of 10 columns got 11 elements"),
    "x2": (lambda p: p.x2(0, X, [C[:1]] * 3 if p.server else None, 1, 3), "10 elements cannot have 1 channels of 3"),
}


@pytest.mark.parametrize("name", WRONG_SIZES)
def test_a_wrong_size_is_refused_and_uses_nothing_up(name: str) -> None:
    specs, weights, start = PROTOCOLS[name]
    wrong, message = WRONG_SIZES[name]
    pair = Pair(RING, specs, weights=weights)
    for party in (pair.server, pair.client):
        with pytest.raises(ValueError, match=message):
            wrong(party)
    pair.run(lambda p: finish(p, start(p)), lambda p: finish(p, start(p)))


@pytest.mark.parametrize(
    ("specs", "start", "message"),
    [
        ([{"kind": "cross", "n": N}], lambda p: p.open(0, X), "expected correlation 0 to be a mask, it is a cross"),
        ([{"kind": "mask", "n": N}], lambda p: p.truncate(0, X, 4), "to be a bit_product, it is a mask"),
        ([{"kind": "mask", "n": N}], lambda p: p.relu(0, X), "to be a circuit, it is a mask"),
        ([{"kind": "mask", "n": N}], lambda p: p.square(0, X), "to be a cross, it is a mask"),
        ([{"kind": "cross", "n": N}], lambda p: p.linear(0, X), "to be a linear, it is a cross"),
        ([{"kind": "cross", "n": N}], lambda p: p.square(1, X), "the plan has 1 requests, got index 1"),
        ([{"kind": "cross", "n": N}], lambda p: p.square(-1, X), "the plan has 1 requests, got index -1"),
        ([{"kind": "bit_product", "n": N, "bits": 4}], lambda p: p.truncate(0, X, 5), "mod 2.4, needed 10 mod 2.5"),
        ([{"kind": "bit_product", "n": N, "bits": 4}], lambda p: p.truncate(0, X, 0), "drops 1 to 62 bits, got 0"),
        (
            [{"kind": "bit_product", "n": N, "bits": 4}],
            lambda p: p.extend(0, X, 64, False),
            "from 2 to 63 bits, got 64",
        ),
        ([{"kind": "circuit", **COMPARE}], lambda p: p.indicator(0, X), "planned for 1 operands, got 0"),
        ([{"kind": "circuit", **COMPARE, "operands": [8, 8]}], lambda p: p.relu(0, X), "planned for 2 operands, got 1"),
        ([], lambda p: p.reveal(X, 0), "an output has 1 to 64 bits, got 0"),
        ([], lambda p: p.reveal(X, 65), "an output has 1 to 64 bits, got 65"),
    ],
)
def test_another_kind_width_or_index_is_refused(
    specs: Sequence[dict[str, Any]], start: Callable[[Any], Any], message: str
) -> None:
    pair = Pair(RING, specs)
    for party in (pair.server, pair.client):
        with pytest.raises(ValueError, match=message):
            start(party)


def test_x2_refuses_a_linear_map_of_another_size() -> None:
    conv = {"batch": 1, "in_channels": 2, "out_channels": 2, "groups": 2, "in": [1, 1, 2]}
    specs = [
        {"kind": "cross", "n": N},
        {"kind": "mask", "n": N},
        {"kind": "linear", "n": 4, "conv": conv, "layer": 0, "masks": [3]},
    ]
    specs.insert(0, {"kind": "mask", "n": 4})
    specs[3]["masks"] = [0]
    pair = Pair(RING, specs, weights=[C])
    for party in (pair.server, pair.client):
        with pytest.raises(ValueError, match="planned for 4 elements, got 10"):
            party.x2(1, X, [C, C, C] if party.server else None, 2, 5)


# ---- material -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PROTOCOLS)
def test_material_of_another_length_or_for_the_other_role_is_refused(name: str) -> None:
    specs, weights, _ = PROTOCOLS[name]
    pair = Pair(RING, specs, weights=weights, feed=False)
    server, client = pair.dealer.deal(0)
    for party, right in ((pair.server, server), (pair.client, client)):
        longer = np.concatenate([right, np.zeros(1, np.uint8)])
        for wrong in (longer, *([right[:-1]] if len(right) else [])):
            with pytest.raises(ValueError, match=f"expected {len(right)} bytes, got {len(wrong)}"):
                party.feed(0, wrong)
    if len(server) != len(client):
        with pytest.raises(ValueError, match=f"expected {len(server)} bytes, got {len(client)}"):
            pair.server.feed(0, client)
        with pytest.raises(ValueError, match=f"expected {len(client)} bytes, got {len(server)}"):
            pair.client.feed(0, server)


def test_material_comes_in_order_and_once() -> None:
    pair = Pair(RING, [{"kind": "cross", "n": N}] * 2, feed=False)
    material = [pair.dealer.deal(i) for i in range(2)]
    with pytest.raises(ValueError, match="expected material for request 0 of 2, got 1"):
        pair.server.feed(1, material[1][0])
    pair.server.feed(0, material[0][0])
    with pytest.raises(ValueError, match="expected material for request 1 of 2, got 0"):
        pair.server.feed(0, material[0][0])
    pair.server.feed(1, material[1][0])
    with pytest.raises(ValueError, match="expected material for request 2 of 2, got 2"):
        pair.server.feed(2, material[1][0])


def test_a_new_plan_drops_what_was_left() -> None:
    pair = Pair(RING, [{"kind": "cross", "n": N}])
    pair.server.load(pair.requests, mpc.random_block(), [])
    with pytest.raises(ValueError, match="correlation 0 has not arrived"):
        pair.server.square(0, X)


def test_a_plan_cannot_change_under_a_protocol() -> None:
    pair = Pair(RING, [{"kind": "cross", "n": N}])
    pair.server.square(0, X)
    with pytest.raises(ValueError, match="cannot be loaded while a protocol is under way"):
        pair.server.load(pair.requests, mpc.random_block(), [])


@pytest.mark.parametrize(
    ("mask", "weights", "message"),
    [
        (N, [], "request 1 needs the weight of layer 0, there are 0"),
        (N, [np.ones(3, np.uint64)], "layer 0 needs 2 weights, got 3"),
        (N + 1, [C], "layer 0 reads 10 elements, its mask has 11"),
    ],
)
def test_weights_that_do_not_fit_the_plan(mask: int, weights: list[Any], message: str) -> None:
    requests = [
        mpc.Request("mask", mask),
        mpc.Request("linear", N, conv=CONV, layer=0, masks=[0]),
    ]
    a, _ = mpc.channel_pair()
    for role in ("server", "client"):
        with pytest.raises(ValueError, match=message):
            mpc.Party(role, RING, a).load(requests, mpc.random_block(), weights)


# ---- requests, roles ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kind": "masks", "n": 1}, "expected a kind of correlation .*got masks"),
        ({"kind": "mask", "n": 0}, "mask needs 1 to 2.34 elements, got 0"),
        ({"kind": "mask", "n": 1 << 35}, "mask needs 1 to 2.34 elements"),
        ({"kind": "bit_product", "n": 1, "bits": 0}, "takes 1 to 64 bits, got 0"),
        ({"kind": "bit_product", "n": 1, "bits": 65}, "takes 1 to 64 bits, got 65"),
        ({"kind": "circuit", "n": 1, "bits": 1, "indicator_bits": 1}, "compares 2 to 64 bits, got 1"),
        ({"kind": "dcf", "n": 1, "bits": 65, "indicator_bits": 1}, "compares 2 to 64 bits, got 65"),
        ({"kind": "circuit", "n": 1, "bits": 8}, "multiplies 1 to 64 bits, got 0"),
        ({"kind": "dcf", "n": 1, "bits": 8, "operands": [65]}, "multiplies 1 to 64 bits, got 65"),
        ({"kind": "dcf", "n": 1, "bits": 8, "operands": [-20, 8]}, "operands of 1 to 64 bits, got -20"),
        (
            {"kind": "dcf", "n": 1, "bits": 8, "operands": [8], "indicator_bits": -1},
            "indicator of 0 to 64 bits, got -1",
        ),
        ({"kind": "dcf", "n": 1, "bits": 8, "operands": [8] * 65}, "at most 64 operands, got 65"),
        ({"kind": "dcf", "n": 1, "bits": 8, "operands": [9], "self_operand": True}, "first operand of 8 bits"),
        (
            {"kind": "linear", "n": 3, "conv": CONV, "layer": 0, "masks": [0]},
            "linear gives 10 elements, the request says 3",
        ),
        ({"kind": "linear", "n": 10, "conv": CONV, "layer": -1, "masks": [0]}, "linear needs a layer index, got -1"),
        ({"kind": "linear", "n": 10, "conv": CONV, "layer": 0}, "linear needs one opened mask, got 0"),
        ({"kind": "mask_add", "n": 10}, "mask_add needs source masks"),
        ({"kind": "mask_concat", "n": 10, "masks": [0], "batch": 3}, "10 elements cannot hold 3 samples"),
        ({"kind": "mask_view", "n": 10, "masks": [0], "shape": [3], "strides": [1]}, "10 elements has a shape of 3"),
        ({"kind": "mask_view", "n": 10, "masks": [0], "shape": [10], "strides": [-1]}, "strides of 0 to 2.34, got -1"),
    ],
)
def test_requests_that_are_none(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        mpc.Request(**arguments)


def test_a_ring_of_32_bits_takes_no_wider_request() -> None:
    request = mpc.Request("circuit", 1, bits=33, operands=[33], self_operand=True)
    with pytest.raises(ValueError, match="compares 2 to 32 bits, got 33"):
        mpc.Dealer(32, [request], *[mpc.random_block()] * 3)
    with pytest.raises(ValueError, match="compares 2 to 32 bits, got 33"):
        mpc.Party("client", 32, mpc.channel_pair()[0]).load([request], mpc.random_block(), [])


@pytest.mark.parametrize(
    ("request_of_it", "message"),
    [
        ({"kind": "mask_view", "n": 4, "masks": [0], "shape": [4], "strides": [4]}, "reaches beyond its mask of 10"),
        (
            {"kind": "mask_view", "n": 4, "masks": [0], "shape": [4], "strides": [1], "offset": 7},
            "beyond its mask of 10",
        ),
        # The last element's index would wrap around 2^64.
        (
            {"kind": "mask_view", "n": 1 << 30, "masks": [0], "shape": [1 << 30], "strides": [1 << 34]},
            "reaches beyond its mask of 10",
        ),
        ({"kind": "mask_add", "n": 4, "masks": [0]}, "mask_add of 4 elements got a source of 10"),
        ({"kind": "mask_concat", "n": 4, "masks": [0]}, "overflows its 4 elements"),
        ({"kind": "mask_concat", "n": 12, "masks": [0]}, "12 elements got sources of 10"),
    ],
)
def test_derived_masks_stay_within_their_sources(request_of_it: dict[str, Any], message: str) -> None:
    requests = [mpc.Request("mask", N), mpc.Request(**request_of_it)]
    party = mpc.Party("client", RING, mpc.channel_pair()[0])
    party.load(requests, mpc.random_block(), [])
    party.feed(0, b"")
    with pytest.raises(ValueError, match=message):
        party.feed(1, b"")


def test_sources_come_before_what_is_derived_from_them() -> None:
    requests = [mpc.Request("mask_add", N, masks=[1]), mpc.Request("mask", N)]
    with pytest.raises(ValueError, match="request 0 refers to mask 1, which is not earlier"):
        mpc.Dealer(RING, requests, *[mpc.random_block()] * 3)
    with pytest.raises(ValueError, match="request 0 refers to mask 1, which is not earlier"):
        mpc.Party("server", RING, mpc.channel_pair()[0]).load(requests, mpc.random_block(), [])


def test_roles_rings_and_seeds() -> None:
    a, _ = mpc.channel_pair()
    with pytest.raises(ValueError, match="a party is the server or the client, got dealer"):
        mpc.Party("dealer", 64, a)
    with pytest.raises(ValueError, match="the ring is 32 or 64, got 48"):
        mpc.Party("server", 48, a)
    with pytest.raises(ValueError, match="the ring is 32 or 64, got 16"):
        mpc.Dealer(16, [], *[mpc.random_block()] * 3)
    with pytest.raises(ValueError, match="a seed must have 16 bytes, got 15"):
        mpc.Dealer(64, [], bytes(15), bytes(16), bytes(16))
    with pytest.raises(ValueError, match="a seed must have 16 bytes, got 17"):
        mpc.Party("server", 64, a).load([], bytes(17), [])
    with pytest.raises(ValueError, match="the plan has 0 requests, got index 0"):
        mpc.Dealer(64, [], *[mpc.random_block()] * 3).deal(0)


def test_tasks_have_one_result_and_it_comes_at_the_end() -> None:
    pair = Pair(RING, [{"kind": "cross", "n": N}])
    task = pair.server.square(0, X)
    with pytest.raises(ValueError, match="task 0 is still under way"):
        pair.server.result(task)
    with pytest.raises(ValueError, match="no task has number 1"):
        pair.server.done(1)

    def twice(party: Any) -> None:
        finish(party, party.square(0, X) if not party.server else task)
        with pytest.raises(ValueError, match="taken before"):
            party.result(0)

    pair.run(twice, twice)


# ---- peers ----------------------------------------------------------------------------------------------------------


def test_parties_that_run_different_protocols_notice() -> None:
    """Another length is refused with both lengths."""
    specs = [{"kind": "cross", "n": N}, {"kind": "cross", "n": N}]
    pair = Pair(RING, specs)
    with pytest.raises(
        _core.ProtocolError, match=r"expected a step frame of (80|160) bytes, got a step frame of (80|160) bytes"
    ):
        pair.run(lambda p: finish(p, p.square(0, X)), lambda p: finish(p, p.multiply(0, X, X)))


def test_a_peer_that_leaves_is_noticed_by_the_other() -> None:
    pair = Pair(RING, [{"kind": "cross", "n": N}])
    pair.channels[1].close()
    with pytest.raises(_core.ProtocolError, match="closed"):
        finish(pair.server, pair.server.square(0, X))


def test_a_peer_that_stalls_ends_in_a_timeout() -> None:
    a, _b = mpc.channel_pair(timeout_s=0.05)
    party = mpc.Party("server", RING, a)
    party.load([mpc.Request("mask", N)], mpc.random_block(), [])
    party.feed(0, b"")
    with pytest.raises(_core.ProtocolError, match=r"the peer sent nothing for 0\.05"):
        finish(party, party.open(0, X))


def test_an_error_frame_reaches_the_protocol_with_its_text() -> None:
    for text in (b'{"error": "out of cheese"}', b""):
        pair = Pair(RING, [{"kind": "mask", "n": N}])
        pair.channels[1].send(4, text)
        with pytest.raises(_core.ProtocolError, match=f"the peer reported: {text.decode()}"):
            finish(pair.server, pair.server.open(0, X))


@pytest.mark.parametrize(("thresholds", "slopes"), [([0], []), ([], []), ([0, 1], [1])])
def test_a_piecewise_function_has_a_slope_for_every_threshold(thresholds: list[int], slopes: list[int]) -> None:
    pair = Pair(RING, [{"kind": "circuit", **COMPARE}])
    for party in (pair.server, pair.client):
        with pytest.raises(ValueError, match="expected as many, and at least one"):
            party.piecewise(0, X, thresholds, slopes, 0)
