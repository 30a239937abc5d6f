"""The command line: fast help, one-line errors with exit code 1, and whole inferences between processes."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from moiety.cli import app
from moiety.demo.assets import verified

COMMANDS = ("compile", "deal", "serve", "infer", "dealer", "certs", "estimate", "bench", "demo", "doctor", "profile")


def moiety(*words, timeout=60, code=0, cwd=None):
    """Run the command line to its end; its standard output and error."""
    done = subprocess.run(
        [sys.executable, "-m", "moiety", *map(str, words)], capture_output=True, text=True, timeout=timeout, cwd=cwd
    )
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout, done.stderr


@pytest.fixture
def start():
    """Start a command that serves; (process, its first line as JSON). All are ended afterwards."""
    running = []

    def run(*words):
        process = subprocess.Popen(
            [sys.executable, "-m", "moiety", *map(str, words), "--json"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        running.append(process)
        line = process.stdout.readline()
        assert line, process.stderr.read()
        return process, json.loads(line)

    yield run
    for process in running:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=20)
        assert process.returncode == 0, err


@pytest.fixture
def files(tmp_path, toy, draw):
    """The program of the server, that of the client, and an input file."""
    toy.save(tmp_path / "server.moiety")
    toy.without_weights().save(tmp_path / "client.moiety")
    np.save(tmp_path / "x.npy", draw(3))
    return tmp_path


def _check(document, toy, plainly, x):
    outputs = np.array([each["output"] for each in document["outputs"]])
    np.testing.assert_allclose(outputs, plainly(toy, x), atol=1e-3)
    assert set(document["stats"][0]) == {"client", "server", "dealer"}


def test_help_is_quick_and_lists_the_commands():
    best = 9.0
    for _ in range(4):
        begin = time.perf_counter()
        out, _ = moiety("--help")
        best = min(best, time.perf_counter() - begin)
    for command in COMMANDS:
        assert command in out
    loaded = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "moiety", "--help"], capture_output=True, text=True, check=True
    ).stderr
    assert " torch" not in loaded
    assert best < 3.0  # under 0.5 s on a quiet machine; this only catches a heavy import


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_explains_itself(command):
    assert "Usage" in CliRunner().invoke(app, [command, "--help"]).stdout


def test_children_do_not_import_torch():
    script = "import moiety.private.worker, moiety.cli, sys; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_an_inference_with_a_dealer_over_tls(files, start, toy, plainly, draw):
    moiety("certs", files / "pki")
    common = ("--certs", files / "pki", "--timeout", "10")
    _, dealer = start("dealer", "--listen", "127.0.0.1:0", "--state", files / "ds", *common)
    _, server = start(
        "serve",
        "--program",
        files / "server.moiety",
        "--listen",
        "127.0.0.1:0",
        "--dealer",
        dealer["listening"],
        "--state",
        files / "ss",
        *common,
    )
    words = (
        "infer",
        files / "x.npy",
        "--program",
        files / "client.moiety",
        "--server",
        server["listening"],
        "--dealer",
        dealer["listening"],
        "--state",
        files / "cs",
        *common,
    )
    out, _ = moiety(*words, "--batch", "2", "--json")
    document = json.loads(out)
    _check(document, toy, plainly, draw(3))
    assert len(document["stats"]) == 2  # batches of 2 and 1
    text, _ = moiety(*words)
    assert "x.npy[2]" in text
    assert "inference 1 of 1" in text


def test_an_inference_with_files(files, start, toy, plainly, draw):
    out, _ = moiety(
        "deal",
        "--program",
        files / "client.moiety",
        "--batch",
        "2",
        "--count",
        "2",
        "--out-server",
        files / "s.corr",
        "--out-client",
        files / "c.corr",
        "--state",
        files / "ds",
        "--json",
    )
    assert len(json.loads(out)["epoch"]) == 32
    address = f"unix:{files}/socket"
    start(
        "serve",
        "--program",
        files / "server.moiety",
        "--listen",
        address,
        "--correlations",
        files / "s.corr",
        "--state",
        files / "ss",
    )
    words = (
        "infer",
        files / "x.npy",
        "--program",
        files / "client.moiety",
        "--server",
        address,
        "--correlations",
        files / "c.corr",
        "--state",
        files / "cs",
    )
    _check(json.loads(moiety(*words, "--json")[0]), toy, plainly, draw(3))
    out, err = moiety(*words, "--json", code=1)
    assert "is used up: expected an unused serial" in err
    assert "is used up" in json.loads(out)["error"]


def test_an_estimate_equals_the_counters(files, start):
    address = f"unix:{files}/dealer"
    start("dealer", "--listen", address, "--state", files / "ds")
    start(
        "serve",
        "--program",
        files / "server.moiety",
        "--listen",
        f"unix:{files}/server",
        "--dealer",
        address,
        "--state",
        files / "ss",
    )
    estimate = json.loads(moiety("estimate", "--program", files / "client.moiety", "--batch", "3", "--json")[0])
    run = json.loads(
        moiety(
            "infer",
            files / "x.npy",
            "--program",
            files / "client.moiety",
            "--server",
            f"unix:{files}/server",
            "--dealer",
            address,
            "--state",
            files / "cs",
            "--json",
        )[0]
    )["stats"][0]
    assert run["client"]["online"]["bytes_sent"] == estimate["bytes_client"]
    assert run["server"]["online"]["bytes_sent"] == estimate["bytes_server"]
    assert run["client"]["online"]["rounds"] == estimate["rounds"]


def test_errors_are_one_line_and_exit_code_1(files, tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        serve = ("serve", "--program", files / "server.moiety", "--dealer", "127.0.0.1:1", "--state", tmp_path / "st")
        infer = ("infer", files / "x.npy", "--server", "127.0.0.1:1", "--state", tmp_path / "st")
        client = ("--program", files / "client.moiety")
        (tmp_path / "half.moiety").write_bytes((files / "server.moiety").read_bytes()[:100])
        (tmp_path / "no.png").write_text("no")
        demo_file = verified("resnet_searched.safetensors")
        (tmp_path / "half.safetensors").write_bytes(demo_file.read_bytes()[:1000])
        cases = {
            "is in use: expected a free address": (*serve, "--listen", f"127.0.0.1:{port}"),
            "expected TLS": (*serve, "--listen", "0.0.0.0:0"),
            "expected host:port": (*serve, "--listen", "nowhere"),
            "which is not there": (*serve, "--certs", tmp_path / "none"),
            "no source of correlations": ("serve", *client[:1], files / "server.moiety", "--listen", "127.0.0.1:0"),
            "has no weights": ("serve", *client, "--listen", "127.0.0.1:0", "--dealer", "127.0.0.1:1"),
            "expected a compiled program at": (*infer, "--program", tmp_path / "none", "--dealer", "127.0.0.1:1"),
            "not a whole safetensors file": (*infer, "--program", tmp_path / "half.moiety", "--dealer", "127.0.0.1:1"),
            "either a dealer's address or a correlation file": (*infer, *client),
            "nobody answers at 127.0.0.1:1": (*infer, *client, "--dealer", "127.0.0.1:1", "--timeout", "0.3"),
            "expected an image or a .npy file": ("infer", tmp_path / "no.npy", *client, "--dealer", "127.0.0.1:1"),
            "no image: expected a .npy file": ("infer", tmp_path / "no.png", *client, "--dealer", "127.0.0.1:1"),
            "expected lan, wan or RTT_MS:MBIT": ("estimate", *client, "--network", "1:x"),
            "expected module:function or a network's": ("compile", "nothing", "-o", tmp_path / "m"),
            "expected --weights only with": ("compile", demo_file, "--weights", demo_file),
            "truncated or altered": ("compile", tmp_path / "half.safetensors"),
            "expected a module that Python finds": ("compile", "nothing:at_all", "-o", tmp_path / "m"),
        }
        for words, command in cases.items():
            done = CliRunner().invoke(app, [str(word) for word in command])
            assert done.exit_code == 1
            assert words in done.stderr
            assert done.stderr.startswith("moiety: ")
            assert done.stderr.count("\n") == 1, done.stderr
            assert done.stdout == ""


def test_debug_shows_the_traceback(files):
    done = subprocess.run(
        [sys.executable, "-m", "moiety", "--debug", "estimate", "--program", str(files / "none")],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "Traceback" in done.stderr


def test_secrets_are_not_on_command_lines_nor_in_logs(files, start):
    """Not the epoch's mask: it is in the state and nowhere else."""
    address = f"unix:{files}/dealer"
    dealer, _ = start("dealer", "--listen", address, "--state", files / "ds")
    server, _ = start(
        "serve",
        "--program",
        files / "server.moiety",
        "--listen",
        f"unix:{files}/server",
        "--dealer",
        address,
        "--state",
        files / "ss",
    )
    _, err = moiety(
        "--debug",
        "infer",
        files / "x.npy",
        "--program",
        files / "client.moiety",
        "--server",
        f"unix:{files}/server",
        "--dealer",
        address,
        "--state",
        files / "cs",
    )
    seed = json.loads(next((files / "ds" / "seeds").iterdir()).read_text())["weight_seed"]
    said = err
    for process in (dealer, server):
        command = Path(f"/proc/{process.pid}/cmdline")
        said += command.read_text() if command.exists() else ""
        process.send_signal(signal.SIGTERM)
        said += "".join(process.communicate(timeout=20))
    assert seed not in said


