import os
import subprocess
import sys

import pytest

from moiety import _core


def run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs code in a fresh interpreter: the environment is read when the core is first used."""
    return subprocess.run(
        [sys.executable, "-c", f"from moiety import _core; {code}"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p), **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_isa_follows_the_environment():
    widest = _core.isa() if "MOIETY_ISA" not in os.environ else run("print(_core.isa())", MOIETY_ISA="").stdout.strip()
    assert run("print(_core.isa())", MOIETY_ISA="scalar").stdout.strip() == "scalar"
    assert run("print(_core.isa())", MOIETY_ISA="avx512").stdout.strip() == widest
    refused = run("_core.isa()", MOIETY_ISA="neon")
    assert refused.returncode != 0
    assert "MOIETY_ISA: expected scalar, avx2 or avx512, got 'neon'" in refused.stderr


def test_threads_follow_the_environment(monkeypatch):
    for value, expected in (("3", 3), ("17", 17)):
        monkeypatch.setenv("MOIETY_NUM_THREADS", value)
        assert _core.default_threads() == expected
    monkeypatch.delenv("MOIETY_NUM_THREADS")
    cpus = _core.default_threads()
    for nonsense in ("0", "-1", "many", "", "2x"):
        monkeypatch.setenv("MOIETY_NUM_THREADS", nonsense)
        assert _core.default_threads() == cpus


def test_set_isa_refuses():
    with pytest.raises(ValueError, match="expected scalar, avx2 or avx512, got 'sse'"):
        _core.set_isa("sse")
    missing = [name for name in ("avx2", "avx512") if not _core.cpu_features()[name]]
    for name in missing:
        with pytest.raises(ValueError, match="this CPU and operating system allow at most"):
            _core.set_isa(name)


def test_build_facts():
    assert set(_core.cpu_features()) == {"avx2", "avx512", "vbmi", "ifma", "aesni", "vaes"}
    assert _core.isa() in ("scalar", "avx2", "avx512")
    assert _core.compiler()
