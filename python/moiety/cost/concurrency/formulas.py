"""Work and depth as Besta & Hoefler write them (arXiv 2205.09702): Tables 2 and 4 to 7, derived and evaluated.

    work  = W_pre + L (m W_psi + W_reduce + n W_phi) + W_post        (Figures 12, 17, 18)
    depth = D_pre + L (D_psi + D_reduce + D_phi) + D_post

with W_psi the sum over psi's operations, and W_reduce = k * sum_i d_i = m k, D_reduce = log d for a balanced tree.
`big_o` then drops constants and every term that another one dominates whatever the sizes are. The formulas have no
constants: their values on a graph say how a model grows, not how many operations it does (`executed` counts those).

sympy is imported when a formula is first asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from .models import GLOBAL_MODELS, LOCAL_MODELS, GlobalModel, LocalModel, OverNeighbours
from .operations import GLOBAL, LOCAL

__all__ = ["KERNELS", "SCHEMES", "SYMBOLS", "Written", "big_o", "evaluate", "parse", "scheme", "written"]

Expression = Any  # a sympy expression; sympy comes without types

SYMBOLS = {
    "n": "vertices",
    "m": "edges",
    "d": "largest degree",
    "k": "features",
    "L": "layers",
    "K": "layers of the perceptron",
    "s": "largest power of the adjacency matrix",
    "c": "sampled neighbours of a vertex",
    "W_pre": "work before the first layer",
    "D_pre": "depth before the first layer",
}


@dataclass(frozen=True)
class Written:
    """One row of the tables. `work` and `depth` are what the paper has; `derived_depth` differs where its own
    operations give something else. `executed` is False for what nothing here computes in that way: matrix powers and
    inverses.
    """

    title: str
    formulation: str  # "local" or "global"
    formula: str
    work: Expression
    depth: Expression
    derived_depth: Expression
    executed: bool
    note: str = ""


@cache
def _names() -> dict[str, Any]:
    import sympy

    return {name: sympy.Symbol(name, positive=True) for name in SYMBOLS} | {"log": sympy.log}


def parse(text: str) -> Expression:
    """An expression in the paper's symbols, such as ``"L*m*k + L*n*k**2"``."""
    import sympy

    return sympy.sympify(text, locals=_names())


def _powers(term: Expression) -> dict[Any, Any]:
    """Base to exponent, constants left out; log(x) is a base of its own."""
    _, rest = term.as_coeff_Mul()
    return dict(rest.as_powers_dict()) if rest != 1 else {}


def _dominated(low: dict[Any, Any], high: dict[Any, Any]) -> bool:
    """Whether low <= high for all sizes >= 2, by powers alone; x covers what log(x) lacks."""
    import sympy

    spare = {base: high.get(base, 0) - low.get(base, 0) for base in {*low, *high}}
    for base in [b for b in spare if isinstance(b, sympy.log)]:
        if spare[base].is_negative:
            spare[base.args[0]] = spare.get(base.args[0], sympy.Integer(0)) + spare.pop(base)
    return all(sympy.sympify(left).is_nonnegative for left in spare.values())


def big_o(expression: Expression) -> Expression:
    """The sum of those terms that no other term dominates, with coefficients 1."""
    import sympy

    terms = {tuple(sorted(p.items(), key=str)): p for p in map(_powers, sympy.expand(expression).as_ordered_terms())}
    kept = [
        powers
        for key, powers in terms.items()
        if not any(_dominated(powers, other) for name, other in terms.items() if name != key)
    ]
    return sympy.Add(*(sympy.Mul(*(b**e for b, e in p.items())) for p in kept))


def _local(operations: Sequence[str | OverNeighbours]) -> tuple[Expression, Expression]:
    """Work and depth of operations one after another on one edge or vertex."""
    work, depth = parse("0"), parse("0")
    for operation in operations:
        if isinstance(operation, OverNeighbours):
            inner_work, inner_depth = _local(operation.operations)
            work += parse("d") * inner_work
            depth += parse("log(d)") + inner_depth
        else:
            work += parse(LOCAL[operation].work)
            depth += parse(LOCAL[operation].depth)
    return work, depth


