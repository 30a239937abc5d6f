"""Golden vectors and compiled benches, once for all tests of the kernels."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

HLS = Path(__file__).parents[2] / "hls"


@pytest.fixture(scope="session")
def hls() -> Path:
    """The kernels' sources."""
    return HLS


@pytest.fixture(scope="session")
def vectors_at(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The engine's vectors of every kernel but the whole networks."""
    from moiety.hls.vectors import KERNELS, write

    directory = tmp_path_factory.mktemp("vectors")
    write(directory, [kernel for kernel in KERNELS if not kernel.startswith("scheduler")])
    return directory


@pytest.fixture(scope="session")
def build_at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where benches are compiled, quickly rather than to run fast."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CXXFLAGS", "-O1")
        yield tmp_path_factory.mktemp("benches")


class Compiled:
    """A small program over the shim, or over other headers."""

    def __init__(self, binary: Path) -> None:
        self.binary = binary

    def __call__(self) -> tuple[int, str]:
        ran = subprocess.run([self.binary], capture_output=True, text=True, timeout=60, check=False)
        return ran.returncode, ran.stdout


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> object:
    """compiled(source, headers): compiles a program with the kernels' headers."""
    directory = tmp_path_factory.mktemp("programs")

    def make(source: str, headers: Path = HLS / "shim") -> Compiled:
        place = directory / f"program{len(list(directory.iterdir()))}"
        place.with_suffix(".cpp").write_text(source)
        command = ["g++", "-std=c++17", "-O0", "-w", "-I", HLS / "include", "-isystem", headers]
        subprocess.run([*command, place.with_suffix(".cpp"), "-o", place], check=True, timeout=300)
        return Compiled(place)

    return make
