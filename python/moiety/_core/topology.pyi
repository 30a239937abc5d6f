from numpy import int8, int32, int64, uint8
from numpy.typing import NDArray

# Simplices come as offsets (n + 1) and vertices; positions number the complexes K_0, K_1, ... A barcode comes as
# dimensions, first and last positions, and kinds (bit 0: open birth, bit 1: open death), with the work done.
_Bars = tuple[NDArray[int8], NDArray[int32], NDArray[int32], NDArray[uint8]]

class Cells:
    positions: int
    bytes: int
    def __len__(self) -> int: ...
    def dimension(self) -> NDArray[int8]: ...
    def enter(self) -> NDArray[int32]: ...
    def exit(self) -> NDArray[int32]: ...
    def boundary(self) -> tuple[NDArray[int64], NDArray[int32]]: ...
    def validate(self) -> None: ...

def cells_of_events(start: NDArray[int64], vertex: NDArray[int32], insertion: NDArray[uint8]) -> Cells: ...
def cells_of_intervals(
    start: NDArray[int64], vertex: NDArray[int32], enter: NDArray[int32], exit: NDArray[int32], positions: int
) -> tuple[Cells, NDArray[int32]]: ...
def cells_of_snapshots(
    nodes: int, start: NDArray[int64], tail: NDArray[int32], head: NDArray[int32], mode: int, max_dimension: int
) -> Cells: ...
def cells_of_timed_graph(
    positions: int,
    vertex_enter: NDArray[int32],
    vertex_exit: NDArray[int32],
    tail: NDArray[int32],
    head: NDArray[int32],
    enter: NDArray[int32],
    exit: NDArray[int32],
    max_dimension: int,
) -> Cells: ...
def bars_with_cycles(cells: Cells, max_dimension: int) -> tuple[_Bars, NDArray[int64], NDArray[int32]]: ...
def series_barcode(
    nodes: int,
    start: NDArray[int64],
    tail: NDArray[int32],
    head: NDArray[int32],
    mode: int,
    max_dimension: int,
    chunk: int,
    block: int,
    alive: float,
) -> tuple[_Bars, dict[str, int]]: ...
def series_barcodes(
    nodes: int,
    start: NDArray[int64],
    tail: NDArray[int32],
    head: NDArray[int32],
    mode: int,
    max_dimension: int,
    chunk: int,
    block: int,
    alive: float,
    first: NDArray[int32],
    until: NDArray[int32],
    threads: int,
) -> list[_Bars]: ...
def barcode(
    cells: Cells, max_dimension: int, compressed: bool, block: int, alive: float
) -> tuple[_Bars, dict[str, int]]: ...

# Tensors as addresses; sizes: images, right factors, terms, side (csrc/topology/image.hpp).
_Sizes = tuple[int, int, int, int]
_Left = int | tuple[int, int, int]  # a factor, or counts, weights and the factors of deaths

def render_f32(
    sizes: _Sizes, left: _Left, right: int, own: int, scaled: bool, y: int, at: int, scale: int, threads: int
) -> None: ...
def render_f64(
    sizes: _Sizes, left: _Left, right: int, own: int, scaled: bool, y: int, at: int, scale: int, threads: int
) -> None: ...
def render_backward_f32(
    sizes: _Sizes,
    left: int,
    right: int,
    own: int,
    y: int,
    at: int,
    scale: int,
    dy: int,
    dleft: int,
    dright: int,
    threads: int,
) -> None: ...
def render_backward_f64(
    sizes: _Sizes,
    left: int,
    right: int,
    own: int,
    y: int,
    at: int,
    scale: int,
    dy: int,
    dleft: int,
    dright: int,
    threads: int,
) -> None: ...
