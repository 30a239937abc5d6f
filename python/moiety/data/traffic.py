"""Traffic by road sensor: los_loop, PeMS archives, tables of speeds, and a generated series that needs no file.

los_loop: one week of METR-LA, 207 sensors, five-minute speeds, with weights of pairs of sensors (L. Zhao et al., T-GCN,
2020). PeMS: `data` (T, N, 3) of flow, occupancy and speed in an npz, and a table of distances, as Z-GCNETs, ASTGCN and
STSGCN publish them. Tables: a column a sensor, as METR-LA's, with distances or weights beside.
"""

from __future__ import annotations

import csv
import os
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from moiety.data.places import find_folder
from moiety.data.series import SeriesData, undirected

__all__ = ["gaussian_weights", "load_traffic", "read_distances", "read_pems", "read_road_graph", "read_speeds"]

Floats = npt.NDArray[np.float64]
Path_ = str | os.PathLike[str]


def load_traffic(name: str = "los_loop", path: Path_ | None = None) -> SeriesData:
    """`los_loop` from the folder of data sets `path` (else MOIETY_DATA, else ../shared/data)."""
    if name != "los_loop":
        raise ValueError(f"there is no traffic {name!r}: expected 'los_loop', or read_pems and read_speeds for files")
    folder = find_folder(name, "traffic", ("los_loop.npz",), path)
    with np.load(folder / "los_loop.npz", allow_pickle=False) as file:
        speed, weights = file["speed"].astype(np.float32), file["adj"].astype(np.float32)
    return from_weights("los_loop", speed, weights, ("speed",), "mph", 5.0)


def read_road_graph(name: str, path: Path_ | None = None) -> tuple[int, npt.NDArray[np.int64], Floats]:
    """Sensors, pairs (2, E) and distances (E,) of `pems04` (307 sensors) or `pems08` (170), which have no flows."""
    nodes = {"pems04": 307, "pems08": 170}
    if name not in nodes:
        raise ValueError(f"there is no road graph {name!r}: expected one of {', '.join(nodes)}")
    file = f"{name}_distance.npz"
    with np.load(find_folder(name, "traffic", (file,), path) / file, allow_pickle=False) as found:
        pairs, distance = undirected(np.stack([found["src"], found["dst"]]), found["distance"])
    return nodes[name], pairs, distance


def read_pems(
    data: Path_, distances: Path_, *, minutes: float = 5.0, channels: tuple[str, ...] = ("flow", "occupancy", "speed")
) -> SeriesData:
    """A PeMS archive: an npz with `data` (T, N, C), and a table of distances from, to, cost of sensors 0 ... N - 1."""
    with np.load(data, allow_pickle=False) as file:
        if "data" not in file:
            raise ValueError(f"{os.fspath(data)}: expected an array 'data', found {', '.join(file)}")
        values = file["data"].astype(np.float32)
    if values.ndim != 3 or values.shape[2] != len(channels):
        raise ValueError(
            f"{os.fspath(data)}: expected data (steps, sensors, {len(channels)} channels), found {values.shape}"
        )
    nodes = [str(i) for i in range(values.shape[1])]
    pairs, distance = read_distances(distances, nodes)
    return from_distances(Path(data).stem.lower(), values, pairs, distance, channels, "vehicles", minutes)


def read_speeds(
    data: Path_, graph: Path_, *, minutes: float = 5.0, missing: float | None = None, unit: str = "mph"
) -> SeriesData:
    """A table of speeds, a column a sensor with its name on top, perhaps with a first column of times.

    graph: a table from, to, cost of sensors' names, or N rows of N weights without a head. missing: the value that
    stands for none (0 in METR-LA); such values are interpolated linearly in time.
    """
    head, rows = read_table(data)
    if not rows:
        raise ValueError(f"{os.fspath(data)}: expected a head and rows of speeds, found no rows")
    first = 0 if number(rows[0][0]) else 1  # a column of times
    names = head[first:]
    values = np.array([to_floats(row[first:], data, i + 2, len(names)) for i, row in enumerate(rows)])
    if missing is not None:
        values = interpolated(values, missing, os.fspath(data))
    speed = values.astype(np.float32)
    top, below = read_table(graph)
    name = Path(data).stem.lower()
    if not all(number(word) for word in top):
        pairs, distance = read_distances(graph, names)
        return from_distances(name, speed[..., None], pairs, distance, ("speed",), unit, minutes)
    weights = [to_floats(row, graph, i + 1, len(names)) for i, row in enumerate([top, *below])]
    if len(weights) != len(names):
        raise ValueError(f"{os.fspath(graph)}: expected {len(names)} rows of weights, found {len(weights)}")
    return from_weights(name, speed, np.array(weights, np.float32), ("speed",), unit, minutes)


