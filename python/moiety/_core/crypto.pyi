from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Ring = TypeVar("Ring", np.uint32, np.uint64)

# For tests and benches: arrays are C-contiguous and of exactly these types, blocks are rows of 16 bytes, and the last
# array of each call is written.
def aes_encrypt(key: bytes, x: NDArray[np.uint8], out: NDArray[np.uint8]) -> None: ...
def prg_fill(key: bytes, nonce: int, offset: int, out: NDArray[np.uint8]) -> None: ...
def hash(x: NDArray[np.uint8], first_tweak: int, out: NDArray[np.uint8]) -> None: ...
def to_planes(x: NDArray[Ring], first: int, planes: NDArray[np.uint64]) -> None: ...
def from_planes(planes: NDArray[np.uint64], x: NDArray[Ring]) -> None: ...
def pack(x: NDArray[Ring], bytes: int, packed: NDArray[np.uint8]) -> None: ...
def unpack(packed: NDArray[np.uint8], bytes: int, x: NDArray[Ring]) -> None: ...
def dcf_correction_bytes(n: int) -> int: ...
def dcf_generate(
    n: int,
    alpha: NDArray[np.uint64],
    root0: NDArray[np.uint8],
    root1: NDArray[np.uint8],
    corrections: NDArray[np.uint8],
    threads: int,
) -> None: ...
def dcf_evaluate(
    party: int,
    n: int,
    x: NDArray[np.uint64],
    roots: NDArray[np.uint8],
    corrections: NDArray[np.uint8],
    out: NDArray[np.uint64],
    threads: int,
) -> None: ...
