"""Golden vectors for every kernel of `hls/`, written by the engine: what it computed on a photograph of the demo.

Where the shipped networks have a layer for a kernel, the vectors are that whole layer of a recorded inference: both
parties' shares, correlations, messages and results; the sparse product's are of a graph convolution
(`vectors_graph.py`). Where they have none (x2 with its coefficients, max pooling, the
bit of a comparison by itself), the engine's protocol runs once more on the shares of a layer of theirs.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from moiety._core import crypto, mpc
from moiety.private.plan import layers
from moiety.private.program import Op, Program

from .record import Correlation, Half, Recording, expand, prg, record, run_pair, seed_of, tile_planes
from .tournament import tournament
from .vectorfile import VERSION, Vectors, VectorsError
from .vectors_graph import scheduled_graph, spmm_vectors

__all__ = ["KERNELS", "MANIFEST", "demo_program", "demo_recording", "manifest", "write"]

KERNELS = (
    "linear_tile",
    "square",
    "x2act",
    "truncate",
    "extend",
    "compare",
    "relu",
    "maxpool",
    "avgpool",
    "spmm",
    "aes_prg",
    "ot_pad",
    "scheduler_searched",
    "scheduler_x2",
    "scheduler_graph",
)
MANIFEST = "vectors.json"
LEAST = 4096  # vectors a kernel
TILE = 4096  # elements of a comparison's tile
Variant = Literal["searched", "x2"]
Array = npt.NDArray[Any]
Body = Callable[[Any, Half], Array]


@cache
def demo_program(variant: Variant) -> Program:
    """The shipped network, compiled as the demo does."""
    import torch

    from moiety import private
    from moiety.demo.assets import load_network

    model, metadata = load_network(variant)
    return private.compile(model, torch.zeros(1, 3, 32, 32), calibration=metadata["activation_bounds"])


@cache
def demo_recording(variant: Variant) -> Recording:
    """The engine's inference of the first shipped photograph."""
    from moiety.data.images import preprocess
    from moiety.demo.assets import photos

    return record(demo_program(variant), preprocess(photos()[0]), f"demo {variant}")


def write(directory: Path, kernels: Sequence[str] = KERNELS) -> dict[str, Any]:
    """Writes `<kernel>.vec` for each kernel and the manifest; returns the manifest.

    Raises ValueError for a kernel that there is not.
    """
    unknown = sorted(set(kernels) - set(_MAKERS))
    if unknown:
        raise ValueError(f"there is no kernel {', '.join(unknown)}: expected some of {', '.join(KERNELS)}")
    directory.mkdir(parents=True, exist_ok=True)
    files = {}
    for kernel in kernels:
        made = _MAKERS[kernel]()
        made.save(directory / f"{kernel}.vec")
        files[kernel] = {"program": made.program, "source": made.source, "ring": made.ring, "values": dict(made.values)}
    document = {"format": "moiety-vectors", "version": VERSION, "kernels": {**_known(directory), **files}}
    (directory / MANIFEST).write_text(json.dumps(document, indent=2) + "\n")
    return document


def _known(directory: Path) -> dict[str, Any]:
    """The kernels that a manifest lists already, of this version."""
    try:
        return dict(manifest(directory)["kernels"])
    except VectorsError:
        return {}


def manifest(directory: Path) -> dict[str, Any]:
    """The manifest of a directory of vectors. Raises VectorsError where there is none of this version."""
    again = "write the vectors with moiety hls vectors"
    try:
        document = json.loads((directory / MANIFEST).read_text())
        version = document["version"]
    except (OSError, ValueError, KeyError, TypeError):
        raise VectorsError(f"expected golden vectors in {directory}, found no {MANIFEST}: {again}") from None
    if version != VERSION:
        raise VectorsError(f"{directory}: expected vectors of version {VERSION}, found {version}: {again}")
    return dict(document)


# Layers of the recorded inferences


def _layer(recording: Recording, kind: str, least: int = LEAST, **attrs: Any) -> tuple[int, Op]:
    """The first operation of a kind with enough elements."""
    for index, op in enumerate(recording.program.ops):
        size = recording.program.tensors[op.inputs[0] if op.inputs else op.output].size
        if op.kind == kind and size >= least and all(op.attrs.get(k) == v for k, v in attrs.items()):
            return index, op
    raise ValueError(f"expected a {kind} of at least {least} elements in the network")


