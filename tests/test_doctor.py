"""`moiety doctor`: what it reports, and that it reports trouble instead of crashing."""

from __future__ import annotations

import json
from importlib import metadata

import pytest

from moiety import __version__, doctor


def test_healthy_machine_has_no_problem(capsys: pytest.CaptureFixture[str]) -> None:
    assert doctor.run() == 0
    said = capsys.readouterr().out
    assert said.startswith(f"moiety {__version__}\n")
    assert said.endswith("No problem found.\n")
    assert "Unix socket  ok, 1 MiB there and back" in said


def test_json_holds_what_the_text_says(capsys: pytest.CaptureFixture[str]) -> None:
    assert doctor.run(json=True) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["versions"]["moiety"] == __version__
    assert set(report["transport"]) == {"Unix socket", "TCP"}
    assert {c["name"] for c in report["components"] if c["extra"] is None} >= {"numpy", "torch", "cryptography"}
    assert report["problems"] == []


def test_torch_missing_is_a_problem_with_its_cure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    known = metadata.version

    def version(name: str) -> str:
        if name == "torch":
            raise metadata.PackageNotFoundError(name)
        return known(name)

    monkeypatch.setattr(metadata, "version", version)
    assert doctor.run() == 1
    assert "torch>=2.6 is needed, found none: pip install 'torch>=2.6'" in capsys.readouterr().out


def test_broken_transport_is_a_problem(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def refused() -> str:
        raise ConnectionRefusedError("no loopback")

    monkeypatch.setitem(doctor.LOOPBACK_TESTS, "TCP", refused)
    assert doctor.run() == 1
    assert "loopback over TCP: failed: ConnectionRefusedError: no loopback" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("found", "needed", "satisfied"),
    [("2.13.0+cpu", ">=2.6", True), ("2.5.1", ">=2.6", False), (None, ">=2.6", False), ("1.0", "", True)],
)
def test_versions_compare_by_number(found: str | None, needed: str, satisfied: bool) -> None:
    assert doctor.Component("x", needed, found, None).satisfied is satisfied


@pytest.mark.parametrize(
    ("isa", "vaes", "aesni", "aes"),
    [
        ("avx512", True, True, "VAES, 512 bits"),
        ("avx512", False, True, "AES-NI"),
        ("avx2", True, True, "AES-NI"),
        ("scalar", True, True, "portable"),
    ],
)
def test_kernel_paths_follow_the_level(isa: str, vaes: bool, aesni: bool, aes: str) -> None:
    assert doctor._kernels(isa, {"vaes": vaes, "aesni": aesni})["aes"] == aes
