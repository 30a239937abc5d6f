"""The two-party program: a typed list of operations on integers that a compiled network has become, and its file.

Mathematics and meaning of every operation: docs/engine.md, section 1. This module imports neither torch nor the
compiled core, so that a server or a dealer starts quickly.

The *weightless* part of a program (shapes, scales, compared widths, public constants, the graph of a graph model) is
what a client may have; the arrays (weights, biases, coefficients) and the certificate's bounds stay with the server.
`Program.hash` covers the weightless part only, so both parties compute the same value; `Program.weights_hash` covers
the arrays.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["FORMAT_VERSION", "Certificate", "Op", "Program", "ProgramError", "Tensor", "load"]

FORMAT_VERSION = 3
FORMAT_NAME = "moiety-program"
METADATA_KEY = "moiety.program"
HASH_KEY = "moiety.sha256"
# No program that the compiler makes comes near it; a file that claims more is refused before it is parsed.
MAX_JSON_BYTES = 64 << 20
# Attributes that name arrays: those that the server holds, and those that are public.
HELD = ("weight", "bias", "c2", "c1", "c0", "value")
PUBLIC = ("indptr", "indices", "values", "edge_weights")

Array = npt.NDArray[Any]


class ProgramError(ValueError):
    """A program or its file is not what it should be. The message says what was expected, what came and what to do."""


@dataclass(frozen=True)
class Tensor:
    """One value of the program, without its batch axis.

    The real value is the integer divided by 2**fraction. The parties' shares add up to it mod 2**bits (the upper bits
    of a share are arbitrary). `opened`: the server knows x - B and the client B, instead of additive shares. `bound`
    and `how` are the range certificate's: |real value| <= bound, `how` is "input" (the client checks its own input),
    "proved" (interval arithmetic from the input's bound) or "calibrated" (it rests on measured maxima and their
    margin). Both are empty (None, "") in a program without weights.
    """

    shape: tuple[int, ...]
    fraction: int
    bits: int
    bound: float | None = None
    how: str = ""
    source: str = ""
    opened: bool = False

    @property
    def size(self) -> int:
        """Elements without the batch."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class Op:
    """`tensors[output] = kind(*tensors[inputs])`; `attrs`: see docs/engine.md (JSON values)."""

    kind: str
    inputs: tuple[int, ...]
    output: int
    attrs: Mapping[str, Any] = field(default_factory=dict)
    source: str = ""


@dataclass(frozen=True)
class Certificate:
    """How the program's bounds were obtained; the bounds themselves are in the tensors.

    `input_bound`: the client refuses an input with a larger magnitude (public); of several inputs the largest of their
    bounds, which stand in their operations. `margin_bits`: every calibrated bound
    is 2**margin_bits times the largest magnitude seen. `samples`: calibration images, 0 if none were run. `checked`:
    the program carries `check_bits`, so that the parties find out when an input leaves the certified range.
    `withheld`: the bounds were removed by `without_weights`; what a client sees of them is the compared widths.
    """

    input_bound: float
    margin_bits: int = 2
    samples: int = 0
    checked: bool = False
    withheld: bool = False