def test_a_signal_ends_a_server_that_serves(files, start, toy):
    address = f"unix:{files}/dealer"
    process, _ = start("dealer", "--listen", address, "--state", files / "ds")
    process.send_signal(signal.SIGINT)
    assert process.wait(10) == 0
    assert not (files / "dealer").exists()


def test_certificates_are_made_once(tmp_path):
    made = json.loads(moiety("certs", tmp_path / "pki", "--json")[0])["made"]
    assert len(made) == 4
    _, err = moiety("certs", tmp_path / "pki", code=1)
    assert "is there already: expected a new name" in err
    moiety("certs", tmp_path / "pki", "--role", "client", "--name", "alice")
    assert (tmp_path / "pki" / "alice.key").stat().st_mode & 0o777 == 0o600


def test_images_become_inputs(tmp_path, toy):
    from dataclasses import replace

    from PIL import Image

    from moiety.private.images import class_names, read_inputs
    from moiety.private.program import Tensor

    tensors = (Tensor((3, 8, 8), 16, 64, 4.0, "input", "x"), *toy.tensors[1:])
    recipe = {"preprocessing": {"mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25]}, "classes": ["cat", "dog"]}
    program = replace(toy, tensors=tensors, metadata=recipe)
    Image.new("RGB", (40, 20), (255, 0, 255)).save(tmp_path / "a.png")
    Image.new("L", (9, 30), 128).save(tmp_path / "b.jpg")
    x, names = read_inputs(program, [tmp_path / "a.png", tmp_path / "b.jpg"])
    assert x.shape == (2, 3, 8, 8)
    assert x.dtype == np.float32
    np.testing.assert_allclose(x[0, :, 0, 0], [2, -2, 2])
    np.testing.assert_allclose(x[1], 4 * (128 / 255 - 0.5), atol=0.05)
    assert [os.path.basename(name) for name in names] == ["a.png", "b.jpg"]
    assert class_names(program, 2) == ["cat", "dog"]
    assert class_names(program, 3) == ["0", "1", "2"]
    (tmp_path / "c.png").write_text("no image")
    with pytest.raises(ValueError, match=r"c\.png cannot be read as an image"):
        read_inputs(program, [tmp_path / "c.png"])
    np.save(tmp_path / "d.npy", np.zeros((3, 8, 8)))
    with pytest.raises(ValueError, match=r"holds float64 of shape \(3, 8, 8\): expected float32"):
        read_inputs(program, [tmp_path / "d.npy"])
