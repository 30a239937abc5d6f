"""`Hypergraph`: where it comes from, what it refuses, what it tells, files."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import scipy.sparse
import torch

import hypergraph_reference as reference
from moiety.graph import Hypergraph

LISTS = [[2, 0, 1], [3, 2], [4], [1, 3, 0, 2]]


def lists_of(hypergraph: Hypergraph) -> list[list[int]]:
    indptr, indices = hypergraph.indptr.tolist(), hypergraph.indices.tolist()
    return [indices[a:b] for a, b in pairwise(indptr)]


def incidence() -> np.ndarray:
    h = np.zeros((6, 4), np.float32)
    for e, members in enumerate(LISTS):
        h[members, e] = e + 1.5  # any number but zero
    return h


def sparse_csr(h: np.ndarray) -> torch.Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch: "Sparse CSR tensor support is in beta state"
        return torch.from_numpy(h).to_sparse_csr()


def test_from_lists_keeps_the_order_of_nodes() -> None:
    hypergraph = Hypergraph.from_lists(6, LISTS)
    assert lists_of(hypergraph) == LISTS
    assert (hypergraph.num_nodes, hypergraph.num_hyperedges, hypergraph.num_incidences) == (6, 4, 10)
    assert hypergraph.indptr.dtype is torch.int64
    assert hypergraph.indices.dtype is torch.int32
    assert hypergraph.weight is None
    assert lists_of(Hypergraph.from_lists(6, [torch.tensor(v) for v in LISTS])) == LISTS
    assert repr(Hypergraph.from_lists(3, [])) == "Hypergraph(nodes=3, hyperedges=0, incidences=0)"


def test_from_dict() -> None:
    named = {name: members for name, members in zip("wxyz", LISTS, strict=True)}
    assert lists_of(Hypergraph.from_dict(6, named)) == LISTS
    weighted = Hypergraph.from_dict(6, named, {"z": 4, "y": 3, "x": 2, "w": 1})
    assert weighted.weight is not None
    assert weighted.weight.tolist() == [1, 2, 3, 4]
    with pytest.raises(ValueError, match="expected a weight of every hyperedge, got none of 'y'"):
        Hypergraph.from_dict(6, named, {"w": 1, "x": 1})


@pytest.mark.parametrize(
    "form",
    [
        lambda h: h,
        torch.from_numpy,
        lambda h: torch.from_numpy(h).to_sparse(),
        sparse_csr,
        scipy.sparse.csr_matrix,
        scipy.sparse.csc_array,
        scipy.sparse.coo_matrix,
    ],
    ids=["array", "tensor", "torch coo", "torch csr", "csr", "csc", "coo"],
)
def test_from_incidence(form: Callable[[np.ndarray], Any]) -> None:
    hypergraph = Hypergraph.from_incidence(form(incidence()), [1, 2, 3, 4])
    assert lists_of(hypergraph) == [sorted(members) for members in LISTS]
    assert hypergraph.num_nodes == 6
    assert hypergraph.weight is not None
    assert hypergraph.weight.dtype is torch.float32


def test_what_hypergraphs_refuse() -> None:
    with pytest.raises(ValueError, match="expected hyperedges of at least one node, got an empty one at 1"):
        Hypergraph.from_lists(6, [[0, 1], [], [2]])
    with pytest.raises(ValueError, match=r"expected nodes in \[0, 6\), got 6 at incidence 2"):
        Hypergraph.from_lists(6, [[0, 1], [6]])
    with pytest.raises(ValueError, match=r"got 4294967296 at incidence 0"):
        Hypergraph.from_lists(6, [[2**32]])
    with pytest.raises(ValueError, match="got node 3 twice in hyperedge 1"):
        Hypergraph.from_lists(6, [[3, 1], [3, 2, 3]])
    with pytest.raises(ValueError, match="got node 1 twice in hyperedge 0"):
        Hypergraph.from_incidence(scipy.sparse.coo_matrix(([1, 1], ([1, 1], [0, 0])), (2, 1)))
    with pytest.raises(ValueError, match=r"expected one weight a hyperedge \(4,\), got \(3,\)"):
        Hypergraph.from_lists(6, LISTS, [1, 2, 3])
    for bad in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match=r"expected finite weights above 0, got .* at hyperedge 2"):
            Hypergraph.from_lists(6, LISTS, [1, 1, bad, 1])
    with pytest.raises(TypeError, match="expected hyperedges of node numbers"):
        Hypergraph.from_lists(6, [["a", "b"]])  # type: ignore[list-item]
    with pytest.raises(TypeError, match=r"expected a SciPy sparse matrix, .* got Tensor \(3,\)"):
        Hypergraph.from_incidence(torch.ones(3))
    with pytest.raises(ValueError, match=r"expected a number of nodes in \[0, 2\^31 - 1\), got -1"):
        Hypergraph.from_lists(-1, [])
    with pytest.raises(TypeError, match=r"expected indices int32, got torch\.int64"):
        Hypergraph(torch.tensor([0, 1]), torch.tensor([0]), 1)


def test_statistics() -> None:
    hypergraph = Hypergraph.from_lists(6, LISTS)
    assert hypergraph.sizes().tolist() == [3, 2, 1, 4]
    assert hypergraph.degrees().tolist() == [2, 2, 3, 2, 1, 0]
    told = hypergraph.statistics()
    assert told["size_mean"] == 2.5
    assert told["size_max"] == 4
    assert told["isolated_nodes"] == 1
    assert told["singletons"] == 1
    assert told["mediator_edges"] == 3 + 1 + 5
    assert told["clique_pairs"] == 3 + 1 + 6
    assert Hypergraph.from_lists(3, []).statistics()["mediator_edges"] == 0


def test_statistics_of_a_published_set(data: Path) -> None:
    """The counts of shared/reference/hyper-zigzag.md, which come from another program."""
    told = reference.load_lists(data, "coauthorship_dblp")[0].statistics()
    assert (told["num_nodes"], told["num_hyperedges"], told["num_incidences"]) == (41302, 22363, 99561)
    assert (told["mediator_edges"], told["clique_pairs"], told["size_max"]) == (132033, 500240, 202)


@pytest.mark.parametrize("weighted", [True, False])
def test_files_and_copies(tmp_path: Path, weighted: bool) -> None:
    hypergraph = Hypergraph.from_lists(6, LISTS, [1, 2, 3, 4] if weighted else None)
    hypergraph.save(tmp_path / "h.safetensors")
    signal = torch.randn(6, 3)
    for other in (Hypergraph.load(tmp_path / "h.safetensors"), pickle.loads(pickle.dumps(hypergraph))):
        assert lists_of(other) == LISTS
        assert other.num_nodes == 6
        a, b = hypergraph.laplacian(signal, projection=1), other.laplacian(signal, projection=1)
        assert torch.equal(a.weight, b.weight)  # type: ignore[arg-type]
    (tmp_path / "other").write_bytes(b"no")
    with pytest.raises(ValueError, match=r"expected a file that Hypergraph\.save wrote"):
        Hypergraph.load(tmp_path / "other")
    hypergraph.incidence.save(tmp_path / "graph")
    with pytest.raises(ValueError, match=r"expected the format 'moiety hypergraph 1' .* got 'moiety graph 1'"):
        Hypergraph.load(tmp_path / "graph")


# --- other libraries --------------------------------------------------------------------------------------------------

NAMED = [["b", "a", "d"], ["d", "c"]]


def of_dhg() -> Hypergraph:
    dhg = pytest.importorskip("dhg", reason="DHG is not installed")
    return Hypergraph.from_dhg(dhg.Hypergraph(4, [[1, 0, 3], [3, 2]]))


def of_xgi() -> Hypergraph:
    found = pytest.importorskip("xgi", reason="XGI is not installed").Hypergraph()
    found.add_nodes_from("abcd")
    found.add_edges_from(NAMED)
    return Hypergraph.from_xgi(found)


def of_toponetx() -> Hypergraph:
    found = pytest.importorskip("toponetx", reason="TopoNetX is not installed").CombinatorialComplex()
    for name in "abcd":
        found.add_cell([name], rank=0)
    for members in NAMED:
        found.add_cell(members, rank=1)
    return Hypergraph.from_toponetx(found)


def stand_ins() -> dict[str, Callable[[], Hypergraph]]:
    """What `from_...` reads of other libraries' objects, for where they are not installed."""
    cells = [(frozenset(members), 0) for members in NAMED]
    members = {name: set(v) for name, v in zip("xy", NAMED, strict=True)}
    edges = SimpleNamespace(members=lambda: list(members.values()))
    return {
        "dhg object": lambda: Hypergraph.from_dhg(SimpleNamespace(num_v=4, e=([(1, 0, 3), (3, 2)], [1.0, 1.0]))),
        "xgi object": lambda: Hypergraph.from_xgi(SimpleNamespace(nodes=list("abcd"), edges=edges)),
        "toponetx object": lambda: Hypergraph.from_toponetx(
            SimpleNamespace(nodes=[frozenset(v) for v in "abcd"], cells=[*cells, frozenset("a")])
        ),
        "hypernetx object": lambda: Hypergraph.from_hypernetx(
            SimpleNamespace(nodes=list("abcd"), incidence_dict=members)
        ),
    }


MAKERS = stand_ins() | {"dhg": of_dhg, "xgi": of_xgi, "toponetx": of_toponetx}


@pytest.mark.parametrize("name", MAKERS)
def test_other_libraries(name: str) -> None:
    hypergraph = MAKERS[name]()
    assert hypergraph.num_nodes == 4
    assert [sorted(members) for members in lists_of(hypergraph)] == [[0, 1, 3], [2, 3]]


def test_objects_of_no_library() -> None:
    for make in (
        Hypergraph.from_dhg,
        Hypergraph.from_xgi,
        Hypergraph.from_toponetx,
        Hypergraph.from_hypernetx,
    ):
        with pytest.raises(TypeError, match="got list"):
            make(LISTS)
