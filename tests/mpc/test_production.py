"""The production build holds no deterministic generator: its seeds come from the operating system."""

from __future__ import annotations

import re
from pathlib import Path

from moiety import _core
from moiety._core import mpc


def test_the_extension_has_no_deterministic_secrets() -> None:
    """Neither the switch of tests/cpp/deterministic_secrets.cpp nor the key of its stream, nor a way to ask for it."""
    assert _core.__file__ is not None
    code = Path(_core.__file__).read_bytes()
    assert not re.search(rb"deterministic", code, re.IGNORECASE)
    assert b"moiety-t" not in code
    assert not [name for name in dir(_core) + dir(mpc) if "seed" in name.lower() or "deterministic" in name.lower()]


def test_only_tests_name_the_deterministic_generator() -> None:
    root = Path(__file__).parents[2]
    for source in [*(root / "csrc").rglob("*.[ch]pp"), *(root / "python").rglob("*.py")]:
        assert "deterministic_secrets" not in source.read_text(encoding="utf-8"), source


def test_blocks_do_not_repeat() -> None:
    blocks = {mpc.random_block() for _ in range(1000)}
    assert len(blocks) == 1000
    assert all(len(block) == 16 for block in blocks)
