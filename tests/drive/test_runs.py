"""Whole runs through the command line: what is in the folder, kills and resumes, processes, Ray, torchrun."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from typer.testing import CliRunner

from moiety import private
from moiety.cli import app
from moiety.models import load_network

TINY = """
seeds = [3]

[data]
options = { size = 8 }
images = 200
valid = 0.3

[model]
name = "resnet_cifar"
options = { widths = [4, 8], image_size = 8 }

[gates]
activations = ["relu", "identity"]

[targets]
fractions = [0.6]

[teacher.fit]
epochs = 2
batch = 20
bfloat16 = false

[search]
shared_epochs = 1
epochs = 1
trials = 1
rounds = 1

[search.weights]
batch = 20
bfloat16 = false

[fit]
epochs = 3
batch = 20
bfloat16 = false

[baselines]
everywhere = ["identity"]

[latency]
repeat = 0

[output]
calibration = 50
"""
ALONE = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200"}


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("config") / "tiny.toml"
    path.write_text(TINY)
    return path


def moiety(*words: object, code: int = 0) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "moiety", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=800, env=ALONE)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done


@pytest.fixture(scope="module")
def finished(config: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run in this test's own processes, one trial after another: what every other way has to agree with."""
    out = tmp_path_factory.mktemp("run") / "tiny"
    moiety("search", config, "--out", out, "--jobs", 1)
    return out


def outcome(run: Path) -> list[dict[str, Any]]:
    """The networks, without how long they took."""
    networks = json.loads((run / "results.json").read_text())["networks"]
    return [{key: value for key, value in network.items() if key != "spent"} for network in networks]


def assert_same_weights(one: Path, other: Path) -> None:
    there, here = load_file(one / "weights.safetensors"), load_file(other / "weights.safetensors")
    assert there.keys() == here.keys()
    for name in there:
        assert torch.equal(there[name], here[name]), name


def test_the_folder_holds_a_whole_run(finished: Path, config: Path) -> None:
    kept = {"config.toml", "env.json", "results.json", "architecture.json", "weights.safetensors", "metrics.jsonl"}
    assert kept <= {path.name for path in finished.iterdir()}
    assert not list(finished.rglob("checkpoint-fit*"))
    assert not list(finished.rglob("progress.json"))
    resolved = tomllib.loads((finished / "config.toml").read_text())
    assert resolved["model"]["options"] == {"widths": [4, 8], "image_size": 8}
    assert resolved["fit"]["momentum"] == 0.9  # defaults are resolved
    environment = json.loads((finished / "env.json").read_text())
    assert environment["seeds"] == [3]
    assert environment["packages"]["torch"] == torch.__version__
    assert environment["finished"] >= environment["started"]
    events = [json.loads(line) for line in (finished / "metrics.jsonl").read_text().splitlines()]
    assert [e["epoch"] for e in events if e["part"] == "fit"] == [0, 1, 2]
    assert any(e.get("gates") for e in events if e["part"] == "search")


def test_the_network_kept_is_what_the_results_say_and_compiles(finished: Path) -> None:
    results = json.loads((finished / "results.json").read_text())
    chosen = results["networks"][results["chosen"]]
    assert chosen["method"] == "search"
    assert chosen["predicted"] <= results["targets"][0]["seconds"]
    network, metadata = load_network(finished / "weights.safetensors")
    assert metadata["gates"] == chosen["gates"] == json.loads((finished / "architecture.json").read_text())["gates"]
    assert metadata["accuracy"]["test"] == chosen["test"]
    program = private.compile(
        network, torch.zeros(1, *metadata["input_shape"]), calibration=metadata["activation_bounds"]
    )
    assert private.estimate(program).rounds > 0


def test_a_finished_run_is_shown_again_and_another_configuration_refused(finished: Path, config: Path) -> None:
    before = (finished / "results.json").stat().st_mtime_ns
    said = json.loads(moiety("search", config, "--out", finished, "--json").stdout)
    assert said["results"]["name"] == "tiny"
    assert (finished / "results.json").stat().st_mtime_ns == before
    refused = moiety("search", config, "--out", finished, "--set", "fit.epochs=4", code=1).stderr
    assert "holds a run of another configuration (fit.epochs: 3 there, 4 here)" in refused


def test_refusals_are_one_line(config: Path, tmp_path: Path) -> None:
    for words, expected in (
        (("search", "nonsense"), "expected a path, or densest, digits"),
        (("search", config, "--set", "fit.epoch=4"), "setting fit.epoch is not known: did you mean epochs"),
        (("search", config, "--out", tmp_path / "new", "--resume"), "there is no run in"),
        (("search", config, "--trials-on", "moon"), "expected processes or ray"),
        (("search", config, "--out", config.parent), "holds other files"),
        (("train", config, "--set", "architecture=no.json", "--out", tmp_path / "t"), "no.json"),
    ):
        refused = CliRunner().invoke(app, [*map(str, words)])
        assert refused.exit_code == 1
        last = refused.stderr.strip().splitlines()[-1]
        assert expected in last
        assert last.startswith("moiety: ")


