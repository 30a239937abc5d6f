"""Makes transcripts.txt: the hashes of every byte that each party sends and is dealt, by tests/cpp/mpc/test_transcript.cpp.

They change with the wire only: regenerate them when it changes on purpose. Run, from the repository root and after a build with
MOIETY_TESTS=ON: python tests/golden/make_transcripts.py build/release/mpc_test_transcript
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(f"usage: {sys.argv[0]} path/to/mpc_test_transcript")
    printed = subprocess.run([sys.argv[1], "--print"], capture_output=True, text=True, check=True).stdout
    Path(__file__).with_name("transcripts.txt").write_text(printed)
