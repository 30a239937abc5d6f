"""Refuse source files that have grown past what one sitting can read: more than 600 lines."""

import subprocess
import sys
from pathlib import Path

LIMIT = 600
SUFFIXES = {".py", ".pyi", ".cpp", ".hpp", ".cu", ".h"}

if __name__ == "__main__":
    listed = subprocess.run(["git", "ls-files", "-z"], capture_output=True, text=True, check=True).stdout.split("\0")
    sources = [p for p in listed if Path(p).suffix in SUFFIXES and Path(p).exists()]
    lengths = {p: len(Path(p).read_text().splitlines()) for p in sources}
    for path in (long := [p for p, n in lengths.items() if n > LIMIT]):
        print(f"{path}: {lengths[path]} lines, at most {LIMIT} are allowed", file=sys.stderr)
    print(f"{len(lengths)} source files, {sum(lengths.values())} lines, longest {max(lengths.values(), default=0)}")
    sys.exit(bool(long))
