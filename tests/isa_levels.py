"""Fixtures that run a test at every instruction set level, and restore what tests of kernels change."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from moiety import _core

__all__ = ["isa", "levels", "threads"]


def levels() -> list[str]:
    """The ISA levels that this CPU has."""
    features = _core.cpu_features()
    return ["scalar"] + [name for name in ("avx2", "avx512") if features[name]]


@pytest.fixture(params=levels())
def isa(request: pytest.FixtureRequest) -> Iterator[str]:
    """Runs a test at every ISA level; the level in use before is restored."""
    before = _core.isa()
    _core.set_isa(request.param)
    yield request.param
    _core.set_isa(before)


@pytest.fixture
def threads() -> Iterator[None]:
    """Restores torch's number of threads."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)