@dataclass(frozen=True)
class Program:
    """A compiled network in static single assignment form: ``ops[i].output`` are distinct and only used afterwards.

    `arrays`: name -> ring elements (uint32 or uint64 by `ring`), held by the server only; empty without weights.
    `public`: name -> array of the weightless part: the pattern and coefficients of sparse products.
    `output_kind`: "logits" (real values at any scale) or "class" (an index). `metadata`: free public JSON (class
    names, preprocessing).
    """

    ring: int
    fraction_bits: int
    tensors: tuple[Tensor, ...]
    ops: tuple[Op, ...]
    arrays: Mapping[str, Array]
    certificate: Certificate | None
    output_kind: str = "logits"
    metadata: Mapping[str, Any] = field(default_factory=dict)
    version: int = FORMAT_VERSION
    public: Mapping[str, Array] = field(default_factory=dict)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the ring's elements: uint32 or uint64."""
        return np.dtype(np.uint32 if self.ring == 32 else np.uint64)

    @property
    def inputs(self) -> tuple[Op, ...]:
        """The operations that stand for the client's inputs, in the order in which they are given."""
        return tuple(op for op in self.ops if op.kind == "input")

    @property
    def input_shapes(self) -> tuple[tuple[int, ...], ...]:
        """Of one sample, by input."""
        return tuple(self.tensors[op.output].shape for op in self.inputs)

    @property
    def input_bounds(self) -> tuple[float, ...]:
        """The largest magnitude that the client may give, by input; infinite without a certificate."""
        whole = math.inf if self.certificate is None else self.certificate.input_bound
        return tuple(float(op.attrs.get("bound", whole)) for op in self.inputs)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Of one sample; several inputs are handed around as one row of their elements (`moiety.private.inputs`)."""
        shapes = self.input_shapes
        return shapes[0] if len(shapes) == 1 else (sum(map(math.prod, shapes)),)

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Of one sample's result: () for one class index."""
        return self.tensors[self.ops[-1].output].shape

    @property
    def has_weights(self) -> bool:
        """False for what `without_weights` returned."""
        return not (self.certificate is not None and self.certificate.withheld)

    @property
    def array_names(self) -> tuple[str, ...]:
        """Names of all server-held arrays that the operations refer to, in order of first use."""
        return self._named(HELD)

    @property
    def public_names(self) -> tuple[str, ...]:
        """The same of the public arrays."""
        return self._named(PUBLIC)

    def _named(self, keys: tuple[str, ...]) -> tuple[str, ...]:
        found = (op.attrs.get(key) for op in self.ops for key in keys)
        return tuple(dict.fromkeys(name for name in found if isinstance(name, str)))

    @cached_property
    def _public_digests(self) -> dict[str, str]:
        return {name: str(hash_arrays({name: array}).hexdigest()) for name, array in sorted(self.public.items())}

    @property
    def hash(self) -> str:
        """sha256 of the weightless canonical JSON: the same with and without weights."""
        return hashlib.sha256(canonical(self.public_json())).hexdigest()

    @property
    def weights_hash(self) -> str:
        """sha256 of all arrays (names, shapes, types, elements)."""
        return str(hash_arrays(self.arrays).hexdigest())

    def public_json(self) -> dict[str, Any]:
        """The weightless part as JSON values."""
        return {
            "format": FORMAT_NAME,
            "version": self.version,
            "ring": self.ring,
            "fraction_bits": self.fraction_bits,
            "output_kind": self.output_kind,
            "metadata": dict(self.metadata),
            "certificate": None
            if self.certificate is None
            else {
                "input_bound": self.certificate.input_bound,
                "margin_bits": self.certificate.margin_bits,
                "samples": self.certificate.samples,
                "checked": self.certificate.checked,
            },
            "tensors": [
                {"shape": list(t.shape), "fraction": t.fraction, "bits": t.bits, "source": t.source, "opened": t.opened}
                for t in self.tensors
            ],
            "ops": [
                {
                    "kind": op.kind,
                    "inputs": list(op.inputs),
                    "output": op.output,
                    "attrs": dict(op.attrs),
                    "source": op.source,
                }
                for op in self.ops
            ],
            "public": self._public_digests,
        }

    def to_json(self) -> dict[str, Any]:
        """Everything but the arrays as JSON values: the weightless part (of public arrays their sha256) and, with
        weights, the certificate's bounds."""
        document = self.public_json()
        document["bounds"] = [[t.bound, t.how] for t in self.tensors] if self.has_weights else None
        return document

    def without_weights(self) -> Program:
        """What a client may have: shapes, scales, compared widths, public constants and graphs; no held arrays and no
        bounds."""
        certificate = None if self.certificate is None else dataclasses.replace(self.certificate, withheld=True)
        tensors = tuple(dataclasses.replace(t, bound=None, how="") for t in self.tensors)
        return dataclasses.replace(self, arrays={}, certificate=certificate, tensors=tensors)

    def validate(self) -> None:
        """Raises `ProgramError` unless every operation fits its tensors and arrays and the certificate is there."""
        from moiety.private.validate import validate

        validate(self)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes one safetensors file; the metadata hold the JSON and the hash of JSON and arrays."""
        from safetensors.numpy import save_file

        self.validate()
        text = canonical(self.to_json())
        arrays = {**self.arrays, **self.public}
        metadata = {METADATA_KEY: text.decode(), HASH_KEY: file_hash(text, arrays)}
        # Into a neighbouring file first: a crash leaves no half-written program under the name.
        target = os.fspath(path)
        partial = f"{target}.partial"
        save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, partial, metadata)
        os.replace(partial, target)

    def summary(self) -> str:
        """One line for each operation: kind, inputs, output's shape, scale, bits, bound, module path."""
        lines = [f"ring 2^{self.ring}, {self.fraction_bits} fraction bits, {len(self.ops)} operations"]
        for op in self.ops:
            t = self.tensors[op.output]
            bound = "" if t.bound is None else f" |x| <= {t.bound:.4g} ({t.how})"
            form = "opened" if t.opened else f"{t.bits} bits"
            inputs = ", ".join(f"%{i}" for i in op.inputs)
            shape = "x".join(map(str, t.shape)) or "()"
            lines.append(
                f"%{op.output} = {op.kind}({inputs}): {shape}, 2^-{t.fraction}, {form}{bound}  {op.source}".rstrip()
            )
        return "\n".join(lines)


