"""Snapshots and windows: both constructions against dionysus, restriction, and what is refused."""

from __future__ import annotations

import itertools
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from moiety._core import topology as core
from moiety.topology import (
    Barcode,
    Filtration,
    Mode,
    Snapshots,
    bottleneck,
    feature_distances,
    snapshots_barcode,
    snapshots_filtration,
    wasserstein,
    zigzag,
    zigzag_windows,
)
from random_zigzags import changing_graph

MODES: tuple[Mode, ...] = ("paper", "code")
Points = Counter[tuple[int, float, float]]


def off_diagonal(barcode: Barcode) -> Points:
    return Counter(
        (int(d), float(b), float(e))
        for d, b, e in zip(barcode.dimension, barcode.birth, barcode.death, strict=True)
        if b != e
    )


def simplices_of(filtration: Filtration) -> list[list[int]]:
    """Every cell's vertices, as numbers of vertex cells."""
    start, face = filtration.cells.boundary()
    vertices: list[set[int]] = []
    for cell in range(len(filtration)):
        faces = face[start[cell] : start[cell + 1]]
        vertices.append({cell} if faces.size == 0 else set().union(*(vertices[f] for f in faces)))
    return [sorted(v) for v in vertices]


def by_dionysus(filtration: Filtration) -> Points:
    """Bars of dimensions 0 and 1 by the incremental algorithm, off the diagonal; instants as ours are."""
    dionysus = pytest.importorskip("dionysus")
    enter, leave = filtration.cells.enter(), filtration.cells.exit()
    into, out = filtration.instants[enter], filtration.instants[leave + 1]
    times: dict[tuple[int, ...], list[float]] = {}
    for simplex, begin, end in zip(map(tuple, simplices_of(filtration)), into, out, strict=True):
        times.setdefault(simplex, []).extend((float(begin), float(end)))
    names = sorted(times, key=lambda s: (len(s), s))
    _, diagrams, _ = dionysus.zigzag_homology_persistence(
        dionysus.Filtration([list(n) for n in names]), [times[n] for n in names]
    )
    final = float(filtration.instants[-1])
    return Counter(
        (d, float(p.birth), min(float(p.death), final))
        for d in range(2)
        for p in (diagrams[d] if d < len(diagrams) else ())
        if p.birth != p.death and p.birth < final
    )


def naive(weights: np.ndarray, alpha: float, mode: Mode) -> Filtration:
    """The construction in the plainest words: every complex's cliques listed, then the runs in which each is there."""
    steps, nodes = weights.shape[:2]
    graphs = [{(u, v) for u in range(nodes) for v in range(u + 1, nodes) if 0 < w[u, v] <= alpha} for w in weights]
    complexes: list[set[tuple[int, ...]]] = []
    for position in range(2 * steps - 1):
        near = [position // 2] if position % 2 == 0 else [position // 2, position // 2 + 1]
        union = set().union(*(graphs[t] for t in near))
        if mode == "paper":
            vertices, edges = set(range(nodes)), union
        else:
            vertices = {t * nodes + v for t in near for v in range(nodes)}
            edges = {(t * nodes + u, t * nodes + v) for t in near for u, v in graphs[t]}
            if len(near) == 2:
                a, b = near[0] * nodes, near[1] * nodes
                edges |= {(a + v, b + v) for v in range(nodes)}
                edges |= {pair for u, v in union for pair in ((a + u, b + v), (a + v, b + u))}
        triangles = {(u, v, w) for u, v in edges for w in vertices if w > v and (u, w) in edges and (v, w) in edges}
        complexes.append({(v,) for v in vertices} | edges | triangles)
    lifetimes = []
    for simplex in sorted(set().union(*complexes), key=lambda s: (len(s), s)):
        there = [p for p, k in enumerate(complexes) if simplex in k]
        runs = np.split(there, np.flatnonzero(np.diff(there) > 1) + 1)
        lifetimes += [(simplex, run[0], run[-1]) for run in runs]
    names, first, last = zip(*lifetimes, strict=True)
    instants = snapshots_filtration(weights, alpha, mode).instants
    return Filtration.from_lifetimes(names, np.array(first), np.array(last), 2 * steps - 1, instants)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("seed", range(4))
def test_complexes_in_plain_words(mode: Mode, seed: int) -> None:
    weights = changing_graph(seed, 4, 6, 0.4)
    plain, made = naive(weights, 0.5, mode), snapshots_filtration(weights, 0.5, mode)
    made.cells.validate()
    assert len(plain) == len(made)
    assert zigzag(plain) == zigzag(made) == snapshots_barcode(weights, 0.5, mode)


@pytest.mark.parametrize("mode", MODES)
@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**20), st.integers(2, 12), st.integers(3, 9), st.integers(0, 2))
def test_windows_are_cut_from_the_whole(mode: Mode, seed: int, steps: int, nodes: int, dimension: int) -> None:
    weights = changing_graph(seed, steps, nodes)
    graphs = Snapshots.from_dense(weights, 0.4)
    window = 1 + seed % steps
    windows = zigzag_windows(graphs, window, mode=mode, max_dimension=dimension)
    assert len(windows) == steps - window + 1
    for k, cut in enumerate(windows):
        alone = snapshots_filtration(graphs.steps(k, k + window), mode=mode, max_dimension=dimension)
        assert cut == zigzag(alone, dimension)
    assert [len(w) for w in zigzag_windows(graphs, window, mode=mode, stride=2)] == [len(w) for w in windows[::2]] or (
        dimension != 1
    )


