"""The commands `hls vectors`, `hls csim`, `hls rtl` and `hls vitis`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from moiety.cli_common import Json, emit, guarded

__all__ = ["register"]

Kernels = Annotated[list[str] | None, typer.Argument(help="Kernels; all of them if none is named.", show_default=False)]
Sources = Annotated[Path | None, typer.Option(help="The folder hls of a checkout. Default: here or above.")]
VectorsAt = Annotated[Path | None, typer.Option("--vectors", help="Golden vectors. Default: build/hls/vectors.")]
PROGRAMS = {"square": "x2", "x2act": "x2", "truncate": "x2", "scheduler_x2": "x2"}


def vectors(
    kernels: Kernels = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Directory.")] = Path("build/hls/vectors"),
    json: Json = False,
) -> None:
    """Write the kernels' golden vectors: what the engine computed of the demo's network on a shipped photograph."""
    from moiety.hls.vectors import KERNELS, write

    document = write(out, kernels or KERNELS)
    lines = [f"{name:20}{entry['source']}" for name, entry in document["kernels"].items()]
    emit(json, {"directory": str(out), **document}, "\n".join([*lines, f"written to {out}"]))


def csim(
    kernels: Kernels = None,
    vectors: VectorsAt = None,
    headers: Annotated[str, typer.Option(help="shim (ours, FIFOs bounded) or vendor (hls4ml's or Vitis').")] = "shim",
    sources: Sources = None,
    report: Annotated[bool, typer.Option("--report", help="How full each FIFO was.")] = False,
    json: Json = False,
) -> None:
    """Compile the kernels with g++ and run their test benches: bit for bit what the engine computed, or exit code 1."""
    from moiety.hls import flow
    from moiety.hls.vectors import KERNELS, demo_program, write

    hls = flow.sources(sources)
    if headers not in ("shim", "vendor"):
        raise ValueError(f"--headers {headers}: expected shim or vendor")
    single = [kernel for kernel in KERNELS if not kernel.startswith("scheduler")]
    chosen = list(kernels or (KERNELS if headers == "shim" else single))
    place = vectors or hls.parent / "build" / "hls" / "vectors"
    if vectors is None and not all((place / f"{kernel}.vec").is_file() for kernel in chosen):
        write(place, chosen)
    outcomes = []
    for variant in ("searched", "x2"):
        ours = [kernel for kernel in chosen if PROGRAMS.get(kernel, "searched") == variant]
        if ours:
            program = demo_program("x2" if variant == "x2" else "searched").hash
            kind: flow.Headers = "vendor" if headers == "vendor" else "shim"
            outcomes.append(flow.csim(hls, ours, place, hls.parent / "build" / "hls", kind, program, report))
    runs = [run for outcome in outcomes for run in outcome.runs]
    document: dict[str, Any] = {"headers": headers}
    document["kernels"] = {run.kernel: {"passed": run.passed, "text": run.text} for run in runs}
    emit(json, document, "\n".join(run.text for run in runs))
    if not all(run.passed for run in runs):
        raise typer.Exit(1)


def rtl(sources: Sources = None) -> None:
    """Run the SystemVerilog twins under Verilator on the engine's vectors."""
    from moiety.hls import flow

    raise typer.Exit(flow.rtl(flow.sources(sources)))


def vitis(
    kernels: Kernels = None,
    target: Annotated[str, typer.Option(help="csim, csynth, cosim or impl.")] = "csynth",
    vectors: VectorsAt = None,
    sources: Sources = None,
) -> None:
    """Run AMD's Vitis HLS on the kernels, where it is installed."""
    from moiety.hls import flow
    from moiety.hls.vectors import KERNELS

    hls = flow.sources(sources)
    chosen = list(kernels or [kernel for kernel in KERNELS if flow.top_of(kernel) == kernel])
    place = vectors or hls.parent / "build" / "hls" / "vectors"
    raise typer.Exit(flow.vitis(hls, chosen, place, target))


def register(app: typer.Typer) -> None:
    """Adds the group."""
    group = typer.Typer(no_args_is_help=True, help="The FPGA kernels: golden vectors, C simulation, RTL twins, Vitis.")
    for command in (vectors, csim, rtl, vitis):
        group.command()(guarded(command))
    app.add_typer(group, name="hls")