def canonical(document: Mapping[str, Any]) -> bytes:
    """The one JSON text of a document: sorted keys, no spaces, no NaN."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=True).encode()


def hash_arrays(arrays: Mapping[str, Array]) -> Any:
    """sha256 object over all arrays in order of their names; every part is preceded by its length."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        head = canonical({"name": name, "dtype": array.dtype.str, "shape": list(array.shape)})
        digest.update(len(head).to_bytes(8, "little"))
        digest.update(head)
        digest.update(array.nbytes.to_bytes(8, "little"))
        digest.update(array.reshape(-1).view(np.uint8).data if array.size else b"")
    return digest


def file_hash(text: bytes, arrays: Mapping[str, Array]) -> str:
    """sha256 over the JSON text and all arrays."""
    digest = hash_arrays(arrays)
    digest.update(b"json")
    digest.update(text)
    return str(digest.hexdigest())


def load(path: str | os.PathLike[str]) -> Program:
    """Reads a program that `Program.save` wrote.

    Raises `ProgramError` for a file that is missing, truncated, altered, of another kind or version, or that has no
    range certificate.
    """
    from safetensors import SafetensorError, safe_open

    name = os.fspath(path)
    again = "compile the model again with moiety.private.compile(...).save(...)"
    if not os.path.isfile(name):
        raise ProgramError(f"expected a compiled program at {name}, found no such file: {again}")
    try:
        with safe_open(name, framework="np") as file:
            metadata = dict(file.metadata() or {})
            arrays = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a mapping)
    except (SafetensorError, OSError, ValueError, TypeError, AttributeError) as error:
        raise ProgramError(
            f"{name} is not a whole safetensors file, truncated or altered ({error}): {again}"
        ) from error
    if METADATA_KEY not in metadata or HASH_KEY not in metadata:
        raise ProgramError(f"{name} is a safetensors file but holds no compiled program: {again}")
    text = metadata[METADATA_KEY].encode()
    if len(text) > MAX_JSON_BYTES:
        raise ProgramError(f"{name}: expected at most {MAX_JSON_BYTES} bytes of JSON, found {len(text)}: {again}")
    try:
        document = json.loads(text)
    except ValueError as error:
        raise ProgramError(f"{name}: its description is not JSON, altered ({error}): {again}") from error
    if not isinstance(document, dict) or document.get("format") != FORMAT_NAME:
        raise ProgramError(f"{name}: expected format {FORMAT_NAME!r}: {again}")
    if document.get("version") != FORMAT_VERSION:
        raise ProgramError(
            f"{name}: expected program version {FORMAT_VERSION}, found {document.get('version')!r}: {again}"
        )
    found = file_hash(text, arrays)
    if found != metadata[HASH_KEY]:
        raise ProgramError(f"{name} was altered: expected sha256 {metadata[HASH_KEY]}, found {found}: {again}")
    try:
        program = from_json(document, arrays)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise ProgramError(f"{name}: a field is missing or of a wrong type ({error!r}): {again}") from error
    program.validate()
    return program


def from_json(document: Mapping[str, Any], arrays: Mapping[str, Array]) -> Program:
    """The program of `to_json` (or of `public_json`: then without weights) and its arrays; not yet validated.

    Raises ValueError for public arrays other than the description's."""
    bounds = document.get("bounds")
    tensors = tuple(
        Tensor(
            shape=tuple(int(n) for n in t["shape"]),
            fraction=int(t["fraction"]),
            bits=int(t["bits"]),
            bound=None if bounds is None or bounds[i][0] is None else float(bounds[i][0]),
            how="" if bounds is None else str(bounds[i][1]),
            source=str(t["source"]),
            opened=bool(t["opened"]),
        )
        for i, t in enumerate(document["tensors"])
    )
    ops = tuple(
        Op(str(o["kind"]), tuple(int(i) for i in o["inputs"]), int(o["output"]), dict(o["attrs"]), str(o["source"]))
        for o in document["ops"]
    )
    public = {str(name): arrays[name] for name in document["public"]}
    c = document["certificate"]
    certificate = None
    if c is not None:
        certificate = Certificate(
            float(c["input_bound"]), int(c["margin_bits"]), int(c["samples"]), bool(c["checked"]), bounds is None
        )
    program = Program(
        ring=int(document["ring"]),
        fraction_bits=int(document["fraction_bits"]),
        tensors=tensors,
        ops=ops,
        arrays={name: array for name, array in arrays.items() if name not in public},
        certificate=certificate,
        output_kind=str(document["output_kind"]),
        metadata=dict(document["metadata"]),
        version=int(document["version"]),
        public=public,
    )
    wrong = [name for name, digest in program._public_digests.items() if document["public"][name] != digest]
    if wrong:
        raise ValueError(f"the public arrays {', '.join(wrong)} are not those that the description names")
    return program
