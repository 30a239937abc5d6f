"""The one-time ledger: of all threads, processes and restarts one claim wins, and is on the disk before it counts."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest

from moiety.private.ledger import Ledger, make_directory, read_private, write_durably

DEAL = "0123456789abcdef" * 2


def test_a_serial_is_claimed_once(tmp_path):
    ledger = Ledger(tmp_path, "client")
    assert ledger.used(DEAL) == set()
    assert ledger.claim(DEAL, 3)
    assert not ledger.claim(DEAL, 3)
    assert not Ledger(tmp_path, "client").claim(DEAL, 3)  # after a restart
    assert Ledger(tmp_path, "server").claim(DEAL, 3)  # the other side keeps its own
    assert ledger.claim("f" * 32, 3)  # another deal
    assert ledger.used(DEAL) == {3}


def test_threads_and_processes_never_share_a_serial(tmp_path):
    script = (
        "import sys, pathlib\n"
        "from moiety.private.ledger import Ledger\n"
        "ledger = Ledger(pathlib.Path(sys.argv[1]), 'client')\n"
        f"print(*[s for s in range(40) if ledger.claim('{DEAL}', s)])\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    won: list[int] = []
    ledger = Ledger(tmp_path, "client")

    def claim() -> None:
        won.extend(serial for serial in range(40) if ledger.claim(DEAL, serial))

    threads = [threading.Thread(target=claim) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for process in processes:
        out, _ = process.communicate(timeout=30)
        assert process.returncode == 0
        won += [int(word) for word in out.split()]
    assert sorted(won) == list(range(40))
    assert ledger.used(DEAL) == set(range(40))


def test_the_record_and_its_directory_are_synced_before_the_claim_returns(tmp_path, monkeypatch):
    synced: list[str] = []
    fsync = os.fsync

    def spy(handle: int) -> None:
        synced.append(os.readlink(f"/proc/self/fd/{handle}"))
        fsync(handle)

    monkeypatch.setattr(os, "fsync", spy)
    Ledger(tmp_path, "client").claim(DEAL, 7)
    directory = tmp_path / "ledger" / "client" / DEAL
    assert synced[-2:] == [str(directory / "7"), str(directory)]
    assert str(directory.parent) in synced  # the new directory itself is durable too


def test_a_claim_that_cannot_be_recorded_fails(tmp_path):
    (tmp_path / "ledger").write_text("in the way")
    with pytest.raises(OSError, match="ledger"):
        Ledger(tmp_path, "client").claim(DEAL, 0)


def test_private_files_are_whole_and_private(tmp_path):
    path = tmp_path / "a" / "b"
    assert write_durably(path, [b"o", b"ne"], replace=False)
    assert not write_durably(path, [b"two"], replace=False)
    assert read_private(path) == b"one"
    assert write_durably(path, [b"three"], replace=True)
    assert read_private(path) == b"three"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert os.listdir(path.parent) == ["b"]
    assert read_private(tmp_path / "none") is None
    path.chmod(0o640)
    with pytest.raises(ValueError, match=r"open to others .mode 640.: expected mode 600"):
        read_private(path)


def test_a_directory_that_is_there_is_left_as_it_is(tmp_path):
    make_directory(tmp_path)
    make_directory(tmp_path / "x" / "y")
    assert (tmp_path / "x").stat().st_mode & 0o777 == 0o700
