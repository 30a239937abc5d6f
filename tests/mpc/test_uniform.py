"""What the parties send and open is uniform, whatever the secrets are, and the dealer's part depends on no data.

Every protocol runs on fixed shares, so that all randomness is the correlations'. Seeds are fixed as well: a failure is
no accident. Each p-value must exceed 10^-6.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
from scipy import stats

from mpc.two_parties import Array, Pair, Run, finish, ring_elements

P_VALUE = 1e-6
N = 4096
POOL = [(2, 2, 2, 0, 1, 1)]
ROWS = (np.arange(0, 2 * N + 1, 2), np.arange(2 * N, dtype=np.int32))  # of two entries each


class Case(NamedTuple):
    """A protocol on n elements for each party, its requests and how a party starts it."""

    n: int
    specs: list[dict[str, Any]]
    start: Callable[[Any, Array], int]
    bits: int = 64
    weights: bool = False


def compare(kind: str, n: int, k: int, operands: list[int] | None = None, **rest: Any) -> dict[str, Any]:
    return {"kind": kind, "n": n, "bits": k, "operands": operands or [k], "self_operand": True} | rest


CONV = {"batch": 1, "in_channels": 4, "out_channels": 4, "groups": 4, "in": [1, 1, N // 4]}
C = [np.array(values, np.uint64) for values in ([3, 0, 1 << 20, 5], [1, 2, 3, 4], [0, 0, 7, 9])]

CASES: dict[str, Case] = {
    "open": Case(N, [{"kind": "mask", "n": N}], lambda p, x: p.open(0, x)),
    "truncate": Case(8 * N, [{"kind": "bit_product", "n": 8 * N, "bits": 16}], lambda p, x: p.truncate(0, x, 16)),
    "extend": Case(
        8 * N, [{"kind": "bit_product", "n": 8 * N, "bits": 42}], lambda p, x: p.extend(0, x, 22, False), 22
    ),
    "square": Case(N, [{"kind": "cross", "n": N}], lambda p, x: p.square(0, x)),
    "multiply": Case(N, [{"kind": "cross", "n": N}] * 2, lambda p, x: p.multiply(0, x, x)),
    "sparse_multiply": Case(
        N,
        [{"kind": "sparse", "n": N, "indptr": list(range(N + 1)), "indices": list(range(N)), "columns": N}],
        lambda p, x: p.sparse_multiply(0, x, x),
    ),
    "x2": Case(
        N,
        [
            {"kind": "cross", "n": N},
            {"kind": "mask", "n": N},
            {"kind": "linear", "n": N, "conv": CONV, "layer": 0, "masks": [1]},
        ],
        lambda p, x: p.x2(0, x, C if p.server else None, 4, N // 4),
        weights=True,
    ),
}
for _kind in ("circuit", "dcf"):
    CASES |= {
        f"relu {_kind}": Case(N, [compare(_kind, N, 22)], lambda p, x: p.relu(0, x), 22),
        f"relu {_kind} 64": Case(N, [compare(_kind, N, 64)], lambda p, x: p.relu(0, x)),
        f"hardtanh {_kind}": Case(N, [compare(_kind, 2 * N, 20)], lambda p, x: p.hardtanh(0, x, 0, 6 << 10), 18),
        f"piecewise {_kind}": Case(
            N, [compare(_kind, 2 * N, 20)], lambda p, x: p.piecewise(0, x, [-900, 900], [3, -3], 7), 18
        ),
        f"indicator {_kind}": Case(
            N,
            [compare(_kind, N, 24, indicator_bits=8) | {"operands": [], "self_operand": False}],
            lambda p, x: p.indicator(0, x),
            24,
        ),
        f"maxpool {_kind}": Case(2 * N, [compare(_kind, N, 20)], lambda p, x: p.maxpool(0, x, N, POOL), 18),
        f"extremes {_kind}": Case(
            2 * N,
            [
                compare(_kind, 2 * N, 20, indicator_bits=64),
                compare(_kind, N, 20, indicator_bits=64) | {"operands": [], "self_operand": False},
                {"kind": "cross", "n": 2 * N},
                {"kind": "cross", "n": 2 * N},
            ],
            lambda p, x: p.extremes(0, x, *ROWS, 2 * N, 0),
            18,
        ),
        f"argmax {_kind}": Case(2 * N, [compare(_kind, N, 20, [20, 8])], lambda p, x: p.argmax(0, x, N, 2), 18),
    }

SECRETS: dict[str, Callable[[int, int], Array]] = {
    "zeros": lambda n, bits: np.zeros(n, np.int64),
    "minus one": lambda n, bits: np.full(n, -1, np.int64),
    "largest": lambda n, bits: np.full(n, (1 << (bits - 3)) - 1, np.int64),
    "alternating": lambda n, bits: np.where(np.arange(n) % 2 == 0, 1 << (bits - 4), -(1 << (bits - 4))),
}


def seeds(label: str) -> list[bytes]:
    return [hashlib.sha256(f"{label} {i}".encode()).digest()[:16] for i in range(3)]


def execute(name: str, secret: str) -> Run:
    """Runs a protocol on fixed shares: zero at the server, all of the secret at the client."""
    case = CASES[name]
    x = ring_elements(SECRETS[secret](case.n, case.bits), 64)
    pair = Pair(64, case.specs, [C[0]] if case.weights else [], seeds(f"{name} {secret}"), recorded=True)
    return pair.run(lambda p: finish(p, case.start(p, np.zeros_like(x))), lambda p: finish(p, case.start(p, x)))


def p_value(data: bytes | Array) -> float:
    """Of the bytes' histogram under the uniform distribution."""
    array = np.frombuffer(data, np.uint8) if isinstance(data, bytes) else data.reshape(-1).view(np.uint8)
    assert array.size >= 512
    bins = 256 if array.size >= 256 * 16 else 16
    return float(stats.chisquare(np.bincount(array.astype(np.int64) % bins, minlength=bins)).pvalue)


