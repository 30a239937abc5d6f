"""Whatever happens to a peer, every party ends within its timeout with an error that says what was expected and what
came, nothing is used twice, and the server is ready for the next client.

A `Tap` stands in for the network: it carries a link's bytes as far as an offset, then closes, stalls or sends garbage.
The offsets walk through all phases. Whole processes are killed and stopped at the end of this file.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from moiety import ProtocolError
from moiety.private.local import run_local
from moiety.private.material import MaterialFile
from moiety.private.transport import connect

TIMEOUT = 0.7
X = np.zeros((2, 6), np.float32)

# The frames of one connection with one inference, in order, up to the last that a client needs.
FRAMES = {
    ("client-server", "up"): ["hello", "setup", "infer", "claimed", "ready", "step"],
    ("client-server", "down"): ["hello", "masks", "E", "masks sent", "session", "ready", "step", "done"],
    ("client-dealer", "up"): ["hello", "session"],
    ("client-dealer", "down"): ["hello", "dealing", "material", "dealt"],
    ("server-dealer", "up"): ["hello", "session"],
    ("server-dealer", "down"): ["hello", "dealing", "dealt"],
}
# A connection that closes or stalls in front of a frame, a frame that is cut short, one with other bytes inside.
FAULTS = ["close", "stall", "truncate", "garbage"]
CASES = [(*way, frame, what) for way, frames in FRAMES.items() for frame in frames for what in FAULTS]


def _taps(site, link, fault=None):
    """Dealer and server with a tap on one link; the tap, and the client's options."""
    site.dealer(timeout=TIMEOUT)
    dealer = site.address("dealer")
    if link == "server-dealer":
        tap = site.tap("tap", "dealer", fault)
        site.server(dealer=tap.address, timeout=TIMEOUT)
        site.server("good", dealer=dealer, timeout=TIMEOUT)
        return tap, {"timeout": TIMEOUT}
    site.server(dealer=dealer, timeout=TIMEOUT)
    tap = site.tap("tap", "server" if link == "client-server" else "dealer", fault)
    return tap, {"timeout": TIMEOUT, "server" if link == "client-server" else "dealer": tap.address}


@pytest.fixture(scope="module")
def spans(tmp_path_factory, make_site):
    """(link, way, frame) -> where the frame begins and ends on its link, from a run without a fault."""
    found = {}
    for link in {link for link, _ in FRAMES}:
        site = make_site(tmp_path_factory.mktemp(link))
        tap, options = _taps(site, link)
        site.infer(X, **options)
        site.close()
        for way in ("up", "down"):
            stream, at = b"".join(tap.up if way == "up" else tap.down), 0
            for frame in FRAMES[link, way]:
                end = at + 24 + int.from_bytes(stream[at + 8 : at + 16], "little")
                found[link, way, frame] = (at, end)
                at = end
            assert at in (len(stream), len(stream) - 24 - len('{"type":"bye"}')), (link, way)
    return found


@pytest.mark.parametrize(("link", "way", "frame", "what"), CASES)
def test_a_link_that_fails_anywhere(site, spans, link, way, frame, what, caplog):
    begin, end = spans[link, way, frame]
    offset = begin if what in ("close", "stall") else (begin + 24 + end) // 2
    _, options = _taps(site, link, (way, offset, "close" if what == "truncate" else what))
    start = time.monotonic()
    # Garbage inside a frame that holds random numbers cannot be told from them.
    uncertain = what == "garbage" and frame in ("E", "material", "step", "dealing")
    failed = None
    try:
        with site.client(**options) as client:
            client.infer(X)
    except ProtocolError as error:
        failed = str(error)
    assert time.monotonic() - start < 4 * TIMEOUT + 2
    assert failed is not None or uncertain
    if failed is not None:
        assert len(failed) > 20
        assert "\n" not in failed
        assert "the server" in failed or "the dealer" in failed
    # The server is ready for the next client, whatever happened.
    site.infer(**({"server": site.address("good")} if link == "server-dealer" else {}))
    site.close()
    if failed is not None:
        ended = [record.getMessage() for record in caplog.records if record.name == "moiety.server"]
        assert any("connection" in line for line in ended), "the server did not report the fault"
    assert not [record for record in caplog.records if record.exc_info], "a fault met unexpected code"


@pytest.mark.parametrize("what", ["close", "stall", "garbage"])
@pytest.mark.parametrize("at", [0, 300, 420, 560, 640, 700])
def test_a_serial_is_never_used_twice(site, at, what):
    """With correlation files: whatever a fault cost, the next inference takes another serial."""
    paths = site.files(count=3)
    site.server(correlations=[paths[0]], timeout=TIMEOUT)
    tap = site.tap("tap", "server", ("up", at, what))
    with (
        contextlib.suppress(ProtocolError),
        site.client(correlations=paths[1], server=tap.address, timeout=TIMEOUT) as c,
    ):
        c.infer(X)

    def used(path, role):
        file = MaterialFile(path, role, site.program.hash, site.path(f"{role}-state"))
        file.close()
        return file.ledger.used(file.deal)

    before = used(paths[0], "server") | used(paths[1], "client")
    assert len(before) <= 1
    site.infer(correlations=paths[1])
    both = used(paths[0], "server") & used(paths[1], "client")
    assert both - before or not before
    assert len(used(paths[0], "server") | used(paths[1], "client")) == len(before) + 1


