"""Persistence images and Z-GCNETs' training step beside what its authors' code does: bench/FORECAST.md.

    OMP_NUM_THREADS=1 python bench/forecast.py [--repeat 2] [--windows 64] [--note TEXT] [--out bench/FORECAST.md]

One thread, least CPU time over turns, in turns. Images: the barcodes of windows of 12 steps on PeMSD8's road graph with
generated flows (from ../shared/data; without it on generated roads), mode code, alpha 0.3. The dense peer is the
published computation in NumPy, a plane a bar. A step is forward, backward and Adam on random windows; each form of it
runs in a process of its own, whose largest memory is told beside.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

import machine
from moiety.data import generated_traffic, load_series
from moiety.models import create_model
from moiety.models.zgcnet_steps import step_by_step
from moiety.topology import Barcode, histograms, image_of_histograms, spans, zigzag_windows

FORMS = {"published": "as published", "hoisted": "the same, hoisted", "moiety": "moiety"}
TARGETS = {"hoisted": 1.6, "moiety": 2.0}
IMAGE_TARGET = 300.0
RESOLUTION, WINDOW, ALPHA = 100, 12, 0.3
Ends = npt.NDArray[np.float64]


def dense(bars: Ends, axes: Ends) -> Ends:
    """One image as published: a plane of the grid for every bar, all of them summed, scaled to [0, 1]."""
    x, y = np.linspace(axes[0], axes[1], RESOLUTION), np.linspace(axes[2], axes[3], RESOLUTION)
    across, up = np.meshgrid(x, y)
    across, up = across[:, :, np.newaxis], up[:, :, np.newaxis]
    birth, death = bars[:, 0].reshape(1, 1, -1), bars[:, 1].reshape(1, 1, -1)
    distance = np.sqrt((across - birth) ** 2 + (up - death) ** 2)
    image = (np.abs(death - birth) * np.exp(-(distance**2))).sum(2)
    return (image - image.min()) / (image.max() - image.min())


def least(calls: dict[str, Callable[[], object]], repeat: int) -> dict[str, float]:
    """CPU seconds of each, the least over turns."""
    found: dict[str, float] = {}
    for _ in range(repeat):
        for name, call in calls.items():
            start = time.process_time()
            call()
            spent = time.process_time() - start
            found[name] = min(spent, found.get(name, spent))
    return found


def images(windows: int, repeat: int) -> list[str]:
    try:
        data, where = load_series("generated-pems08", steps=windows + WINDOW - 1), "PeMSD8's roads"
    except FileNotFoundError:
        data, where = generated_traffic(nodes=170, steps=windows + WINDOW - 1), "generated roads"
    found = list(zigzag_windows(data.weighted_edges().snapshots(ALPHA), window=WINDOW, mode="code"))
    by_dimension = [histograms(found, WINDOW, d) for d in (0, 1)]
    axes = spans(*by_dimension)
    return [image_row(d, found, by_dimension[d], axes, where, repeat) for d in (0, 1)]


def image_row(d: int, found: list[Barcode], counts: npt.NDArray[np.uint16], axes: Ends, where: str, repeat: int) -> str:
    windows, few = len(found), min(4, len(found))
    bars = [b.intervals(d, diagonal=False) for b in found]
    h, span = torch.from_numpy(counts), torch.from_numpy(axes)
    calls: dict[str, Callable[[], object]] = {
        "dense": lambda: [dense(bars[k], axes[k]) for k in range(few)],
        "batch": lambda: image_of_histograms(h, RESOLUTION, span=span),
        "single": lambda: [image_of_histograms(h[k : k + 1], RESOLUTION, span=span[k : k + 1]) for k in range(windows)],
        "histograms": lambda: histograms(found, WINDOW, d),
    }
    milli = {name: 1e3 * value / (few if name == "dense" else windows) for name, value in least(calls, repeat).items()}
    ratios = {name: milli["dense"] / milli[name] for name in ("batch", "single")}
    reached = "met" if ratios["batch"] >= IMAGE_TARGET else f"**short of {IMAGE_TARGET:g}x**"
    row = (
        f"| H{d}, {np.mean([len(b) for b in bars]):.0f} bars, {where} | {milli['dense']:.2f} | {milli['batch']:.4f} | "
        f"{milli['single']:.4f} | {milli['histograms']:.4f} | {ratios['batch']:.0f}x, {ratios['single']:.0f}x | "
        f"{reached} |"
    )
    print(row, flush=True)
    return row


def step(form: str, nodes: int, batch: int, repeat: int) -> dict[str, float]:
    """One form's CPU seconds and largest memory above what was there before its first step, in GiB."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = create_model("zgcnet", num_nodes=nodes)
    x, zpi = torch.randn(batch, 12, nodes, 1), torch.rand(batch, 1, RESOLUTION, RESOLUTION)
    y = torch.randn(batch, 12, nodes, 1)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.003)
    forward = {
        "published": lambda: step_by_step(model, x, zpi),
        "hoisted": lambda: step_by_step(model, x, zpi, hoist=True),
        "moiety": lambda: model(x, zpi),
    }[form]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    def run() -> None:
        optimizer.zero_grad()
        (forward() - y).abs().mean().backward()
        optimizer.step()

    seconds = least({form: run}, repeat)[form]
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"seconds": seconds, "gib": (after - before) / 2**20}


