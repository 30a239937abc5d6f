"""Instruction sets: tests of kernels run on every level that this process may use, and leave the level as it was."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

from moiety import _core

LEVELS = ["scalar", "avx2", "avx512"][: ["scalar", "avx2", "avx512"].index(_core.isa()) + 1]


@contextmanager
def at_level(level: str) -> Iterator[str]:
    before = _core.isa()
    _core.set_isa(level)
    try:
        yield level
    finally:
        _core.set_isa(before)


@pytest.fixture(params=LEVELS)
def isa(request: pytest.FixtureRequest) -> Iterator[str]:
    with at_level(request.param) as level:
        yield level


@pytest.fixture(scope="session")
def every_isa() -> Callable[[], list[AbstractContextManager[str]]]:
    """For hypothesis, whose tests draw many examples in one go: a list of context managers, made anew by each call."""
    return lambda: [at_level(level) for level in LEVELS]
