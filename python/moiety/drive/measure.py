"""Seconds of a private inference, as two processes and a dealer take on the configured network."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from moiety import private
from moiety.cost import network_of
from moiety.data import to_tensor
from moiety.models import load_network

from .bench import Bench, compile_program
from .files import read_json, write_json

__all__ = ["key_of", "measure_all"]

FILE = "measured.json"
PATIENCE_S = 600.0


def key_of(gates: Mapping[str, Any]) -> str:
    """The same for networks with the same operators, which take the same time."""
    return json.dumps(gates, sort_keys=True)


def measure_all(
    run: Path, networks: Sequence[Mapping[str, Any]], bench: Bench, say: Callable[[int, int], None]
) -> dict[str, list[float]]:
    """Seconds of each timed inference by `key_of` the gates; what was measured before is kept in the run's folder.

    networks: results of trials. One after another and with nothing else at work, since they take a few cores each.
    """
    path = run / FILE
    measured: dict[str, list[float]] = read_json(path)["seconds"] if path.exists() else {}
    if bench.config.latency.repeat == 0:
        return measured
    todo = {key_of(n["gates"]): n for n in networks if key_of(n["gates"]) not in measured}
    for count, (key, network) in enumerate(todo.items()):
        say(count, len(todo))
        measured[key] = _measure(run / network["folder"] / "weights.safetensors", bench)
        write_json(path, {"network": bench.config.latency.network, "seconds": measured})
    return measured


def _measure(weights: Path, bench: Bench) -> list[float]:
    told = bench.config.latency
    program = compile_program(*load_network(weights), bench.config)
    images = to_tensor(bench.test.images(list(range(told.batch))), bench.test)
    result = private.run_local(
        program,
        images,
        comparison=told.comparison,
        network=network_of(told.network),
        repeat=told.repeat + 1,
        timeout=PATIENCE_S,
    )
    # The first inference pays for cold caches and page faults that no later one pays.
    return [stats.client["online"].wall_seconds for stats in result.runs[1:]]
