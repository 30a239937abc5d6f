"""The program's file: round trips, and what must be refused."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from compile_helpers import Call, samples
from safetensors import safe_open
from safetensors.numpy import save_file
from torch import nn
from zoo import randomise

from moiety import private
from moiety.private import Program, ProgramError, reference
from moiety.private.program import HASH_KEY, METADATA_KEY, canonical, file_hash, from_json


@pytest.fixture(scope="module")
def program() -> Program:
    """Every kind of array: weights, (border-correct) biases, coefficients, constants."""
    model = Call(
        lambda m, x: m.last(torch.cat([m.w * x * x + x, torch.relu(m.norm(m.conv(x))) + m.w], 1).flatten(1)),
        conv=nn.Conv2d(2, 2, 3, padding=1),
        norm=nn.BatchNorm2d(2),
        w=torch.tensor([0.0, 0.3]).reshape(2, 1, 1),  # with a linear channel the quadratic stays `x2`
        last=nn.Linear(64, 3),
    )
    x = samples((2, 4, 4))
    return private.compile(randomise(model), x, calibration=x, metadata={"classes": ["a", "b", "c"]})


@pytest.fixture
def path(program: Program, tmp_path: Path) -> Path:
    file = tmp_path / "net.moiety"
    program.save(file)
    return file


def rewrite(path: Path, change: Any = None, arrays: Any = None, rehash: bool = True) -> None:
    """Changes the JSON or the arrays of a file; with `rehash` so that the hash fits again."""
    with safe_open(path, framework="np") as file:
        metadata = dict(file.metadata())
        held = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    document = json.loads(metadata[METADATA_KEY])
    if change is not None:
        change(document)
    if arrays is not None:
        arrays(held)
    text = canonical(document)
    metadata[METADATA_KEY] = text.decode()
    if rehash:
        metadata[HASH_KEY] = file_hash(text, held)
    save_file(held, path, metadata)


def test_round_trip(program: Program, path: Path) -> None:
    again = private.load(path)
    assert again.tensors == program.tensors
    assert again.ops == program.ops
    assert again.certificate == program.certificate
    assert again.metadata == {"classes": ["a", "b", "c"]}
    assert (again.hash, again.weights_hash) == (program.hash, program.weights_hash)
    assert set(again.arrays) == set(program.arrays) == set(program.array_names)
    for name, array in program.arrays.items():
        assert again.arrays[name].dtype == np.uint64
        np.testing.assert_array_equal(again.arrays[name], array)
    x = samples((2, 4, 4)).numpy()
    np.testing.assert_array_equal(reference.run(again, x), reference.run(program, x))
    assert not path.with_name(f"{path.name}.partial").exists()


def test_without_weights(program: Program, tmp_path: Path) -> None:
    client = program.without_weights()
    assert client.hash == program.hash
    assert not client.arrays
    assert not client.has_weights
    assert all(t.bound is None and t.how == "" for t in client.tensors)
    file = tmp_path / "client.moiety"
    client.save(file)
    again = private.load(file)
    assert again == client
    assert again.input_shape == (2, 4, 4)
    assert again.output_shape == (3,)
    assert file.stat().st_size < 20_000
    with pytest.raises(ValueError, match="no weights"):
        reference.run(again, samples((2, 4, 4)).numpy())
    assert from_json(json.loads(canonical(program.public_json())), {}) == client


def test_hashes_follow_what_they_cover(program: Program) -> None:
    name = program.array_names[0]
    changed = {**program.arrays, name: program.arrays[name] + np.uint64(1)}
    other = dataclasses.replace(program, arrays=changed)
    assert other.hash == program.hash
    assert other.weights_hash != program.weights_hash
    renamed = dataclasses.replace(program, metadata={})
    assert renamed.hash != program.hash
    assert renamed.weights_hash == program.weights_hash


def test_missing_and_foreign_files(tmp_path: Path) -> None:
    with pytest.raises(ProgramError, match="found no such file: compile the model again"):
        private.load(tmp_path / "absent.moiety")
    with pytest.raises(ProgramError, match="no such file"):
        private.load(tmp_path)
    for name, content in (("empty", b""), ("text", b"hello, this is no model"), ("pickle", b"\x80\x04K\x01.")):
        file = tmp_path / name
        file.write_bytes(content)
        with pytest.raises(ProgramError, match="not a whole safetensors file"):
            private.load(file)
    other = tmp_path / "weights.safetensors"
    save_file({"w": np.zeros(3, np.float32)}, other)
    with pytest.raises(ProgramError, match="holds no compiled program"):
        private.load(other)


def test_truncated_at_any_place(path: Path) -> None:
    whole = path.read_bytes()
    for length in {0, 1, 7, 8, 9, 100, len(whole) // 2, len(whole) - 8, len(whole) - 1}:
        path.write_bytes(whole[:length])
        with pytest.raises(ProgramError):
            private.load(path)


def test_any_altered_byte(path: Path) -> None:
    whole = path.read_bytes()
    for place in np.random.default_rng(0).integers(0, len(whole), 60).tolist():
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x10]) + whole[place + 1 :])
        with pytest.raises(ProgramError):
            private.load(path)


def test_altered_without_a_new_hash(path: Path) -> None:
    def double(arrays: dict[str, np.ndarray]) -> None:
        name = next(iter(arrays))
        arrays[name] = arrays[name] * np.uint64(2)

    rewrite(path, arrays=double, rehash=False)
    with pytest.raises(ProgramError, match="was altered: expected sha256"):
        private.load(path)


def test_other_version(path: Path) -> None:
    rewrite(path, lambda d: d.update(version=99))
    with pytest.raises(ProgramError, match="expected program version 3, found 99"):
        private.load(path)


def op_of(document: dict[str, Any], kind: str) -> dict[str, Any]:
    return next(op for op in document["ops"] if op["kind"] == kind)


def swap(document: dict[str, Any]) -> None:
    document["ops"].insert(1, document["ops"].pop(-2))


MALFORMED = {
    "no certificate": (lambda d: d.update(certificate=None), "no range certificate"),
    "no bound": (lambda d: d["bounds"][3].__setitem__(0, None), "no range certificate"),
    "bound too large": (lambda d: d["bounds"][3].__setitem__(0, 1e30), "does not fit"),
    "input bound": (lambda d: d["certificate"].update(input_bound=0), "positive input bound"),
    "ring": (lambda d: d.update(ring=48), "ring of 32 or 64"),
    "fraction": (lambda d: d.update(fraction_bits=0), "fraction bits"),
    "format": (lambda d: d.update(format="other"), "expected format"),
    "output": (lambda d: d.update(output_kind="top5"), "output kind"),
    "field": (lambda d: d.pop("ops"), "a field is missing"),
    "order": (swap, "used before it is defined"),
    "twice": (lambda d: d["ops"][2].update(output=1), "defined twice|used before|opened"),
    "kind": (lambda d: op_of(d, "relu").update(kind="gelu"), "unknown kind"),
    "attribute": (lambda d: op_of(d, "relu")["attrs"].pop("bits"), "attribute is missing"),
    "bits": (lambda d: op_of(d, "relu")["attrs"].update(bits=60), "at least 60 bits"),
    "shift": (lambda d: op_of(d, "truncate")["attrs"].update(shift=17), "shift 17 does not fit"),
    "conv": (lambda d: op_of(d, "linear")["attrs"]["conv"].update(padding=[0, 0, 0]), "does not fit"),
    "groups": (lambda d: op_of(d, "linear")["attrs"]["conv"].update(groups=3), "3 groups"),
    "layer": (lambda d: op_of(d, "linear")["attrs"].update(layer=7), "not numbered"),
    "scale": (lambda d: op_of(d, "linear")["attrs"].update(weight_fraction=3), "scale differs"),
    "opened": (lambda d: d["tensors"][op_of(d, "open")["output"]].update(opened=False), "expected opened=True"),
    "array": (lambda d: op_of(d, "x2")["attrs"].update(c2="nothing"), "is missing"),
    "shape": (lambda d: d["tensors"][0].update(shape=[2, 4, -4]), "shape"),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_programs_are_refused(path: Path, name: str) -> None:
    change, message = MALFORMED[name]
    rewrite(path, change)
    with pytest.raises(ProgramError, match=message):
        private.load(path)


def test_arrays_are_checked(path: Path, program: Program) -> None:
    name = program.array_names[0]
    rewrite(path, arrays=lambda held: held.pop(name))
    with pytest.raises(ProgramError, match="is missing"):
        private.load(path)
    program.save(path)
    rewrite(path, arrays=lambda held: held.update({name: held[name].astype(np.uint32)}))
    with pytest.raises(ProgramError, match="expected uint64, found uint32"):
        private.load(path)
    program.save(path)
    rewrite(path, arrays=lambda held: held.update(extra=np.zeros(1, np.uint64)))
    with pytest.raises(ProgramError, match=r"no operation uses: \['extra'\]"):
        private.load(path)


def test_loading_imports_neither_torch_nor_more_than_numpy(path: Path) -> None:
    code = (
        "import sys; from moiety import private; from moiety.private import reference; "
        f"p = private.load({str(path)!r}); import numpy as np; reference.run(p, np.zeros((1, 2, 4, 4))); "
        "assert 'torch' not in sys.modules; print(p.hash)"
    )
    root = str(Path(private.__file__).parents[2])
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={"PYTHONPATH": root, "PATH": ""}
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == private.load(path).hash


def test_summary_names_every_operation(program: Program) -> None:
    text = program.summary()
    assert all(f"%{op.output} = {op.kind}(" in text for op in program.ops)
    assert "calibrated" in text
    assert "calibrated" not in program.without_weights().summary()