def _vectors(recording: Recording, kernel: str, source: str, n: int, values: dict[str, int], halves: Any) -> Vectors:
    """Both parties' arrays under their names."""
    arrays: dict[str, Array] = {}
    for half, named in halves:
        arrays |= {f"{'server' if half.server else 'client'}.{name}": array for name, array in named.items()}
    program = recording.program
    return Vectors(kernel, program.ring, program.hash, source, {"n": n, **values}, arrays)


def _elements(message: bytes, ring: int) -> Array:
    return np.frombuffer(message, f"<u{ring // 8}")


def _linear() -> Vectors:
    recording = demo_recording("searched")
    program = recording.program
    index, op = _layer(recording, "linear", 16384)
    x, conv = op.inputs[0], op.attrs["conv"]
    layer = [each for each, _, _ in layers(program)].index(op)
    mask = recording.plan.specs[recording.plan.first[index]]["masks"][0]
    opened = next(i for i, first in recording.plan.first.items() if first == mask)
    shape = program.tensors[op.output].shape
    extents = [*[1] * (4 - len(shape)), *shape[1:]]
    values = {"in_channels": conv["in_channels"], "out_channels": conv["out_channels"], "groups": conv["groups"]}
    for key, triple in (*((k, conv[k]) for k in ("in", "kernel", "stride", "padding", "dilation")), ("out", extents)):
        values |= {f"{key}{axis}": n for axis, n in enumerate(triple)}
    halves = []
    for half in recording.halves:
        known = recording.correlation(half, index).ring
        named: dict[str, Array] = {"w": half.weights[layer], "c": known, "y": recording.share(half, op.output)}
        if half.server:
            named |= {"x": recording.share(half, x), "bias": np.ascontiguousarray(program.arrays[op.attrs["bias"]])}
        else:
            named["x"] = recording.correlation(half, opened).ring
        halves.append((half, {name: np.asarray(array).reshape(-1) for name, array in named.items()}))
    bias = program.arrays[op.attrs["bias"]]
    values["bias"] = 1 if bias.size == conv["out_channels"] else 2
    return _vectors(recording, "linear_tile", op.source, program.tensors[op.output].size, values, halves)


def _square() -> Vectors:
    recording = demo_recording("x2")
    ring = recording.program.ring
    index, op = _layer(recording, "square")
    halves = []
    for half in recording.halves:
        c = recording.correlation(half, index)
        named = {"x": recording.share(half, op.inputs[0]), "own": c.ring, "ab": c.share}
        named |= {"message": _elements(half.messages[index][0], ring), "y": recording.share(half, op.output)}
        halves.append((half, named))
    return _vectors(recording, "square", op.source, recording.program.tensors[op.output].size, {}, halves)


def _wrap(kind: str, variant: Variant) -> Vectors:
    recording = demo_recording(variant)
    index, op = next(
        (i, each)
        for i, each in enumerate(recording.program.ops)
        if each.kind == kind and i in recording.plan.first and recording.program.tensors[each.output].size >= LEAST
    )
    halves = []
    for half in recording.halves:
        c = recording.correlation(half, index)
        named = {"x": recording.share(half, op.inputs[0]), "own": c.bits, "uv": c.share}
        named |= {"message": _elements(half.messages[index][0], 64), "y": recording.share(half, op.output)}
        halves.append((half, named))
    values = {"shift": op.attrs.get("shift", 0), "bits": op.attrs.get("bits", 0)}
    values["signed"] = int(op.attrs.get("signed", False))
    return _vectors(recording, "truncate", op.source, recording.program.tensors[op.output].size, values, halves)


# Comparisons, tile by tile


