"""Zigzags of simplices: golden vectors, identities, GUDHI, and what is refused."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moiety._core import topology as core
from moiety.topology import (
    Barcode,
    Filtration,
    power,
    representatives,
    rips,
    snapshots_filtration,
    weight_rank,
    zigzag,
)
from random_zigzags import Event, betti, changing_graph, complexes, faces, zigzags

gudhi = pytest.importorskip("gudhi")

# The example in FZZ's README: dimension, first and last position.
FZZ = "i0 i1 i2 i01 i02 i12 i012 d012 d12 d01 d02 d0 d1 d2"
FZZ_BARS = [(0, 2, 3), (0, 3, 4), (1, 6, 6), (0, 1, 13), (0, 11, 11), (0, 10, 12), (1, 8, 8)]


def parsed(words: str) -> Filtration:
    return Filtration([(w[0], [int(c) for c in w[1:]]) for w in words.split()])


def rows(barcode: Barcode) -> list[tuple[int, int, int]]:
    return sorted(
        (int(d), int(a), int(b)) for d, a, b in zip(barcode.dimension, barcode.first, barcode.last, strict=True)
    )


def test_fzz_example() -> None:
    bars = zigzag(parsed(FZZ), 2)
    assert rows(bars) == sorted(FZZ_BARS)
    assert bars.lifetimes(1).tolist() == [[6, 6], [8, 8]]
    assert bars.kind.tolist() == ["cc", "co", "co", "oc", "oc", "co", "oc"]
    assert np.array_equal(bars.intervals(1), [[6, 7], [8, 9]])


def test_times_and_unending_bars() -> None:
    bars = zigzag(Filtration([("insert", [0]), ("insert", [1]), ("insert", [0, 1])], times=[0.5, 0.5, 2.0]))
    assert bars.to_gudhi() == [(0, (0.5, math.inf)), (0, (0.5, 2.0))]
    assert len(zigzag(Filtration())) == 0
    assert len(zigzag(Filtration.from_lifetimes([], [], []))) == 0


@settings(max_examples=60, deadline=None)
@given(zigzags())
def test_betti_numbers_and_reversal(events: list[Event]) -> None:
    bars = zigzag(Filtration(events), 2)
    for dimension in range(3):
        assert bars.betti(dimension).tolist() == [betti(k, dimension) for k in complexes(events)]
    sequence = complexes(events)
    if sequence[-1]:  # close it, so that it can be read backwards
        events = events + [(False, s) for s in sorted(sequence[-1], key=len, reverse=True)]
        bars = zigzag(Filtration(events), 2)
    backwards = zigzag(Filtration([(not entering, s) for entering, s in reversed(events)]), 2)
    turned = bars.reversed()
    assert backwards == Barcode(turned.dimension, turned.first, turned.last, turned.code, backwards.instants)


@settings(max_examples=60, deadline=None)
@given(zigzags(), st.data())
def test_restriction(events: list[Event], data: st.DataObject) -> None:
    """The bars of part of the sequence are the bars of the whole, cut."""
    first = data.draw(st.integers(0, len(events)))
    last = data.draw(st.integers(first, len(events)))
    whole = zigzag(Filtration(events), 2)
    sequence = complexes(events)[first : last + 1]
    lifetimes = []
    for simplex in sorted(set.union(*sequence)):
        inside = [p for p, k in enumerate(sequence) if simplex in k]
        gaps = [0, *(i for i in range(1, len(inside)) if inside[i] > inside[i - 1] + 1), len(inside)]
        lifetimes += [(simplex, inside[a], inside[b - 1]) for a, b in itertools.pairwise(gaps)]
    names, begins, ends = zip(*lifetimes, strict=True) if lifetimes else ([], [], [])
    part = Filtration.from_lifetimes(names, np.array(begins, int), np.array(ends, int), last - first + 1)
    cut = whole.restrict(first, last)
    assert zigzag(part, 2) == Barcode(cut.dimension, cut.first, cut.last, cut.code, part.instants)


@settings(max_examples=40, deadline=None)
@given(zigzags(length=30))
def test_representatives(events: list[Event]) -> None:
    bars, cycles = representatives(Filtration(events), 2)
    assert bars == zigzag(Filtration(events), 2)
    for dimension, last, cycle in zip(bars.dimension, bars.last, cycles, strict=True):
        boundary: set[tuple[int, ...]] = set()
        for simplex in cycle:
            assert len(simplex) == dimension + 1
            boundary ^= set(faces(simplex))
        assert not boundary
        assert set(cycle) <= complexes(events)[last]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**20), st.integers(3, 9))
def test_monotone_is_ordinary_persistence(seed: int, nodes: int) -> None:
    distances = changing_graph(seed, 1, nodes)[0]
    tree = gudhi.RipsComplex(distance_matrix=distances, max_edge_length=0.8).create_simplex_tree(max_dimension=3)
    tree.compute_persistence(homology_coeff_field=2, min_persistence=0, persistence_dim_max=True)
    bars = zigzag(rips(distances, 0.8, 2), 2)
    for dimension in range(3):
        expected = tree.persistence_intervals_in_dimension(dimension)
        ours = bars.intervals(dimension)
        assert np.array_equal(np.sort(ours.ravel()), np.sort(expected.ravel()))
        assert sorted(map(tuple, ours)) == sorted(map(tuple, expected))
    simplices, values = zip(*tree.get_filtration(), strict=True)
    assert zigzag(Filtration.standard(simplices, values), 2).to_gudhi() == bars.to_gudhi()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**20), st.integers(3, 8))
def test_up_down_is_extended_persistence(seed: int, nodes: int) -> None:
    random = np.random.default_rng(seed)
    values = random.integers(0, 12, nodes).astype(float)
    tree = gudhi.SimplexTree()
    for v in range(nodes):
        tree.insert([v])
    for simplex in ([0, 1], *(np.sort(random.choice(nodes, 3, replace=False)).tolist() for _ in range(nodes))):
        tree.insert(simplex)
    simplices = [tuple(s) for s, _ in tree.get_filtration()]
    for v in range(nodes):
        tree.assign_filtration([v], values[v])
    tree.make_filtration_non_decreasing()
    tree.extend_filtration()
    ordinary, relative, rising, falling = tree.extended_persistence(min_persistence=0)
    bars = zigzag(Filtration.extended(simplices, values), 2)
    high, low = values.max(), values.min()
    found = []
    for dimension, birth, death, kind in zip(bars.dimension, bars.birth, bars.death, bars.kind, strict=True):
        # On the way down the instants are high + (value - low). Relative classes have one dimension more.
        down = [v > high or k == "o" for v, k in ((birth, kind[0]), (death, "c" if kind[1] == "o" else "o"))]
        points = [v - high + low if d else v for v, d in zip((birth, death), down, strict=True)]
        found.append((int(dimension) + (kind == "oc") + (kind == "oo"), *points))
    expected = [
        (d, b, e) for part in (ordinary, relative, rising, falling) for d, (b, e) in part if round(b) != round(e)
    ]
    ours = [(d, b, e) for d, b, e in found if b != e]
    assert sorted((d, *sorted((b, e))) for d, b, e in ours) == sorted(
        (d, *sorted((round(b), round(e)))) for d, b, e in expected
    )  # GUDHI scales values and back


def test_power_and_weight_rank() -> None:
    ring = np.zeros((6, 6))
    for v in range(6):
        ring[v, (v + 1) % 6] = ring[(v + 1) % 6, v] = 1
    assert zigzag(power(ring), 1).intervals(1).tolist() == [[1, 2]]  # at level 2 the ring is an octahedron
    assert zigzag(power(ring, max_dimension=2), 2).intervals(2).tolist() == [[2, 3]]
    square = np.zeros((4, 4))
    for (u, v), weight in zip([(0, 1), (1, 2), (2, 3), (0, 3), (0, 2)], [5, 4, 3, 2, 1], strict=True):
        square[u, v] = square[v, u] = weight
    assert zigzag(weight_rank(square), 1).intervals(1).tolist() == [[4, 5]]
    assert zigzag(weight_rank(square), 0).intervals(0).tolist() == [[0, 1], [0, 2], [0, 3], [0, math.inf]]


def test_representations_accept_barcodes() -> None:
    representations = pytest.importorskip("gudhi.representations")
    bars = zigzag(snapshots_filtration(changing_graph(3, 6, 8), 0.4))
    image = representations.PersistenceImage(resolution=[4, 4], im_range=[0, 6, 0, 6])
    assert np.isfinite(image.fit_transform([bars.intervals(0)])).all()
    assert np.isfinite(representations.Landscape(2, 8).fit_transform([bars.intervals(0)])).all()


@pytest.mark.parametrize(
    ("events", "message"),
    [
        ("i0 i01", r"event 1: expected all faces of \{0, 1\} to be there, but \{1\} is not"),
        ("i0 i0", r"event 1: expected the insertion of an absent simplex, but \{0\} is there"),
        ("i0 d1", r"event 1: expected the deletion of a present simplex, but \{1\} is not there"),
        ("i0 i1 i01 d0", "event 3: expected the deletion of a simplex without cofaces, but 1 cofaces"),
        ("i00", r"event 0: expected distinct vertices, got \{0, 0\}"),
        ("i", "event 0: expected a simplex of at least one vertex"),
        ("x0", "event 0: expected one of insert, i, "),
    ],
)
def test_events_that_are_no_zigzag(events: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parsed(events)


def test_bad_filtrations() -> None:
    with pytest.raises(TypeError, match="event 0: expected a simplex as vertex numbers"):
        Filtration([("insert", [0.5])])  # type: ignore[list-item]
    with pytest.raises(ValueError, match="times: expected 1 of them"):
        Filtration([("i", [0])], times=[1, 2])
    with pytest.raises(ValueError, match=r"never fall, got 1\.0 at index 1"):
        Filtration([("i", [0]), ("i", [1])], times=[2, 1])
    with pytest.raises(ValueError, match="never fall, got nan at index 0"):
        Filtration([("i", [0])], times=[math.nan])
    with pytest.raises(ValueError, match=r"simplex 1, \{0, 1\}: expected its faces throughout positions 0 to 1"):
        Filtration.from_lifetimes([[0], [0, 1]], [0, 0], [1, 1])
    with pytest.raises(ValueError, match="another of its lifetimes lasts to 1"):
        Filtration.from_lifetimes([[0], [0]], [0, 1], [1, 1])
    with pytest.raises(ValueError, match="enters at position 1, where others have just left"):
        Filtration.from_lifetimes([[0], [1]], [0, 1], [0, 1])
    with pytest.raises(ValueError, match=r"distances: expected a symmetric matrix, got 1.0 at \(0, 1\)"):
        rips([[0, 1], [2, 0]])
    with pytest.raises(ValueError, match=r"adjacency: expected numbers >= 0, got nan at \(0, 1\)"):
        power([[0, math.nan], [1, 0]])
    with pytest.raises(ValueError, match="max_dimension: expected 0 to 120, got -1"):
        zigzag(Filtration(), -1)
    with pytest.raises(ValueError, match="nameless cells"):
        representatives(rips([[0, 1], [1, 0]]))


def test_work_is_counted() -> None:
    cells = snapshots_filtration(changing_graph(1, 20, 10), 0.5, "code").cells
    _, work = core.barcode(cells, 1, True, 64, 2.0)
    assert work["cells"] == len(cells) == work["critical"] + work["matched"]
    assert work["blocks"] > 1
    assert work["entries"] >= work["additions"] > 0
