"""Makes crypto.json: what the generator, the hash and the comparison keys must give, by the headers' definitions.

Nothing here comes from the compiled core: AES is the `cryptography` package's, and the comparison function is the
construction of csrc/crypto/dcf.hpp written down instance by instance. Run: python tests/golden/make_crypto.py
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

HASH_KEY = bytes.fromhex("243f6a8885a308d313198a2e03707344")
DCF_KEY = bytes.fromhex("a4093822299f31d0082efa98ec4e6c89")
TILE = 256


def stream(label: str, size: int) -> bytes:
    return hashlib.shake_128(label.encode()).digest(size)


def aes(key: bytes, blocks: bytes) -> bytes:
    return Cipher(algorithms.AES(key), modes.ECB()).encryptor().update(blocks)


def xor(*parts: int) -> int:
    result = 0
    for part in parts:
        result ^= part
    return result


def prg(key: bytes, nonce: int, blocks: int) -> bytes:
    return aes(key, b"".join(i.to_bytes(8, "little") + nonce.to_bytes(8, "little") for i in range(blocks)))


def tmmo(x: bytes, tweak: int) -> bytes:
    inner = int.from_bytes(aes(HASH_KEY, x), "little")
    outer = int.from_bytes(aes(HASH_KEY, (inner ^ tweak).to_bytes(16, "little")), "little")
    return (inner ^ outer).to_bytes(16, "little")


class Tree:
    """The generator of one n-bit comparison: seeds are 128-bit integers, little-endian blocks."""

    def __init__(self, n: int) -> None:
        self.n, self.tail = n, min(n, 7)
        self.levels = n - self.tail
        self.encrypt = Cipher(algorithms.AES(DCF_KEY), modes.ECB()).encryptor().update

    def expand(self, seed: int, level: int, j: int) -> int:
        x = seed ^ (4 * level + j)
        return int.from_bytes(self.encrypt(x.to_bytes(16, "little")), "little") ^ x

    def bit(self, x: int, level: int) -> int:
        return x >> (self.n - 1 - level) & 1


def dcf_generate(n: int, alpha: int, roots: tuple[int, int]) -> tuple[list[int], int, int]:
    """The seed corrections, the last block's correction, and the levels' bits T^0, T^1, V from the lowest bit up."""
    tree = Tree(n)
    s, t, above, bits = list(roots), [0, 1], 0, 0
    corrections = []
    for level in range(tree.levels):
        a = tree.bit(alpha, level)
        child = [[tree.expand(seed, level, j) for j in range(3)] for seed in s]
        difference = [child[0][j] ^ child[1][j] for j in range(3)]
        correction = difference[1 - a]
        side = [difference[2] & 1 ^ a ^ 1, difference[2] >> 1 & 1 ^ a]
        value = xor(difference[2] >> 2 & 1, above, a)
        bits |= (side[0] | side[1] << 1 | value << 2) << (3 * level)
        for p in range(2):
            s[p] = child[p][a] ^ (correction if t[p] else 0)
            t[p] = (child[p][2] >> a & 1) ^ (t[p] & side[a])
        corrections.append(correction)
        above = a
    low = alpha & ((1 << tree.tail) - 1)
    table = ((1 << low) - 1) ^ (((1 << 128) - 1) if above else 0)
    last = xor(*(tree.expand(seed, tree.levels, 3) for seed in s), table)
    return corrections, last, bits


def dcf_evaluate(party: int, n: int, x: int, root: int, key: tuple[list[int], int, int]) -> int:
    tree = Tree(n)
    corrections, last, bits = key
    s, t, result = root, party, 0
    for level, correction in enumerate(corrections):
        control, word, a = tree.expand(s, level, 2), bits >> (3 * level), tree.bit(x, level)
        result ^= (control >> 2 & 1) ^ (t & word >> 2)
        s = tree.expand(s, level, a) ^ (correction if t else 0)
        t = (control >> a & 1) ^ (t & word >> a)
    leaf = tree.expand(s, tree.levels, 3) ^ (last if t else 0)
    return result ^ (leaf >> (x & ((1 << tree.tail) - 1)) & 1)


def layout(n: int, keys: list[tuple[list[int], int, int]]) -> bytes:
    """The corrections of a batch in the order of the header: tiles, levels, instances."""
    levels = max(0, n - 7)
    out = b""
    for begin in range(0, len(keys), TILE):
        tile = keys[begin : begin + TILE]
        for level in range(levels):
            out += b"".join(key[0][level].to_bytes(16, "little") for key in tile)
        out += b"".join(key[1].to_bytes(16, "little") for key in tile)
        for byte in range((3 * levels + 7) // 8):
            out += bytes(key[2] >> (8 * byte) & 0xFF for key in tile)
    return out


def dcf_case(n: int, count: int) -> dict[str, object]:
    mask = (1 << n) - 1
    drawn = stream(f"dcf {n}", 48 * count)
    alpha = [int.from_bytes(drawn[8 * i : 8 * i + 8], "little") & mask for i in range(count)]
    x = [int.from_bytes(drawn[8 * (count + i) : 8 * (count + i) + 8], "little") & mask for i in range(count)]
    block = [int.from_bytes(drawn[16 * i : 16 * i + 16], "little") for i in range(count, 3 * count)]
    roots = [block[:count], block[count:]]
    keys = [dcf_generate(n, alpha[i], (roots[0][i], roots[1][i])) for i in range(count)]
    shares = [[dcf_evaluate(p, n, x[i], roots[p][i], keys[i]) for i in range(count)] for p in range(2)]
    assert [a ^ b for a, b in zip(*shares, strict=True)] == [int(x[i] < alpha[i]) for i in range(count)]
    packed = [
        sum(bit << i for i, bit in enumerate(share)).to_bytes((count + 63) // 64 * 8, "little") for share in shares
    ]
    return {
        "n": n,
        "count": count,
        "corrections": hashlib.sha256(layout(n, keys)).hexdigest(),
        "shares": [hashlib.sha256(share).hexdigest() for share in packed],
    }


def main() -> None:
    key = stream("prg key", 16)
    x = stream("hash", 16 * 100)
    hashes = b"".join(tmmo(x[16 * i : 16 * i + 16], 1000 + i) for i in range(100))
    golden = {
        "prg": {"nonce": 0x0123456789ABCDEF, "sha256": hashlib.sha256(prg(key, 0x0123456789ABCDEF, 1000)).hexdigest()},
        "hash": {"first_tweak": 1000, "sha256": hashlib.sha256(hashes).hexdigest()},
        "dcf": [dcf_case(n, 300) for n in (1, 5, 7, 8, 10, 23, 31, 63)],
    }
    Path(__file__).with_name("crypto.json").write_text(json.dumps(golden, indent=2) + "\n")


if __name__ == "__main__":
    main()
