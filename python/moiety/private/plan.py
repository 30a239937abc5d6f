"""Which correlated randomness a program consumes for one batch: the list of requests that the dealer deals.

The plan is a function of the weightless program, the batch and the comparison protocol: both parties compute the same
one, and the dealer, who never sees the program, checks that their hashes agree. Kinds: csrc/mpc/correlation.hpp.

The comparison protocol is one word for all layers, "circuit" or "dcf", or one letter, c or d, for every operation that
compares, in the program's order ("ccd"). One choice has one spelling, so that equal plans have equal hashes.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from moiety._core import mpc

from .program import Array, Op, Program, Tensor, canonical

__all__ = [
    "COMPARISONS",
    "Plan",
    "comparing",
    "comparison_kinds",
    "layers",
    "pattern",
    "plan",
    "pool_axes",
    "require_comparison",
    "spell",
]

COMPARISONS = ("circuit", "dcf")
COMPARING = ("relu", "hardtanh", "piecewise", "maxpool", "argmax", "extremes")
FLAG_BITS = 32  # ring of the count of elements that left their certified range
MAX_REQUESTS = 1 << 20


@dataclass(frozen=True)
class Plan:
    """`specs` are the keyword arguments of each request; `first[op]` is the first request of operation `op`.

    `checks[op]` is the request that checks the range of operation `op`'s result, `verdict` the one that turns the
    count of violations into the client's bit (-1: nothing is checked).
    """

    ring: int
    batch: int
    comparison: str
    specs: tuple[Mapping[str, Any], ...]
    first: Mapping[int, int]
    checks: Mapping[int, int]
    verdict: int = -1

    @cached_property
    def requests(self) -> list[mpc.Request]:
        """The requests as the core takes them (validated there)."""
        return [mpc.Request(**spec) for spec in self.specs]

    @cached_property
    def hash(self) -> str:
        """sha256 of the canonical JSON."""
        return hashlib.sha256(canonical(self.to_json())).hexdigest()

    @property
    def client_bytes(self) -> int:
        """Correction bytes that the dealer sends to the client."""
        return sum(request.client_bytes(self.ring) for request in self.requests)

    @property
    def server_bytes(self) -> int:
        """Correction bytes that the dealer sends to the server."""
        return sum(request.server_bytes(self.ring) for request in self.requests)

    def to_json(self) -> dict[str, Any]:
        """What the parties send to the dealer."""
        return {
            "ring": self.ring,
            "batch": self.batch,
            "comparison": self.comparison,
            "requests": [dict(spec) for spec in self.specs],
            "first": sorted(self.first.items()),
            "checks": sorted(self.checks.items()),
            "verdict": self.verdict,
        }

    @staticmethod
    def from_json(document: Mapping[str, Any]) -> Plan:
        """The plan of `to_json`. Raises ValueError for anything that is not one."""
        try:
            specs = document["requests"]
            if not isinstance(specs, Sequence) or len(specs) > MAX_REQUESTS:
                raise ValueError(f"expected at most {MAX_REQUESTS} requests")
            made = Plan(
                ring=int(document["ring"]),
                batch=int(document["batch"]),
                comparison=str(document["comparison"]),
                specs=tuple(dict(spec) for spec in specs),
                first={int(op): int(request) for op, request in document["first"]},
                checks={int(op): int(request) for op, request in document["checks"]},
                verdict=int(document["verdict"]),
            )
            require_comparison(made.comparison)
            if made.ring not in (32, 64) or made.batch < 1:
                raise ValueError(f"ring {made.ring}, batch {made.batch}")
            _ = made.requests
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ValueError(f"expected a plan of correlations, got something else: {error}") from error
        return made


def comparing(program: Program) -> list[int]:
    """The operations that compare, in order: what the letters of a comparison stand for."""
    return [index for index, op in enumerate(program.ops) if op.kind in COMPARING]


def spell(kinds: Sequence[str]) -> str:
    """The one spelling of a protocol for each comparing operation ("circuit" where there is none)."""
    if len(set(kinds)) <= 1:
        return kinds[0] if kinds else COMPARISONS[0]
    return "".join(kind[0] for kind in kinds)


def require_comparison(comparison: object, count: int | None = None) -> str:
    """`comparison` if it is spelled as it should be, for `count` comparing operations where that is known.

    Raises ValueError that says what was expected.
    """
    if isinstance(comparison, str):
        letters = set(comparison) == {"c", "d"} and len(comparison) <= MAX_REQUESTS
        if comparison in COMPARISONS or (letters and count in (None, len(comparison))):
            return comparison
    layers = "every comparing operation" if count is None else f"each of the program's {count} comparing operations"
    shown = repr(comparison)
    raise ValueError(
        f"comparison is {shown if len(shown) <= 60 else shown[:57] + '...'}: expected "
        f"{' or '.join(COMPARISONS)}, or one letter, c or d, for {layers} (not all the same)"
    )


def comparison_kinds(program: Program, comparison: str) -> list[str]:
    """The protocol of each comparing operation. Raises ValueError for a spelling that does not fit the program."""
    count = len(comparing(program))
    require_comparison(comparison, count)
    if comparison in COMPARISONS:
        return [comparison] * count
    return [{"c": "circuit", "d": "dcf"}[letter] for letter in comparison]


def layers(program: Program) -> list[tuple[Op, str, int]]:
    """Every server-held linear map in order (its layer): the operation, the name of its array, its elements."""
    found = []
    for op in program.ops:
        if op.kind == "linear":
            conv = op.attrs["conv"]
            size = conv["in_channels"] * conv["out_channels"] // conv["groups"] * math.prod(conv["kernel"])
            found.append((op, str(op.attrs["weight"]), size))
        elif op.kind == "x2":
            found.append((op, str(op.attrs["c2"]), program.tensors[op.inputs[0]].shape[0]))
    return found


def pool_axes(op: Op, x: Tensor, y: Tensor) -> tuple[int, list[tuple[int, ...]]]:
    """Channels and the axes (length, kernel, stride, padding, dilation, windows) of a max pooling."""
    spatial = len(x.shape) - 1
    a = op.attrs
    axes = [
        (
            x.shape[1 + i],
            *(a[key][3 - spatial + i] for key in ("kernel", "stride", "padding", "dilation")),
            y.shape[1 + i],
        )
        for i in range(spatial)
    ]
    return x.shape[0], axes


def pattern(program: Program, op: Op) -> tuple[Array, Array]:
    """The pointers and indices of an operation on a public pattern."""
    return program.public[op.attrs["indptr"]], program.public[op.attrs["indices"]]


class _Planner:
    def __init__(self, program: Program, batch: int, comparison: str) -> None:
        self.program = program
        self.batch = batch
        self.kinds = dict(zip(comparing(program), comparison_kinds(program, comparison), strict=True))
        self.specs: list[dict[str, Any]] = []
        self.first: dict[int, int] = {}
        self.checks: dict[int, int] = {}
        self.masks: dict[int, int] = {}  # opened tensor -> its mask request
        self.layer = 0

    def add(self, kind: str, n: int, **rest: Any) -> int:
        self.specs.append({"kind": kind, "n": n, **rest})
        return len(self.specs) - 1

    def compare(self, kind: str, n: int, bits: int, operands: Sequence[int] = (), indicator_bits: int = 0) -> int:
        return self.add(
            kind,
            n,
            bits=bits,
            operands=list(operands),
            self_operand=bool(operands),
            indicator_bits=indicator_bits,
        )

    def operation(self, index: int, op: Op) -> None:
        tensors = self.program.tensors
        x = tensors[op.inputs[0]] if op.inputs else None
        y = tensors[op.output]
        n = self.batch * (x.size if x else 0)
        ring = self.program.ring
        start = len(self.specs)
        kind = self.kinds.get(index, "circuit")
        match op.kind:
            case "open":
                self.masks[op.output] = self.add("mask", n)
            case "linear":
                conv = dict(op.attrs["conv"], batch=self.batch)
                self.add("linear", self.batch * y.size, conv=conv, layer=self.layer, masks=[self.masks[op.inputs[0]]])
                self.layer += 1
            case "truncate":
                if y.bits == ring:
                    self.add("bit_product", n, bits=op.attrs["shift"])
            case "extend":
                self.add("bit_product", n, bits=ring - op.attrs["bits"])
            case "relu":
                self.compare(kind, n, op.attrs["bits"], [op.attrs["bits"]])
            case "hardtanh":
                self.compare(kind, 2 * n, op.attrs["bits"], [op.attrs["bits"]])
            case "piecewise":
                self.compare(kind, len(op.attrs["slopes"]) * n, op.attrs["bits"], [op.attrs["bits"]])
            case "maxpool":
                assert x is not None
                channels, axes = pool_axes(op, x, y)
                for count in mpc.pool_comparisons(self.batch * channels, axes):
                    self.compare(kind, count, op.attrs["bits"], [op.attrs["bits"]])
            case "argmax":
                assert x is not None
                classes = x.shape[op.attrs["axis"]]
                for count in mpc.argmax_comparisons(n // classes, classes):
                    self.compare(kind, count, op.attrs["bits"], [op.attrs["bits"], y.bits])
            case "extremes":
                self.extremes(op, kind)
            case "sparse_multiply":
                indptr, indices = pattern(self.program, op)
                columns = tensors[op.inputs[1]].shape[-1]
                rows = {"indptr": indptr.tolist(), "indices": indices.tolist(), "columns": columns}
                self.add("sparse", self.batch * y.size, batch=self.batch, **rows)
            case "square":
                self.add("cross", n)
            case "multiply":
                self.add("cross", n)
                self.add("cross", n)
            case "x2":
                assert x is not None
                self.add("cross", n)
                mask = self.add("mask", n)
                channels = x.shape[0]
                conv = {
                    "batch": self.batch,
                    "in_channels": channels,
                    "out_channels": channels,
                    "groups": channels,
                    "in": [1, 1, x.size // channels],
                }
                self.add("linear", n, conv=conv, layer=self.layer, masks=[mask])
                self.layer += 1
            case _:
                if y.opened:
                    self.masks[op.output] = self.derived(op, y)
        if len(self.specs) > start:
            self.first[index] = start
        if op.kind == "truncate" and "check_bits" in op.attrs:
            self.checks[index] = self.compare("circuit", 2 * n, ring - op.attrs["shift"], indicator_bits=FLAG_BITS)

    def extremes(self, op: Op, kind: str) -> None:
        """csrc/mpc/extremes.hpp: upwards, rows whose values differ, downwards."""
        indptr, indices = pattern(self.program, op)
        bits, ring = op.attrs["bits"], self.program.ring
        pairs = mpc.extremes_pairs(indptr, indices, self.program.tensors[op.inputs[0]].size)
        for count in pairs:
            self.compare(kind, 2 * count * self.batch, bits, [bits], indicator_bits=ring)
        self.compare(kind, (indptr.size - 1) * self.batch, bits, indicator_bits=ring)
        for count in reversed(pairs):
            self.add("cross", 2 * count * self.batch)
            self.add("cross", 2 * count * self.batch)

    def derived(self, op: Op, y: Tensor) -> int:
        """The mask of an opened tensor that was made from opened tensors."""
        sources = [self.masks[i] for i in op.inputs]
        x = self.program.tensors[op.inputs[0]]
        n = self.batch * y.size
        if op.kind == "reshape":
            return sources[0]
        if op.kind == "add":
            return self.add("mask_add", n, masks=sources)
        if op.kind == "concat":
            leading = self.batch * math.prod(x.shape[: op.attrs["axis"]])
            return self.add("mask_concat", n, masks=sources, batch=leading)
        strides = [math.prod(x.shape[i + 1 :]) for i in range(len(x.shape))]
        offset = 0
        if op.kind == "permute":
            strides = [strides[axis] for axis in op.attrs["axes"]]
        elif op.kind == "slice":
            axis = op.attrs["axis"]
            offset = op.attrs["start"] * strides[axis]
            strides[axis] *= op.attrs["step"]
        else:
            raise ValueError(f"an opened tensor cannot go through {op.kind}")
        return self.add(
            "mask_view",
            n,
            masks=sources,
            shape=[self.batch, *y.shape],
            strides=[x.size, *strides],
            offset=offset,
        )


def plan(program: Program, batch: int, comparison: str = "circuit") -> Plan:
    """The correlations of one run of `program` on `batch` samples, with the comparison protocols that `comparison`
    spells (`moiety.cost.choose` finds the fastest).

    Raises ValueError for a batch below 1 or a comparison that does not fit the program.
    """
    if batch < 1:
        raise ValueError(f"expected a batch of at least 1, got {batch}")
    planner = _Planner(program, batch, comparison)
    for index, op in enumerate(program.ops):
        planner.operation(index, op)
    verdict = planner.compare("circuit", 1, FLAG_BITS, indicator_bits=1) if planner.checks else -1
    # Through JSON, so that a plan equals what the dealer reads of it.
    specs = tuple(json.loads(canonical({"specs": planner.specs}))["specs"])
    return Plan(program.ring, batch, comparison, specs, planner.first, planner.checks, verdict)
