import numpy as np
from numpy.typing import NDArray

Indptr = NDArray[np.int64]
Indices = NDArray[np.int32] | NDArray[np.int64]

def sample_neighbors(
    indptr: Indptr,
    indices: Indices,
    columns: int,
    seeds: NDArray[np.int64],
    fanouts: list[int],
    replace: bool,
    seed: int,
    threads: int,
) -> tuple[NDArray[np.int64], list[int], NDArray[np.int64], NDArray[np.int32], NDArray[np.int64]]: ...
def random_walks(
    indptr: Indptr,
    indices: Indices,
    columns: int,
    starts: NDArray[np.int64],
    length: int,
    p: float,
    q: float,
    seed: int,
    threads: int,
) -> NDArray[np.int64]: ...
def degree_order(indptr: Indptr, indices: Indices, columns: int) -> NDArray[np.int64]: ...
def rcm_order(indptr: Indptr, indices: Indices, columns: int) -> NDArray[np.int64]: ...
def undirected(
    indptr: Indptr, indices: Indices, columns: int
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int64]]: ...
def partition(
    indptr: Indptr,
    indices: Indices,
    columns: int,
    node_weight: NDArray[np.int64] | None,
    parts: int,
    imbalance: float,
    seed: int,
) -> NDArray[np.int32]: ...
def vertex_cut(
    indptr: Indptr,
    indices: Indices,
    columns: int,
    method: str,
    parts: int,
    balance: float,
    imbalance: float,
    seed: int,
) -> NDArray[np.int32]: ...
