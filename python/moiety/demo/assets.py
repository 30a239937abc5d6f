"""The files that the demo ships: each is checked against the manifest before anything reads it.

    manifest.json    {"version", "files": {name: {"bytes", "sha256"}}}, made by tools/demo_manifest.py

A network's file carries the version of its layout in its own metadata as well, so that one of another release is told
from a damaged one.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

__all__ = ["VERSION", "AssetError", "Variant", "load_network", "photos", "verified"]

Variant = Literal["searched", "x2"]

VERSION = 2  # of the networks' files (`moiety.models.FILE_VERSION`)
FOLDER = Path(__file__).parent
CURE = "reinstall moiety to restore it"


class AssetError(ValueError):
    """A shipped file is missing, truncated, of another version or altered; the message says which."""


@dataclass(frozen=True)
class Entry:
    """What the manifest says of one file."""

    size: int
    sha256: str


def manifest(folder: Path = FOLDER) -> dict[str, Entry]:
    """Every shipped file's size and hash, by its path below `folder`."""
    path = folder / "manifest.json"
    try:
        document = json.loads(path.read_text())
        version = document["version"]
        entries = {name: Entry(int(e["bytes"]), str(e["sha256"])) for name, e in document["files"].items()}
    except FileNotFoundError:
        raise AssetError(f"{path} is missing: {CURE}") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise AssetError(f"{path} is not a manifest ({error!r}): {CURE}") from error
    if version != VERSION:
        raise AssetError(f"{path}: expected version {VERSION}, found {version!r}: {CURE}")
    return entries


def verified(name: str, folder: Path = FOLDER) -> Path:
    """The path of the shipped file `name`, after its content has been checked."""
    entry = manifest(folder).get(name)
    if entry is None:
        raise AssetError(f"{name} is not one of the demo's files: {CURE}")
    path = folder / name
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise AssetError(f"{path} is missing: {CURE}") from None
    found = hashlib.sha256(content).hexdigest()
    if found != entry.sha256:
        raise AssetError(f"{path} {_difference(path, len(content), entry, found)}: {CURE}")
    return path


def _difference(path: Path, size: int, entry: Entry, found: str) -> str:
    """Why a file that is not the shipped one is not."""
    if path.suffix == ".safetensors" and (version := _version(path)) not in (None, VERSION):
        return f"is of another version: expected {VERSION}, found {version!r}"
    if size < entry.size:
        return f"is truncated: expected {entry.size} bytes, found {size}"
    return f"was altered: expected sha256 {entry.sha256}, found {found}"


def _version(path: Path) -> Any:
    """The version in a safetensors file's own metadata; None when it cannot be read."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as file:
            return json.loads((file.metadata() or {}).get("version", "null"))
    except (SafetensorError, OSError, ValueError):
        return None


def load_network(variant: Variant, folder: Path = FOLDER) -> tuple[Any, dict[str, Any]]:
    """The shipped network in evaluation mode and its metadata (`moiety.models.load_network`)."""
    path = verified(f"resnet_{variant}.safetensors", folder)
    from moiety.models import load_network as load

    return load(path)


def photos(folder: Path = FOLDER) -> list[Path]:
    """The shipped photographs, checked, by name."""
    return [verified(name, folder) for name in sorted(manifest(folder)) if name.endswith(".jpg")]