@pytest.mark.parametrize("mode", MODES)
def test_components_of_every_snapshot_and_union(mode: Mode) -> None:
    weights = changing_graph(5, 10, 12, 0.3)
    bars = snapshots_barcode(weights, 0.15, mode, 0)
    there = (weights > 0) & (weights <= 0.15)
    for position, count in enumerate(bars.betti(0)):
        union = there[position // 2] | there[(position + 1) // 2]
        assert count == connected_components(coo_array(union), directed=False)[0]


def token_windows(data: Path) -> list[Snapshots]:
    found = []
    for name in ("bytom", "decentraland"):
        with np.load(data / "token_networks" / f"{name}.npz") as file:
            start, pairs = file["t_indptr"], np.stack([file["src"], file["dst"]], 1)
        steps = [pairs[a:b] for a, b in itertools.pairwise(start)]
        steps = [s[s[:, 0] != s[:, 1]] for s in steps]
        graphs = Snapshots.from_edges(100, steps)
        found += [graphs.steps(k, k + 4) for k in range(0, len(graphs) - 4, 11)]
    return found


def test_real_windows_against_dionysus(data: Path) -> None:
    pytest.importorskip("dionysus")
    windows = token_windows(data)
    with np.load(data / "dynamic_graphs" / "pedalme_london.npz") as file:
        edges, features = file["edges"], file["x"].astype(float)[..., None]
    pairs = np.unique(np.sort(edges[edges[:, 0] != edges[:, 1]], 1), axis=0)
    graphs = Snapshots.from_weights(features.shape[1], pairs, feature_distances(features, pairs), 0.15)
    windows += [graphs.steps(k, k + 5) for k in range(len(graphs) - 5)]
    with np.load(data / "dynamic_graphs" / "chickenpox_hungary.npz") as file:
        edges, features = file["edges"], file["fx"].astype(float)[..., None]
    pairs = np.unique(np.sort(edges[edges[:, 0] != edges[:, 1]], 1), axis=0)
    graphs = Snapshots.from_weights(features.shape[1], pairs, feature_distances(features, pairs), 0.3)
    windows += [graphs.steps(k, k + 6) for k in range(0, 515, 4)]
    assert len(windows) >= 200
    bars = 0
    for k, window in enumerate(windows):
        mode = MODES[k % 2]
        filtration = snapshots_filtration(window, mode=mode)
        ours = off_diagonal(snapshots_barcode(window, mode=mode))
        assert ours == by_dionysus(filtration), f"window {k}"
        bars += ours.total()
    assert bars > 1000


def test_distances_through_gudhi() -> None:
    pytest.importorskip("gudhi")
    a = Barcode([1, 1], [0, 2], [4, 2], [0, 0], np.arange(8.0))
    b = Barcode([1], [0], [6], [0], np.arange(8.0))
    assert bottleneck(a, b) == 2
    assert bottleneck(a, a) == 0
    pytest.importorskip("ot")
    assert wasserstein(a, b) == pytest.approx(2.5)  # 2 for the long ones and half of 1 for the short one
    assert wasserstein(a.of_dimension(0), b.of_dimension(0)) == 0
    with pytest.raises(ValueError, match="a: expected bars that end"):
        wasserstein(zigzag(Filtration([("i", [0])])), b, 0)


def test_weights_that_are_refused() -> None:
    good = changing_graph(1, 3, 4)
    bad = good.copy()
    bad[1, 0, 2] = 2.0
    with pytest.raises(ValueError, match=r"step 1: expected symmetric weights, got 2.0 at \(0, 2\)"):
        zigzag_windows(bad, 2, 0.5)
    for value in (np.nan, -1.0):
        bad = good.copy()
        bad[2, 1, 3] = bad[2, 3, 1] = value
        with pytest.raises(ValueError, match="step 2: expected weights >= 0"):
            zigzag_windows(bad, 2, 0.5)
        with pytest.raises(ValueError, match=r"step 1: expected weights >= 0, got .* for the edge \(0, 1\)"):
            Snapshots.from_weights(2, [[1, 0]], [[1.0], [value]], 0.5)
    for shape in ((0, 4, 4), (3, 0, 0)):
        with pytest.raises(ValueError, match="expected at least one step and one node"):
            zigzag_windows(np.zeros(shape), 1, 0.5)
    with pytest.raises(ValueError, match="window: expected 1 to 3 steps, as many as the series has, got 4"):
        zigzag_windows(good, 4, 0.5)
    with pytest.raises(ValueError, match="alpha: expected the largest weight"):
        zigzag_windows(good, 2)
    with pytest.raises(ValueError, match="alpha: expected none with Snapshots"):
        zigzag_windows(Snapshots.from_dense(good, 0.5), 2, 0.5)
    with pytest.raises(ValueError, match="mode: expected 'paper' or 'code', got 'both'"):
        zigzag_windows(good, 2, 0.5, "both")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"step 1: edges: expected two different nodes in \[0, 3\), got \(2, 2\)"):
        Snapshots.from_edges(3, [[[0, 1]], [[2, 2]]])
    with pytest.raises(ValueError, match="edges: expected every edge once"):
        Snapshots.from_weights(2, [[0, 1], [1, 0]], [[1.0, 1.0]], 0.5)


