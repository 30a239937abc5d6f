"""How well the cost model predicts programs that it never saw: writes PREDICTION.md.

    python bench/predict.py [--table table.json] [--count 40] [--repeats 60] [--out bench/PREDICTION.md]

Random residual networks (random widths and depth; every activation ReLU, x^2 or nothing at random) are compiled and run
by two real processes and a dealer on loopback, a LAN and a WAN. Rounds and bytes must equal the prediction; of the
seconds of the repeats the median counts, as in the table's samples. The networks take turns, a few runs each, so that
whatever else the machine does meets all of them alike; how far the odd turns rank them as the even ones do is printed
beside: no prediction can rank them better than a second measurement.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

import machine
from moiety import private
from moiety.cost import analytic, load_table, network_of
from moiety.cost.engine import EngineBackend
from moiety.cost.trio import Sample, Trio
from moiety.models import create_model
from moiety.models.parts import make_activation
from moiety.models.resnet_cifar import ResNetCifar

NETWORKS = {"loopback": None, "LAN": "1:1000", "WAN": "wan"}
TURN = 4  # runs of a network before the next one's; one more, the first, reads its weights anew and does not count
TRIES = 5  # of a turn in which others got this machine's processors; of so many the least disturbed one counts
STOLEN = 0.01  # of a turn's time, which does not disturb it
ACTIVATIONS = ("relu", "x2", "identity")


def architecture(seed: int) -> tuple[str, private.Program]:
    """A random network as a program: half of them the demo's family, half deeper residual networks."""
    draw = random.Random(seed)
    torch.manual_seed(seed)
    letters: list[str] = []

    def activation(channels: int) -> nn.Module:
        name = draw.choice(ACTIVATIONS)
        letters.append(name[0])
        return make_activation(name, channels)

    if seed % 2:
        width = draw.choice((8, 12, 16, 24))
        name = draw.choice(("resnet8", "resnet20", "resnet18"))
        model = create_model(name, width=width, activation=activation)
        name = f"{name}, width {width}"
    else:
        widths = tuple(draw.choice((8, 16, 24, 32, 48, 64, 96, 128)) for _ in range(draw.choice((3, 4))))
        model = ResNetCifar("relu", widths, 10)
        for path, module in list(model.named_modules()):
            if isinstance(module, nn.ReLU):
                parent, _, leaf = path.rpartition(".")
                before = leaf.replace("act", "bn")
                channels = model.get_submodule(f"{parent}.{before}" if parent else before).num_features
                setattr(model.get_submodule(parent), leaf, activation(int(channels)))
        name = f"residual, widths {'-'.join(map(str, widths))}"
    x = torch.randn(32, 3, 32, 32)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0  # statistics of the one batch that follows: ranges as in a trained network
    with torch.no_grad():
        model.train()(x)
    program = private.compile(model.eval(), x[:1], calibration=x)
    return f"{name}: {''.join(letters)}", program


def rank_correlation(a: np.ndarray, b: np.ndarray) -> float:
    ranks = (np.argsort(np.argsort(values)) for values in (a, b))
    return float(np.corrcoef(*ranks)[0, 1])


def turn(trio: Trio, program: private.Program, comparison: str) -> list[Sample]:
    """Some runs of a network while the processors were this machine's, as far as its host says when they are not."""
    least, found = float("inf"), []
    for _ in range(TRIES):
        before, started = machine.stolen(), time.monotonic()
        samples = trio.run(program, comparison=comparison, repeats=1 + TURN)[1:]
        stolen = (machine.stolen() - before) / (time.monotonic() - started)
        if stolen < least:
            least, found = stolen, samples
        if stolen <= STOLEN:
            break
    return found


