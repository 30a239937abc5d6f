"""Operators on a hypergraph, continued from operators_graph.py: HyperGCN's Laplacian of the pairs that a signal picks.

The hypergraph is public, the pairs are not where the signal depends on the network's input. Three ways, by what
`compile(pairs=...)` says:

    oblivious   nobody learns the pairs (private/oblivious.py)
    revealed    both parties learn them, apply the Laplacian to their shares, and the program says so
    a signal    public features, of which the pairs are taken once and for all when the program is compiled: a public
                sparse product like any other
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from moiety.private.graph import Node
from moiety.private.hyperedges import Hyperedges, Rule, laplacian
from moiety.private.oblivious import oblivious
from moiety.private.operators import Refused, constant, handles, linear, need_data, reshape
from moiety.private.operators_graph import product, public, whole

if TYPE_CHECKING:
    from moiety.private.export import Builder

__all__: list[str] = []

EXACT = (
    "it compares the distances of all pairs, a private product for each: take pairs='projection', or name public "
    "features of which the pairs are taken, compile(..., pairs=features)"
)


@handles("moiety.hypergraph_pairs")
def _(b: Builder, signal: Any, direction: Any, indptr: Any, *_: Any) -> Any:
    """moiety.graph.Hypergraph.pairs, as it reaches an exporter: both ends stand for the places of the nodes on a line,
    until `hypergraph_smooth` reads them."""
    whole(b)
    if b.current in b.pairs.frozen:
        return b.pairs.frozen[b.current]
    signal = need_data(signal)
    if direction is None:
        raise Refused(EXACT)
    weight = constant(direction, "projection").reshape(1, -1)
    place = linear(b, signal, weight)
    if place.kind == "linear":  # in one with the layer that made the signal: an exact function of what that one opened
        place.attrs["merge"] = True
    places = reshape(b, place, signal.shape[-1:])
    ends = b.node("pairs", [places], (int(indptr.shape[0]) - 1,))
    return ends, ends


@handles("moiety.hypergraph_smooth")
def _(b: Builder, x: Any, s: Any, i: Any, *rest: Any) -> Node:
    """moiety.ops.hypergraph_smooth."""
    whole(b)
    places = {argument.name: place for place, argument in enumerate(b.current.target._schema.arguments)}
    value = {name: rest[place - 3] for name, place in places.items() if place >= 3}
    given, rule = need_data(x), Rule(value["mediators"], value["code"])
    indptr, indices = (public(b, places[name], value[name], "hypergraph") for name in ("indptr", "indices"))
    weight = value["weight"]
    own = None if weight is None else public(b, places["weight"], weight, "hypergraph's weights")
    edges = Hyperedges.of(indptr, indices, given.shape[-1], own, rule)
    if not isinstance(s, Node) and not isinstance(i, Node):
        several = np.diff(indptr) > 1
        ends = (value.numpy()[several] for value in (s, i))
        return product(b, given, laplacian(edges, rule, *ends))
    if s is not i or s.kind != "pairs":
        raise Refused("its pairs are none that Hypergraph.pairs found of one signal")
    if b.pairs.private_graph:
        raise Refused("its pairs are looked for in a public hypergraph: a private one has fixed operators only")
    if edges.count == 0:
        return given
    (at,) = s.inputs
    key = at, edges.indices.tobytes()
    if key not in b.chosen:  # once for all products with one choice
        b.chosen[key] = b.node("extremes", [at], (2 * edges.entries,), indptr=edges.indptr, indices=edges.indices)
    z: Node = b.chosen[key]
    if b.pairs.mode == "revealed":
        return b.node("revealed", [z, given], given.shape, edges=edges, rule=rule)
    return oblivious(b, edges, rule, z, given)
