"""Refuse a wheel that lacks what it promises or carries what it must not.

    python tools/check_wheel.py dist/moiety-*.whl

Contents first; then the wheel is unpacked into an empty folder and imported from there on the scalar path and on the
widest one.
"""

import fnmatch
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

REQUIRED = [
    "moiety/py.typed",
    "moiety/_core*.so",
    "moiety/_core*.pyi",
    "moiety/demo/manifest.json",
    "moiety/demo/resnet_searched.safetensors",
    "moiety/demo/resnet_x2.safetensors",
    "moiety/demo/photos/*",
    "moiety/cost/fpga_model/area.json",
    "moiety/cost/fpga_model/cycles.json",
    "moiety-*.dist-info/licenses/LICENSE",
]
FORBIDDEN = ["*test*", "*.cpp", "*.hpp", "*.npz", "*.pt", "*.pkl", "*__pycache__*"]
LARGEST = 16 << 20  # bytes, packed
USE_IT = """
import numpy as np, moiety, moiety.ring
from moiety import _core
x = np.arange(9, dtype=np.uint64).reshape(3, 3)
assert (moiety.ring.matmul(x, x) == x @ x).all()
print(f"imports from the wheel, kernels at level {_core.isa()}")
"""


def complaints(names: list[str], size: int) -> list[str]:
    """What is wrong with a wheel of these files and this size."""
    found = [f"lacks {pattern}" for pattern in REQUIRED if not fnmatch.filter(names, pattern)]
    found += [f"contains {name}" for pattern in FORBIDDEN for name in fnmatch.filter(names, pattern)]
    if size > LARGEST:
        found.append(f"weighs {size} bytes, at most {LARGEST} are allowed")
    return found


def main(wheel: Path) -> int:
    with zipfile.ZipFile(wheel) as archive, tempfile.TemporaryDirectory() as folder:
        wrong = complaints(archive.namelist(), wheel.stat().st_size)
        if not wrong:
            archive.extractall(folder)
            for isa in ("scalar", ""):
                environment = {**os.environ, "PYTHONPATH": folder, "MOIETY_ISA": isa}
                subprocess.run([sys.executable, "-P", "-c", USE_IT], env=environment, cwd=folder, check=True)
        print(
            "\n".join(f"{wheel.name} {line}" for line in wrong)
            or f"{wheel.name}: {wheel.stat().st_size} bytes, in order"
        )
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
