"""A trained network in one safetensors file that says how to build it, what it was trained on and how good it is.

Metadata, each value as JSON: `version`; `model` {"name", "kwargs"} of `create_model`; `gates` {path: choice} of an
architecture, empty for a network as its factory makes it; `input_shape` [channels, height, width], or of a network for
graphs `features`, as many as a node has; `preprocessing` {"mean", "std"}; `classes`; `activation_bounds` {module path:
largest magnitude of its output}, what `moiety.private.compile` takes as calibration; `accuracy`; `trained_on`; and what
else the writer adds.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from torch import nn

__all__ = ["FILE_VERSION", "load_network", "read_metadata", "save_network"]

FILE_VERSION = 2  # 1 was the layout of the demo's files, which named no model


def save_network(
    path: str | os.PathLike[str], model: nn.Module, metadata: Mapping[str, Any], *, half: bool = True
) -> None:
    """Write the weights of `model`, which `metadata` describes; the file appears whole or not at all.

    half: as float16, where the values allow it. What is read back is then rounded: measure `accuracy` on that.
    """
    from safetensors.torch import save

    if "model" not in metadata or not {"input_shape", "features"} & metadata.keys():
        raise ValueError(
            f"metadata of a network: expected 'model' and 'input_shape' (or 'features'), found {', '.join(metadata)}"
        )
    tensors = {}
    for name, tensor in model.state_dict().items():
        if not name.endswith("num_batches_tracked"):  # only training counts
            kept = tensor.detach().to("cpu", copy=True).contiguous()
            tensors[name] = _halved(name, kept) if half else kept
    said = {"version": FILE_VERSION, "gates": {}, **metadata}
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        partial.write_bytes(save(tensors, {key: json.dumps(value) for key, value in said.items()}))
        os.replace(partial, target)
    finally:
        partial.unlink(missing_ok=True)


def _halved(name: str, tensor: torch.Tensor) -> torch.Tensor:
    """As float16, unless a value would overflow there, or a variance become zero."""
    if not tensor.is_floating_point():
        return tensor
    small = tensor.half()
    lost = (small == 0) & (tensor != 0) if name.endswith("running_var") else small.isinf()
    return tensor if bool(lost.any()) or bool(small.isinf().any()) else small


def read_metadata(path: str | os.PathLike[str]) -> dict[str, Any]:
    """What a file says about its network, without its weights."""
    from safetensors import SafetensorError, safe_open

    name = os.fspath(path)
    if not Path(path).is_file():
        raise FileNotFoundError(f"{name} is not there: expected a network's file, such as a run's weights.safetensors")
    try:
        with safe_open(name, framework="np") as file:
            metadata = {key: json.loads(value) for key, value in (file.metadata() or {}).items()}
    except (SafetensorError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{name} is not a whole safetensors file, truncated or altered ({error})") from None
    if metadata.get("version") != FILE_VERSION:
        raise ValueError(
            f"{name}: expected a network's file of version {FILE_VERSION}, found {metadata.get('version')!r}"
        )
    model, shape, gates, features = (metadata.get(key) for key in ("model", "input_shape", "gates", "features"))
    if not (isinstance(model, dict) and isinstance(model.get("name"), str) and isinstance(model.get("kwargs"), dict)):
        raise ValueError(f"{name}: expected a model's name and kwargs, found {model!r}")
    if shape is None and features is not None:
        if not isinstance(features, int) or features < 1:
            raise ValueError(f"{name}: expected how many features a node has, found {features!r}")
    elif not (
        isinstance(shape, list) and len(shape) == 3 and all(isinstance(n, int) and 0 < n < 1 << 16 for n in shape)
    ):
        raise ValueError(f"{name}: expected an input shape [channels, height, width], found {shape!r}")
    if not isinstance(gates, dict):
        raise ValueError(f"{name}: expected gates as an object of choices, found {gates!r}")
    return metadata


def load_network(path: str | os.PathLike[str]) -> tuple[nn.Module, dict[str, Any]]:
    """The network in a file of `save_network`, in float32 and evaluation mode, and its metadata.

    Raises FileNotFoundError, or ValueError for a damaged file, one of another version, or weights that do not fit.
    """
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    from moiety.models.registry import create_model

    metadata = read_metadata(path)
    model = create_model(metadata["model"]["name"], **metadata["model"]["kwargs"])
    if metadata["gates"]:
        from moiety.search import Architecture, freeze

        try:
            model = freeze(model, Architecture(metadata["gates"]), example=torch.zeros(1, *metadata["input_shape"]))
        except (ValueError, KeyError) as error:
            raise ValueError(f"{os.fspath(path)}: its gates do not fit {metadata['model']['name']}: {error}") from None
    try:
        tensors = {name: t.float() if t.is_floating_point() else t for name, t in load_file(path).items()}
    except SafetensorError as error:
        raise ValueError(f"{os.fspath(path)} is not a whole safetensors file, truncated or altered ({error})") from None
    try:
        missing, unexpected = model.load_state_dict(tensors, strict=False)
    except RuntimeError as error:  # of shapes
        raise ValueError(f"{os.fspath(path)} does not fit {metadata['model']['name']}: {error}") from None
    missing = [name for name in missing if not name.endswith("num_batches_tracked")]
    if missing or unexpected:
        raise ValueError(
            f"{os.fspath(path)} does not fit {metadata['model']['name']}: missing {missing}, unexpected {unexpected}"
        )
    bad = [name for name, tensor in model.state_dict().items() if not torch.isfinite(tensor.float()).all()]
    if bad:
        raise ValueError(f"{os.fspath(path)}: expected finite weights, found others in {', '.join(bad[:3])}")
    return model.eval(), metadata
