"""Series on the nodes of graphs by name."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from moiety.data.named import load_named

if TYPE_CHECKING:
    from moiety.data.series import SeriesData

__all__ = ["load_series", "series_names"]

Path_ = str | os.PathLike[str]
DYNAMIC = ("chickenpox_hungary", "england_covid", "montevideo_bus", "pedalme_london",
           "twitter_tennis_rg17", "twitter_tennis_uo17")  # fmt: skip


def load_series(name: str, **options: object) -> SeriesData:
    """The series `name` (see `series_names`); options are its loader's."""
    return load_named(LOADERS, name, options)


def series_names() -> list[str]:
    """What `load_series` takes."""
    return list(LOADERS)


def generated(*, nodes: int = 40, steps: int = 1152, seed: int = 0) -> SeriesData:
    """A generated traffic-like series, embedded (`moiety.data.generated_traffic`)."""
    from moiety.data.generated_traffic import generated_traffic

    return generated_traffic(nodes=nodes, steps=steps, seed=seed)


def generated_on_roads(name: str) -> Callable[..., SeriesData]:
    def load(*, data: Path_ | None = None, steps: int = 2016, seed: int = 0) -> SeriesData:
        """Generated flows on a real road graph."""
        from moiety.data.generated_traffic import generated_traffic
        from moiety.data.traffic import read_road_graph

        nodes, pairs, distance = read_road_graph(name, data)
        return generated_traffic(nodes=nodes, steps=steps, pairs=pairs, distance=distance, seed=seed)

    return load


def los_loop(*, data: Path_ | None = None) -> SeriesData:
    """One week of speeds in Los Angeles (`moiety.data.traffic`)."""
    from moiety.data.traffic import load_traffic

    return load_traffic("los_loop", data)


def pems(*, data: Path_, distances: Path_, minutes: float = 5.0) -> SeriesData:
    """Your PeMS archive (`moiety.data.traffic.read_pems`)."""
    from moiety.data.traffic import read_pems

    return read_pems(data, distances, minutes=minutes)


def speeds(*, data: Path_, graph: Path_, minutes: float = 5.0, missing: float | None = None) -> SeriesData:
    """Your table of speeds (`moiety.data.traffic.read_speeds`)."""
    from moiety.data.traffic import read_speeds

    return read_speeds(data, graph, minutes=minutes, missing=missing)


def token(name: str) -> Callable[..., SeriesData]:
    def load(*, data: Path_ | None = None) -> SeriesData:
        """A token's transfers (`moiety.data.networks`)."""
        from moiety.data.networks import load_token_network

        return load_token_network(name, data)

    return load


def dynamic(name: str) -> Callable[..., SeriesData]:
    def load(*, data: Path_ | None = None) -> SeriesData:
        """A dynamic graph (`moiety.data.networks`)."""
        from moiety.data.networks import load_dynamic_graph

        return load_dynamic_graph(name, data)

    return load


LOADERS: dict[str, Callable[..., SeriesData]] = {
    "generated": generated,
    "generated-pems04": generated_on_roads("pems04"),
    "generated-pems08": generated_on_roads("pems08"),
    "los_loop": los_loop,
    "pems": pems,
    "speeds": speeds,
    "bytom": token("bytom"),
    "decentraland": token("decentraland"),
    **{name: dynamic(name) for name in DYNAMIC},
}
