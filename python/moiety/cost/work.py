"""What each operation of a program does, in the three quantities that its seconds are fitted to.

    seconds = a * rounds + b * bytes + c * work

A row of a cost table holds a, b and c of one kind of operation in one ring, which names the row (`ROWS`):

| rows | rounds | bytes | work |
|---|---|---|---|
| open, truncate, extend, square, multiply, x2, output | hops | payload of both parties | elements |
| circuit, maxpool-circuit, argmax-circuit | hops | payload of both parties | elements compared |
| dcf, maxpool-dcf, argmax-dcf | hops | payload of both parties | elements compared, times the bits of their keys |
| linear | 1 | read and written: panels of the input, weights, output | multiply-adds |
| matvec | 1 | the same | multiply-adds |
| depthwise | 1 | read and written: input, weights, output | rows of the output, times taps |
| spmm | 1 | read and written, the pattern included | cache lines gathered: entries, times those of a node |
| shift, sumpool, move | 1 | read and written | elements written |

`matvec` is a linear map with so few positions (`FEW`) that its weights are read where they lie, for little arithmetic
each; `spmm` is the product with a public sparse matrix, `shift` a local truncation, `move` every other local operation
(sums, concatenation, slices, ...). The pieces of a `piecewise` function are elements compared.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from moiety.private.plan import Plan
from moiety.private.program import Op, Program
from moiety.private.validate import conv_output

from .hops import Hops

__all__ = ["ROWS", "Work", "work_of"]

ROWS = (
    "open",
    "linear",
    "matvec",
    "depthwise",
    "truncate",
    "shift",
    "extend",
    "circuit",
    "dcf",
    "maxpool-circuit",
    "maxpool-dcf",
    "argmax-circuit",
    "argmax-dcf",
    "square",
    "multiply",
    "x2",
    "sumpool",
    "spmm",
    "move",
    "output",
)

FEW = 32  # columns of a product that does not pack its weights (csrc/ring/blocked.cpp)
SERVED = ("linear", "matvec", "depthwise")  # by the server alone
_FREE = ("input", "reshape")  # nothing is moved


@dataclass(frozen=True)
class Work:
    """`row` is "" for an operation without cost; only the server does a server-held linear map."""

    row: str
    rounds: int = 0
    bytes: int = 0
    work: float = 0.0

    @property
    def by_client(self) -> bool:
        return self.row not in SERVED


def work_of(program: Program, made: Plan, op: Op, requests: range, hops: Hops) -> Work:
    """The work of one operation for the plan's batch; `hops` are its messages."""
    if op.kind in _FREE:
        return Work("")
    tensors, word = program.tensors, program.ring // 8
    x, y = tensors[op.inputs[0]], tensors[op.output]
    n_in, n_out = made.batch * x.size, made.batch * y.size
    sent = sum(map(sum, hops))
    if op.kind in ("relu", "hardtanh", "piecewise", "maxpool", "argmax"):
        if not requests:
            return Work("move", 1, word * (n_in + n_out), n_out)
        specs = [made.specs[request] for request in requests]
        protocol = specs[0]["kind"]
        work = sum(spec["n"] * (spec["bits"] - 1 if protocol == "dcf" else 1) for spec in specs)
        prefix = f"{op.kind}-" if op.kind in ("maxpool", "argmax") else ""
        return Work(prefix + protocol, len(hops), sent, work)
    if op.kind == "extremes":  # a tournament as an argmax's, its products among the bytes
        specs = [made.specs[request] for request in requests if made.specs[request]["kind"] != "cross"]
        protocol = specs[0]["kind"]
        work = sum(spec["n"] * (spec["bits"] - 1 if protocol == "dcf" else 1) for spec in specs)
        return Work(f"argmax-{protocol}", len(hops), sent, work)
    if op.kind == "sparse_multiply":  # a product opens two elements, this one what each party sends
        return Work("multiply", 1, sent, hops[0][0] // word / 2)
    if op.kind == "revealed":  # planes are exchanged, then a matrix is applied
        return Work("truncate", 1, sent, n_in)
    if op.kind == "output":
        return Work("output", 1, sent, n_in)
    if hops:
        return Work(op.kind, len(hops), sent, n_in)
    if op.kind == "linear":
        return _linear(op, made.batch, n_in, n_out, word)
    if op.kind == "spmm":
        return _sparse(program, op, n_in, n_out, word)
    moved = word * (sum(made.batch * tensors[i].size for i in op.inputs) + n_out)
    row = {"truncate": "shift", "sumpool": "sumpool"}.get(op.kind, "move")
    return Work(row, 1, moved, n_out)


def _sparse(program: Program, op: Op, n_in: int, n_out: int, word: int) -> Work:
    held = [program.public[op.attrs[key]] for key in ("indptr", "indices", "values") if op.attrs[key] is not None]
    channels = n_in // program.tensors[op.inputs[0]].shape[-1]
    moved = word * (n_in + n_out) + sum(array.nbytes for array in held)
    lines = -(-channels * word // 64)  # of a node's channels, which lie together
    return Work("spmm", 1, moved, lines * held[1].size)


def _linear(op: Op, batch: int, n_in: int, n_out: int, word: int) -> Work:
    conv = op.attrs["conv"]
    taps, groups = math.prod(conv["kernel"]), conv["groups"]
    ins, outs = conv["in_channels"] // groups, conv["out_channels"] // groups
    weights = conv["in_channels"] * outs * taps
    macs = (n_in if conv["transposed"] else n_out) * taps * (outs if conv["transposed"] else ins)
    if ins == 1 and outs <= 4:
        rows = n_out // conv_output(dict(conv))[2]
        return Work("depthwise", 1, word * (n_in + weights + n_out), rows * taps)
    # The product's right-hand side is a panel gathered from the input: every input channel and tap of every position.
    columns = macs // max(1, outs)
    few = n_out <= FEW * conv["out_channels"]
    return Work("matvec" if few else "linear", 1, word * (columns + weights + n_out), macs)
