"""moiety.graph.Graph: every way in gives the same matrix; what is wrong is refused before any kernel runs."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.sparse
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from moiety.graph import Graph
from moiety.ops import spmm
from random_graphs import dense, edge_lists, random_graph


def matrix(rows: int = 23, cols: int = 17, seed: int = 0) -> scipy.sparse.csr_matrix:
    return scipy.sparse.random(rows, cols, 0.15, format="csr", random_state=seed)


@settings(max_examples=40, deadline=None)
@given(edge_lists(), st.booleans())
def test_edge_lists_become_rows(case: tuple[int, int, torch.Tensor], weighted: bool) -> None:
    rows, cols, edge_index = case
    weight = torch.randn(edge_index.shape[1], dtype=torch.float64) if weighted else None
    graph = Graph.from_edge_index(edge_index, rows, weight, cols)
    assert graph.indptr.dtype is torch.int64
    assert graph.indices.dtype is torch.int32
    values = torch.ones(edge_index.shape[1], dtype=torch.float64) if weight is None else weight
    wanted = torch.zeros(rows, cols, dtype=torch.float64).index_put((edge_index[1], edge_index[0]), values, True)
    torch.testing.assert_close(dense(graph), wanted)
    # Sorted by target, then source, then position; edge_order says where each came from.
    order = torch.arange(graph.num_edges) if graph.edge_order is None else graph.edge_order
    assert torch.equal(edge_index[:, order], graph.edge_index)
    keys = graph.edge_index[1] * cols + graph.edge_index[0]
    assert (keys.diff() >= 0).all()
    assert (order.diff()[keys.diff() == 0] > 0).all()
    torch.testing.assert_close(graph.to_csr_order(values), values[order])
    assert torch.equal(graph.in_degrees(), torch.bincount(edge_index[1], minlength=rows))
    assert torch.equal(graph.out_degrees(), torch.bincount(edge_index[0], minlength=cols))


@settings(max_examples=40, deadline=None)
@given(edge_lists())
def test_transpose_turns_every_edge_round(case: tuple[int, int, torch.Tensor]) -> None:
    rows, cols, edge_index = case
    graph = Graph.from_edge_index(edge_index, rows, torch.randn(edge_index.shape[1]), cols)
    turned = graph.transpose()
    assert turned is graph.transpose()
    assert turned.transpose() is graph
    torch.testing.assert_close(dense(turned), dense(graph).T)
    indptr, indices, position = graph.csc
    assert torch.equal(indptr, turned.indptr)
    assert torch.equal(graph.edge_index[1][position], indices.long())
    order = torch.arange(turned.num_edges) if turned.edge_order is None else turned.edge_order
    assert torch.equal(edge_index.flip(0)[:, order], turned.edge_index)


@pytest.mark.filterwarnings("ignore:Sparse CS. tensor support is in beta")
def test_scipy_and_torch_forms() -> None:
    a = matrix()
    wanted = torch.from_numpy(a.toarray())
    for form in (a, a.tocsc(), a.tocoo(), a.tolil(), scipy.sparse.csr_array(a), a.astype(np.float32)):
        torch.testing.assert_close(dense(Graph.from_scipy(form)), wanted.to(torch.float64), rtol=1e-6, atol=1e-6)
    coo = wanted.to_sparse_coo()
    for form in (coo, wanted.to_sparse_csr(), wanted.to_sparse_csc(), torch.cat([coo, coo], 1).coalesce()):
        graph = Graph.from_torch(form)
        torch.testing.assert_close(dense(graph), form.to_dense())
    uncoalesced = torch.sparse_coo_tensor(
        torch.tensor([[0, 0], [1, 1]]), torch.tensor([1.0, 2.0]), (2, 3), check_invariants=True
    )
    assert Graph.from_torch(uncoalesced).num_edges == 2
    assert dense(Graph.from_torch(uncoalesced))[0, 1] == 3
    narrow = Graph.from_csr(a.indptr.astype(np.int32), a.indices.astype(np.int64), a.data, 17)
    torch.testing.assert_close(dense(narrow), wanted)
    assert Graph.from_scipy(a.astype(bool)).weight.dtype is torch.float32  # type: ignore[union-attr]


def test_objects_of_other_libraries() -> None:
    edge_index = torch.tensor([[0, 1, 2, 2], [1, 2, 0, 1]])
    data = SimpleNamespace(edge_index=edge_index, num_nodes=4, edge_weight=torch.tensor([1.0, 2.0, 3.0, 4.0]))
    graph = Graph.from_pyg(data)
    assert dense(graph)[1].tolist() == [1.0, 0.0, 4.0, 0.0]
    block = SimpleNamespace(
        edges=lambda: (edge_index[0], edge_index[1]),
        num_src_nodes=lambda: 5,
        num_dst_nodes=lambda: 3,
        edata={"w": torch.tensor([[1.0], [2.0], [3.0], [4.0]])},
        is_block=True,
    )
    made = Graph.from_dgl(block, weight="w")
    assert (made.num_rows, made.num_cols) == (3, 5)
    torch.testing.assert_close(dense(made)[:, :4], dense(graph)[:3])


def test_real_objects_of_pyg() -> None:
    data = pytest.importorskip("torch_geometric.data", reason="torch_geometric is not installed")
    edge_index = torch.tensor([[0, 1, 2], [1, 2, 0]])
    graph = Graph.from_pyg(data.Data(x=torch.ones(4, 2), edge_index=edge_index))
    assert graph.num_nodes == 4
    assert graph.weight is None


def test_loops_and_normalisation_are_those_of_pyg() -> None:
    utils = pytest.importorskip("torch_geometric.utils", reason="torch_geometric is not installed")
    conv = pytest.importorskip("torch_geometric.nn.conv.gcn_conv", reason="torch_geometric is not installed")
    generator = torch.Generator().manual_seed(0)
    edge_index = torch.randint(0, 9, (2, 40), generator=generator)
    weight = torch.rand(40, generator=generator)
    for w in (None, weight):
        graph = Graph.from_edge_index(edge_index, 9, w)
        loops = utils.add_remaining_self_loops(edge_index, w, 1.0, 9)
        wanted = Graph.from_edge_index(loops[0], 9, loops[1])
        torch.testing.assert_close(dense(graph.add_self_loops()), dense(wanted))
        normalised = conv.gcn_norm(edge_index, w, 9, dtype=torch.float32)
        torch.testing.assert_close(
            dense(graph.gcn_normalized()), dense(Graph.from_edge_index(normalised[0], 9, normalised[1]))
        )
        assert graph.gcn_normalized() is graph.gcn_normalized()


def test_normalisation_is_differentiable_in_the_weights() -> None:
    graph = random_graph(9, 9, 20, 5)
    weight = torch.rand(graph.num_edges, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda w: graph.with_weight(w).gcn_normalized().weight, (weight,))


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_subgraphs(data: st.DataObject) -> None:
    graph = random_graph(11, 11, 40, 8)
    nodes = torch.tensor(data.draw(st.lists(st.integers(0, 10), unique=True)), dtype=torch.int64)
    part = graph.subgraph(nodes)
    torch.testing.assert_close(dense(part), dense(graph)[nodes][:, nodes])
    assert part.edge_order is not None
    torch.testing.assert_close(part.weight, graph.weight[part.edge_order])  # type: ignore[index]


def test_files(tmp_path: Path) -> None:
    for graph in (random_graph(), random_graph(weighted=False), Graph.from_csr([0], [], num_cols=3)):
        path = tmp_path / "graph.safetensors"
        graph.save(path)
        for mmap in (True, False):
            again = Graph.load(path, mmap=mmap)
            assert torch.equal(again.indptr, graph.indptr)
            assert torch.equal(again.indices, graph.indices)
            assert again.num_cols == graph.num_cols
            assert (again.weight is None) == (graph.weight is None)
            if graph.edge_order is not None:
                assert torch.equal(again.edge_order, graph.edge_order)  # type: ignore[arg-type]
            torch.testing.assert_close(dense(again), dense(graph))


def test_copies_and_pickles_stand_on_their_own() -> None:
    for graph in (random_graph(), random_graph(weighted=False).transpose()):
        wanted, repeated = dense(graph), graph.csc
        copies = [copy.deepcopy(graph), pickle.loads(pickle.dumps(graph))]
        del graph
        for other in copies:
            torch.testing.assert_close(dense(other), wanted)
            assert torch.equal(other.csc[1], repeated[1])
            x = torch.randn(other.num_cols, 3, dtype=torch.float64)
            torch.testing.assert_close(spmm(other, x), wanted @ x)


def test_files_that_are_not_graphs(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"nonsense")
    with pytest.raises(ValueError, match=r"expected a file that Graph\.save wrote"):
        Graph.load(path)
    from safetensors.torch import save_file

    save_file({"indptr": torch.zeros(1)}, path)
    with pytest.raises(ValueError, match="expected the format 'moiety graph 1'"):
        Graph.load(path)
    graph = random_graph()
    tensors = {"indptr": graph.indptr, "indices": graph.indices + 100}
    save_file(tensors, path, {"format": "moiety graph 1", "num_cols": "29", "order": ""})
    with pytest.raises(ValueError, match=r"expected columns in \[0, 29\)"):
        Graph.load(path)


def test_wide_indices_compute_the_same() -> None:
    from moiety.graph.structure import Structure

    graph = random_graph()
    wide = Graph(Structure(graph.indptr, graph.indices.long(), graph.num_cols), graph.weight)
    x = torch.randn(graph.num_cols, 21)
    for reduce in ("sum", "mean", "max", "min"):
        assert torch.equal(spmm(graph, x, reduce=reduce), spmm(wide, x, reduce=reduce))
    assert torch.equal(wide.transpose().indices, graph.transpose().indices.long())


def test_names_what_is_wrong() -> None:
    edges = torch.tensor([[0, 1], [1, 2]])
    with pytest.raises(ValueError, match=r"source nodes in \[0, 3\), got -1 at edge 1"):
        Graph.from_edge_index(torch.tensor([[0, -1], [1, 2]]), 3)
    with pytest.raises(ValueError, match=r"target nodes in \[0, 2\), got 2 at edge 1"):
        Graph.from_edge_index(edges, 2)
    with pytest.raises(ValueError, match=r"expected edge_index \(2, num_edges\)"):
        Graph.from_edge_index(torch.zeros(3, 4, dtype=torch.int64))
    with pytest.raises(TypeError, match=r"edge_index of integers, got torch\.float32"):
        Graph.from_edge_index(torch.zeros(2, 4))
    with pytest.raises(ValueError, match=r"one weight an edge \(2,\), got \(3,\)"):
        Graph.from_edge_index(edges, 3, torch.ones(3))
    with pytest.raises(ValueError, match="not to fall, got 3 then 1 at row 1"):
        Graph.from_csr([0, 3, 1, 3], [0, 1, 2])
    with pytest.raises(ValueError, match="row_start from 0 to 3, got 0 to 2"):
        Graph.from_csr([0, 1, 2], [0, 1, 1], num_cols=2)
    with pytest.raises(ValueError, match=r"indices in \[0, 2\), got 4294967296 at edge 0"):
        Graph.from_csr([0, 1], torch.tensor([2**32]), num_cols=2)
    with pytest.raises(ValueError, match=r"columns in \[0, 2\), got -1 at entry 1"):
        Graph.from_csr([0, 2], torch.tensor([0, -1], dtype=torch.int32), num_cols=2)
    with pytest.raises(ValueError, match="got NaN at edge 1"):
        Graph.from_csr([0, 2], [0, 1], [1.0, float("nan")], num_cols=2)
    with pytest.raises(ValueError, match="got NaN at edge 0"):
        random_graph().with_weight(torch.full((240,), float("nan")))
    with pytest.raises(ValueError, match=r"num_rows \+ 1 numbers, got none"):
        Graph.from_csr([], [])
    with pytest.raises(ValueError, match="expected a square graph, got 37 targets, 29 sources"):
        _ = random_graph().num_nodes
    with pytest.raises(ValueError, match="expected nodes that differ"):
        random_graph(9, 9).subgraph(torch.tensor([1, 1]))
    with pytest.raises(ValueError, match=r"expected nodes in \[0, 9\)"):
        random_graph(9, 9).subgraph(torch.tensor([1, 9]))
    with pytest.raises(TypeError, match="SciPy sparse matrix, got ndarray"):
        Graph.from_scipy(np.zeros((2, 2)))
    with pytest.raises(TypeError, match="sparse CSR, CSC or COO"):
        Graph.from_torch(torch.zeros(2, 2))
    with pytest.raises(ValueError, match=r"to_csr_order: expected \(240, ...\)"):
        random_graph().to_csr_order(torch.zeros(3))


def test_more_edges_than_narrow_pointers_count() -> None:
    many = torch.zeros(1, dtype=torch.int8).expand(2**31)  # no memory behind it
    with pytest.raises(ValueError, match=r"2147483648 edges are more than torch\.int32 pointers can count"):
        Graph.from_csr(torch.tensor([0, 2**31 - 1], dtype=torch.int32), many, num_cols=1)