def from_weights(
    name: str,
    values: npt.NDArray[np.float32],
    weights: npt.NDArray[np.float32],
    channels: tuple[str, ...],
    unit: str,
    minutes: float,
) -> SeriesData:
    """Values (T, N) with weights (N, N) of pairs; a pair with a weight either way is an edge."""
    pairs, _ = undirected(np.stack(np.nonzero(weights)))
    return SeriesData(
        name,
        torch.from_numpy(values[..., None] if values.ndim == 2 else values),
        channels,
        unit,
        minutes,
        torch.from_numpy(weights),
        torch.from_numpy(pairs),
    )


def from_distances(
    name: str,
    values: npt.NDArray[np.float32],
    pairs: npt.NDArray[np.int64],
    distance: Floats,
    channels: tuple[str, ...],
    unit: str,
    minutes: float,
) -> SeriesData:
    """Values (T, N, C) with distances (E,) of pairs (2, E)."""
    weights = gaussian_weights(values.shape[1], pairs, distance)
    return SeriesData(
        name, torch.from_numpy(values), channels, unit, minutes, torch.from_numpy(weights), torch.from_numpy(pairs)
    )


def gaussian_weights(
    nodes: int, pairs: npt.NDArray[np.int64], distance: Floats, least: float = 0.1
) -> npt.NDArray[np.float32]:
    """exp(-(d / s)^2) with the deviation s of the distances, 0 below `least` (Y. Li et al., DCRNN, ICLR 2018)."""
    spread = float(distance.std()) or float(distance.max()) or 1.0  # of equal distances: themselves
    values = np.exp(-((distance / spread) ** 2))
    weights = np.zeros((nodes, nodes), np.float32)
    weights[pairs[0], pairs[1]] = weights[pairs[1], pairs[0]] = np.where(values < least, 0.0, values)
    return weights


def read_distances(path: Path_, names: list[str]) -> tuple[npt.NDArray[np.int64], Floats]:
    """Pairs (2, E) of positions in `names` and costs (E,) of a table with the head from, to, cost.

    Lines about sensors that are not among `names` are left out, as METR-LA's table has all of California.
    """
    head, rows = read_table(path)
    if len(head) < 3:
        raise ValueError(f"{os.fspath(path)}: expected the columns from, to, cost, found {', '.join(head)}")
    places = {name: i for i, name in enumerate(names)}
    ends: list[tuple[int, int]] = []
    costs: list[float] = []
    for line, row in enumerate(rows, 2):
        source, target, cost = [*row, "", "", ""][:3]
        if not number(cost) or float(cost) < 0:
            raise ValueError(f"{os.fspath(path)}, line {line}: expected a cost of at least 0, found {cost!r}")
        if source in places and target in places:
            ends.append((places[source], places[target]))
            costs.append(float(cost))
    if not ends:
        raise ValueError(f"{os.fspath(path)}: expected pairs of the {len(names)} sensors, found none of them")
    return undirected(np.array(ends).T, np.array(costs))


def read_table(path: Path_) -> tuple[list[str], list[list[str]]]:
    """The first line and the others that are not empty."""
    with Path(path).open(newline="") as file:
        rows = [[word.strip() for word in row] for row in csv.reader(file) if row]
    if not rows:
        raise ValueError(f"{os.fspath(path)}: expected a table, found an empty file")
    return rows[0], rows[1:]


def number(word: str) -> bool:
    try:
        return bool(np.isfinite(float(word)))
    except ValueError:
        return False


def to_floats(row: list[str], path: Path_, line: int, count: int) -> Floats:
    if len(row) != count or not all(number(word) for word in row):
        bad = next((word for word in row if not number(word)), None)
        said = f"found {len(row)}" if bad is None else f"found {bad!r}"
        raise ValueError(f"{os.fspath(path)}, line {line}: expected {count} finite numbers, {said}")
    return np.array([float(word) for word in row])


def interpolated(values: Floats, missing: float, name: str) -> Floats:
    """Each column's entries equal to `missing` from the nearest others before and behind."""
    found, steps = values.copy(), np.arange(len(values))
    for column in range(values.shape[1]):
        there = values[:, column] != missing
        if not there.any():
            raise ValueError(f"{name}: sensor {column} has no value but {missing}: expected one at least")
        found[:, column] = np.interp(steps, steps[there], values[there, column])
    return found