def pair_p_value(one: bytes, other: bytes) -> float:
    """Of independence: nibbles of two messages at the same place, in a table of 256 cells."""
    a, b = (np.frombuffer(m, np.uint8)[: min(len(one), len(other))].astype(np.int64) % 16 for m in (one, other))
    return float(stats.chisquare(np.bincount(16 * a + b, minlength=256)).pvalue)


def test_what_is_not_masked_would_be_noticed() -> None:
    """The tests have power: secrets themselves, reused masks and a bias of a few bits in a hundred fail them."""
    rng = np.random.default_rng(1)
    mask = rng.integers(0, 256, 1 << 15, dtype=np.uint8)
    assert p_value(SECRETS["alternating"](N, 22).tobytes()) < P_VALUE
    assert pair_p_value(mask.tobytes(), (mask ^ 5).tobytes()) < P_VALUE
    assert pair_p_value(mask.tobytes(), rng.permutation(mask).tobytes()) > P_VALUE
    assert p_value(np.where(rng.random(mask.size) < 0.08, mask & 0xFE, mask).tobytes()) < P_VALUE


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("name", CASES)
def test_messages_are_uniform_for_fixed_secrets(name: str, secret: str) -> None:
    run = execute(name, secret)
    assert any(run.sent)
    for sent in run.sent:
        for message in sent:
            assert p_value(message) > P_VALUE
            # No position inside an element, or inside a plane's words, is special.
            if len(message) >= 8 * 4096:
                for column in np.frombuffer(message[: len(message) // 8 * 8], np.uint8).reshape(-1, 8).T:
                    assert p_value(np.ascontiguousarray(column)) > P_VALUE


@pytest.mark.parametrize("name", CASES)
def test_messages_of_the_two_parties_and_of_two_hops_are_independent(name: str) -> None:
    run = execute(name, "alternating")
    messages = [m for sent in run.sent for m in sent]
    for i, one in enumerate(messages):
        for other in messages[:i]:
            if min(len(one), len(other)) >= 4096:
                assert pair_p_value(one, other) > P_VALUE


@pytest.mark.parametrize("name", CASES)
def test_opened_values_are_uniform(name: str) -> None:
    """The sum and the exclusive or of what the two parties send in one hop: what they open, whichever it is."""
    for secret in ("zeros", "largest"):
        run = execute(name, secret)
        for a, b in zip(*run.sent, strict=False):
            size = min(len(a), len(b))
            one, other = (np.frombuffer(m[:size], np.uint8) for m in (a, b))
            assert p_value(one ^ other) > P_VALUE
            assert p_value(one + other) > P_VALUE


@pytest.mark.parametrize("name", CASES)
def test_messages_of_different_secrets_have_one_distribution(name: str) -> None:
    """Two samples, four secrets: their histograms differ no more than chance, and the lengths not at all."""
    runs = [execute(name, secret) for secret in SECRETS]
    for party in range(2):
        lengths = {tuple(map(len, run.sent[party])) for run in runs}
        assert len(lengths) == 1
        if not runs[0].sent[party]:
            continue
        table = [np.bincount(np.frombuffer(b"".join(run.sent[party]), np.uint8) >> 4, minlength=16) for run in runs]
        assert stats.chi2_contingency(np.array(table)).pvalue > P_VALUE


# The linear map of x2 and the pattern of a sparse product have fixed shapes; their messages are made as those of open,
# square and multiply.
@pytest.mark.parametrize("name", [n for n, case in CASES.items() if not case.weights and n != "sparse_multiply"])
def test_one_element_over_many_correlations(name: str) -> None:
    """With everything fixed but the seeds, the first bytes of each message are uniform: no element stands out."""
    case = CASES[name]
    small = {4096: 1, 2 * 4096: 2, 8 * 4096: 1}[case.n]
    scale = case.n // small
    specs = [dict(spec, n=max(1, spec["n"] // scale)) for spec in case.specs]
    pair_of = np.array([0, 2]), np.array([0, 1], np.int32), 2
    starts = {
        "maxpool": lambda p, x: p.maxpool(0, x, 1, POOL),
        "argmax": lambda p, x: p.argmax(0, x, 1, 2),
        "extremes": lambda p, x: p.extremes(0, x, *pair_of, 0),
    }
    start = starts.get(name.split()[0], case.start)
    x = ring_elements(SECRETS["largest"](small, case.bits), 64)
    first: list[list[bytes]] = [[], []]
    for trial in range(256):
        pair = Pair(64, specs, [], seeds(f"{name} {trial}"), recorded=True)
        run = pair.run(
            lambda p: finish(p, start(p, np.zeros_like(x))),
            lambda p: finish(p, start(p, x)),
        )
        for party, sent in enumerate(run.sent):
            if sent:
                first[party].append(b"".join(m[:1] for m in sent))
    for sent in first:
        if sent:
            bits = (
                np.unpackbits(np.frombuffer(b"".join(sent), np.uint8))
                .reshape(len(sent), -1)
                .sum(axis=0, dtype=np.int64)
            )
            # Each bit of each hop's first byte: binomial with 256 trials, within 6 standard deviations.
            assert (np.abs(bits - 128) < 6 * 8).all()


def test_outputs_are_uniform_shares() -> None:
    """The server's message to the client is its share: as uniform as the sharing, and reduced to the planned bits."""
    rng = np.random.default_rng(3)
    share = rng.integers(0, 1 << 63, 1 << 14, dtype=np.uint64)
    pair = Pair(64, [], recorded=True)
    run = pair.run(lambda p: finish(p, p.reveal(share, 20)), lambda p: finish(p, p.reveal(share, 20)))
    message = np.frombuffer(run.sent[0][0], np.uint8).reshape(-1, 3)
    assert (message[:, 2] < 16).all()
    assert p_value(np.ascontiguousarray(message[:, :2])) > P_VALUE
    assert run.sent[1] == []


# ---- the dealer -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CASES)
def test_the_dealers_corrections_are_uniform(name: str) -> None:
    """What the client is sent beyond comparison keys (whose last bytes are part empty) tells it nothing by itself."""
    case = CASES[name]
    pair = Pair(64, case.specs, [C[0]] if case.weights else [], seeds(name), feed=False)
    for index, request in enumerate(pair.requests):
        server, client = pair.dealer.deal(index)
        assert len(server) == request.server_bytes(64)
        assert len(client) == request.client_bytes(64)
        if len(client) > len(server):
            np.testing.assert_array_equal(client[: len(server)], server)
            assert p_value(client[len(server) :]) > P_VALUE


@pytest.mark.parametrize("name", CASES)
def test_the_dealers_streams_depend_on_no_data(name: str) -> None:
    """Equal seeds and requests give equal bytes, in any order, whatever the inputs and weights of a run."""
    case = CASES[name]
    dealt = []
    for secret, weights in (("zeros", C[0]), ("largest", C[0] * np.uint64(12345))):
        pair = Pair(64, case.specs, [weights] if case.weights else [], seeds("dealer"), recorded=True)
        values = ring_elements(SECRETS[secret](case.n, case.bits), 64)
        pair.run(lambda p, x=values: finish(p, case.start(p, x)), lambda p, x=values: finish(p, case.start(p, x)))
        indices = range(len(case.specs))
        for order in (indices, reversed(indices)):
            dealt.append({i: tuple(m.tobytes() for m in pair.dealer.deal(i)) for i in order})
    assert all(one == dealt[0] for one in dealt)


def test_every_request_and_role_has_a_stream_of_its_own() -> None:
    """Equal requests of one plan, and the two parties' masks, have nothing in common."""
    pair = Pair(64, [{"kind": "cross", "n": N}] * 3, recorded=True)
    zeros = np.zeros(N, np.uint64)

    def protocol(party: Any) -> list[Array]:
        return [finish(party, party.square(i, zeros)) for i in range(3)]

    run = pair.run(protocol, protocol)
    sent = [m for messages in run.sent for m in messages]
    assert len(sent) == len(set(sent)) == 6
    words = np.concatenate([np.frombuffer(m, np.uint64) for m in sent])
    assert np.unique(words).size == words.size
