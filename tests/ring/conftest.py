from collections.abc import Iterator

import numpy as np
import pytest

from moiety import _core

RINGS = [np.uint32, np.uint64]


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


@pytest.fixture(params=RINGS, ids=["u32", "u64"])
def dtype(request: pytest.FixtureRequest) -> type:
    return request.param


@pytest.fixture
def draw(dtype):
    """Uniform ring elements of a shape, the extreme values among them."""
    rng = np.random.default_rng(20240501)

    def make(*shape: int) -> np.ndarray:
        x = rng.integers(0, np.iinfo(dtype).max, shape, dtype=dtype, endpoint=True)
        flat = x.reshape(-1)
        edges = np.array([0, 1, np.iinfo(dtype).max, np.iinfo(dtype).max // 2 + 1], dtype=dtype)
        flat[: min(4, flat.size)] = edges[: min(4, flat.size)]
        return x

    return make
