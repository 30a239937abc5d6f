"""What `moiety compile` is pointed at: a function that makes a model, or a file of `moiety.models.save_network`."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path
from typing import Any

from .program import Program

__all__ = ["compile_target"]


def compile_target(
    target: str, weights: Path | None, calibration: Path | None, graph: str | None = None, **options: Any
) -> Program:
    """Compile `target`: "module:function" or the path of a network's file, such as a run's weights.safetensors.

    The function takes nothing and returns (model, example inputs) or (model, example inputs, metadata); for a model
    over a public graph the example inputs are (features, `moiety.graph.Graph`). With `weights` its model's parameters
    are read from that safetensors file. Of the metadata "classes" and "preprocessing" are public and travel with the
    program; "activation_bounds" is what `private.calibrate` measured. Ranges are calibrated on the `.npy` file
    `calibration`, else taken from those bounds, else proved. A network's file for graphs runs on the data set `graph`,
    by default on what it was trained on, whose features calibrate it where nothing else does.
    """
    import numpy as np
    import torch
    from safetensors import SafetensorError

    from moiety import private

    if weights is not None and not weights.is_file():
        raise ValueError(f"{weights} is not there: expected a safetensors file with the model's weights")
    try:
        if ":" not in target:
            model, example, metadata = _network(target, weights, graph)
        elif graph is not None:
            raise ValueError(f"{target} returns its graph: expected --graph with a network's file only, got {graph}")
        else:
            model, example, metadata = _make(target, weights)
    except SafetensorError as error:
        raise ValueError(f"{weights} is not a whole safetensors file, truncated or altered ({error})") from None
    measured: Any = metadata.get("activation_bounds")
    if calibration is not None:
        try:
            measured = torch.from_numpy(np.load(calibration, allow_pickle=False))
        except (ValueError, OSError, EOFError, TypeError) as error:
            raise ValueError(f"{calibration} is no batch of inputs: expected a float32 .npy file ({error})") from None
    public: dict[str, Any] = {key: metadata[key] for key in ("classes", "preprocessing") if key in metadata}
    structure = None
    if isinstance(example, tuple) and len(example) == 2 and not isinstance(example[1], torch.Tensor):
        example, structure = example
        if ":" not in target and measured is None:
            measured = example
    return private.compile(model.eval(), example, calibration=measured, metadata=public, graph=structure, **options)


def _network(target: str, weights: Path | None, graph: str | None) -> tuple[Any, Any, dict[str, Any]]:
    """A network's file: the model, an example input, or features and a graph, and the file's metadata."""
    import torch

    from moiety.models import load_network

    if not target.endswith(".safetensors"):
        raise ValueError(f"model is {target!r}: expected module:function or a network's .safetensors file")
    if weights is not None:
        raise ValueError(f"{target} holds its weights: expected --weights only with module:function, got {weights}")
    model, metadata = load_network(target)
    if "lag" in metadata.get("model", {}).get("kwargs", {}):
        raise ValueError(
            f"{target} forecasts series: expected windows and images to calibrate it on, which a file does not hold: "
            "compile it in Python, private.compile(network, (windows, images), inputs=2, single=True)"
        )
    if "features" in metadata:
        from moiety.data import load_graph

        trained = metadata.get("trained_on", {})
        if graph is None and "name" not in trained:
            raise ValueError(f"{target} does not say what graph it was trained on: expected --graph")
        data = load_graph(graph) if graph is not None else load_graph(trained["name"], **trained.get("options", {}))
        if data.num_features != metadata["features"]:
            raise ValueError(
                f"{target} takes {metadata['features']} features a node, {data.name} has {data.num_features}: expected "
                "a graph of the same kind of nodes"
            )
        return model, (data.dense(), data.graph), metadata
    if graph is not None:
        raise ValueError(f"{target} is a network for images: expected no --graph, got {graph}")
    return model, torch.zeros(1, *metadata["input_shape"]), metadata


def _make(target: str, weights: Path | None) -> tuple[Any, Any, dict[str, Any]]:
    """What the user's own function returns, with the weights of the file if one is given."""
    module, _, function = target.partition(":")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())  # as `python -m` does: the user's own module lies here
    try:
        made = getattr(importlib.import_module(module), function)()
    except ModuleNotFoundError as error:
        raise ValueError(f"{target}: {error}: expected a module that Python finds from {os.getcwd()}") from None
    except AttributeError as error:
        raise ValueError(f"{target}: {error}: expected a function of that module") from None
    if not isinstance(made, tuple) or len(made) not in (2, 3):
        raise ValueError(f"{target} returned a {type(made).__name__}: expected (model, example inputs[, metadata])")
    if weights is not None:
        from safetensors.torch import load_file

        made[0].load_state_dict(load_file(weights))
    return made[0], made[1], dict(made[2]) if len(made) == 3 else {}
