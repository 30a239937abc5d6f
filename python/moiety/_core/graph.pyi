# Addresses are those of contiguous memory that the caller keeps alive and has checked for size and type; `wide` says
# that node numbers have 64 bits. A Pattern holds addresses: its memory must outlive it and never change.
class Pattern:
    rows: int
    columns: int
    edges: int
    def __init__(
        self, rows: int, columns: int, edges: int, row_start: int, column: int, wide: bool, known: bool = False
    ) -> None: ...

def build(
    target: int,
    source: int,
    edges: int,
    rows: int,
    columns: int,
    row_start: int,
    column: int,
    order: int,
    wide: bool,
) -> None: ...
def transpose(pattern: Pattern, column_start: int, row: int, entry: int) -> None: ...

# A row of `width` features a source; weight is 0 for ones, else (edges, heads); order is 0, or the source of every
# column number.
def spmm_f32(
    pattern: Pattern, x: int, y: int, width: int, weight: int, heads: int, order: int, mean: bool, threads: int
) -> None: ...
def spmm_f64(
    pattern: Pattern, x: int, y: int, width: int, weight: int, heads: int, order: int, mean: bool, threads: int
) -> None: ...
def spmm_bf16(
    pattern: Pattern, x: int, y: int, width: int, weight: int, heads: int, order: int, mean: bool, threads: int
) -> None: ...
def spmm_u32(
    pattern: Pattern, x: int, y: int, width: int, weight: int, heads: int, order: int, mean: bool, threads: int
) -> None: ...
def spmm_u64(
    pattern: Pattern, x: int, y: int, width: int, weight: int, heads: int, order: int, mean: bool, threads: int
) -> None: ...
def spmm_extreme_f32(
    pattern: Pattern,
    x: int,
    y: int,
    argument: int,
    width: int,
    weight: int,
    heads: int,
    order: int,
    least: bool,
    threads: int,
) -> None: ...
def spmm_extreme_backward_f32(
    pattern: Pattern,
    x: int,
    dy: int,
    argument: int,
    dx: int,
    dweight: int,
    width: int,
    weight: int,
    heads: int,
    threads: int,
) -> None: ...
def gated_sum_f32(
    pattern: Pattern, own: int, other: int, values: int, sum: int, rise: int, width: int, threads: int
) -> None: ...
def sddmm_f32(pattern: Pattern, x: int, y: int, result: int, heads: int, head_width: int, threads: int) -> None: ...
def spmm_extreme_f64(
    pattern: Pattern,
    x: int,
    y: int,
    argument: int,
    width: int,
    weight: int,
    heads: int,
    order: int,
    least: bool,
    threads: int,
) -> None: ...
def spmm_extreme_backward_f64(
    pattern: Pattern,
    x: int,
    dy: int,
    argument: int,
    dx: int,
    dweight: int,
    width: int,
    weight: int,
    heads: int,
    threads: int,
) -> None: ...
def gated_sum_f64(
    pattern: Pattern, own: int, other: int, values: int, sum: int, rise: int, width: int, threads: int
) -> None: ...
def sddmm_f64(pattern: Pattern, x: int, y: int, result: int, heads: int, head_width: int, threads: int) -> None: ...
def spmm_extreme_bf16(
    pattern: Pattern,
    x: int,
    y: int,
    argument: int,
    width: int,
    weight: int,
    heads: int,
    order: int,
    least: bool,
    threads: int,
) -> None: ...
def spmm_extreme_backward_bf16(
    pattern: Pattern,
    x: int,
    dy: int,
    argument: int,
    dx: int,
    dweight: int,
    width: int,
    weight: int,
    heads: int,
    threads: int,
) -> None: ...
def sddmm_bf16(pattern: Pattern, x: int, y: int, result: int, heads: int, head_width: int, threads: int) -> None: ...

# Attention (csrc/graph/gat.hpp); saved are L, p and q, all 0 where no gradient is wanted.
Saved = tuple[int, int, int]

def gat_forward_f32(
    pattern: Pattern,
    heads: int,
    head_width: int,
    slope: float,
    x: int,
    score_source: int,
    score_target: int,
    y: int,
    saved: Saved,
    threads: int,
) -> None: ...
def gat_backward_f32(
    by_source: Pattern,
    heads: int,
    head_width: int,
    slope: float,
    x: int,
    score_source: int,
    score_target: int,
    y: int,
    saved: Saved,
    dy: int,
    dx: int,
    dscore_source: int,
    dscore_target: int,
    threads: int,
) -> None: ...
def gat_forward_f64(
    pattern: Pattern,
    heads: int,
    head_width: int,
    slope: float,
    x: int,
    score_source: int,
    score_target: int,
    y: int,
    saved: Saved,
    threads: int,
) -> None: ...
def gat_backward_f64(
    by_source: Pattern,
    heads: int,
    head_width: int,
    slope: float,
    x: int,
    score_source: int,
    score_target: int,
    y: int,
    saved: Saved,
    dy: int,
    dx: int,
    dscore_source: int,
    dscore_target: int,
    threads: int,
) -> None: ...
def gat_forward_bf16(
    pattern: Pattern,
    heads: int,
    head_width: int,
    slope: float,
    x: int,
    score_source: int,
    score_target: int,
    y: int,
    saved: Saved,
    threads: int,
) -> None: ...
def gat_backward_bf16(
    by_source: Pattern,
    heads: int,
    head_width: int,
    slope: float,
    x: int,
    score_source: int,
    score_target: int,
    y: int,
    saved: Saved,
    dy: int,
    dx: int,
    dscore_source: int,
    dscore_target: int,
    threads: int,
) -> None: ...
def edge_softmax_f32(pattern: Pattern, heads: int, scores: int, alpha: int, threads: int) -> None: ...
def edge_softmax_backward_f32(
    pattern: Pattern, heads: int, alpha: int, dalpha: int, dscores: int, threads: int
) -> None: ...
def edge_softmax_f64(pattern: Pattern, heads: int, scores: int, alpha: int, threads: int) -> None: ...
def edge_softmax_backward_f64(
    pattern: Pattern, heads: int, alpha: int, dalpha: int, dscores: int, threads: int
) -> None: ...
