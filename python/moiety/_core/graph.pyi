# Addresses are those of contiguous memory that the caller keeps alive and has checked for size and type; `wide` says
# that node numbers have 64 bits. A Pattern holds addresses: its memory must outlive it and never change.
class Pattern:
    rows: int
    columns: int
    edges: int
    def __init__(self, rows: int, columns: int, edges: int, row_start: int, column: int, wide: bool) -> None: ...

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
