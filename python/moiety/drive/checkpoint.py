"""Checkpoints: a tree of tensors and plain values in one safetensors file, its structure in the file's metadata.

No pickle: a checkpoint that somebody else made can be loaded without running code of theirs.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .files import write_atomic

if TYPE_CHECKING:
    from torch import Tensor

    from .metrics import Metrics

__all__ = ["Checkpoint", "load_tree", "save_tree"]

TENSOR, ITEMS = "__tensor__", "__items__"


def save_tree(path: Path, tree: Any) -> None:
    """Write `tree`: dicts (keys of any plain kind), lists, tuples, tensors, numbers, text, bool, None."""
    from safetensors.torch import save

    tensors: dict[str, Tensor] = {}
    structure = json.dumps(_flatten(tree, tensors, ""))
    write_atomic(path, save(tensors, {"tree": structure}))


def _flatten(value: Any, tensors: dict[str, Tensor], where: str) -> Any:
    import torch

    if isinstance(value, torch.Tensor):
        # A copy, since safetensors refuses tensors that share memory (tied weights, views of one buffer).
        tensors[where or "value"] = value.detach().to("cpu", copy=True).contiguous()
        return {TENSOR: where or "value"}
    if isinstance(value, dict):
        if all(isinstance(key, str) for key in value) and not {TENSOR, ITEMS} & value.keys():
            return {key: _flatten(v, tensors, f"{where}/{key}") for key, v in value.items()}
        return {ITEMS: [[key, _flatten(v, tensors, f"{where}/{key}")] for key, v in value.items()]}
    if isinstance(value, (list, tuple)):
        return [_flatten(v, tensors, f"{where}/{i}") for i, v in enumerate(value)]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(f"a checkpoint holds tensors and plain values; {where} is a {type(value).__name__}")


def load_tree(path: Path) -> Any:
    """What `save_tree` wrote; tuples come back as lists."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            structure = json.loads((file.metadata() or {})["tree"])
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a mapping)
            return _restore(structure, tensors)
    except (SafetensorError, KeyError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} is no whole checkpoint ({error}): remove it to begin this step again") from None


def _restore(value: Any, tensors: dict[str, Tensor]) -> Any:
    if isinstance(value, dict):
        if TENSOR in value:
            return tensors[value[TENSOR]]
        if ITEMS in value:
            return {key: _restore(v, tensors) for key, v in value[ITEMS]}
        return {key: _restore(v, tensors) for key, v in value.items()}
    return [_restore(v, tensors) for v in value] if isinstance(value, list) else value


class Checkpoint:
    """The state of one part of a trial: `save` once an epoch, `load` at its start.

    Events that the part recorded after its last checkpoint are dropped when it is loaded: they will come again. Under
    torchrun every process loads what the first one saved.
    """

    def __init__(self, path: Path, metrics: Metrics | None = None, part: str = "", *, writes: bool = True) -> None:
        self.path, self._metrics, self._part, self._writes = path, metrics, part, writes

    def save(self, state: dict[str, Any]) -> None:
        if self._writes:
            events = self._metrics.count(self._part) if self._metrics is not None else 0
            save_tree(self.path, {"state": state, "events": events})

    def load(self) -> dict[str, Any] | None:
        """The last state saved, or None."""
        tree: dict[str, Any] = load_tree(self.path) if self.path.exists() else {"state": None, "events": 0}
        if self._metrics is not None and self._writes:
            self._metrics.keep(self._part, tree["events"])
        state: dict[str, Any] | None = tree["state"]
        return state

    def remove(self) -> None:
        """The part is over and its result is kept elsewhere."""
        if self._writes:
            self.path.unlink(missing_ok=True)
