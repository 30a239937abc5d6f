"""The shipped networks on all 10,000 test images, privately and in the clear, and the latency of one image.

    python bench/accuracy.py --out bench/ACCURACY.md [--images 10000] [--data DIR]

The latency is the online wall time of one image on a shaped LAN (1 ms, 1 Gbit/s), the median of several runs, beside
that of the same network with ReLU, x^2 or no activation at every gate, each with the same comparison setting ("auto"
chooses layer by layer, see moiety.cost).
"""

from __future__ import annotations

import argparse
import shlex
import statistics
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from machine import describe, load
from moiety import private
from moiety.data.cifar10 import load_cifar10
from moiety.data.images import normalize
from moiety.demo import load_network
from moiety.models import create_model

LAN = private.Network(rtt_ms=1.0, mbit=1000.0)
BATCH = 125
NETWORKS = ("searched", "x2")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--repeat", type=int, default=15)
    parser.add_argument("--data")
    settings = parser.parse_args()
    torch.set_num_threads(1)
    test = load_cifar10("test", settings.data)
    images, labels = test.images[: settings.images], test.labels[: settings.images]
    lines = [
        "# The shipped networks",
        "",
        f"`{shlex.join(['python', 'bench/accuracy.py', *sys.argv[1:]])}`; load {load()} at the start.",
        "",
        *(f"- {key}: {value}" for key, value in describe().items()),
        "",
        "| network | images | in the clear | privately | other answers | largest difference of a logit |",
        "|---|---|---|---|---|---|",
    ]
    for name in NETWORKS:
        lines.append("| " + " | ".join([name, f"{len(images)}", *accuracy(name, images, labels)]) + " |")
        print(lines[-1], flush=True)
    lines += [
        "",
        "One image, online, on a LAN of 1 ms and 1 Gbit/s; `budget` is L_x2 + 0.35 (L_relu - L_x2):",
        "",
        "| network | comparison | L | L_relu | L_x2 | L_identity | budget | rounds | bytes |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for comparison in ("auto", "circuit"):
        lines.append(latency("searched", images[:1], comparison, settings.repeat))
        print(lines[-1], flush=True)
    lines.append(f"\nLoad {load()} at the end.")
    settings.out.write_text("\n".join(lines) + "\n")


def accuracy(name: Any, images: Any, labels: Any) -> list[str]:
    model, metadata = load_network(name)
    program = private.compile(model, torch.zeros(1, 3, 32, 32), calibration=metadata["activation_bounds"])
    right_plain = right_private = different = 0
    largest = 0.0
    for begin in range(0, len(images), BATCH):
        x = torch.from_numpy(normalize(images[begin : begin + BATCH]))
        y = labels[begin : begin + BATCH]
        with torch.no_grad():
            plain = model(x)
        answer = private.run_local(program, x).output
        right_plain += int((plain.argmax(1).numpy() == y).sum())
        right_private += int((answer.argmax(1).numpy() == y).sum())
        different += int((plain.argmax(1) != answer.argmax(1)).sum())
        largest = max(largest, float((plain - answer).abs().max()))
    count = len(images)
    return [f"{right_plain / count:.2%}", f"{right_private / count:.2%}", f"{different}", f"{largest:.4f}"]


def latency(name: Any, image: Any, comparison: str, repeat: int) -> str:
    """The networks take turns, so that a busy machine slows each alike."""
    model, metadata = load_network(name)
    x = normalize(image)
    programs = {"L": private.compile(model, torch.zeros(1, 3, 32, 32), calibration=metadata["activation_bounds"])}
    for kind in ("relu", "x2", "identity"):
        other = uniform(metadata, kind)
        programs[kind] = private.compile(other, torch.zeros(1, 3, 32, 32), calibration=torch.from_numpy(x))
    walls: dict[str, list[float]] = {key: [] for key in programs}
    for _ in range(repeat):
        for key, program in programs.items():
            stats = private.run_local(program, x, network=LAN, comparison=comparison).stats
            walls[key].append(max(stats.client["online"].wall_seconds, stats.server["online"].wall_seconds))
    ms = {key: 1e3 * statistics.median(values) for key, values in walls.items()}
    budget = ms["x2"] + 0.35 * (ms["relu"] - ms["x2"])
    cost = private.estimate(programs["L"], LAN, comparison=comparison)
    cells = [f"{value:.1f} ms" for value in (ms["L"], ms["relu"], ms["x2"], ms["identity"], budget)]
    return "| " + " | ".join([name, comparison, *cells, f"{cost.rounds}", f"{cost.bytes_online:,}"]) + " |"


def uniform(metadata: dict[str, Any], kind: str) -> nn.Module:
    """The same network with one operator at every gate, untrained: latency does not depend on weights."""
    torch.manual_seed(0)
    model = create_model(metadata["model"]["name"], **{**metadata["model"]["kwargs"], "activation": kind})
    with torch.no_grad():
        model.train()(torch.from_numpy(np.random.default_rng(0).normal(size=(64, 3, 32, 32)).astype(np.float32)))
    return model.eval()


if __name__ == "__main__":
    main()