def steps(nodes: int, batch: int, repeat: int) -> list[str]:
    found = {}
    for form in FORMS:
        command = [sys.executable, __file__, "--form", form, "--nodes", str(nodes), "--batch", str(batch),
                   "--repeat", str(repeat)]  # fmt: skip
        found[form] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        print(form, found[form], flush=True)
    first, rows = found["published"], []
    for form, words in FORMS.items():
        faster, smaller = first["seconds"] / found[form]["seconds"], found[form]["gib"] / first["gib"]
        verdict = ""
        if form in TARGETS:
            verdict = "met" if faster >= TARGETS[form] else f"**short of {TARGETS[form]:g}x**"
        if form == "moiety" and smaller > 0.5:
            verdict += ", **more than half the memory**"
        rows.append(
            f"| {nodes} nodes, batch {batch}, {words} | {found[form]['seconds']:.3f} | {faster:.2f}x | "
            f"{found[form]['gib']:.2f} | {100 * smaller:.0f} % | {verdict} |"
        )
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=2)
    parser.add_argument("--windows", type=int, default=64)
    parser.add_argument("--form", choices=list(FORMS), help="measure this form of a step alone, and print JSON")
    parser.add_argument("--nodes", type=int, default=307)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--note", default="", help="what a reader must know of this run")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("FORECAST.md"))
    options = parser.parse_args()
    if options.form:
        print(json.dumps(step(options.form, options.nodes, options.batch, options.repeat)))
        return 0
    torch.set_num_threads(1)
    load = machine.load()
    drawn = images(options.windows, 8 * options.repeat)
    stepped = steps(170, 8, 2 * options.repeat) + steps(options.nodes, options.batch, options.repeat)
    described = "".join(f"- {name}: {value}\n" for name, value in machine.describe().items())
    note = f"\n{options.note}\n" if options.note else ""
    options.out.write_text(
        f"# Persistence images and forecasts\n\nWritten by `python bench/forecast.py {' '.join(sys.argv[1:])}`. CPU "
        f"time, one thread, least over turns. Load average {load} before, {machine.load()} after.\n{note}\n"
        f"{described}\n"
        f"## Images of {RESOLUTION} x {RESOLUTION}, milliseconds each\n\n"
        f"Float64. {options.windows} windows of {WINDOW} steps in one batch, or one after another; histograms are made "
        "from barcodes once a run. The dense form is the published one; bars without length are left out of it.\n\n"
        "| | dense NumPy | batch | one by one | histogram | dense / batch, dense / one by one | at least 300x |\n"
        "|---|---|---|---|---|---|---|\n" + "\n".join(drawn) + "\n\n"
        "## A training step of Z-GCNETs, seconds\n\nTwo layers of 64, 12 steps to 12, images of 100 x 100. *As "
        "published* is the order of operations of the authors' code on our parameters (`moiety.models.zgcnet_steps`); "
        "*hoisted* computes what is the same at every step once a layer. Memory is the growth of the process's largest "
        "resident size over the steps.\n\n"
        "| | seconds | faster | GiB | of published | |\n|---|---|---|---|---|---|\n" + "\n".join(stepped) + "\n"
    )
    print(f"wrote {options.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