def measure(backend: EngineBackend, programs: list[tuple[str, private.Program]], repeats: int) -> list[dict[str, Any]]:
    rows = []
    chosen = [("auto", "circuit", "dcf")[index % 3] for index in range(len(programs))]
    estimates = [backend.estimate(p, comparison=c) for (_, p), c in zip(programs, chosen, strict=True)]
    runs: list[list[Sample]] = [[] for _ in programs]
    with Trio(backend.network) as trio:
        for _ in range(-(-repeats // TURN)):
            for (_, program), made, samples in zip(programs, estimates, runs, strict=True):
                samples += turn(trio, program, made.comparison)
        for (name, _), made, samples in zip(programs, estimates, runs, strict=True):
            for s in samples:
                counted = (s.rounds, s.bytes_server, s.bytes_client)
                expected = (made.cost.rounds, made.bytes_server, made.bytes_client)
                if counted != expected:
                    raise SystemExit(f"{name}: expected (rounds, bytes, bytes) {expected}, counted {counted}")
            seconds = [s.seconds for s in samples]
            odd = [s for index, s in enumerate(seconds) if index // TURN % 2]
            even = [s for index, s in enumerate(seconds) if index // TURN % 2 == 0]
            rows.append(
                {
                    "name": name,
                    "comparison": made.comparison,
                    "rounds": made.cost.rounds,
                    "bytes": made.cost.bytes_online,
                    "predicted": made.cost.seconds,
                    "least": min(seconds),
                    "median": float(np.median(seconds)),
                    "turns": [float(np.median(part)) for part in (even, odd)],
                }
            )
            print(json.dumps(rows[-1]), flush=True)
    return rows


def summary(rows: list[dict[str, Any]]) -> dict[str, float]:
    predicted, median = (np.array([row[key] for row in rows]) for key in ("predicted", "median"))
    miss = predicted / median - 1
    return {
        "mean": float(np.abs(miss).mean()),
        "worst": float(np.abs(miss).max()),
        "bias": float(miss.mean()),
        "rank": rank_correlation(predicted, median),
        "turns": rank_correlation(*np.array([row["turns"] for row in rows]).T),
    }


def report(results: dict[str, list[dict[str, Any]]], table: str, note: str, before: str, started: float) -> str:
    lines = [
        "# Predicted and measured",
        "",
        f"Made by `python bench/predict.py` in {time.time() - started:.0f} s with {table}. Rounds and bytes of every",
        "run equalled the prediction (the script stops otherwise). Seconds are the online phase's; the median of the",
        "repeats counts. *Odd, even turns*: how the medians of one half of the repeats rank the networks against the",
        "other half's.",
        "",
        *([f"**Note.** {note}", ""] if note else []),
        *(f"- {key}: {value}" for key, value in machine.describe().items()),
        f"- load average (1 / 5 min): {before} before, {machine.load()} after",
        "",
        "| network | architectures | mean error | worst | bias | rank correlation | odd, even turns |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, rows in results.items():
        s = summary(rows)
        lines.append(
            f"| {name} | {len(rows)} | {s['mean']:.1%} | {s['worst']:.1%} | {s['bias']:+.1%} | {s['rank']:.3f} "
            f"| {s['turns']:.3f} |"
        )
    for name, rows in results.items():
        lines += ["", f"## {name}", ""]
        lines += ["| architecture | comparison | rounds | MiB | predicted ms | median ms | least ms |"]
        lines += ["|---|---|---|---|---|---|---|"]
        for row in rows:
            times = " | ".join(f"{1e3 * row[key]:.2f}" for key in ("predicted", "median", "least"))
            lines.append(
                f"| {row['name']} | {row['comparison']} | {row['rounds']} | {row['bytes'] / 2**20:.2f} | {times} |"
            )
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", help="of `moiety profile`; without: the one that the package ships")
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--count", type=int, default=40)
    parser.add_argument("--repeats", type=int, default=60)
    parser.add_argument("--note", default="", help="what a reader must know of this run, such as what else was running")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("PREDICTION.md"))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    started, before = time.time(), machine.load()
    programs = [architecture(seed) for seed in range(1, 1 + arguments.count)]
    results = {}
    for name in arguments.networks:
        network = NETWORKS[name]
        if arguments.table:
            backend = EngineBackend(load_table(arguments.table), network_of(network), name)
        else:
            backend = analytic(network)
        repeats = max(2 * TURN, arguments.repeats // 6) if network == "wan" else arguments.repeats
        results[name] = measure(backend, programs, repeats)
        print(name, summary(results[name]), flush=True)
    table = f"`{arguments.table}`" if arguments.table else "the shipped table"
    arguments.out.write_text(report(results, table, arguments.note, before, started))


if __name__ == "__main__":
    main()
