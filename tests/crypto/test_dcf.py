"""Comparison keys: right for every input, alike on every instruction set, and each alone without information."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moiety._core import crypto

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "crypto.json").read_text())


def stream(label: str, size: int) -> np.ndarray:
    return np.frombuffer(hashlib.shake_128(label.encode()).digest(size), np.uint8)


def generate(n: int, alpha: np.ndarray, label: str, threads: int = 1) -> tuple[list[np.ndarray], np.ndarray]:
    roots = [stream(f"{label} root {p}", 16 * len(alpha)).reshape(-1, 16) for p in range(2)]
    corrections = np.zeros(len(alpha) * crypto.dcf_correction_bytes(n), np.uint8)
    crypto.dcf_generate(n, alpha, roots[0], roots[1], corrections, threads)
    return roots, corrections


def evaluate(
    party: int, n: int, x: np.ndarray, roots: np.ndarray, corrections: np.ndarray, threads: int = 1
) -> np.ndarray:
    """The share as one byte an instance; the bits of the last word past the end are held to be zero."""
    out = np.full((len(x) + 63) // 64, 2**64 - 1, np.uint64)
    crypto.dcf_evaluate(party, n, x, roots, corrections, out, 1)
    bits = np.unpackbits(out.view(np.uint8), bitorder="little")
    assert not bits[len(x) :].any()
    return bits[: len(x)]


def assert_compares(n: int, alpha: np.ndarray, x: np.ndarray, label: str) -> None:
    roots, corrections = generate(n, alpha, label)
    opened = evaluate(0, n, x, roots[0], corrections) ^ evaluate(1, n, x, roots[1], corrections)
    np.testing.assert_array_equal(opened, x < alpha)


@pytest.mark.parametrize("case", GOLDEN["dcf"], ids=lambda case: f"n{case['n']}")
def test_golden_keys_and_shares(isa: str, case: dict[str, Any]) -> None:
    n, count = case["n"], case["count"]
    words = stream(f"dcf {n}", 48 * count)
    alpha, x = words[: 16 * count].view(np.uint64).reshape(2, count) & np.uint64(2**n - 1)
    roots = words[16 * count :].reshape(2, count, 16)
    corrections = np.zeros(count * crypto.dcf_correction_bytes(n), np.uint8)
    crypto.dcf_generate(n, alpha, roots[0], roots[1], corrections, 1)
    assert hashlib.sha256(corrections).hexdigest() == case["corrections"]
    for party in range(2):
        out = np.zeros((count + 63) // 64, np.uint64)
        crypto.dcf_evaluate(party, n, x, roots[party], corrections, out, 1)
        assert hashlib.sha256(out).hexdigest() == case["shares"][party]


@pytest.mark.parametrize("n", range(1, 11))
def test_every_threshold_and_input(n: int) -> None:
    pairs = np.arange(2 ** (2 * n), dtype=np.uint64)
    assert_compares(n, pairs >> np.uint64(n), pairs & np.uint64(2**n - 1), f"exhaustive {n}")


@pytest.mark.parametrize("n", range(1, 64))
def test_random_and_edge_inputs(n: int) -> None:
    rng = np.random.default_rng(n)
    top = 2**n - 1
    random = rng.integers(0, top, 2000, np.uint64, endpoint=True)
    alpha = np.concatenate([random, np.zeros(300, np.uint64), np.full(300, top, np.uint64), random[:500]])
    x = rng.integers(0, top, len(alpha), np.uint64, endpoint=True)
    x[: 8 * n] = alpha[: 8 * n] ^ np.uint64(1) << np.arange(8 * n, dtype=np.uint64) % np.uint64(
        n
    )  # leave at each depth
    x[1000:1200] = alpha[1000:1200]
    x[1200:1400] = alpha[1200:1400] + np.uint64(1) & np.uint64(top)
    x[1400:1600] = alpha[1400:1600] - np.uint64(1) & np.uint64(top)
    x[2000:2010], x[2300:2310] = 0, top
    assert_compares(n, alpha, x, f"random {n}")


@settings(deadline=None, max_examples=40)
@given(n=st.integers(1, 63), count=st.integers(0, 900), seed=st.integers(0, 2**32), threads=st.integers(1, 3))
def test_any_batch(n: int, count: int, seed: int, threads: int) -> None:
    rng = np.random.default_rng(seed)
    alpha, x = rng.integers(0, 2**n - 1, (2, count), np.uint64, endpoint=True)
    assert_compares(n, alpha, x, f"batch {seed}")
    assert np.array_equal(generate(n, alpha, "threads", threads)[1], generate(n, alpha, "threads")[1])


@pytest.mark.parametrize("alpha", [0, 1, 0x2AAAAAAA, 2**31 - 1])
def test_one_key_alone_looks_uniform(alpha: int) -> None:
    n, count = 31, 1 << 14
    roots, corrections = generate(n, np.full(count, alpha, np.uint64), "uniform")
    # 409 bytes an instance, no padding bit among them: chi-square over the byte values within six deviations.
    expected = len(corrections) / 256
    chi_square = ((np.bincount(corrections, minlength=256) - expected) ** 2 / expected).sum()
    assert abs(chi_square - 255) < 6 * np.sqrt(2 * 255)
    # Every bit of a key is balanced over the instances (whole tiles: a level is 16 * 256 bytes).
    tiles = corrections.reshape(count // 256, -1)
    seeds, bits = tiles[:, : 25 * 4096].reshape(-1, 25, 256, 16), tiles[:, 25 * 4096 :].reshape(-1, 9, 256)
    for planes in (
        np.unpackbits(seeds, axis=3).sum(axis=(0, 2)),
        np.unpackbits(bits[..., None], axis=3).sum(axis=(0, 2)),
    ):
        assert np.abs(planes - count / 2).max() < 6 * np.sqrt(count) / 2
    # And so is a share, whatever the comparison's result.
    for x in (0, alpha, 2**31 - 1):
        for party in range(2):
            share = evaluate(party, n, np.full(count, x, np.uint64), roots[party], corrections)
            assert abs(int(share.sum()) - count / 2) < 6 * np.sqrt(count) / 2


def test_correction_bytes() -> None:
    for n in range(1, 64):
        levels = max(0, n - 7)
        assert crypto.dcf_correction_bytes(n) == 16 * (levels + 1) + (3 * levels + 7) // 8


def test_refuses_what_does_not_fit() -> None:
    alpha, roots = np.zeros(3, np.uint64), np.zeros((3, 16), np.uint8)
    corrections = np.zeros(3 * 16, np.uint8)
    for n in (0, 64):
        with pytest.raises(ValueError, match=f"1 to 63 bits, got {n}"):
            crypto.dcf_generate(n, alpha, roots, roots, corrections, 1)
    with pytest.raises(ValueError, match="expected 99 bytes of corrections, got 48"):
        crypto.dcf_generate(8, alpha, roots, roots, corrections, 1)
    with pytest.raises(ValueError, match="expected 3 roots of party 1, got 2"):
        crypto.dcf_generate(4, alpha, roots, roots[:2], corrections, 1)
    with pytest.raises(ValueError, match=r"threshold below 2\^4"):
        crypto.dcf_generate(4, alpha + np.uint64(16), roots, roots, corrections, 1)
    with pytest.raises(ValueError, match="party 0 or 1, got 2"):
        crypto.dcf_evaluate(2, 4, alpha, roots, corrections, np.zeros(1, np.uint64), 1)
    with pytest.raises(ValueError, match="1 words of output, got 2"):
        crypto.dcf_evaluate(0, 4, alpha, roots, corrections, np.zeros(2, np.uint64), 1)
