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