def test_a_dealer_that_dies_is_reported_by_both_parties(site, logged):
    dealer = site.dealer()
    site.server(dealer=site.address("dealer"))
    with site.client() as client:
        client.infer(X)
        dealer.end()
        with pytest.raises(ProtocolError, match="the dealer"):
            client.infer(X)
    logged("the dealer")


def test_no_dealer_at_all_is_reported_by_both_parties(site, logged):
    site.server(dealer=site.address("dealer"), timeout=0.5)
    with pytest.raises(ProtocolError, match=r"nobody answers at .* expected the dealer"):
        site.client(timeout=2)
    logged("expected the dealer")


def test_a_client_that_connects_and_says_nothing_does_not_hold_up_others(site, logged):
    site.dealer()
    site.server(dealer=site.address("dealer"), timeout=0.5)
    with connect(site.address("server"), "the server", timeout=2):
        site.infer()
        logged("moved no byte", 3)
    site.infer()


def test_a_server_that_stops_tells_its_clients(site):
    site.dealer()
    server = site.server(dealer=site.address("dealer"))
    with site.client() as client:
        client.infer(X)
        server.end()
        with pytest.raises(ProtocolError, match="the server"):
            client.infer(X)


# --- whole processes ------------------------------------------------------------------------------------------------


def _start(site, *words):
    """A party as `python -m moiety ...`; waits until it listens."""
    process = subprocess.Popen(
        [sys.executable, "-m", "moiety", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert "at unix:" in process.stdout.readline()
    return process


@pytest.fixture
def processes(site):
    """Dealer and server as processes; killed at the end."""
    site.program.save(site.path("server.moiety"))
    started = {
        "dealer": _start(
            site, "dealer", "--listen", site.address("dealer"), "--state", str(site.path("ds")), "--timeout", "1"
        ),
        "server": _start(
            site,
            "serve",
            "--program",
            str(site.path("server.moiety")),
            "--listen",
            site.address("server"),
            "--dealer",
            site.address("dealer"),
            "--state",
            str(site.path("ss")),
            "--timeout",
            "1",
        ),
    }
    yield started
    for process in started.values():
        process.send_signal(signal.SIGCONT)
        process.kill()
        process.communicate(timeout=10)


@pytest.mark.parametrize("victim", ["dealer", "server"])
@pytest.mark.parametrize("name", ["SIGKILL", "SIGSTOP"])
def test_a_process_that_dies_or_stalls(site, processes, victim, name):
    with site.client(timeout=1) as client:
        client.infer(X)
        os.kill(processes[victim].pid, getattr(signal, name))
        start = time.monotonic()
        with pytest.raises(ProtocolError, match=r"the (dealer|server)"):
            client.infer(X)
        assert time.monotonic() - start < 5
    if victim == "dealer" and name == "SIGSTOP":
        processes[victim].send_signal(signal.SIGCONT)
        site.infer(timeout=2)  # both are there again


def test_a_client_process_that_is_killed_leaves_the_server_ready(site, processes):
    program = site.path("client.moiety")
    site.program.without_weights().save(program)
    script = (
        "import sys, time, pathlib, numpy as np\n"
        "from moiety.private.client import Client, ClientConfig\n"
        "from moiety.private.program import load\n"
        "config = ClientConfig(server=sys.argv[2], dealer=sys.argv[3], comparison='circuit')\n"
        "client = Client(load(sys.argv[1]), 2, config)\n"
        "print('ready', flush=True)\n"
        "while True:\n"
        "    client.infer(np.zeros((2, 6), np.float32))\n"
    )
    words = [str(program), site.address("server"), site.address("dealer")]
    for _ in range(3):
        client = subprocess.Popen([sys.executable, "-c", script, *words], stdout=subprocess.PIPE, text=True)
        assert client.stdout is not None
        assert client.stdout.readline() == "ready\n"
        time.sleep(0.05)
        client.kill()
        client.communicate(timeout=10)
        site.infer(timeout=3)


def test_run_local_reports_a_party_that_is_killed(site):
    """From outside, by the process id, while the client waits on a slow link."""
    errors: list[Exception] = []

    def run() -> None:
        try:
            run_local(site.program, X, network="wan", repeat=200, comparison="circuit", timeout=2)
        except Exception as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    victim = None
    end = time.monotonic() + 20
    while victim is None and time.monotonic() < end:
        time.sleep(0.5)
        children = subprocess.run(
            ["ps", "--ppid", str(os.getpid()), "-o", "pid=,args="], capture_output=True, text=True, check=True
        ).stdout.splitlines()
        workers = [line for line in children if "moiety.private.worker" in line]
        if len(workers) == 3:
            time.sleep(1.5)
            victim = int(workers[0].split()[0])
    assert victim is not None
    os.kill(victim, signal.SIGKILL)
    thread.join(20)
    assert not thread.is_alive()
    assert isinstance(errors[0], ProtocolError)
    assert "the dealer" in str(errors[0])


def test_run_local_leaves_nothing_behind(site, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    import tempfile

    monkeypatch.setattr(tempfile, "tempdir", None)
    before = set(os.listdir(tmp_path))
    for randomness in ("dealer", "file"):
        run_local(site.program, X, randomness=randomness, comparison="circuit")
    with pytest.raises(ValueError, match="expected float32"):
        run_local(site.program, X.astype(np.float64))
    assert set(os.listdir(tmp_path)) == before
