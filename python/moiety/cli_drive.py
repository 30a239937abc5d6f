"""The commands `search`, `train` and `report`."""

from __future__ import annotations

import importlib
import json as json_module
from pathlib import Path
from typing import Annotated, Any

import typer

from moiety.cli_common import Json, emit, guarded

__all__ = ["register"]

Config = Annotated[str, typer.Argument(help="A TOML file, or the name of a shipped configuration.")]
Sets = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="Change a setting, such as fit.epochs=10; may be repeated."),
]
Out = Annotated[Path | None, typer.Option("--out", "-o", help="The run's folder. Default: runs/NAME.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with a run, and begin none.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")]
TrialsOn = Annotated[str, typer.Option("--trials-on", help="processes or ray.")]
Jobs = Annotated[int, typer.Option(min=0, help="Trials at once. Default: as many as there are cores.")]


def _run(
    command: str, config: str, sets: list[str] | None, out: Path | None, trials_on: str, jobs: int, **how: Any
) -> None:
    from moiety.drive import running
    from moiety.drive.config import RunConfig, load_config, load_task
    from moiety.drive.distributed import first

    if trials_on not in ("processes", "ray"):
        raise ValueError(f"--trials-on is {trials_on!r}: expected processes or ray")
    json = how.pop("json")
    settings = load_config(config, sets or ()) if command == "search" else load_task(config, sets or ())
    folder = out or Path("runs") / settings.name
    where = running.Where(trials_on, jobs)  # type: ignore[arg-type]
    if isinstance(settings, RunConfig):
        run = running.run_search if command == "search" else running.run_train
        said = running.summary(folder, run(settings, folder, where=where, **how))
    else:
        task = importlib.import_module(f"moiety.drive.{settings.task}.running")
        said = task.summary(folder, task.run(settings, folder, where=where, **how))
    if first():
        from moiety.drive.report import document, load_run

        text = f"{said}\n`moiety report {folder}` makes {folder / 'report.html'}"
        emit(json, document([load_run(folder)])["runs"][0] if json else {}, text)


def search(
    config: Config = "digits",
    sets: Sets = None,
    out: Out = None,
    resume: Resume = False,
    trials_on: TrialsOn = "processes",
    jobs: Jobs = 0,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Search architectures against the latency of private inference; compare, train, measure, keep one."""
    _run("search", config, sets, out, trials_on, jobs, resume=resume, quiet=quiet, json=json)


def train(
    config: Config = "digits",
    sets: Sets = None,
    out: Out = None,
    compile: Annotated[bool, typer.Option("--compile", help="Write program.moiety as well.")] = False,
    resume: Resume = False,
    trials_on: TrialsOn = "processes",
    jobs: Jobs = 0,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Train a network on images, or on the nodes of graphs or hypergraphs, or the architecture that a search has found
    (--set architecture=runs/x/architecture.json)."""
    sets = [*(sets or ()), *(["output.compile=true"] if compile else [])]
    _run("train", config, sets, out, trials_on, jobs, resume=resume, quiet=quiet, json=json)


def report(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Folders of finished runs.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The page. Default: report.html in the first run.")
    ] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print tables in Markdown instead.")] = False,
    svg: Annotated[
        Path | None, typer.Option("--svg", help="Write the first run's accuracy against latency as an image instead.")
    ] = None,
    json: Json = False,
) -> None:
    """Show runs as one self-contained HTML page; as JSON, as Markdown tables, or the main figure as an image."""
    from moiety.drive import report as reports
    from moiety.drive.files import write_atomic

    loaded = [reports.load_run(run) for run in runs]
    if svg is not None:
        write_atomic(svg, reports.picture(loaded[0]))
    if markdown:
        typer.echo("\n".join(reports.tables(run) for run in loaded), nl=False)
    if json:
        typer.echo(json_module.dumps(reports.document(loaded)))
    if json or markdown or svg is not None:
        return
    target = out or runs[0] / "report.html"
    write_atomic(target, reports.page(loaded))
    typer.echo(str(target))


def register(app: typer.Typer) -> None:
    for command in (search, train, report):
        app.command()(guarded(command))
