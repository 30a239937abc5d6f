"""Hypergraphs on disk: one safetensors file each, read by mapping it into memory."""

from __future__ import annotations

from os import PathLike
from typing import TYPE_CHECKING

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

if TYPE_CHECKING:
    from moiety.graph.hypergraph_build import Parts

__all__ = ["load", "save"]

FORMAT = "moiety hypergraph 1"


def save(path: str | PathLike[str], indptr: Tensor, indices: Tensor, num_nodes: int, weight: Tensor | None) -> None:
    """Write the hyperedges; the other side of the incidence is made again after loading."""
    tensors = {"indptr": indptr, "indices": indices} | ({} if weight is None else {"weight": weight})
    metadata = {"format": FORMAT, "num_nodes": str(num_nodes)}
    save_file({name: t.contiguous() for name, t in tensors.items()}, path, metadata)


def load(path: str | PathLike[str]) -> Parts:
    """Read what `save` wrote; `Hypergraph` checks it. ValueError for any other file."""
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(
            f"hypergraph: expected a file that Hypergraph.save wrote at {path}, got one that is not: {error}"
        ) from None
    if metadata.get("format") != FORMAT:
        raise ValueError(f"hypergraph: expected the format {FORMAT!r} in {path}, got {metadata.get('format')!r}")
    return tensors["indptr"], tensors["indices"], int(metadata["num_nodes"]), tensors.get("weight")
