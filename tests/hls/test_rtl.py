"""The RTL twins under Verilator: the engine's shares and messages, bit for bit, a beat a cycle, under back-pressure."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from hls.played import Array, N, correlation, played, shares, uniform
from moiety._core import crypto
from moiety.cost.fpga_machine import data
from moiety.hls.record import Correlation, Half, Tap, run_pair

sys.path.insert(0, str(Path(__file__).parents[2] / "hls" / "model"))
import rtl_bench as bench

pytestmark = pytest.mark.skipif(bench.verilator() is None, reason=bench.MISSING)

Fields = list[tuple[npt.ArrayLike, int]]


@pytest.fixture(scope="session")
def binary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bench.build(tmp_path_factory.mktemp("verilator"))


def checked(binary: Path, twin: str, fields: Fields, words: int = 0, count: int = 0) -> Array:
    """What the twin makes of the vectors: at full rate, with the latency and the rate that cycles.json states, and the
    same when both ends are held back at random. Returns 32-bit words, a row a result."""
    beats = bench.to_beats(fields)
    results = count or len(beats)
    words = words or int(twin.rpartition("_")[2]) // 32
    free = bench.run(binary, twin, beats, results, words)
    if not count:
        assert free.first == data("cycles")[twin]["latency"]
        assert (free.last_in, free.cycles) == (len(beats) - 1, len(beats) + free.first)
    for seed, stall in ((1, 50), (2, 10)):
        held = bench.run(binary, twin, beats, results, words, stall=stall, seed=seed)
        assert held.cycles > len(beats) + free.first
        np.testing.assert_array_equal(held.out, free.out)
    return free.out


def ring_words(out: Array, ring: int) -> Array:
    return np.ascontiguousarray(out).view(f"<u{ring // 8}").reshape(-1)


@pytest.mark.parametrize("ring", [32, 64])
def test_square(binary: Path, ring: int) -> None:
    specs: list[dict[str, Any]] = [{"kind": "cross", "n": N}]
    x = (uniform(1, ring), uniform(2, ring))
    halves = played(ring, specs, lambda party: party.square(0, x[0] if party.server else x[1]))
    d, e = (np.frombuffer(half.messages[0][0], f"<u{ring // 8}") for half in halves)
    for half, own, sent in zip(halves, x, (d, e), strict=True):
        held = correlation(half, specs, ring)
        assert held.ring is not None
        assert held.share is not None
        fields: Fields = [(own, ring), (own, ring), (d, ring), (e, ring), (held.ring, ring), (held.share, ring)]
        out = checked(binary, f"square_{ring}", [*fields, (np.full(N, half.server), 1)])
        np.testing.assert_array_equal(ring_words(out, ring), half.shares[0])
        # What was sent: 2 x_S - a and x_C - b.
        twice, negate = np.full(N, half.server), np.ones(N)
        out = checked(binary, f"mask_{ring}", [(own, ring), (held.ring, ring), (twice, 1), (negate, 1)])
        np.testing.assert_array_equal(ring_words(out, ring), sent)


@pytest.mark.parametrize("ring", [32, 64])
def test_product_in_two_passes(binary: Path, ring: int) -> None:
    specs: list[dict[str, Any]] = [{"kind": "cross", "n": N}, {"kind": "cross", "n": N}]
    x, y = (uniform(3, ring), uniform(4, ring)), (uniform(5, ring), uniform(6, ring))
    halves = played(ring, specs, lambda party: party.multiply(0, x[not party.server], y[not party.server]))
    opened = [np.frombuffer(half.messages[0][0], f"<u{ring // 8}").reshape(2, N) for half in halves]
    for half, left, right in zip(halves, x, y, strict=True):
        rest, factors = np.zeros(N, left.dtype), (left, right)
        for index in range(2):
            held = correlation(half, specs, ring, index)
            assert held.ring is not None
            assert held.share is not None
            fields: Fields = [(factor, ring) for factor in (*factors, opened[0][index], opened[1][index], held.ring)]
            flag = (np.full(N, half.server), 1)
            rest = ring_words(checked(binary, f"square_{ring}", [*fields, (rest + held.share, ring), flag]), ring)
            factors = (np.zeros_like(left), np.zeros_like(left))
        np.testing.assert_array_equal(rest, half.shares[0])


@pytest.mark.parametrize("ring", [32, 64])
def test_quadratic(binary: Path, ring: int) -> None:
    channels, inner = 8, N // 8
    conv = {"in_channels": channels, "out_channels": channels, "groups": channels, "in": [1, 1, inner]}
    specs: list[dict[str, Any]] = [
        {"kind": "cross", "n": N},
        {"kind": "mask", "n": N},
        {"kind": "linear", "n": N, "conv": conv, "layer": 0, "masks": [1]},
    ]
    y = (uniform(7, ring), uniform(8, ring))
    c2, c1, c0 = (uniform(seed, ring, channels) for seed in (9, 10, 11))

    def start(party: Any) -> int:
        coefficients = [c2, c1, c0] if party.server else None
        return int(party.x2(0, y[not party.server], coefficients, channels, inner))

    server, client = played(ring, specs, start, [c2])
    d = np.frombuffer(server.messages[0][0], f"<u{ring // 8}")
    e, q = np.frombuffer(client.messages[0][0], f"<u{ring // 8}").reshape(2, N)
    held, linear = correlation(server, specs, ring), correlation(server, specs, ring, 2)
    assert held.ring is not None
    assert held.share is not None
    assert linear.ring is not None
    a, b, c = (np.repeat(each, inner) for each in (c2, c1, c0))
    fields: Fields = [(v, ring) for v in (y[0], d, e, held.ring, c + linear.ring + held.share, q, a, b)]
    out = checked(binary, f"x2_{ring}", fields)
    np.testing.assert_array_equal(ring_words(out, ring), server.shares[0])


@pytest.mark.parametrize(("ring", "shift"), [(32, 8), (32, 30), (64, 16), (64, 1)])
def test_truncate(binary: Path, ring: int, shift: int) -> None:
    specs: list[dict[str, Any]] = [{"kind": "bit_product", "n": N, "bits": shift}]
    y = shares(12, ring, ring - 2)
    halves = played(ring, specs, lambda party: party.truncate(0, y[not party.server], shift))
    d, e = (np.unpackbits(np.frombuffer(h.messages[0][0], np.uint8), bitorder="little") for h in halves)
    for half, own, sent in zip(halves, y, (d, e), strict=True):
        held = correlation(half, specs, ring)
        assert held.bits is not None
        assert held.share is not None
        bits = np.unpackbits(held.bits.view(np.uint8), bitorder="little")
        flag = np.full(N, half.server)
        out = checked(binary, f"truncate_mask_{ring}", [(own, ring), (bits, 1), (flag, 1)], words=1)
        np.testing.assert_array_equal(out[:, 0], sent)
        fields: Fields = [(own, ring), (held.share, ring), (np.full(N, shift), 8), (d, 1), (e, 1), (bits, 1), (flag, 1)]
        out = checked(binary, f"truncate_finish_{ring}", fields)
        np.testing.assert_array_equal(ring_words(out, ring), half.shares[0])


def planes_of(words: Array) -> Array:
    """(planes, 512 beats, 8 lanes) of planes of N bits: what a node takes beat by beat."""
    bits = np.unpackbits(np.ascontiguousarray(words).view(np.uint8), bitorder="little")
    return bits.reshape(-1, N // 8, 8)


def beat_field(planes: Array) -> tuple[Array, int]:
    """Planes side by side, the first in the low lanes."""
    return np.concatenate(list(planes), axis=1), 8 * len(planes)


def test_comparison(binary: Path) -> None:
    """A comparison of 33 bits: 8 leaves, 2 inner nodes, selection, at both parties."""
    ring, bits = 64, 33
    spec = {"kind": "circuit", "n": N, "bits": bits, "operands": [bits], "self_operand": True}
    y = shares(13, ring, bits)
    halves = played(ring, [spec], lambda party: party.relu(0, y[not party.server]))
    inputs = [planes_of(np.frombuffer(half.messages[0][0][: 32 * N // 8], np.uint8)) for half in halves]
    levels = [
        [planes_of(np.frombuffer(half.messages[0][hop], np.uint8)) for half in halves]
        for hop in range(1, len(halves[0].messages[0]))
    ]
    for party, half in enumerate(halves):
        held = correlation(half, [spec], ring)
        assert held.bits is not None
        assert held.masks is not None
        assert held.products is not None
        own, masks, products = (planes_of(v) for v in (held.bits, held.masks, held.products))
        flag = (np.full(N // 8, half.server), 1)
        none = np.zeros((1, N // 8, 8), np.uint8)
        wire = 0
        for leaf in range(8):
            at = slice(4 * leaf, 4 * leaf + 4)
            g_mask = masks[wire : wire + 1]
            p_mask = masks[wire + 1 : wire + 2] if leaf else none
            node = products[37 * leaf : 37 * leaf + 37]
            planes = (inputs[0][at], inputs[1][at], own[at], g_mask, p_mask, node)
            out = checked(binary, "prefix_leaf_8", [*(beat_field(p) for p in planes), flag], words=1)
            lanes = np.unpackbits(out.view(np.uint8), axis=1, bitorder="little")
            np.testing.assert_array_equal(lanes[:, :8], levels[0][party][wire])
            if leaf:
                np.testing.assert_array_equal(lanes[:, 8:16], levels[0][party][wire + 1])
            wire += 2 if leaf else 1
        opened = levels[0][0] ^ levels[0][1]
        used, plane = 8 * 37, 0
        for inner in range(2):
            wires = [0 if not i else 2 * i - 1 for i in range(4 * inner, 4 * inner + 4)]
            has = [bool(w) for w in wires]
            g, gm = opened[wires], masks[wires]
            p = np.concatenate([opened[w + 1][None] if h else none for w, h in zip(wires, has, strict=True)])
            pm = np.concatenate([masks[w + 1][None] if h else none for w, h in zip(wires, has, strict=True)])
            count = 22 if inner else 15  # without P, the products over the lowest P are not there
            node = np.concatenate([products[used : used + count], *[none] * (22 - count)])
            used += count
            out_masks = (masks[wire : wire + 1], masks[wire + 1 : wire + 2] if inner else none)
            wire += 2 if inner else 1
            planes6 = (g, p, gm, pm, *out_masks, node)
            out = checked(binary, "prefix_inner_8", [*(beat_field(v) for v in planes6), flag], words=1)
            lanes = np.unpackbits(out.view(np.uint8), axis=1, bitorder="little")
            np.testing.assert_array_equal(lanes[:, :8], levels[1][party][plane])
            if inner:
                np.testing.assert_array_equal(lanes[:, 8:16], levels[1][party][plane + 1])
            plane += 2 if inner else 1
        db = (levels[2][0] ^ levels[2][1]).reshape(-1)
        assert held.beta is not None
        dx = operand(halves, y, [correlation(h, [spec], ring) for h in halves], bits, party)
        columns = (dx, held.delta[0], held.beta, held.beta_delta[0])
        out = checked(binary, "select_64", [*((c, 64) for c in columns), (db, 1), flag_of(half)])
        mask = np.uint64(2**bits - 1)
        expected = half.shares[0]
        assert expected is not None
        np.testing.assert_array_equal(ring_words(out, 64) & mask, expected & mask)


def flag_of(half: Half) -> tuple[Array, int]:
    return np.full(N, half.server), 1


def operand(halves: tuple[Half, Half], y: tuple[Array, Array], held: list[Correlation], bits: int, party: int) -> Array:
    """x + delta as the party sees it: its own sum and what the other sent."""
    sent = np.frombuffer(halves[1 - party].messages[0][0][32 * N // 8 :], np.uint8)
    other = np.empty(N, np.uint64)
    crypto.unpack(np.ascontiguousarray(sent), -(-bits // 8), other)
    return np.asarray(y[party] + held[party].delta[0] + other)


@pytest.mark.parametrize("ring", [32, 64])
def test_linear_layer(binary: Path, ring: int) -> None:
    """A convolution of the engine: blocks of 3 channels times 2 positions, 36 beats each."""
    conv = {"batch": 1, "in_channels": 4, "out_channels": 48, "groups": 1, "in": [1, 10, 10]}
    conv |= {"kernel": [1, 3, 3], "stride": [1, 1, 1], "padding": [0, 1, 1], "dilation": [1, 1, 1]}
    n_in, n_out, depth = 400, 4800, 36
    specs: list[dict[str, Any]] = [
        {"kind": "mask", "n": n_in},
        {"kind": "linear", "n": n_out, "conv": conv, "layer": 0, "masks": [0]},
    ]
    weight = uniform(14, ring, 48 * depth)
    x = (uniform(15, ring, n_in), uniform(16, ring, n_in))

    def body(party: Any, tap: Tap, half: Half) -> None:
        task = party.open(0, x[not party.server])
        while not party.done(task):
            party.step()
        half.shares[0] = np.ascontiguousarray(party.result(task)) if party.server else None
        half.shares[1] = party.linear(1, half.shares[0])
        half.messages[0] = tap.messages()

    server, client = run_pair(ring, specs, "rtl", [weight], body)
    opened, result = server.shares[0], server.shares[1]
    assert opened is not None
    assert result is not None
    message = np.frombuffer(client.messages[0][0], f"<u{ring // 8}")
    mask = correlation(client, specs, ring).ring
    assert mask is not None
    out = checked(binary, f"mask_{ring}", [(x[1], ring), (mask, ring), (np.zeros(n_in), 1), (np.ones(n_in), 1)])
    np.testing.assert_array_equal(ring_words(out, ring), message)
    out = checked(binary, f"mask_{ring}", [(x[0], ring), (message, ring), (np.zeros(n_in), 1), (np.zeros(n_in), 1)])
    np.testing.assert_array_equal(ring_words(out, ring), opened)

    padded = np.pad(opened.reshape(4, 10, 10), [(0, 0), (1, 1), (1, 1)])
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
    columns = windows.transpose(0, 3, 4, 1, 2).reshape(depth, 50, 2)  # (depth, blocks of positions, positions)
    rows = weight.reshape(16, 3, depth)  # (blocks of channels, channels, depth)
    beats: Fields = []
    shape = (16, 50, depth)
    for channel in range(3):
        beats.append((np.broadcast_to(rows[:, channel][:, None, :], shape).reshape(-1), ring))
    for position in range(2):
        beats.append((np.broadcast_to(columns[:, :, position].T[None], shape).reshape(-1), ring))
    at = np.broadcast_to(np.arange(depth), shape).reshape(-1)
    out = checked(
        binary, f"mac_{ring}", [*beats, (at == 0, 1), (at == depth - 1, 1)], words=3 * ring // 32, count=16 * 50 * 2
    )
    sums = ring_words(out, ring).reshape(16, 50, 2, 3).transpose(0, 3, 1, 2).reshape(-1)
    share = correlation(server, specs, ring, 1).ring
    assert share is not None
    np.testing.assert_array_equal(sums + share, result.reshape(-1))


def test_aes(binary: Path) -> None:
    """Ten rounds in a row are the engine's AES, on 4,096 blocks and on the example of FIPS 197."""
    key = bytes.fromhex("000102030405060708090a0b0c0d0e0f")
    blocks = np.random.default_rng(17).integers(0, 256, (N, 16), np.uint8)
    blocks[0] = np.frombuffer(bytes.fromhex("00112233445566778899aabbccddeeff"), np.uint8)

    def rounds(state: Array, round_key: Array, last: bool) -> Array:
        n = len(state)
        wide = [np.unpackbits(v, axis=1, bitorder="little") for v in (state, np.broadcast_to(round_key, (n, 16)))]
        out = checked(binary, "aes_round", [(wide[0], 128), (wide[1], 128), (np.full(n, last), 1)], words=4)
        return np.ascontiguousarray(out).view(np.uint8).reshape(n, 16)

    # The last round of a state of sixteen equal bytes under a zero key is the S-box of that byte.
    box = rounds(np.repeat(np.arange(256, dtype=np.uint8)[:, None], 16, axis=1), np.zeros(16, np.uint8), True)[:, 0]
    keys = [np.frombuffer(key, np.uint8)]
    constant = 1
    for _ in range(10):
        words = keys[-1].reshape(4, 4)
        word = box[np.roll(words[3], -1)].copy()
        word[0] ^= constant
        constant = constant << 1 ^ (0x11B if constant & 0x80 else 0)
        keys.append(np.bitwise_xor.accumulate(np.vstack([words[:1] ^ word, words[1:]]), axis=0).reshape(-1))
    state = blocks ^ keys[0]
    for number in range(1, 11):
        state = rounds(state, keys[number], number == 10)
    expected = np.empty_like(blocks)
    crypto.aes_encrypt(key, blocks, expected)
    np.testing.assert_array_equal(state, expected)
    assert state[0].tobytes().hex() == "69c4e0d86a7b0430d8cdb78070b4c55a"


@pytest.mark.parametrize("depth", [1, 2, 9])
def test_blocks_take_the_cycles_of_the_model(binary: Path, depth: int) -> None:
    """Blocks of `depth` beats for 2 positions: max(depth, 2) cycles each, then the pipeline and the last block's
    results; exactly so where a block is no shorter than its results are many."""
    blocks, positions = 40, 2
    at = np.tile(np.arange(depth), blocks)
    fields: Fields = [(np.zeros((len(at), 5 * 32)), 5 * 32), (at == 0, 1), (at == depth - 1, 1)]
    ran = bench.run(binary, "mac_32", bench.to_beats(fields), blocks * positions, 3)
    model = blocks * max(depth, positions) + data("cycles")["mac_32"]["latency"] + positions - 1
    assert ran.cycles == model - max(0, positions - depth)
