"""The graph of a program: public, covered by its hash, checked when it is loaded; its arithmetic and its bounds."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.numpy import save_file
from torch import Tensor, nn

from moiety import private
from moiety.graph import Graph
from moiety.nn import GCNConv
from moiety.private import reference
from moiety.private.execute import sparse_product
from moiety.private.program import HASH_KEY, METADATA_KEY, ProgramError, canonical, file_hash
from moiety.private.ranges import Interval, sparse_interval
from moiety.private.sparse import Sparse, identity


@pytest.fixture
def program() -> private.Program:
    torch.manual_seed(0)
    edges = torch.tensor([[0, 1, 2, 3, 4, 4], [1, 2, 3, 0, 1, 1]])
    x = torch.rand(5, 6)
    layer = GCNConv(6, 3).eval()
    return private.compile(layer, x, calibration=x, graph=Graph.from_edge_index(edges, 5))


def test_the_graph_is_public_and_the_weights_are_not(program: private.Program, tmp_path: Path) -> None:
    client = program.without_weights()
    assert set(client.public) == {"graph0.indptr", "graph1.indices", "graph2.values"}
    assert not client.arrays
    assert client.hash == program.hash
    for each, name in ((program, "server"), (client, "client")):
        each.save(tmp_path / name)
        again = private.load(tmp_path / name)
        assert again.hash == program.hash
        assert again.has_weights == each.has_weights
        for key, array in program.public.items():
            np.testing.assert_array_equal(again.public[key], array)


def test_another_graph_is_another_program(program: private.Program) -> None:
    values = program.public["graph2.values"].copy()
    values[0] += 1
    other = dataclasses.replace(program, public={**program.public, "graph2.values": values})
    other.validate()
    assert other.hash != program.hash
    assert other.weights_hash == program.weights_hash


def test_equal_graphs_are_held_once() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = GCNConv(6, 4), GCNConv(4, 3)

        def forward(self, x: Tensor, graph: Graph) -> Tensor:
            return self.second(self.first(x, graph).relu(), graph)

    x = torch.rand(5, 6)
    made = private.compile(Twice().eval(), x, calibration=x, graph=torch.tensor([[0, 1, 2], [1, 2, 3]]))
    assert sum(op.kind == "spmm" for op in made.ops) == 2
    assert len(made.public) == 3


def swap_pointers(public: dict[str, Any]) -> None:
    public["graph0.indptr"][1] = public["graph0.indptr"][2] + 1


def put(name: str, value: Callable[[np.ndarray[Any, Any]], Any]) -> Callable[[dict[str, Any]], None]:
    def change(public: dict[str, Any]) -> None:
        public[name] = value(public[name])

    return change


BROKEN: dict[str, tuple[Callable[[dict[str, Any]], None], str]] = {
    "index": (put("graph1.indices", lambda a: a + 3), r"expected indices in \[0, 5\)"),
    "negative": (put("graph1.indices", lambda a: a - 3), r"expected indices in \[0, 5\)"),
    "unsorted": (swap_pointers, "expected pointers that rise"),
    "ends": (put("graph0.indptr", lambda a: a[:-1]), "expected at least two pointers, from 0 to"),
    "starts": (put("graph0.indptr", lambda a: a + 1), "expected at least two pointers, from 0 to"),
    "wide": (put("graph1.indices", lambda a: a.astype(np.int64)), "indices of int32, found int64 and int64"),
    "rank": (put("graph1.indices", lambda a: a.reshape(1, -1)), "expected indices to be a vector"),
    "short": (put("graph2.values", lambda a: a[:-1]), r"expected \d+ values, found"),
    "ring": (put("graph2.values", lambda a: a.astype(np.uint32)), "expected uint64 values, found uint32"),
    "rows": (put("graph0.indptr", lambda a: np.append(a, a[-1])), "does not fit"),
    "missing": (lambda public: public.pop("graph2.values"), r"\['graph2.values'\] are missing"),
    "extra": (lambda public: public.update(more=np.zeros(2, np.int64)), r"no operation uses: \['more'\]"),
}


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("weightless", [False, True])
def test_a_broken_graph_is_refused_when_loaded(
    program: private.Program, tmp_path: Path, name: str, weightless: bool
) -> None:
    """A file whose hashes are right all the same: whoever wrote it wrote nonsense."""
    change, reason = BROKEN[name]
    base = program.without_weights() if weightless else program
    public = {key: array.copy() for key, array in base.public.items()}
    change(public)
    broken = dataclasses.replace(base, public=public)
    with pytest.raises(ProgramError, match=reason):
        broken.validate()
    text = canonical(broken.to_json())
    arrays = {**broken.arrays, **broken.public}
    metadata = {METADATA_KEY: text.decode(), HASH_KEY: file_hash(text, arrays)}
    save_file({key: np.ascontiguousarray(array) for key, array in arrays.items()}, tmp_path / "broken", metadata)
    with pytest.raises(ProgramError, match=reason):
        private.load(tmp_path / "broken")


def test_arrays_other_than_described_are_refused(program: private.Program, tmp_path: Path) -> None:
    program.save(tmp_path / "program")
    with safe_open(tmp_path / "program", framework="np") as file:
        metadata = dict(file.metadata())
        arrays = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a mapping)
    arrays["graph2.values"] = arrays["graph2.values"] + np.uint64(1)
    metadata[HASH_KEY] = file_hash(metadata[METADATA_KEY].encode(), arrays)
    save_file(arrays, tmp_path / "program", metadata)
    with pytest.raises(ProgramError, match=r"graph2\.values are not those that the description names"):
        private.load(tmp_path / "program")
    document = json.loads(metadata[METADATA_KEY])
    document["public"].pop("graph2.values")
    text = canonical(document)
    save_file(arrays, tmp_path / "program", {METADATA_KEY: text.decode(), HASH_KEY: file_hash(text, arrays)})
    with pytest.raises(ProgramError, match=r"missing"):
        private.load(tmp_path / "program")


@st.composite
def matrices(draw: st.DrawFn) -> Sparse:
    """Any pattern: empty rows, duplicates, rectangular; ones, whole numbers or fractions of either sign."""
    rows, columns = draw(st.integers(1, 6)), draw(st.integers(1, 6))
    degrees = draw(st.lists(st.integers(0, 5), min_size=rows, max_size=rows))
    entries = sum(degrees)
    indices = draw(st.lists(st.integers(0, columns - 1), min_size=entries, max_size=entries))
    kind = draw(st.sampled_from(["ones", "whole", "real"]))
    values = None
    if kind != "ones":
        number = st.integers(-3, 3) if kind == "whole" else st.floats(-2, 2, width=32)
        values = np.array(draw(st.lists(number, min_size=entries, max_size=entries)), np.float64)
    return Sparse(np.cumsum([0, *degrees]), np.array(indices, np.int64), values, columns)


def dense(matrix: Sparse) -> np.ndarray[Any, Any]:
    full = np.zeros((matrix.rows, matrix.columns))
    np.add.at(full, (matrix.row, matrix.indices), matrix.floats)
    return full


@given(matrices(), matrices(), st.floats(-3, 3))
@settings(max_examples=80, deadline=None)
def test_the_arithmetic_of_matrices(matrix: Sparse, other: Sparse, factor: float) -> None:
    x = np.random.default_rng(0).normal(size=(2, 3, matrix.columns))
    found = matrix.apply(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(found, x @ dense(matrix).T, atol=1e-12)
    np.testing.assert_allclose(dense(matrix.scaled(factor)), factor * dense(matrix), atol=1e-12)
    if matrix.rows == matrix.columns:
        plus = matrix.plus(identity(matrix.rows, factor))
        np.testing.assert_allclose(dense(plus), dense(matrix) + factor * np.eye(matrix.rows), atol=1e-12)
    rows = [np.abs(matrix.floats[matrix.row == i]).sum() for i in range(matrix.rows)]
    assert matrix.reach == pytest.approx(max(rows))
    bits = matrix.fraction(16)
    assert bits == 0 or matrix.values is not None
    assert np.abs(dense(matrix.quantised(bits)) - dense(matrix)).max(initial=0) <= matrix.entries * 2.0**-17


@given(matrices(), st.integers(0, 2**32), st.booleans())
@settings(max_examples=80, deadline=None)
def test_bounds_hold_for_every_row(matrix: Sparse, seed: int, by_node: bool) -> None:
    """The certificate covers the largest row sum, whatever the features are."""
    random = np.random.default_rng(seed)
    shape = (3, matrix.columns if by_node else 1)
    lo = random.normal(size=shape)
    hi = lo + random.exponential(size=shape)
    bound = sparse_interval(Interval(lo, hi, "proved"), matrix)
    corner = random.integers(0, 2, (20, 3, matrix.columns))
    x = np.where(corner == 1, hi, lo)
    y = x @ dense(matrix).T
    assert (bound.lo <= y + 1e-9).all()
    assert (y <= bound.hi + 1e-9).all()


@given(matrices(), st.sampled_from([32, 64]), st.integers(0, 2**32))
@settings(max_examples=60, deadline=None)
def test_shares_and_the_reference_wrap_alike(matrix: Sparse, ring: int, seed: int) -> None:
    """Products of both shares add up to the product of the value, in the ring; the reference computes the same."""
    random = np.random.default_rng(seed)
    unsigned, signed = np.dtype(f"uint{ring}"), np.dtype(f"int{ring}")
    public = {"p": matrix.indptr.astype(np.int64), "i": matrix.indices.astype(np.int32)}
    held = None
    if matrix.values is not None:
        held = "v"
        public["v"] = np.rint(matrix.values * 2**16).astype(np.int64).astype(np.uint64).astype(unsigned)
    op = private.Op("spmm", (0,), 1, {"indptr": "p", "indices": "i", "values": held, "fraction": 16 if held else 0})
    tensors = (private.Tensor((2, matrix.columns), 0, ring), private.Tensor((2, matrix.rows), 16, ring))
    certificate = private.Certificate(1.0)
    made = private.Program(ring, 16, tensors, (private.Op("input", (), 0), op), {}, certificate, public=public)
    shares = random.integers(0, 1 << 32, (2, 4, 2, matrix.columns), np.uint64).astype(unsigned) * unsigned.type(
        2654435761
    )
    total = shares[0] + shares[1]
    both = sparse_product(made, op, shares[0]) + sparse_product(made, op, shares[1])
    np.testing.assert_array_equal(both, sparse_product(made, op, total))
    machine = reference.Machine(made, np.zeros((4, 2, matrix.columns)))
    np.testing.assert_array_equal(machine.sparse(op, total.view(signed)).view(unsigned), both)


def test_matrices_that_are_none_are_refused() -> None:
    pointers, indices = np.array([0, 1, 2]), np.array([0, 1])
    with pytest.raises(ValueError, match="finite values"):
        Sparse(pointers, indices, np.array([1.0, np.nan]), 2)
    with pytest.raises(ValueError, match="2 values, one an entry"):
        Sparse(pointers, indices, np.array([1.0]), 2)
    with pytest.raises(ValueError, match=r"indices in \[0, 1\)"):
        Sparse(pointers, indices, None, 1)
    with pytest.raises(ValueError, match="pointers that rise, found 3 then 2 at row 1"):
        Sparse(np.array([0, 3, 2]), indices, None, 2)
