"""Graphs on disk: one safetensors file each, read by mapping it into memory."""

from __future__ import annotations

from os import PathLike
from typing import TYPE_CHECKING

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from moiety.graph.structure import Structure

if TYPE_CHECKING:
    from moiety.graph.build import Parts

__all__ = ["load", "save"]

FORMAT = "moiety graph 1"


def save(path: str | PathLike[str], structure: Structure, weight: Tensor | None, edge_order: Tensor | None) -> None:
    """Write the pattern and whatever else there is; `transposed` is made again after loading."""
    tensors = {"indptr": structure.indptr, "indices": structure.indices}
    if weight is not None:
        tensors["weight"] = weight.detach()
    if edge_order is not None:
        tensors["edge_order"] = edge_order
    metadata = {"format": FORMAT, "num_cols": str(structure.num_cols), "order": structure.order or ""}
    # What graphs share in memory is written to each of their files.
    save_file({name: t.contiguous() for name, t in tensors.items()}, path, metadata)


def load(path: str | PathLike[str], mmap: bool) -> Parts:
    """Read and check what `save` wrote. ValueError for any other file."""
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(
            f"graph: expected a file that Graph.save wrote at {path}, got one that is not: {error}"
        ) from None
    if metadata.get("format") != FORMAT:
        raise ValueError(f"graph: expected the format {FORMAT!r} in {path}, got {metadata.get('format')!r}")
    if not mmap:
        tensors = {name: t.clone() for name, t in tensors.items()}
    structure = Structure(
        tensors["indptr"], tensors["indices"], int(metadata["num_cols"]), metadata.get("order") or None
    )
    return structure, tensors.get("weight"), tensors.get("edge_order")