def test_an_architecture_found_twice_is_trained_once(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from moiety.drive import trial
    from moiety.drive.bench import Bench
    from moiety.drive.config import load_config

    run = shutil.copytree(finished, tmp_path / "run")
    bench = Bench(load_config(str(run / "config.toml")), run / "teacher" / "weights.safetensors")

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr(trial, "finetune", refuse)
    first = trial.Trial("everywhere", 3, choice="identity")
    again = dataclasses.replace(first, index=1)
    one, other = (trial.run_trial(run, made, bench) for made in (first, again))
    assert {**other, "spent": 0, "folder": ""} == {**one, "spent": 0, "folder": ""}
    assert_same_weights(run / one["folder"], run / other["folder"])
    fits = [
        [line for line in (run / found["folder"] / "metrics.jsonl").read_text().splitlines() if '"fit"' in line]
        for found in (one, other)
    ]
    assert fits[0] == fits[1] != []
    with pytest.raises(AssertionError, match="trained again"):
        trial.run_trial(run, dataclasses.replace(first, seed=4), bench)


@pytest.mark.timeout(600)
def test_a_killed_run_goes_on_to_the_same_result(finished: Path, config: Path, tmp_path: Path) -> None:
    out = tmp_path / "killed"
    command = [sys.executable, "-m", "moiety", "search", str(config), "--out", str(out), "--jobs", "2"]
    for pattern in ("teacher/checkpoint-fit*", "trials/*/checkpoint-fit*"):
        running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=ALONE)
        deadline = time.monotonic() + 240
        while not list(out.glob(pattern)) and running.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        running.send_signal(signal.SIGKILL)
        running.wait()
        assert not (out / "results.json").exists(), "killed too late to test anything"
    moiety("search", config, "--out", out, "--jobs", 1, "--resume")
    assert outcome(out) == outcome(finished)
    assert_same_weights(out, finished)
    for trial in (finished / "trials").iterdir():
        theirs, ours = (
            [json.loads(line) for line in (run / "trials" / trial.name / "metrics.jsonl").read_text().splitlines()]
            for run in (finished, out)
        )
        assert [(e["part"], e.get("epoch"), e.get("loss")) for e in ours] == [
            (e["part"], e.get("epoch"), e.get("loss")) for e in theirs
        ]


@pytest.mark.timeout(900)  # a local Ray takes a minute to start on a busy machine
@pytest.mark.parametrize("place", ["processes", "ray"])
def test_other_places_give_the_same_networks(place: str, finished: Path, config: Path, tmp_path: Path) -> None:
    if place == "ray" and importlib.util.find_spec("ray") is None:
        pytest.skip("no Ray: pip install 'moiety[scale]'")
    moiety("search", config, "--out", tmp_path / place, "--trials-on", place, "--jobs", 2)
    assert outcome(tmp_path / place) == outcome(finished)
    assert_same_weights(tmp_path / place, finished)


@pytest.mark.timeout(600)
def test_torchrun_gives_the_networks_of_one_process(finished: Path, config: Path, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", str(port)]
    command += ["-m", "moiety", "search", str(config), "--out", str(tmp_path / "two"), "--quiet"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=580, env=ALONE)
    assert done.returncode == 0, done.stderr
    one, two = outcome(finished), outcome(tmp_path / "two")
    # Sums in another order round differently, and training spreads that: the networks are close, not equal.
    assert [n["method"] for n in one] == [n["method"] for n in two]
    for a, b in zip(one, two, strict=True):
        assert abs(a["test"] - b["test"]) < 0.08
    there, here = (load_file(run / "teacher" / "weights.safetensors") for run in (finished, tmp_path / "two"))
    for name in there:
        torch.testing.assert_close(here[name].float(), there[name].float(), rtol=0.02, atol=0.02)


def test_an_architecture_is_trained_measured_and_compiled(finished: Path, config: Path, tmp_path: Path) -> None:
    out = tmp_path / "trained"
    sets = [
        f"architecture={finished / 'architecture.json'}",
        f"teacher.weights={finished / 'teacher/weights.safetensors'}",
    ]
    options = [word for text in [*sets, "latency.repeat=2", "data.valid=0"] for word in ("--set", text)]
    moiety("train", config, "--out", out, "--compile", *options)
    (network,) = outcome(out)
    assert network["method"] == "train"
    assert len(network["measured"]) == 2
    assert network["gates"] == json.loads((finished / "architecture.json").read_text())["gates"]
    program = private.load(out / "program.moiety")
    assert program.metadata["classes"] == [str(digit) for digit in range(10)]
    assert not private.load(out / "program-client.moiety").has_weights
    moiety("report", out, finished, "--out", tmp_path / "both.html")
    assert "side by side" in (tmp_path / "both.html").read_text()


def test_a_second_process_is_refused_meanwhile(config: Path, tmp_path: Path) -> None:
    import fcntl

    from moiety.drive.config import load_config
    from moiety.drive.folder import open_run

    settings = load_config(str(config))
    with open_run(tmp_path / "run", settings, resume=False):
        with (
            (tmp_path / "run" / ".lock").open() as handle,
            pytest.raises(BlockingIOError),
        ):
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with (
            pytest.raises(ValueError, match="another process is at work"),
            open_run(tmp_path / "run", settings, resume=False),
        ):
            pass


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_shipped_search_beats_random_on_digits(tmp_path: Path) -> None:
    """`moiety search` as a new user runs it, but for one target, one baseline and a shorter polish."""
    out = tmp_path / "digits"
    sets = ["targets.fractions=[0.3]", "search.rounds=2", "search.trials=3", "latency.repeat=0"]
    sets += ["baselines.greedy=false", "baselines.everywhere=[]"]
    moiety("search", "--out", out, *[word for text in sets for word in ("--set", text)])
    document = json.loads(moiety("report", out, "--json").stdout)["runs"][0]
    (compared,) = document["against_random"]
    assert compared["gain"] > 0, document["summary"]
