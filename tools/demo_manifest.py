"""Write python/moiety/demo/manifest.json: the sizes and hashes of the files that the demo ships.

python tools/demo_manifest.py
"""

import hashlib
import json
from pathlib import Path

from moiety.demo.assets import VERSION

FOLDER = Path(__file__).parents[1] / "python" / "moiety" / "demo"

if __name__ == "__main__":
    shipped = [*FOLDER.glob("*.safetensors"), *FOLDER.glob("photos/*.jpg")]
    files = {
        str(path.relative_to(FOLDER)): {
            "bytes": path.stat().st_size,
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        }
        for path in sorted(shipped)
    }
    (FOLDER / "manifest.json").write_text(json.dumps({"version": VERSION, "files": files}, indent=2) + "\n")
