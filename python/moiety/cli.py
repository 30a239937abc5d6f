"""The command line: `moiety compile | deal | serve | infer | ...`; `moiety --help` lists the commands.

Results go to standard output (`--json`: one JSON document, or one line an event), progress and errors to standard
error. An error is one line that says what was expected, what came and what to do, and the exit code is 1; `--debug`,
in front of the command, shows the traceback. Nothing heavy is imported before a command runs.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from moiety import cli_cost, cli_drive, cli_fpga, cli_graph, cli_hls
from moiety.cli_common import Json, emit, guarded, show_tracebacks

if TYPE_CHECKING:
    from moiety.private.client import ClientConfig
    from moiety.private.program import Program
    from moiety.private.session import Progress
    from moiety.private.tls import Tls
    from moiety.private.transport import Network

__all__ = ["app"]

app = typer.Typer(
    name="moiety",
    help="Private, structured deep learning: two parties run a network and neither sees the other's half.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

_BATCH = 8  # samples of one inference of `infer`, unless it is told or the correlation file says

Program_ = Annotated[Path, typer.Option("--program", help="A file of `moiety compile`.")]
State = Annotated[
    Path | None, typer.Option(help="Directory for epochs, masks and the ledger. Default: by role, in $XDG_STATE_HOME.")
]
Certs = Annotated[Path | None, typer.Option(help="Directory of `moiety certs`; with it, links run TLS 1.3.")]
Name = Annotated[str | None, typer.Option(help="This party's certificate in --certs. Default: its role.")]
Timeout = Annotated[float, typer.Option(min=0.1, help="Longest wait for a peer, in seconds.")]
Threads = Annotated[int, typer.Option(min=1, help="Threads of this party.")]
Comparison = Annotated[str, typer.Option(help="circuit, dcf, auto, or c and d, a letter a layer.")]
Plaintext = Annotated[
    bool, typer.Option("--insecure-plaintext", help="Allow plain TCP to other hosts: everything can be read.")
]
NetworkName = Annotated[str | None, typer.Option("--network", help="lan, wan, or RTT_MS:MBIT.")]


@app.callback()
def _main(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks and log more.")] = False,
) -> None:
    show_tracebacks(debug)
    logging.basicConfig(level=logging.INFO if debug else logging.WARNING, format="%(name)s: %(message)s")


def _state(given: Path | None, role: str) -> Path:
    if given is not None:
        return given
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(base) / "moiety" / role


def _tls(certs: Path | None, name: str | None, role: str) -> Tls | None:
    from moiety.private.certs import tls_from

    if certs is None and name is not None:
        raise ValueError(f"--name {name} without --certs: expected the directory that holds the certificate")
    return tls_from(certs, name or role) if certs is not None else None


def _network(text: str | None) -> Network:
    from moiety.cost import network_of

    return network_of(text)


@contextmanager
def _progress(label: str) -> Iterator[Progress]:
    """A bar on standard error, if that is a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(label, total=None)

        def step(phase: str, done: int, total: int) -> None:
            bar.update(task, description=f"{label}: {phase}", completed=done, total=total)

        yield step


@contextmanager
def _party() -> Iterator[Callable[[], bool]]:
    """This process is a party, until the function given is true: SIGINT or SIGTERM came."""
    from moiety._core import mpc

    mpc.retain_memory()
    stopped = threading.Event()
    before = {name: signal.signal(name, lambda *_: stopped.set()) for name in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopped.is_set
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)


@app.command()
@guarded
def compile(
    model: Annotated[
        str,
        typer.Argument(help="module:function that returns (model, example inputs[, metadata]); or a network's file."),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="The program with weights: the server's.")] = Path(
        "model.moiety"
    ),
    out_client: Annotated[
        Path | None, typer.Option(help="The program without weights: what clients and dealers may have.")
    ] = None,
    weights: Annotated[Path | None, typer.Option(help="safetensors file for the function's model.")] = None,
    calibration: Annotated[
        Path | None, typer.Option(help=".npy file of inputs (float32, with batch) to measure ranges on.")
    ] = None,
    graph: Annotated[
        str | None,
        typer.Option(help="Of a network's file for graphs: the data set to run on. Default: what it was trained on."),
    ] = None,
    ring: Annotated[int, typer.Option(help="32 or 64.")] = 64,
    fraction_bits: Annotated[int, typer.Option(help="Of the fixed-point numbers.")] = 16,
    output: Annotated[str, typer.Option(help="logits, or class: the client gets the index only.")] = "logits",
    check_range: Annotated[bool, typer.Option("--check-range", help="Tell the client of inputs out of range.")] = False,
    json: Json = False,
) -> None:
    """Compile a torch model to a two-party program."""
    from moiety.private.modelfile import compile_target

    options = {"ring": ring, "fraction_bits": fraction_bits, "output": output, "check_range": check_range}
    program = compile_target(model, weights, calibration, graph, **options)
    client = out_client or out.with_name(f"{out.stem}-client{out.suffix}")
    program.save(out)
    program.without_weights().save(client)
    document = {"server": str(out), "client": str(client), "hash": program.hash, "operations": len(program.ops)}
    emit(
        json,
        document,
        f"{out}: {len(program.ops)} operations, program {program.hash[:16]}\n{client}: the same without weights",
    )


