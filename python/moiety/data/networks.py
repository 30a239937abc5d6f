"""Networks that were observed step by step, with a value at every node: token transfers and dynamic graphs.

token_networks: daily transfers of Ethereum tokens among the 100 most active addresses, with each one's degree (Y. Chen
et al., Z-GCNETs, ICML 2021; Y. Li et al., SDM 2020). dynamic_graphs: five data sets of PyTorch Geometric Temporal (B.
Rozemberczki et al., CIKM 2021) and of F. Beres et al., 2018.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from moiety.data.places import find_folder
from moiety.data.series import EdgeSeries, SeriesData, undirected

__all__ = ["DYNAMIC", "TOKENS", "load_dynamic_graph", "load_token_network"]

TOKENS = ("bytom", "decentraland")
DYNAMIC: dict[str, tuple[str, str, float]] = {  # the channel, its unit, minutes a step
    "chickenpox_hungary": ("cases", "cases, standardised", 7 * 24 * 60.0),
    "england_covid": ("cases", "cases", 24 * 60.0),
    "montevideo_bus": ("inflow", "passengers", 60.0),
    "pedalme_london": ("deliveries", "deliveries, standardised", 7 * 24 * 60.0),
    "twitter_tennis_rg17": ("mentions", "mentions", 60.0),
    "twitter_tennis_uo17": ("mentions", "mentions", 60.0),
}
Path_ = str | os.PathLike[str]


def load_token_network(name: str, path: Path_ | None = None) -> SeriesData:
    """`bytom` or `decentraland` from the folder of data sets `path` (else MOIETY_DATA, else ../shared/data).

    Values are the nodes' degrees by day; the days before the first published degrees are left out.
    """
    if name not in TOKENS:
        raise ValueError(f"there is no token network {name!r}: expected one of {', '.join(TOKENS)}")
    found = arrays(name, "token_networks", path)
    values, offset = found["degree"].astype(np.float32), int(found["degree_offset"])
    networks = observed(found, values.shape[1]).between(offset, offset + len(values))
    return from_networks(name, values, networks, "degree", "transfers", 24 * 60.0)


def load_dynamic_graph(name: str, path: Path_ | None = None) -> SeriesData:
    """One of `DYNAMIC`. Weights are as published: moves between regions, mentions, metres, or 1 if there are none."""
    if name not in DYNAMIC:
        raise ValueError(f"there is no dynamic graph {name!r}: expected one of {', '.join(DYNAMIC)}")
    found, (channel, unit, minutes) = arrays(name, "dynamic_graphs", path), DYNAMIC[name]
    values = next(found[key] for key in ("y", "inflow", "fx", "x") if key in found).astype(np.float32)
    if "t_indptr" in found:
        networks = observed(found, values.shape[1])
    else:  # one network for all steps
        ends = np.stack([found["src"], found["dst"]]) if "src" in found else found["edges"].T
        pairs, weight = undirected(ends, found.get("weight", found.get("weights")))
        networks = EdgeSeries.fixed(values.shape[1], pairs, np.tile(weight, (len(values), 1)))
    return from_networks(name, values, networks, channel, unit, minutes)


def arrays(name: str, folder: str, path: Path_ | None) -> dict[str, npt.NDArray[Any]]:
    file = f"{name}.npz"
    with np.load(find_folder(name, folder, (file,), path) / file, allow_pickle=False) as found:
        return dict(found)


def observed(found: Mapping[str, npt.NDArray[Any]], nodes: int) -> EdgeSeries:
    """Directed edges of every step as undirected ones, loops left out; of two directions the later line holds."""
    pointers, pairs, weights = [0], [np.zeros((2, 0), np.int64)], [np.zeros(0)]
    for start, stop in zip(found["t_indptr"][:-1], found["t_indptr"][1:], strict=True):
        own, weight = undirected(
            np.stack([found["src"][start:stop], found["dst"][start:stop]]), found["weight"][start:stop]
        )
        pairs.append(own)
        weights.append(weight)
        pointers.append(pointers[-1] + own.shape[1])
    return EdgeSeries(nodes, np.array(pointers, np.int64), np.concatenate(pairs, 1), np.concatenate(weights))


def from_networks(
    name: str, values: npt.NDArray[np.float32], networks: EdgeSeries, channel: str, unit: str, minutes: float
) -> SeriesData:
    """The adjacency is how often two nodes were joined, of all steps."""
    nodes = values.shape[1]
    adjacency = np.zeros((nodes, nodes), np.float32)
    np.add.at(adjacency, (networks.pairs[0], networks.pairs[1]), np.float32(1 / len(values)))
    return SeriesData(
        name,
        torch.from_numpy(values[..., None]),
        (channel,),
        unit,
        minutes,
        torch.from_numpy(adjacency + adjacency.T),
        networks=networks,
    )