def _of_local(model: LocalModel) -> Written:
    (psi_work, psi_depth), (phi_work, phi_depth) = _local(model.psi), _local(model.phi)
    layers, n, m = parse("L"), parse("n"), parse("m")
    work = big_o(layers * (m * psi_work + parse("m*k") + n * phi_work))
    depth = big_o(layers * (psi_depth + parse("log(d)") + phi_depth))
    return Written(model.title, "local", model.formula, work, depth, depth, True, model.note)


def _of_global(model: GlobalModel) -> Written:
    operations = [GLOBAL[name] for name in model.operations]
    times = parse(model.iterations)
    work = big_o(times * sum((parse(o.work) for o in operations), parse("0")))
    derived = big_o(times * sum((parse(o.depth) for o in operations), parse("0")))
    depth = derived if model.written_depth is None else parse(model.written_depth)
    executed = all(o.executed for o in operations)
    return Written(model.title, "global", model.formula, work, depth, derived, executed, model.note)


@cache
def written(model: str, formulation: str = "local") -> Written:
    """The row of a model in Tables 5 and 6 (``"local"``) or 7 (``"global"``); ValueError for names without one."""
    if formulation not in ("local", "global"):
        raise ValueError(f"formulation: expected 'local' or 'global', got {formulation!r}")
    rows = LOCAL_MODELS if formulation == "local" else GLOBAL_MODELS
    if model not in rows:
        raise ValueError(
            f"expected one of the models with a {formulation} formulation ({', '.join(rows)}), got {model!r}"
        )
    return _of_local(LOCAL_MODELS[model]) if formulation == "local" else _of_global(GLOBAL_MODELS[model])


# Table 4: work, depth, bytes moved, barriers of one operator over the whole graph; psi, reduce and phi as symbols.
KERNELS = {
    "scatter": ("1", "1", "m*k", "1"),
    "update edge": ("m*W_psi", "D_psi", "1", "1"),
    "aggregate": ("n*W_sum", "D_sum*log(d)", "m*k", "1"),
    "update vertex": ("n*W_phi", "D_phi", "1", "1"),
}


@dataclass(frozen=True)
class Scheme:
    """How a training scheme of Table 2 changes a pass: what is sampled, and what comes before it."""

    title: str
    sampled: str | None = None  # vertices whose features a target needs, in place of the whole graph's
    prepared: bool = False


SCHEMES = {
    "full-batch": Scheme("Full batch"),
    "weight-tying": Scheme("Weight tying"),
    "revgnn": Scheme("RevGNN"),
    "graphsage": Scheme("GraphSAGE", sampled="c**L"),
    "vr-gcn": Scheme("VR-GCN", sampled="c**L"),
    "fastgcn": Scheme("FastGCN", sampled="c*L"),
    "cluster-gcn": Scheme("Cluster-GCN", prepared=True),
    "graphsaint": Scheme("GraphSAINT", prepared=True),
}


def scheme(name: str, model: str = "gcn") -> tuple[Expression, Expression]:
    """Work and depth of one training pass of a C-GNN under a scheme of Table 2.

    Sampling adds a network's update at every sampled vertex and reduces over c neighbours instead of d; clustering and
    subgraph sampling add what they do beforehand. Raises ValueError for names without a row.
    """
    if name not in SCHEMES:
        raise ValueError(f"expected one of the schemes {', '.join(SCHEMES)}, got {name!r}")
    row, made = written(model), SCHEMES[name]
    work, depth = row.work, row.depth
    if made.sampled is not None:
        work += parse(f"({made.sampled})*n*k**2")
        depth = depth.subs(parse("log(d)"), parse("log(c)"))
    if made.prepared:
        work, depth = work + parse("W_pre"), depth + parse("D_pre")
    return work, depth


def evaluate(expression: Expression, **sizes: float) -> float:
    """The value at these sizes, logarithms to base 2 (sizes of 1 count as 2 under a logarithm: a depth is never 0).

    Raises ValueError when a symbol of the expression has no value.
    """
    import sympy

    free = {str(symbol) for symbol in expression.free_symbols}
    if missing := sorted(free - set(sizes)):
        raise ValueError(f"expected values of {', '.join(sorted(free))}, got none of {', '.join(missing)}")
    names = _names()
    in_logs = {sympy.log(names[key]): sympy.log(max(2.0, value), 2) for key, value in sizes.items() if key in names}
    return float(expression.subs(in_logs).subs({names[key]: value for key, value in sizes.items() if key in names}))
