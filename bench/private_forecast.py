"""Private forecasting: rounds, bytes, seconds and errors of networks that `moiety train` made, between real processes.

    OMP_NUM_THREADS=1 python bench/private_forecast.py                              small networks, trained at once
    OMP_NUM_THREADS=1 python bench/private_forecast.py configs/los-loop.toml        those of a config, the same
    OMP_NUM_THREADS=1 python bench/private_forecast.py configs/los-loop.toml RUN    those of a finished run of it
        [--windows 2] [--tested 64] [--errors 0.0078125,0.02] [--adjacency private,public] [--only MODEL] [--epochs 4]

A row is a network of the first seed, a largest error of its gates and where the adjacency is held. MAE: in the series'
unit over `--tested` windows of the test, in the clear and by the program on plain integers, which the two parties' run
equals but for truncations. Rounds, bytes and seconds are counted and measured in a session of a server, a client and
a dealer on this machine, `--windows` forecasts in a batch; those for LAN and WAN are the cost model's. The client
computes the persistence images of its own windows before: that is not in the seconds. Nothing is verified here.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from moiety import private
from moiety.drive.config import load_task
from moiety.drive.forecast.config import (
    ForecastConfig,
    ForecastFitConfig,
    ForecastModelConfig,
    SeriesConfig,
    TopologyConfig,
    WindowConfig,
)
from moiety.drive.forecast.fitting import Forecaster
from moiety.drive.forecast.results import Outcome, read_forecast_results
from moiety.drive.forecast.running import Workshop
from moiety.drive.forecast.running import run as train
from moiety.private import reference
from moiety.private.inputs import check_input

CALIBRATION = 96  # windows of the training steps
COLUMNS = (
    *("network", "gates' error", "adjacency", "MAE in the clear", "private", "of the batch: clear, two parties"),
    *(
        "rounds",
        "MB server + client",
        "MB dealer (LAN)",
        "CPU s, wall s",
        "modelled s: LAN, WAN",
        "compile CPU s",
        "gates",
    ),
)


def small() -> ForecastConfig:
    """Networks that are trained in a minute."""
    models = (
        ForecastModelConfig("zgcnet", options={"hidden": 16, "layers": 2}),
        ForecastModelConfig("agcrn", options={"hidden": 16, "layers": 2}),
        ForecastModelConfig("tgcn", options={"hidden": 16}),
    )
    return ForecastConfig(
        data=SeriesConfig("generated", {"nodes": 20, "steps": 864}),
        windows=WindowConfig(lag=12, horizon=3),
        topology=TopologyConfig(resolution=50),
        models=models,
        fit=ForecastFitConfig(learning_rate=0.01, residual=1),
    )


def inputs_of(shop: Workshop, made: Forecaster, starts: Tensor) -> tuple[Tensor, ...]:
    """What the client gives: its windows, and the images of them."""
    x = shop.windows.batch(starts).x
    if made.image is None:
        return (x,)
    with torch.no_grad():
        return x, made.image(*made.images_of(starts))


def mae(shop: Workshop, made: Forecaster, starts: Tensor, output: Tensor) -> float:
    batch = shop.windows.batch(starts)
    found = shop.windows.unscaled(made.whole(output, batch))
    return (found - batch.y).abs().mean().item()


def row(shop: Workshop, outcome: Outcome, options: argparse.Namespace, error: float, adjacency: str) -> None:
    made = shop.load(outcome).eval()
    windows = shop.windows
    seen = windows.train[torch.linspace(0, len(windows.train) - 1, CALIBRATION).long()]
    tested = windows.test[torch.linspace(0, len(windows.test) - 1, options.tested).long()]
    given = inputs_of(shop, made, seen)
    start = time.process_time()
    program = private.compile(
        made.network, given, calibration=[given], inputs=len(given), single=True, adjacency=adjacency, gate_error=error
    )
    compiled = time.process_time() - start
    inputs = inputs_of(shop, made, tested)
    with torch.no_grad():
        plain = mae(shop, made, tested, made.network(*inputs))
    joined = check_input(program, tuple(x.numpy() for x in inputs) if len(inputs) > 1 else inputs[0].numpy())
    shown = mae(shop, made, tested, torch.from_numpy(cast(Any, reference.run(program, joined))).float())
    few = tuple(x[: options.windows] for x in inputs)
    result = private.run_local(program, few if len(few) > 1 else few[0])
    online = [getattr(result.stats, side)["online"] for side in ("server", "client")]
    own = mae(shop, made, tested[: options.windows], torch.as_tensor(result.output))
    with torch.no_grad():
        own_plain = mae(shop, made, tested[: options.windows], made.network(*few))
    far = [private.estimate(program, network, batch=options.windows) for network in ("lan", "wan")]
    gates = {f"{g['function']} {g['method']} {g.get('pieces', g.get('degree'))}" for g in program.metadata["gates"]}
    cells = (
        outcome.model,
        f"{error:.4f}",
        adjacency,
        f"{plain:.4f}",
        f"{shown:.4f} ({100 * (shown / plain - 1):+.2f} %)",
        f"{own_plain:.4f}, {own:.4f}",
        online[1].rounds,
        " + ".join(f"{phase.bytes_sent / 1e6:.2f}" for phase in online),
        f"{far[0].material_bytes / 1e6:.1f}",
        f"{max(phase.cpu_seconds for phase in online):.2f}, {max(phase.wall_seconds for phase in online):.2f}",
        ", ".join(f"{estimate.seconds:.2f}" for estimate in far),
        f"{compiled:.1f}",
        ", ".join(sorted(gates)),
    )
    print("| " + " | ".join(map(str, cells)) + " |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("config", nargs="?")
    parser.add_argument("run", nargs="?", type=Path)
    parser.add_argument("--windows", type=int, default=2)
    parser.add_argument("--tested", type=int, default=64)
    parser.add_argument("--errors", default=f"{2.0**-7}")
    parser.add_argument("--adjacency", default="private,public")
    parser.add_argument("--only", default="")
    parser.add_argument("--epochs", type=int, default=4)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        config = cast(ForecastConfig, load_task(options.config)) if options.config else small()
        out = options.run
        if out is None:
            out = Path(folder) / "run"
            models = tuple(model for model in config.models if options.only in ("", model.label))
            fit = replace(config.fit, epochs=options.epochs)
            config = replace(config, models=models, seeds=config.seeds[:1], fit=fit)
            train(config, out, quiet=True)
        shop, results = Workshop(out, config), read_forecast_results(out)
        print(
            f"{shop.data.name}: {shop.data.num_nodes} nodes, {config.windows.lag} steps read, {config.windows.horizon} "
            f"forecast; {options.windows} forecasts in a batch, MAE in {shop.data.unit} over {options.tested} windows\n"
        )
        print("| " + " | ".join(COLUMNS) + " |\n" + "|---" * len(COLUMNS) + "|", flush=True)
        for outcome in results.outcomes:
            if outcome.seed != config.seeds[0] or options.only not in ("", outcome.model):
                continue
            for error in map(float, options.errors.split(",")):
                for adjacency in options.adjacency.split(","):
                    row(shop, outcome, options, error, adjacency)


if __name__ == "__main__":
    main()
