"""How well the cost model predicts programs that it never saw: writes PREDICTION.md and prediction.json.

    python bench/predict.py [--rows loopback LAN WAN] [--table table.json] [--count 40] [--repeats 60]

Random residual networks (random widths and depth; every activation ReLU, x^2 or nothing at random) are compiled and run
by two real processes and a dealer on loopback, a LAN and a WAN. Rounds and bytes must equal the prediction; of the
seconds of the repeats the median counts, as in the table's samples. The networks take turns, a few runs each, so that
whatever else the machine does meets all of them alike, and a turn in which its host gave the processors to others is
repeated. How far the odd turns rank them as the even ones do is printed beside: no prediction can rank them better than
a second measurement.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
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
from sheet import Row, Sheet, at_least, at_most

SHEET = Sheet(
    "PREDICTION",
    "Predicted and measured",
    "Online seconds of random networks that no fit has seen, predicted and as the median of repeats; rounds and bytes "
    "of every run equalled the prediction, or there would be no row. The networks take turns of a few runs; a turn in "
    "which the host gave more than a hundredth of its time to others (steal time) is repeated, four times at most. "
    "Errors in percent of what was measured, their bias with its sign; every network's figures are in the raw ones. "
    "*Odd, even turns*: the rank correlation of the medians of one half of the repeats with those of the other half.",
    3,
    "%",
)
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


@dataclass(frozen=True)
class Predictions(Row):
    """With every network: seconds predicted, median, least, and the medians of even and of odd turns."""

    networks: tuple[dict[str, Any], ...] = ()


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
        expected = (made.cost.rounds, made.bytes_server, made.bytes_client)
        for s in samples:
            counted = (s.rounds, s.bytes_server, s.bytes_client)
            if counted != expected:
                raise RuntimeError(f"{name}: expected (rounds, bytes, bytes) {expected}, counted {counted}")
        seconds = [s.seconds for s in samples]
        turns = [[s for index, s in enumerate(seconds) if index // TURN % 2 == odd] for odd in (0, 1)]
        rows.append(
            {
                "name": name,
                "comparison": made.comparison,
                "rounds": made.cost.rounds,
                "bytes": made.cost.bytes_online,
                "predicted": made.cost.seconds,
                "median": float(np.median(seconds)),
                "least": min(seconds),
                "turns": [float(np.median(part)) for part in turns],
            }
        )
    return rows


def predictions(name: str, table: str | None, programs: list[tuple[str, private.Program]], repeats: int) -> Row:
    network = NETWORKS[name]
    backend = EngineBackend(load_table(table), network_of(network), name) if table else analytic(network)
    rows = measure(backend, programs, max(2 * TURN, repeats // 6 if network == "wan" else repeats))
    predicted, median = (np.array([row[key] for row in rows]) for key in ("predicted", "median"))
    even, odd = np.array([row["turns"] for row in rows]).T
    miss = 100 * (predicted / median - 1)
    figures = {"mean error": float(np.abs(miss).mean()), "worst": float(np.abs(miss).max()), "bias": float(miss.mean())}
    checks = [
        at_most(figures["mean error"], 10.0, "mean error", " %"),
        at_least(rank_correlation(predicted, median), 0.98, "rank correlation", ""),
        at_least(rank_correlation(even, odd), None, "odd, even turns", ""),
    ]
    notes = f"{len(rows)} networks, {1e3 * median.min():.3g} to {1e3 * median.max():.3g} ms"
    return Predictions(name, figures, checks, f"{notes}; {table or 'the shipped table'}", networks=tuple(rows))


def main() -> int:
    parser = SHEET.parser(__doc__, list(NETWORKS))
    parser.add_argument("--table", help="of `moiety profile`; without: the one that the package ships")
    parser.add_argument("--count", type=int, default=40)
    parser.add_argument("--repeats", type=int, default=60)
    options = parser.parse_args()
    torch.set_num_threads(1)
    programs = [architecture(seed) for seed in range(1, 1 + options.count)]
    rows: dict[str, Callable[[], Row]] = {
        name: partial(predictions, name, options.table, programs, options.repeats) for name in NETWORKS
    }
    return SHEET.measure(rows, options)


if __name__ == "__main__":
    sys.exit(main())
