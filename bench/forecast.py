"""Persistence images and Z-GCNETs' training step beside what its authors' code does: bench/FORECAST.md.

    OMP_NUM_THREADS=1 python bench/forecast.py [--rows ...] [--repeat 2] [--windows 64] [--note TEXT] [--out FILE]

One thread, least CPU time over turns, in turns. Images: the barcodes of windows of 12 steps on PeMSD8's road graph with
generated flows (from ../shared/data; without it on generated roads), mode code, alpha 0.3. The dense peer is the
published computation in NumPy, a plane a bar. A step is forward, backward and Adam on random windows; each form of it
runs in a process of its own, whose largest memory is told beside.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch

from moiety.data import generated_traffic, load_series
from moiety.models import create_model
from moiety.models.zgcnet_steps import step_by_step
from moiety.topology import Barcode, histograms, image_of_histograms, spans, zigzag_windows
from sheet import Row, Sheet, at_least, at_most

SHEET = Sheet(
    "FORECAST",
    "Persistence images and forecasts",
    "Milliseconds of CPU time, one thread, least over turns. Images are of 100 x 100, float64, from windows of 12 "
    "steps, each: in one batch, or one after another; histograms are made from barcodes once a run; the dense form is "
    "the published one, without bars of no length. A training step of Z-GCNETs is two layers of 64, 12 steps to 12: as "
    "published is the order of operations of the authors' code on our parameters (`moiety.models.zgcnet_steps`), "
    "hoisted computes what is the same at every step once a layer; memory is the growth of the process's largest "
    "resident size.",
    6,
)
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


def images(d: int, windows: int, repeat: int) -> Row:
    try:
        data, where = load_series("generated-pems08", steps=windows + WINDOW - 1), "PeMSD8's roads"
    except FileNotFoundError:
        data, where = generated_traffic(nodes=170, steps=windows + WINDOW - 1), "generated roads"
    found: list[Barcode] = list(zigzag_windows(data.weighted_edges().snapshots(ALPHA), window=WINDOW, mode="code"))
    counts = [histograms(found, WINDOW, k) for k in (0, 1)]
    axes, few = spans(*counts), min(4, len(found))
    bars = [b.intervals(d, diagonal=False) for b in found]
    h, span = torch.from_numpy(counts[d]), torch.from_numpy(axes)
    calls: dict[str, Callable[[], object]] = {
        "dense NumPy": lambda: [dense(bars[k], axes[k]) for k in range(few)],
        "batch": lambda: image_of_histograms(h, RESOLUTION, span=span),
        "one by one": lambda: [
            image_of_histograms(h[k : k + 1], RESOLUTION, span=span[k : k + 1]) for k in range(len(found))
        ],
        "histogram": lambda: histograms(found, WINDOW, d),
    }
    spent = least(calls, repeat)
    milli = {name: 1e3 * value / (few if name == "dense NumPy" else len(found)) for name, value in spent.items()}
    checks = [
        at_least(milli["dense NumPy"] / milli["batch"], IMAGE_TARGET, "the dense form, in a batch"),
        at_least(milli["dense NumPy"] / milli["one by one"], None, "one by one"),
    ]
    mean = np.mean([len(b) for b in bars])
    return Row(f"an image, H{d}, {mean:.0f} bars, {where}", milli, checks, f"{len(found)} windows")


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


def steps(nodes: int, batch: int, repeat: int) -> Row:
    found = {}
    for form in FORMS:
        command = [sys.executable, __file__, "--form", form, "--nodes", str(nodes), "--batch", str(batch),
                   "--repeat", str(repeat)]  # fmt: skip
        found[form] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    first = found["published"]
    checks = [at_least(first["seconds"] / found[f]["seconds"], asked, FORMS[f]) for f, asked in TARGETS.items()]
    share = 100 * found["moiety"]["gib"] / first["gib"]
    checks.append(at_most(share, 50.0, "of the published memory", " %"))
    memory = ", ".join(f"{FORMS[form]} {f['gib']:.2f}" for form, f in found.items())
    figures = {FORMS[form]: 1e3 * f["seconds"] for form, f in found.items()}
    return Row(f"a training step, {nodes} nodes, batch {batch}", figures, checks, f"GiB: {memory}")


def main() -> int:
    parser = SHEET.parser(__doc__, ["h0", "h1", "step-small", "step"])
    parser.add_argument("--repeat", type=int, default=2)
    parser.add_argument("--windows", type=int, default=64)
    parser.add_argument("--form", choices=list(FORMS), help="measure this form of a step alone, and print JSON")
    parser.add_argument("--nodes", type=int, default=307)
    parser.add_argument("--batch", type=int, default=64)
    options = parser.parse_args()
    repeat, windows = options.repeat, options.windows
    if options.form:
        print(json.dumps(step(options.form, options.nodes, options.batch, repeat)))
        return 0
    torch.set_num_threads(1)
    rows = {
        "h0": lambda: images(0, windows, 8 * repeat),
        "h1": lambda: images(1, windows, 8 * repeat),
        "step-small": lambda: steps(170, 8, 2 * repeat),
        "step": lambda: steps(options.nodes, options.batch, repeat),
    }
    return SHEET.measure(rows, options)


if __name__ == "__main__":
    sys.exit(main())
