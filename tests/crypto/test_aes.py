"""AES, the counter-mode generator and the fixed-key hash against the `cryptography` package and golden vectors."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import given, settings
from hypothesis import strategies as st

from moiety._core import crypto

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "crypto.json").read_text())


Levels = Callable[[], list[AbstractContextManager[str]]]


def stream(label: str, size: int) -> bytes:
    return hashlib.shake_128(label.encode()).digest(size)


def blocks(data: bytes) -> np.ndarray:
    return np.frombuffer(data, np.uint8).reshape(-1, 16)


def ecb(key: bytes, data: bytes) -> bytes:
    return Cipher(algorithms.AES(key), modes.ECB()).encryptor().update(data)


def prg(key: bytes, nonce: int, offset: int, size: int) -> bytes:
    out = np.zeros(size, np.uint8)
    crypto.prg_fill(key, nonce, offset, out)
    return out.tobytes()


@pytest.mark.parametrize("count", [0, 1, 3, 4, 7, 8, 31, 32, 33, 63, 200])
def test_encrypts_like_cryptography(isa: str, count: int) -> None:
    for trial in range(8):
        key, data = stream(f"key {trial}", 16), stream(f"data {trial}", 16 * count)
        out = np.zeros((count, 16), np.uint8)
        crypto.aes_encrypt(key, blocks(data), out)
        assert out.tobytes() == ecb(key, data)


def test_golden_stream_and_hash(isa: str) -> None:
    stored = prg(stream("prg key", 16), GOLDEN["prg"]["nonce"], 0, 16000)
    assert hashlib.sha256(stored).hexdigest() == GOLDEN["prg"]["sha256"]
    out = np.zeros((100, 16), np.uint8)
    crypto.hash(blocks(stream("hash", 1600)), GOLDEN["hash"]["first_tweak"], out)
    assert hashlib.sha256(out.tobytes()).hexdigest() == GOLDEN["hash"]["sha256"]


@settings(deadline=None, max_examples=60)
@given(
    key=st.binary(min_size=16, max_size=16),
    nonce=st.integers(0, 2**64 - 1),
    offset=st.integers(0, 2**40),
    size=st.integers(0, 3000),
)
def test_any_cut_of_the_stream(every_isa: Levels, key: bytes, nonce: int, offset: int, size: int) -> None:
    first, last = offset // 16, (offset + size + 15) // 16
    counters = b"".join(i.to_bytes(8, "little") + nonce.to_bytes(8, "little") for i in range(first, last))
    want = ecb(key, counters)[offset - 16 * first :][:size]
    for level in every_isa():
        with level:
            assert prg(key, nonce, offset, size) == want


def test_hash_separates_inputs_and_tweaks() -> None:
    x = blocks(stream("x", 16 * 64)).copy()
    x[1] = x[0]
    out, shifted = np.zeros_like(x), np.zeros_like(x)
    crypto.hash(x, 5, out)
    crypto.hash(x, 6, shifted)
    assert len({row.tobytes() for row in np.concatenate([out, shifted])}) == 127  # H(x1, 6) = H(x0, 6) is the one tie
    assert out[1].tobytes() == shifted[0].tobytes()


def test_refuses_wrong_sizes() -> None:
    with pytest.raises(ValueError, match="16 bytes, got 15"):
        crypto.prg_fill(bytes(15), 0, 0, np.zeros(4, np.uint8))
    with pytest.raises(ValueError, match="as many hashes"):
        crypto.hash(np.zeros((2, 16), np.uint8), 0, np.zeros((3, 16), np.uint8))
    with pytest.raises(ValueError, match="shape"):
        crypto.hash(np.zeros((2, 8), np.uint8), 0, np.zeros((2, 8), np.uint8))
    with pytest.raises(TypeError):
        crypto.hash(np.zeros((2, 16), np.int8), 0, np.zeros((2, 16), np.uint8))