@app.command()
@guarded
def deal(
    program: Program_,
    batch: Annotated[int, typer.Option(help="Samples of one inference.")],
    count: Annotated[int, typer.Option(help="Inferences that the files serve.")],
    out_server: Annotated[Path, typer.Option(help="The server's file.")],
    out_client: Annotated[Path, typer.Option(help="The client's file.")],
    comparison: Comparison = "auto",
    state: State = None,
    epoch: Annotated[str | None, typer.Option(help="Go on with a weight epoch that this --state opened.")] = None,
    threads: Threads = 1,
    json: Json = False,
) -> None:
    """Make correlation files at a third place: give each party its own, keep neither."""
    from moiety.private.material import deal_files
    from moiety.private.program import load

    with _progress("dealing") as step:
        opened = deal_files(
            load(program),
            batch,
            count,
            out_server,
            out_client,
            comparison=comparison,
            state=_state(state, "dealer"),
            epoch=epoch,
            threads=threads,
            progress=lambda done, total: step("inferences", done, total),
        )
    document = {"server": str(out_server), "client": str(out_client), "epoch": opened, "batch": batch, "count": count}
    emit(json, document, f"{out_server} and {out_client}: {count} inferences of batch {batch}, weight epoch {opened}")


@app.command()
@guarded
def serve(
    program: Program_,
    listen: Annotated[str, typer.Option(help="host:port or unix:/path.")] = "127.0.0.1:7100",
    dealer: Annotated[str | None, typer.Option(help="The dealer's address.")] = None,
    correlations: Annotated[
        list[Path] | None, typer.Option(help="The server's file of `moiety deal`; may be repeated.")
    ] = None,
    state: State = None,
    certs: Certs = None,
    name: Name = None,
    max_batch: Annotated[int, typer.Option(min=1)] = 64,
    max_clients: Annotated[int, typer.Option(min=1)] = 4,
    timeout: Timeout = 60.0,
    threads: Threads = 1,
    insecure_plaintext: Plaintext = False,
    json: Json = False,
) -> None:
    """Serve a program until SIGINT or SIGTERM."""
    from moiety.private.program import load
    from moiety.private.server import Server, ServerConfig
    from moiety.private.transport import listen as listen_at

    tls = _tls(certs, name, "server")
    config = ServerConfig(
        state=_state(state, "server"),
        dealer=dealer,
        correlations=correlations or (),
        tls=tls,
        max_batch=max_batch,
        max_clients=max_clients,
        timeout=timeout,
        threads=threads,
        insecure_plaintext=insecure_plaintext,
    )
    loaded = load(program)
    with _party() as stop, listen_at(listen, tls=tls, insecure_plaintext=insecure_plaintext) as listener:
        server = Server(loaded, listener, config)
        try:
            address = str(listener.address)
            emit(json, {"listening": address, "program": loaded.hash}, f"serving {loaded.hash[:16]} at {address}")
            sys.stdout.flush()
            server.serve(stop)
        finally:
            server.close()


@app.command()
@guarded
def dealer(
    listen: Annotated[str, typer.Option(help="host:port or unix:/path.")] = "127.0.0.1:7101",
    state: State = None,
    certs: Certs = None,
    name: Name = None,
    limit: Annotated[int, typer.Option(min=2, help="Connections at once.")] = 64,
    timeout: Timeout = 60.0,
    threads: Threads = 1,
    insecure_plaintext: Plaintext = False,
    json: Json = False,
) -> None:
    """Deal correlations to both parties until SIGINT or SIGTERM; sees neither inputs nor weights."""
    from moiety.private.dealer import Dealer
    from moiety.private.transport import listen as listen_at

    tls = _tls(certs, name, "dealer")
    with _party() as stop, listen_at(listen, tls=tls, insecure_plaintext=insecure_plaintext) as listener:
        service = Dealer(listener, _state(state, "dealer"), timeout=timeout, threads=threads, limit=limit)
        address = str(listener.address)
        emit(json, {"listening": address}, f"dealing at {address}")
        sys.stdout.flush()
        service.serve(stop)


@app.command()
@guarded
def infer(
    inputs: Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="Images, or .npy files.")],
    program: Program_,
    server: Annotated[str, typer.Option(help="The server's address.")] = "127.0.0.1:7100",
    dealer: Annotated[str | None, typer.Option(help="The dealer's address.")] = None,
    correlations: Annotated[Path | None, typer.Option(help="The client's file of `moiety deal`.")] = None,
    batch: Annotated[int | None, typer.Option(min=1, help="Samples of one inference. Default: up to 8.")] = None,
    comparison: Comparison = "auto",
    state: State = None,
    certs: Certs = None,
    name: Name = None,
    top: Annotated[int, typer.Option(min=1, help="Classes to print.")] = 5,
    timeout: Timeout = 60.0,
    threads: Threads = 1,
    insecure_plaintext: Plaintext = False,
    json: Json = False,
) -> None:
    """Ask a server about images that it does not see."""
    from moiety.private.client import ClientConfig
    from moiety.private.images import read_inputs
    from moiety.private.program import load
    from moiety.private.report import show_inferences

    loaded = load(program)
    config = ClientConfig(
        server=server,
        state=_state(state, "client"),
        dealer=dealer,
        correlations=correlations,
        comparison=comparison,
        tls=_tls(certs, name, "client"),
        timeout=timeout,
        threads=threads,
        insecure_plaintext=insecure_plaintext,
    )
    x, names = read_inputs(loaded, inputs)
    outputs, runs = _infer_all(loaded, x, batch, config)
    document = {"outputs": [{"input": n, "output": o} for n, o in zip(names, outputs, strict=True)], "stats": runs}
    emit(json, document, show_inferences(loaded, names, outputs, runs, top))