def test_no_edges_at_all() -> None:
    bars = snapshots_barcode(np.zeros((3, 2, 2)), 0.5)
    assert bars.intervals(0).tolist() == [[0, 2], [0, 2]]
    assert len(zigzag_windows(np.zeros((3, 2, 2)), 2, 0.5)[1].intervals(1)) == 0


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("stride", [1, 3])
def test_threads_change_nothing(mode: Mode, stride: int) -> None:
    graphs = Snapshots.from_dense(changing_graph(8, 61, 9), 0.35)
    one = zigzag_windows(graphs, 3, mode=mode, stride=stride)
    for threads, parts in ((2, 2), (4, 4), (100, 4 if stride == 1 else 5)):
        several = zigzag_windows(graphs, 3, mode=mode, stride=stride, threads=threads)
        assert len(several.parts) == parts
        assert list(several) == list(one)
        assert several[-1] == one[len(one) - 1]


def test_chunks_and_blocks_change_nothing() -> None:
    graphs = Snapshots.from_dense(changing_graph(8, 40, 9), 0.35)
    edges = (graphs.num_nodes, graphs.start, graphs.tail, graphs.head)
    for number, mode in enumerate(MODES):
        expected = snapshots_barcode(graphs, mode=mode)
        for chunk, block in ((1, 16), (7, 100), (64, 10**9)):
            bars, _ = core.series_barcode(*edges, number, 1, chunk, block, 0.5)
            assert Barcode(*bars, expected.instants) == expected