def comparison(c: Correlation, bits: int, n: int, hops: Sequence[bytes]) -> dict[str, Array]:
    """One party's material and messages of a comparison, in the order in which the kernel takes and makes them: for
    every tile its own input masks, the wires' masks and the products; delta, beta, beta*delta by element; for every
    tile its part of every hop, the packed operand padded to whole words."""
    sections = zip(*(tile_planes(section, n) for section in (c.bits, c.masks, c.products)), strict=True)
    select = [c.beta]
    if c.delta:
        select = [c.delta[0], c.beta, c.beta_delta[0]]
    words = -(-n // 64)
    planes, *levels = mpc.circuit_planes(bits)
    masked = np.frombuffer(hops[0][: 8 * words * planes], "<u8")
    packed = hops[0][8 * words * planes :]
    size = len(packed) // n
    parts = []
    opened = [tile_planes(np.frombuffer(hop, "<u8"), n) for hop in hops[1:]]
    assert [sum(map(len, level)) for level in opened] == [words * count for count in levels]
    for tile, first in enumerate(tile_planes(masked, n)):
        own = packed[TILE * size * tile : TILE * size * (tile + 1)]
        parts += [first, np.frombuffer(own + bytes(-len(own) % 8), "<u8"), *(level[tile] for level in opened)]
    return {
        "material": np.concatenate([part for sections_of in sections for part in sections_of]),
        "select": np.stack(select, axis=1).reshape(-1),
        "message": np.concatenate(parts),
    }


def _relu() -> Vectors:
    recording = demo_recording("searched")
    index, op = _layer(recording, "relu")
    bits, n = op.attrs["bits"], recording.program.tensors[op.output].size
    halves = []
    for half in recording.halves:
        named = comparison(recording.correlation(half, index), bits, n, half.messages[index])
        named |= {"x": recording.share(half, op.inputs[0]), "y": recording.share(half, op.output)}
        halves.append((half, named))
    return _vectors(recording, "relu", op.source, n, {"bits": bits}, halves)


# Protocols that run once more, on the shares of a layer


def _again(
    recording: Recording, label: str, specs: list[dict[str, Any]], body: Body, layer_weights: Sequence[Array] = ()
) -> list[tuple[Half, Array, list[bytes]]]:
    """Runs a protocol on fresh correlations: each party's half, result and messages."""
    results: dict[bool, Array] = {}
    messages: dict[bool, list[bytes]] = {}

    def run(party: Any, tap: Any, half: Half) -> None:
        ours = recording.server if half.server else recording.client
        results[half.server] = body(party, ours)
        messages[half.server] = tap.messages()

    halves = run_pair(recording.program.ring, specs, label, layer_weights, run)
    return [(half, results[half.server], messages[half.server]) for half in halves]


def _drive(party: Any, task: int) -> Array:
    while not party.done(task):
        party.step()
    result: Array = party.result(task)
    return result


def _compare() -> Vectors:
    recording = demo_recording("searched")
    ring = recording.program.ring
    _, op = _layer(recording, "relu")
    bits, n = op.attrs["bits"], recording.program.tensors[op.output].size
    spec = {"kind": "circuit", "n": n, "bits": bits, "indicator_bits": ring}
    runs = _again(
        recording,
        "compare",
        [spec],
        lambda party, half: _drive(party, party.indicator(0, recording.share(half, op.inputs[0]))),
    )
    halves = []
    for half, y, messages in runs:
        ours = recording.server if half.server else recording.client
        named = comparison(expand(spec, 0, half.server, half.seed, half.dealt[0], ring), bits, n, messages)
        halves.append((half, {**named, "x": recording.share(ours, op.inputs[0]), "y": y}))
    return _vectors(recording, "compare", op.source, n, {"bits": bits}, halves)


def _x2act() -> Vectors:
    recording = demo_recording("x2")
    program = recording.program
    ring = program.ring
    _, op = _layer(recording, "square")
    shape, n = program.tensors[op.inputs[0]].shape, program.tensors[op.inputs[0]].size
    channels, inner = shape[0], n // shape[0]
    # Fresh coefficients by channel: the compiled network holds them no more, its squares are completed.
    c2, c1, c0 = (prg(seed_of(f"x2act {i}"), 0, channels, program.dtype) for i in range(3))
    conv = {"in_channels": channels, "out_channels": channels, "groups": channels, "in": [1, 1, inner]}
    specs: list[dict[str, Any]] = [
        {"kind": "cross", "n": n},
        {"kind": "mask", "n": n},
        {"kind": "linear", "n": n, "conv": conv, "layer": 0, "masks": [1]},
    ]

    def body(party: Any, half: Half) -> Array:
        coefficients = [c2, c1, c0] if half.server else None
        return _drive(party, party.x2(0, recording.share(half, op.inputs[0]), coefficients, channels, inner))

    halves = []
    for half, y, messages in _again(recording, "x2act", specs, body, [c2]):
        ours = recording.server if half.server else recording.client
        cross, mask, known = (
            expand(spec, i, half.server, half.seed, half.dealt[i], ring) for i, spec in enumerate(specs)
        )
        sent = _elements(messages[0], ring)
        named = {"x": recording.share(ours, op.inputs[0]), "own": cross.ring, "ab": cross.share, "y": y}
        named |= {"message": sent[:n], "linear": known.ring}
        if half.server:
            named |= {"c2": c2, "c1": c1, "c0": c0}
        else:
            named |= {"mask": mask.ring, "squares": sent[n:]}
            # Offline the client adds E * B, its product with the masked coefficients.
            named["linear"] = known.ring + np.repeat(half.weights[0], inner) * mask.ring
        halves.append((half, named))
    return _vectors(recording, "x2act", op.source, n, {"channels": channels, "inner": inner}, halves)


def _maxpool() -> Vectors:
    """Windows of 3 x 3 with stride 2 and padding, as in a ResNet's stem: they overlap, borders have fewer entries."""
    recording = demo_recording("searched")
    ring = recording.program.ring
    _, op = _layer(recording, "relu")
    channels, height, width = recording.program.tensors[op.inputs[0]].shape
    bits = op.attrs["bits"] + 1  # of differences
    axes = [(n, 3, 2, 1, 1, (n - 1) // 2 + 1) for n in (height, width)]
    counts = mpc.pool_comparisons(channels, axes)
    specs = [{"kind": "circuit", "n": n, "bits": bits, "operands": [bits], "self_operand": True} for n in counts]
    runs = _again(
        recording,
        "maxpool",
        specs,
        lambda party, half: _drive(party, party.maxpool(0, recording.share(half, op.inputs[0]), channels, axes)),
    )
    tables = [tournament(*axis) for axis in reversed(axes)]  # the last axis first
    values = {"channels": channels, "height": height, "width": width, "bits": bits}
    arrays: dict[str, Array] = {}
    for axis, (levels, winners) in enumerate(tables):
        values |= {f"levels{axis}": len(levels), f"out{axis}": len(winners)}
        arrays[f"winners{axis}"] = np.array(winners, np.uint32)
        arrays |= {f"pairs{axis}.{i}": np.array(level, np.uint32).reshape(-1) for i, level in enumerate(levels)}
    per_request = len(mpc.circuit_planes(bits))
    halves = []
    for half, y, messages in runs:
        ours = recording.server if half.server else recording.client
        named = {"x": recording.share(ours, op.inputs[0]), "y": y}
        for i, spec in enumerate(specs):
            hops = messages[per_request * i : per_request * (i + 1)]
            c = expand(spec, i, half.server, half.seed, half.dealt[i], ring)
            named |= {f"{name}{i}": array for name, array in comparison(c, bits, counts[i], hops).items()}
        halves.append((half, named))
    made = _vectors(recording, "maxpool", op.source, sum(counts), values, halves)
    return replace(made, arrays={**arrays, **made.arrays})


def _avgpool() -> Vectors:
    """The network's own average over 4 x 4, the whole layer."""
    recording = demo_recording("searched")
    program = recording.program
    _, op = _layer(recording, "sumpool", LEAST // 2)  # of each of two parties
    x, y = program.tensors[op.inputs[0]], program.tensors[op.output]
    values = {"planes": x.shape[0]}
    for key in ("kernel", "stride", "padding"):
        values |= {f"{key}{axis}": n for axis, n in enumerate(op.attrs[key])}
    for key, shape in (("in", x.shape), ("out", y.shape)):
        values |= {f"{key}{axis}": n for axis, n in enumerate([*[1] * (4 - len(shape)), *shape[1:]])}
    halves = [
        (half, {"x": recording.share(half, op.inputs[0]), "y": recording.share(half, op.output)})
        for half in recording.halves
    ]
    return _vectors(recording, "avgpool", op.source or op.kind, x.size, values, halves)


# Symmetric kernels


def _aes_prg() -> Vectors:
    """The mask B of the network's first opening, as the client draws it."""
    recording = demo_recording("searched")
    index, op = _layer(recording, "open", 2 * LEAST)
    request = recording.plan.first[index]
    blocks = prg(recording.client.seed, 256 * request, 16 * LEAST, np.uint8).reshape(-1, 16)
    mask = recording.correlation(recording.client, index).ring
    assert mask.view(np.uint8)[: blocks.size].tobytes() == blocks.tobytes()
    key = np.frombuffer(recording.client.seed, np.uint8).reshape(1, 16)
    arrays: dict[str, Array] = {"key": key, "nonce": np.array([256 * request], np.uint64), "blocks": blocks}
    program = recording.program
    return Vectors("aes_prg", program.ring, program.hash, op.source or op.kind, {"n": LEAST}, arrays)


def _ot_pad() -> Vectors:
    """The bit products of the network's first extension, from correlated OT instead of the dealer: its own bits u and
    v, pads from the core's hash."""
    recording = demo_recording("searched")
    index, op = _layer(recording, "extend")
    n = recording.program.tensors[op.output].size
    bits = recording.program.ring - op.attrs["bits"]
    u, v = (recording.correlation(half, index).bits for half in recording.halves)
    q = prg(seed_of("ot rows"), 0, 16 * n, np.uint8).reshape(-1, 16)
    delta = prg(seed_of("ot delta"), 0, 16, np.uint8).reshape(1, 16)
    bit = np.unpackbits(np.stack([u, v]).view(np.uint8), axis=1, bitorder="little")[:, :n]
    t = q ^ (delta * bit[1][:, None])
    tweak = 1 << 40

    def pad(rows: Array) -> Array:
        out = np.empty_like(rows)
        crypto.hash(np.ascontiguousarray(rows), tweak, out)
        return np.ascontiguousarray(out[:, :8]).view(np.uint64).reshape(-1)

    mask = np.uint64((1 << bits) - 1)
    m0, m1 = pad(q), pad(q ^ delta)
    corrections = (bit[0].astype(np.uint64) + m0 - m1) & mask
    server = (np.uint64(0) - m0) & mask
    client = (pad(t) + bit[1] * corrections) & mask
    # What a bit product is: the shares add up to u * v.
    assert (((server + client) & mask) == (bit[0] & bit[1])).all()
    arrays = {"delta": delta, "tweak": np.array([tweak], np.uint64), "message": corrections}
    arrays |= {"server.rows": q, "server.inputs": u, "server.share": server}
    arrays |= {"client.rows": t, "client.inputs": v, "client.share": client}
    program = recording.program
    return Vectors("ot_pad", program.ring, program.hash, op.source, {"n": n, "bits": bits}, arrays)


def _scheduled(variant: Variant) -> Vectors:
    """The whole network on two boards, by a schedule for two ZCU104, whose DSPs make 160 products of 64 bits."""
    from moiety.cost.fpga_machine import Lanes, Machine

    from .image import scheduler_vectors
    from .schedule import schedule

    machine = Machine(lanes=Lanes(out=32, pix=5), tile=2048)
    return scheduler_vectors(demo_recording(variant), schedule(demo_program(variant), machine))


_MAKERS: dict[str, Callable[[], Vectors]] = {
    "linear_tile": _linear,
    "square": _square,
    "x2act": _x2act,
    "truncate": lambda: _wrap("truncate", "x2"),
    "extend": lambda: _wrap("extend", "searched"),
    "compare": _compare,
    "relu": _relu,
    "maxpool": _maxpool,
    "avgpool": _avgpool,
    "spmm": spmm_vectors,
    "aes_prg": _aes_prg,
    "ot_pad": _ot_pad,
    "scheduler_searched": lambda: _scheduled("searched"),
    "scheduler_x2": lambda: _scheduled("x2"),
    "scheduler_graph": scheduled_graph,
}
