"""The demo's files: what is shipped is whole, and what is not the shipped file is refused with the reason."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from moiety.demo import assets
from moiety.demo.assets import AssetError, load_network, photos, verified

NAME = "resnet_searched.safetensors"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of the demo's files that a test may damage."""
    copy = tmp_path / "demo"
    shutil.copytree(assets.FOLDER, copy, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    return copy


@pytest.mark.parametrize(("variant", "accuracy"), [("searched", 0.89), ("x2", 0.85)])
def test_shipped_networks_are_whole_and_good_enough(variant: assets.Variant, accuracy: float) -> None:
    path = verified(f"resnet_{variant}.safetensors")
    assert path.stat().st_size <= 3_000_000
    model, metadata = load_network(variant)
    assert not model.training
    assert metadata["version"] == assets.VERSION
    assert metadata["accuracy"]["test"] >= accuracy
    assert len(metadata["classes"]) == 10
    kinds = {type(module).__name__ for module in model.modules()}
    assert ("ReLU" in kinds, "X2Act" in kinds) == (variant == "searched", variant == "x2")


def test_shipped_photographs_are_whole_and_their_sources_are_named() -> None:
    shipped = photos()
    sources = (assets.FOLDER / "photos" / "README.md").read_text()
    assert len(shipped) >= 3
    for path in shipped:
        assert f"`{path.name}`" in sources


def test_manifest_lists_every_file(folder: Path) -> None:
    found = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.suffix in {".safetensors", ".jpg"}}
    assert set(assets.manifest()) == found


def test_missing_file(folder: Path) -> None:
    (folder / NAME).unlink()
    with pytest.raises(AssetError, match=f"{NAME} is missing: reinstall moiety"):
        load_network("searched", folder)


def test_truncated_file(folder: Path) -> None:
    content = (folder / NAME).read_bytes()
    (folder / NAME).write_bytes(content[:1000])
    with pytest.raises(AssetError, match=f"is truncated: expected {len(content)} bytes, found 1000"):
        load_network("searched", folder)


def test_altered_file(folder: Path) -> None:
    content = bytearray((folder / NAME).read_bytes())
    content[-1] ^= 1
    (folder / NAME).write_bytes(content)
    with pytest.raises(
        AssetError, match=f"was altered: expected sha256 [0-9a-f]+, found {hashlib.sha256(content).hexdigest()}"
    ):
        load_network("searched", folder)


def test_file_of_another_version(folder: Path) -> None:
    save_file({"fc.bias": np.zeros(10, np.float16)}, folder / NAME, {"version": json.dumps(assets.VERSION + 1)})
    with pytest.raises(
        AssetError, match=f"is of another version: expected {assets.VERSION}, found {assets.VERSION + 1}"
    ):
        load_network("searched", folder)


def test_manifest_missing_damaged_or_of_another_version(folder: Path) -> None:
    path = folder / "manifest.json"
    document = json.loads(path.read_text())
    path.write_text(json.dumps(document | {"version": 99}))
    with pytest.raises(AssetError, match="expected version 2, found 99"):
        photos(folder)
    path.write_text('{"version": 2')
    with pytest.raises(AssetError, match="is not a manifest"):
        photos(folder)
    path.unlink()
    with pytest.raises(AssetError, match=r"manifest\.json is missing"):
        photos(folder)


def test_name_outside_the_manifest_is_refused() -> None:
    with pytest.raises(AssetError, match="not one of the demo's files"):
        verified("../ring.py")