def _infer_all(program: Program, x: Any, batch: int | None, config: ClientConfig) -> tuple[list[Any], list[Any]]:
    """The outputs for all of `x`, in batches of one size; the last batch is filled up with zeros."""
    import numpy as np

    from moiety.private.client import Client, check_input
    from moiety.private.material import dealt_batch

    x = check_input(program, x)
    if batch is None:
        batch = -(-len(x) // -(-len(x) // _BATCH))  # as few inferences as _BATCH allows, evenly filled
        if config.correlations is not None:
            batch = dealt_batch(config.correlations)
    padded = np.concatenate([x, np.zeros((-len(x) % batch, *x.shape[1:]), x.dtype)])
    outputs: list[Any] = []
    runs: list[Any] = []
    with _progress(f"{len(x)} inputs") as step, Client(program, batch, config, step) as client:
        for start in range(0, len(padded), batch):
            output, stats = client.infer(padded[start : start + batch])
            outputs += output.tolist()
            runs.append(stats.to_dict())
    return outputs[: len(x)], runs


@app.command()
@guarded
def certs(
    directory: Annotated[Path, typer.Argument(help="Where the authority and the certificates lie.")],
    role: Annotated[str | None, typer.Option(help="One more certificate: server, client or dealer.")] = None,
    name: Annotated[str | None, typer.Option(help="Its file name. Default: the role.")] = None,
    days: Annotated[int, typer.Option(min=1)] = 365,
    json: Json = False,
) -> None:
    """Make a private certificate authority and one certificate for each role."""
    from moiety.private.certs import ROLES, make_authority, make_certificate

    made = []
    if not (directory / "authority.pem").exists():
        made.append(str(make_authority(directory)))
    for each in (role,) if role else ROLES:
        made.append(str(make_certificate(directory, each, name if role else None, days).certificate))
    advice = (
        f"give each party authority.pem and its own .pem and .key; keep {directory / 'authority.key'} off all of them"
    )
    emit(json, {"made": made}, "\n".join([*made, advice]))


@app.command()
@guarded
def estimate(
    program: Program_,
    batch: Annotated[int, typer.Option(min=1)] = 1,
    comparison: Comparison = "auto",
    network: NetworkName = None,
    json: Json = False,
) -> None:
    """Rounds, bytes and seconds of an inference, without running it."""
    from moiety.private.program import load
    from moiety.private.report import show_estimate

    document, text = show_estimate(load(program), batch, comparison, _network(network))
    emit(json, document, text)


@app.command()
@guarded
def bench(
    protocol: Annotated[str, typer.Argument(help="relu, mul, matmul, conv, maxpool or square.")],
    n: Annotated[int, typer.Option(min=1, help="Elements.")] = 1 << 20,
    comparison: Comparison = "circuit",
    bits: Annotated[int, typer.Option(min=2, help="Compared bits.")] = 24,
    network: NetworkName = None,
    threads: Threads = 1,
    json: Json = False,
) -> None:
    """One protocol between two processes, with the counters of a whole inference."""
    from moiety import private
    from moiety.private.report import counters

    document = private.bench(
        protocol, n=n, comparison=comparison, bits=bits, network=_network(network), threads=threads
    )
    emit(json, document, counters(document))


@app.command()
@guarded
def demo(
    images: Annotated[list[Path] | None, typer.Argument(help="Photographs. Default: the shipped ones.")] = None,
    network: Annotated[str | None, typer.Option(help="lan or wan.")] = None,
    variant: Annotated[str, typer.Option(help="searched, x2 or both.")] = "both",
    comparison: Comparison = "auto",
    out: Annotated[Path, typer.Option(help="The JSON document.")] = Path("demo-output/demo.json"),
) -> None:
    """Classify photographs with server, dealer and client on this machine, and compare with the plain model."""
    import moiety.demo

    run: Callable[..., Any] = moiety.demo.run
    run(images, json_path=out, network=network, variant=variant, comparison=comparison)


@app.command()
@guarded
def doctor(json: Json = False) -> None:
    """What this installation is, what it chose on this machine, and what is missing."""
    from moiety.doctor import run

    raise typer.Exit(run(json=json))


cli_cost.register(app)
cli_drive.register(app)
cli_fpga.register(app)
cli_graph.register(app)
cli_hls.register(app)
