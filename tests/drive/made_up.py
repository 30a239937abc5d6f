"""A finished run that nobody ran: what the tests of the report draw."""

from __future__ import annotations

import random
from pathlib import Path

from moiety.drive.files import write_atomic, write_json
from moiety.drive.metrics import Metrics
from moiety.drive.results import Network, Results, Target, write_results

GATES = ("act1", "layers.0.act1", "layers.0.act2", "layers.1.act1", "layers.1.act2", "layers.2.act1", "layers.2.act2")
ADDS = {"relu": 0.0026, "x2": 0.0021, "identity": 0.0}
REST = 0.015


def made_up_run(folder: Path, *, seeds: int = 3, targets: int = 5, measured: bool = True) -> Results:
    """Write a run folder of a search over seven gates; returns its results."""
    draw = random.Random(0)
    table = {gate: {name: cost * (1.6 - 0.15 * i) for name, cost in ADDS.items()} for i, gate in enumerate(GATES)}
    ends = {name: REST + sum(table[gate][name] for gate in GATES) for name in ADDS}
    aims = [Target(ends["identity"] + f * (ends["relu"] - ends["identity"]), f) for f in _spread(targets)]

    def network(method: str, seed: int, gates: dict[str, object], test: float, **more: object) -> Network:
        seconds = REST + sum(table[gate][str(name)] for gate, name in gates.items())
        times = tuple(seconds * draw.uniform(0.98, 1.06) for _ in range(9)) if measured else ()
        return Network(method, seed, gates, seconds, test, test - 0.004, measured=times, **more)  # type: ignore[arg-type]

    networks = [
        network("everywhere", seed, dict.fromkeys(GATES, name), best + draw.gauss(0, 0.002), choice=name)
        for name, best in (("relu", 0.885), ("x2", 0.867), ("identity", 0.61))
        for seed in range(seeds)
    ]
    for target in aims:
        best = 0.89 - 0.16 * (1 - (target.fraction or 0)) ** 2.5
        for method, loss, count in (("search", 0.0, 1), ("random", 0.035, 3), ("greedy", 0.014, 1)):
            for seed in range(seeds):
                for index in range(count):
                    gates: dict[str, object] = {}
                    for gate in draw.sample(GATES, len(GATES)):
                        gates[gate] = draw.choices(
                            list(ADDS), [target.fraction or 0.1, 0.35, 1 - (target.fraction or 0)]
                        )[0]
                    made = {gate: gates[gate] for gate in GATES}
                    folder_name = f"trials/{method}-{target.seconds * 1e6:.0f}-{seed}-{index}"
                    test = best - loss + draw.gauss(0, 0.004)
                    networks.append(
                        network(method, seed, made, test, target=target.seconds, index=index, folder=folder_name)
                    )
    searched = [i for i, n in enumerate(networks) if n.method == "search"]
    chosen = searched[len(searched) // 2]
    task = {"dataset": "cifar10", "model": "resnet8", "parameters": 78_042}
    latency = {"backend": "analytic:1:1000", "network": "1:1000", "batch": 1, "comparison": "auto"}
    results = Results("made up", "search", task, latency, ends, table, tuple(aims), tuple(networks), chosen)
    write_results(folder, results)
    write_atomic(folder / "config.toml", 'name = "made up"\n\n[data]\nname = "cifar10"\n')
    write_json(folder / "env.json", {"started": "2026-11-22 20:00:00 UTC", "machine": "a machine <with> brackets"})
    events = folder / networks[chosen].folder / "metrics.jsonl"
    events.unlink(missing_ok=True)
    metrics = Metrics(events)
    for epoch in range(30):
        sure = epoch / 29
        gates = {
            gate: {name: (1 - sure) / 3 + sure * (name == networks[chosen].gates[gate]) for name in ADDS}
            for gate in GATES
        }
        metrics.record("search", {"phase": "search", "epoch": epoch, "gates": gates})
        metrics.record(
            "fit", {"phase": "fit", "epoch": epoch, "loss": 2.3 * 0.9**epoch, "accuracy": 0.9 - 0.6 * 0.85**epoch}
        )
    return results


def _spread(count: int) -> list[float]:
    return [round(0.1 + 0.7 * i / max(count - 1, 1), 3) for i in range(count)]
