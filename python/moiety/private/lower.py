"""From the simplified float graph to operations on shared integers.

Every float value may be needed in up to four forms, each made once, on demand:

    raw     full ring, at whatever scale it arises (after a linear layer: input's plus weight's fraction bits)
    full    full ring at scale f: what x^2, products and openings take; an exact truncation of raw, or an extension of
    few bits opened  what linear layers take; concatenations, reshapes and permutations of opened values are opened
    low     few bits at scale f: what comparisons take; a free local truncation of raw, or what an activation left

A first sweep against the data flow (`demands`) finds out which forms will exist anyway, so that the second can choose
the cheaper way.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from moiety.private import ranges
from moiety.private.emit import Emitter, quantise
from moiety.private.gates import FUNCTIONS, Piecewise, Polynomial
from moiety.private.graph import Graph, Node, per_channel
from moiety.private.lower_gates import Gates
from moiety.private.lower_graph import enlarges, sparse_scale
from moiety.private.ranges import Interval, bits_for

__all__ = ["Lowering"]

SAME_SIZE = ("concat", "reshape", "permute")
ENLARGING = ("upsample", "pad")
PAIR = ("add", "subtract")
NARROW = ("relu", "hardtanh", "maxpool")
WIDE = (
    "input",
    "linear",
    "x2",
    "square",
    "multiply",
    "spmm",
    "factor",
    "sigmoid",
    "tanh",
    "extremes",
    "sparse_multiply",
    "revealed",
)
# Where a measured bound replaces a proved one. Not after an activation: how large its rare values get is known better
# from what it was applied to, whose measured magnitude counts both signs.
MEASURED = (
    "linear",
    "affine",
    "x2",
    "square",
    "multiply",
    "add",
    "subtract",
    "sumpool",
    "spmm",
    "factor",
    "sparse_multiply",
    "revealed",
)
# Extra fraction bits that an opened value may keep instead of being truncated first (powers of two of an average).
LOOSE_BITS = 8
# Readers of a layer whose input stayed at the scale of a product, and the bits of the ring that are kept free for them.
ROOMY = ("linear", "x2", "square", "add", "subtract", "relu", "hardtanh", "maxpool", "argmax", "sigmoid", "tanh")
ROOM_BITS = 4


def is_map(node: Node) -> bool:
    """An affine with a factor: a server-held depthwise linear layer."""
    return node.kind == "affine" and node.attrs.get("a") is not None


def is_division(node: Node) -> bool:
    return node.kind == "affine" and "divisor" in node.attrs


def is_constant_add(node: Node) -> bool:
    return node.kind == "affine" and not is_map(node) and not is_division(node)


def blend(node: Node) -> tuple[Node, Node, Node] | None:
    """z, s, c of a sum c + z (s - c)."""
    if node.kind != "add":
        return None
    for c, product in (node.inputs, node.inputs[::-1]):
        factors = product.inputs if product.kind == "multiply" else []
        for z, difference in (factors, factors[::-1]) if factors else ():
            if difference.kind == "subtract" and difference.inputs[1] is c:
                return z, difference.inputs[0], c
    return None


class Lowering:
    """One graph's lowering. `limits`: measured magnitude times margin by node, where calibration exists."""

    def __init__(
        self,
        graph: Graph,
        ring: int,
        fraction_bits: int,
        input_bounds: Mapping[Node, float],
        limits: Mapping[Node, float],
        check_range: bool,
        gates: Gates | None = None,
    ) -> None:
        self.graph = graph
        self.out = Emitter(ring, fraction_bits)
        self.ring, self.f = ring, fraction_bits
        self.limits, self.check_range = limits, check_range
        self.input_bounds = input_bounds
        self.gates = gates or Gates()
        self.gates_made: list[dict[str, Any]] = []
        self.users = graph.consumers()
        self.wants = self.demands()
        self.native: dict[Node, int] = {}
        self.forms: dict[tuple[str, Node], int] = {}

    # ---- which forms will exist -------------------------------------------------------------------------------------

    def demands(self) -> dict[Node, set[str]]:
        """node -> the forms in which it will be asked for."""
        nodes = self.graph.nodes()
        wants: dict[Node, set[str]] = {node: set() for node in nodes}
        wants[self.graph.output].add("raw")
        for node in reversed(nodes):
            if self.cut_up(node, wants):
                wants[node] = {"opened"}
            mine = wants[node]
            if node.kind == "linear" or is_map(node):
                passed = {"opened"}
            elif node.kind in ("x2", "multiply", "sparse_multiply", "revealed"):
                passed = {"full"}
            elif node.kind in NARROW or node.kind == "argmax":
                passed = {"low"}
            elif node.kind in SAME_SIZE:
                passed = mine
            elif node.kind in ENLARGING:
                passed = {"full" if want == "opened" else want for want in mine}
            elif node.kind == "spmm" and enlarges(node):
                passed = {"full"}
            elif node.kind in ("square", "sumpool", "spmm", "factor", "sigmoid", "tanh", "extremes") or is_division(
                node
            ):
                passed = {"raw"}
            else:  # add, subtract, slice, constants
                passed = {"low" if want == "low" else "raw" for want in mine}
            for x in node.inputs:
                wants[x] |= passed
        return wants

    def cut_up(self, node: Node, wants: Mapping[Node, set[str]]) -> bool:
        """Is all of it cut into slices that will be opened, and nothing else? Then it is opened whole, before the cuts,
        in the round of its parts: what an activation left need not be extended first for the sake of the others."""
        users = self.users[node]
        return (
            node.kind == "concat"
            and all(user.kind == "slice" and wants[user] == {"opened"} for user in users)
            and sum(math.prod(user.shape) for user in users) >= math.prod(node.shape)
        )

    def has_full(self, node: Node) -> bool:
        """Will the full form exist whatever else is done?"""
        forms = {"opened", "full", "raw"} if node.kind in NARROW else {"opened", "full"}
        picked = node.kind == "sparse_multiply" and node.attrs["one_hot"]  # at the scale of what it picks from
        return bool(self.wants[node] & forms) or node.kind == "input" or picked or self.of_gates(node)

    def of_gates(self, node: Node) -> bool:
        """A sigmoid or tanh, or put together from some: what they leave has few fraction bits as it is."""
        if node.kind in (*SAME_SIZE, "slice"):
            return all(self.of_gates(x) for x in node.inputs)
        return node.kind in FUNCTIONS

    def needs_room(self, node: Node) -> bool:
        """May a signed result be extended to the full ring? Then it needs one bit more."""
        return self.has_full(node) or any(user.kind not in ("relu", "maxpool") for user in self.users[node])

    def never_negative(self, node: Node) -> bool:
        """By the network's structure, not by the values of its parameters: the client sees what follows from it."""
        if node.kind in ("maxpool", *SAME_SIZE, *ENLARGING, "slice"):
            return all(self.never_negative(x) for x in node.inputs)
        return node.kind == "relu" or (node.kind == "hardtanh" and node.attrs["low"] >= 0)

    def raw_is_free(self, node: Node) -> bool:
        """Is the raw form there without a message?"""
        if node.kind in NARROW:
            return self.has_full(node)
        if node.kind in WIDE or is_map(node):
            return True
        return all(self.raw_is_free(x) for x in node.inputs)

    def loose(self, node: Node) -> bool:
        """May the full form keep a few fraction bits more, because only linear layers read it?"""
        if self.ring < 64 or node is self.graph.output:
            return False
        return all(
            user.kind == "linear" or is_map(user) or (user.kind in ("reshape", "permute") and self.loose(user))
            for user in self.users[node]
        )

    def untruncated(self, node: Node, bound: float, fraction: int) -> bool:
        """May the full form stay at this large scale, because only linear layers read it and their results leave room
        in the ring? That saves an exchange. `bound`: of the node's magnitude."""
        if self.ring < 64 or node is self.graph.output:
            return False
        x = ranges.symmetric(bound, len(node.shape), "proved")
        for user in self.users[node]:
            if is_constant_add(user):
                fits = self.untruncated(user, bound + float(np.abs(user.attrs["b"]).max()), fraction)
            elif user.kind in ("reshape", "permute"):
                fits = self.untruncated(user, bound, fraction)
            elif user.kind == "sumpool":
                fits = self.untruncated(user, bound * user.attrs["count"], fraction)
            elif user.kind == "linear":
                weight, bias, conv = (user.attrs[key] for key in ("weight", "bias", "conv"))
                y = self.tighten(user, ranges.linear_interval(x, node.shape, weight, bias, conv)).bound
                fits = self.has_room(user, y if bias is None else max(y, float(np.abs(bias).max())), fraction)
            elif user.kind == "spmm":
                more = sparse_scale(user, self.f)
                fits = self.untruncated(user, bound * user.attrs["sparse"].reach, fraction + more)
            elif is_map(user):
                b = user.attrs["b"]
                y = bound * float(np.abs(user.attrs["a"]).max()) + (0.0 if b is None else float(np.abs(b).max()))
                fits = self.has_room(user, y, fraction)
            else:
                fits = False
            if not fits:
                return False
        return True

    def has_room(self, layer: Node, bound: float, fraction: int) -> bool:
        """Does the layer's result on an input of this scale leave the bits that its readers need: one for an exact
        truncation, the others for sums? Averages and products would need more."""
        return self.leaves_room(layer, bound, fraction + self.f + int(layer.attrs.get("extra_bits", 0)))

    def leaves_room(self, node: Node, bound: float, scale: int) -> bool:
        """Does a value of this magnitude and scale, and what sparse products and axes make of it?"""
        if max(scale, bits_for(bound, scale)) > self.ring - ROOM_BITS:
            return False
        for user in self.users[node]:
            if user.kind == "spmm":
                more = sparse_scale(user, self.f)
                fits = self.leaves_room(user, bound * user.attrs["sparse"].reach, scale + more)
            elif user.kind in ("permute", "reshape"):
                fits = self.leaves_room(user, bound, scale)
            else:
                fits = user.kind in ROOMY or is_constant_add(user) or is_map(user)
            if not fits:
                return False
        return True

    def measured_limit(self, node: Node) -> float | None:
        """Its measured magnitude times the margin, where that may replace a proved bound."""
        return self.limits.get(node) if node.kind in MEASURED else None

    def note_gate(self, node: Node, made: Piecewise | Polynomial) -> None:
        """How a sigmoid or tanh is computed, for the program's description."""
        said: dict[str, Any] = {"function": made.function, "module": node.source, "error": made.error}
        if isinstance(made, Piecewise):
            said |= {"method": "piecewise", "pieces": len(made.slopes), "bits": made.bits}
        else:
            said |= {"method": "polynomial", "degree": made.degree}
        if said not in self.gates_made:
            self.gates_made.append(said)

    # ---- intervals --------------------------------------------------------------------------------------------------

    def interval(self, number: int) -> Interval:
        return self.out.intervals[number]

    def tighten(self, node: Node, interval: Interval) -> Interval:
        """With the measured bound where that saves bits; with checks only truncations are tightened, see `truncate`."""
        within = node.attrs.get("within")
        if within is not None:
            interval = interval.within(*within)
        limit = self.measured_limit(node)
        if limit is None or self.check_range or bits_for(limit, self.f) >= bits_for(interval.bound, self.f):
            return interval
        return interval.clip(limit)

    def local_interval(self, node: Node, inputs: list[int]) -> Interval:
        """Of the node's own local operation on these forms of its inputs."""
        parts = [self.interval(i) for i in inputs]
        if is_constant_add(node):
            spread = quantise(node.attrs["b"], self.out.tensors[inputs[0]].fraction)
            interval = ranges.make(parts[0].lo + spread, parts[0].hi + spread, ranges.joint(parts[0]))
        else:
            attrs = {**node.attrs, "shape": node.shape}
            shapes = [self.out.tensors[i].shape for i in inputs]
            interval = ranges.local_interval(node.kind, attrs, parts, shapes)
        return self.tighten(node, self.between_ends(node, interval))

    def between_ends(self, node: Node, interval: Interval) -> Interval:
        """Of c + z (s - c) with a gate 0 <= z <= 1, the update of a recurrence: it lies between s and c."""
        found = blend(node)
        if found is None:
            return interval
        z, s, c = (self.interval(self.get(form, x)) for form, x in zip(("full", "raw", "raw"), found, strict=True))
        if z.lo.min() < 0 or z.hi.max() > 1:
            return interval
        # s - c is there to one unit.
        unit = 2.0 ** -min(self.f, self.out.tensors[self.get("full", found[1])].fraction)
        lo, hi = np.minimum(s.lo, c.lo) - unit, np.maximum(s.hi, c.hi) + unit
        return Interval(np.maximum(interval.lo, lo), np.minimum(interval.hi, hi), ranges.joint(interval, s, c))

    def align(self, node: Node, numbers: list[int]) -> list[int]:
        """The same tensors at their largest common scale."""
        top = max(self.out.tensors[i].fraction for i in numbers)
        return [self.shift_left(node, i, top - self.out.tensors[i].fraction) for i in numbers]

    def shift_left(self, node: Node, number: int, shift: int) -> int:
        if shift == 0:
            return number
        t = self.out.tensors[number]
        bits = min(self.ring, t.bits + shift)
        return self.out.emit(
            "shift_left", [number], t.shape, t.fraction + shift, bits, self.interval(number), node, {"shift": shift}
        )

    def structural(self, node: Node, inputs: list[int]) -> int:
        """The node's own local operation on these forms of its inputs."""
        inputs = self.align(node, inputs)
        x = self.out.tensors[inputs[0]]
        bits = min(self.out.tensors[i].bits for i in inputs)
        interval = self.local_interval(node, inputs)
        kind, attrs = node.kind, node.attrs
        if is_constant_add(node):
            b = node.attrs["b"]
            values = b.reshape(-1) if per_channel(b) else np.broadcast_to(b, node.shape)
            if values.ndim == 1:
                values = np.broadcast_to(values, node.shape[:1])
            name = f"{len(self.out.tensors)}.value"
            self.out.array(name, values.copy(), x.fraction, node)
            kind, attrs = "add_constant", {"value": name}
        return self.out.emit(kind, inputs, node.shape, x.fraction, bits, interval, node, attrs, x.opened)

    # ---- forms ------------------------------------------------------------------------------------------------------

    def get(self, form: str, node: Node) -> int:
        """The node in one form, made on first demand."""
        key = (form, node)
        if key not in self.forms:
            make = {"raw": self.make_raw, "full": self.make_full, "opened": self.make_opened}[form]
            self.forms[key] = make(node)
        return self.forms[key]

    def make_raw(self, node: Node) -> int:
        if node in self.native:
            return self.get("full", node) if node.kind in NARROW else self.native[node]
        if is_division(node):
            return self.division(node)
        if node.kind in PAIR:
            return self.structural(node, self.operands(node))
        whole = all(self.has_full(x) for x in node.inputs)
        if node.kind == "concat" and not whole:
            return self.structural(node, self.operands(node))
        parts = [self.get("full" if whole else "raw", x) for x in node.inputs]
        if node.kind == "sumpool" and not whole:
            # A sum that the ring, or the exact truncation behind it, has no room for is one of truncated values.
            bits = bits_for(self.local_interval(node, parts).bound, self.out.tensors[parts[0]].fraction)
            if bits > self.ring - self.has_full(node):
                parts = [self.get("full", x) for x in node.inputs]
        return self.structural(node, parts)

    def operands(self, node: Node) -> list[int]:
        """Of a sum or concatenation: as they are, but for those truncated whose scale would leave it no room in the
        ring."""
        numbers = [self.get("raw", x) for x in node.inputs]
        for number, x in sorted(zip(numbers, node.inputs, strict=True), key=lambda p: -self.out.tensors[p[0]].fraction):
            top = max(self.out.tensors[i].fraction for i in numbers)
            if bits_for(sum(self.interval(i).bound for i in numbers), top) < self.ring:
                break
            if number in numbers:
                numbers[numbers.index(number)] = self.get("full", x)
        return numbers

    def make_full(self, node: Node) -> int:
        if node.kind in NARROW:
            return self.extend(node)
        if node not in self.native and (
            node.kind in SAME_SIZE + ENLARGING or (not is_division(node) and all(self.has_full(x) for x in node.inputs))
        ):
            number = self.structural(node, [self.get("full", x) for x in node.inputs])
        else:
            number = self.get("raw", node)
        extra = self.out.tensors[number].fraction - self.f
        if extra <= 0 or (extra <= LOOSE_BITS and self.loose(node)):
            return number
        if self.untruncated(node, self.interval(number).bound, self.out.tensors[number].fraction):
            return number
        return self.truncate(node, number, exact=True)

    def make_opened(self, node: Node) -> int:
        whole = "opened" in self.wants[node.inputs[0]] if node.inputs else False
        if node not in self.native and (
            node.kind in SAME_SIZE
            or (node.kind == "slice" and whole)
            or (node.kind == "add" and all("opened" in self.wants[x] for x in node.inputs))
        ):
            parts = [self.get("opened", x) for x in node.inputs]
            if len({self.out.tensors[i].fraction for i in parts}) == 1:
                return self.structural(node, parts)
        number = self.get("full", node)
        t = self.out.tensors[number]
        return self.out.emit("open", [number], t.shape, t.fraction, self.ring, self.interval(number), node, opened=True)

    def low(self, node: Node, at_least: int = 0) -> int:
        """The node at scale f with at least so many valid bits."""
        key = (f"low{at_least}", node)
        if key not in self.forms:
            self.forms[key] = self.make_low(node, at_least)
        return self.forms[key]

    def make_low(self, node: Node, at_least: int) -> int:
        if node.kind in NARROW:
            number = self.native[node]
            return number if self.out.tensors[number].bits >= at_least else self.get("full", node)
        local = not (node in self.native or node.kind == "sumpool" or is_division(node))
        if local and not (node.kind in PAIR and (self.raw_is_free(node) or self.check_range)):
            parts = [self.low(x, at_least) for x in node.inputs]
            needed = bits_for(self.local_interval(node, parts).bound, self.f)
            if needed > min(self.out.tensors[i].bits for i in parts):
                parts = [self.low(x, needed) for x in node.inputs]
            return self.structural(node, parts)
        number = self.get("raw", node)
        return number if self.out.tensors[number].fraction <= self.f else self.truncate(node, number, exact=False)

    def truncate(self, node: Node, number: int, exact: bool, fraction: int | None = None) -> int:
        """To scale f or another, by an exchange in the full ring or without a message to fewer bits."""
        t = self.out.tensors[number]
        fraction = self.f if fraction is None else fraction
        shift = t.fraction - fraction
        before = self.interval(number)
        # Off by less than one unit: the floor of both shares, or one more.
        interval = self.tighten(node, before.widen(2.0**-fraction))
        attrs: dict[str, Any] = {"shift": shift}
        limit = self.measured_limit(node)
        if self.check_range and limit is not None:
            bits = bits_for(limit + 2.0**-fraction, fraction)
            if bits < bits_for(interval.bound, fraction):
                attrs["check_bits"] = bits
                interval = interval.clip((2.0 ** (bits - 1) - 1) / 2.0**fraction)
        if exact and bits_for(before.bound, t.fraction) > self.ring - 1:
            self.out.refuse(before, t.fraction, self.ring - 1, node, "truncate")
        bits = self.ring if exact else self.ring - shift
        return self.out.emit("truncate", [number], t.shape, fraction, bits, interval, node, attrs)

    def extend(self, node: Node) -> int:
        """From the few bits that an activation left to the full ring."""
        number = self.native[node]
        t, interval = self.out.tensors[number], self.interval(number)
        attrs = {"bits": t.bits, "signed": not self.never_negative(node)}
        return self.out.emit("extend", [number], t.shape, t.fraction, self.ring, interval, node, attrs)

    def division(self, node: Node) -> int:
        """x / divisor: a power of two only moves the scale; the rest is one public integer factor."""
        divisor = node.attrs["divisor"]
        shift = (divisor & -divisor).bit_length() - 1
        odd = divisor >> shift
        (x,) = node.inputs
        start = "full" if self.has_full(x) else "raw"
        # The factor has f + log2(odd) bits where they fit, at least log2(odd) + 6.
        precisions = [0] if odd == 1 else [math.ceil(math.log2(odd)) + n for n in (self.f, self.f - 4, 8, 6)]
        for form in dict.fromkeys((start, "full")):
            number = self.get(form, x)
            t = self.out.tensors[number]
            for precision in precisions:
                factor = round(2**precision / odd)
                interval = self.interval(number).scaled(factor * 2.0 ** -(precision + shift))
                interval = self.tighten(node, interval)
                fraction = t.fraction + precision + shift
                if bits_for(interval.bound, fraction) < self.ring:
                    attrs = {"factor": factor, "fraction": precision + shift}
                    return self.out.emit("scale", [number], t.shape, fraction, self.ring, interval, node, attrs)
        self.out.refuse(interval, fraction, self.ring - 1, node, "scale")

    # ---- the nodes that compute -------------------------------------------------------------------------------------

    def run(self) -> Emitter:
        """Emits the whole program and returns its emitter."""
        from moiety.private.lower_layers import LAYERS

        for node in self.graph.nodes():
            layer = LAYERS.get("map" if is_map(node) else node.kind)
            if layer is not None:
                self.native[node] = layer(self, node)
        last = self.graph.output
        narrow = last.kind in NARROW or last.kind == "argmax"
        number = self.native[last] if narrow else self.get("raw", last)
        t = self.out.tensors[number]
        self.out.emit("output", [number], t.shape, t.fraction, t.bits, self.interval(number), last)
        return self.out
