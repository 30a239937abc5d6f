# Addresses are those of contiguous memory that the caller keeps alive and has checked for size and type, 0 for a weight
# that is not there. A Hypergraph holds addresses: its memory must outlive it and never change. Pairs are first and
# second, int32 (hyperedges,), each a node of its hyperedge. Stars are a choice of pairs, made ready for products.
class Hypergraph:
    def __init__(
        self,
        nodes: int,
        hyperedges: int,
        incidences: int,
        member_start: int,
        member: int,
        holder_start: int,
        holder: int,
        place: int,
        weight: int,
    ) -> None: ...
    def laplacian_capacity(self, mediators: bool) -> int: ...
    def clique_capacity(self) -> int: ...

def pairs_by_projection_f32(
    hypergraph: Hypergraph, signal: int, width: int, direction: int, first: int, second: int, threads: int
) -> None: ...
def pairs_by_projection_f64(
    hypergraph: Hypergraph, signal: int, width: int, direction: int, first: int, second: int, threads: int
) -> None: ...
def pairs_exact_f32(hypergraph: Hypergraph, signal: int, width: int, first: int, second: int, threads: int) -> None: ...
def pairs_exact_f64(hypergraph: Hypergraph, signal: int, width: int, first: int, second: int, threads: int) -> None: ...

# Return the number of entries; column and value hold as many as the capacity says. Pairs that are `known` are those
# that a search in this hypergraph has found, and nobody looks whether they are of their hyperedges.
def laplacian_f32(
    hypergraph: Hypergraph,
    mediators: bool,
    code: bool,
    first: int,
    second: int,
    known: bool,
    row_start: int,
    column: int,
    value: int,
    threads: int,
) -> int: ...
def laplacian_f64(
    hypergraph: Hypergraph,
    mediators: bool,
    code: bool,
    first: int,
    second: int,
    known: bool,
    row_start: int,
    column: int,
    value: int,
    threads: int,
) -> int: ...
def clique_f32(hypergraph: Hypergraph, hgnn: bool, row_start: int, column: int, value: int, threads: int) -> int: ...
def clique_f64(hypergraph: Hypergraph, hgnn: bool, row_start: int, column: int, value: int, threads: int) -> int: ...

class Stars_f32:
    def __init__(
        self,
        hypergraph: Hypergraph,
        mediators: bool,
        code: bool,
        first: int,
        second: int,
        fraction_bits: int,
        threads: int,
    ) -> None: ...

class Stars_f64:
    def __init__(
        self,
        hypergraph: Hypergraph,
        mediators: bool,
        code: bool,
        first: int,
        second: int,
        fraction_bits: int,
        threads: int,
    ) -> None: ...

class Stars_u64:
    def __init__(
        self,
        hypergraph: Hypergraph,
        mediators: bool,
        code: bool,
        first: int,
        second: int,
        fraction_bits: int,
        threads: int,
    ) -> None: ...

def smooth_f32(hypergraph: Hypergraph, stars: Stars_f32, x: int, y: int, width: int, threads: int) -> None: ...
def smooth_f64(hypergraph: Hypergraph, stars: Stars_f64, x: int, y: int, width: int, threads: int) -> None: ...
def smooth_u64(hypergraph: Hypergraph, stars: Stars_u64, x: int, y: int, width: int, threads: int) -> None: ...
