"""What `moiety compile` is pointed at: a function that makes a model, or a network of this package and its weights."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path
from typing import Any

from .program import Program

__all__ = ["NETWORKS", "compile_target"]

# name -> (module, function): function(weights file) gives the model and its metadata
NETWORKS = {"resnet_cifar": ("moiety.models.resnet_cifar", "load_resnet_cifar")}


def compile_target(target: str, weights: Path | None, calibration: Path | None, **options: Any) -> Program:
    """Compile `target`: "module:function" or a name of `NETWORKS`.

    The function takes nothing and returns (model, example inputs) or (model, example inputs, metadata). With `weights`
    the model's parameters are read from that safetensors file. Of the metadata "classes" and "preprocessing" are public
    and travel with the program; "activation_bounds" is what `private.calibrate` measured. Ranges are calibrated on the
    `.npy` file `calibration`, else taken from those bounds, else proved.
    """
    import numpy as np
    import torch

    from moiety import private

    if weights is not None and not weights.is_file():
        raise ValueError(f"{weights} is not there: expected a safetensors file with the model's weights")
    if ":" in target:
        model, example, metadata = _make(target)
        if weights is not None:
            from safetensors.torch import load_file

            model.load_state_dict(load_file(weights))
    elif target in NETWORKS:
        if weights is None:
            raise ValueError(f"{target} needs --weights: expected its safetensors file")
        module, function = NETWORKS[target]
        model, metadata = getattr(importlib.import_module(module), function)(weights)
        example = torch.zeros(1, *metadata.get("input_shape", (3, 32, 32)))
    else:
        raise ValueError(f"model is {target!r}: expected module:function or one of {', '.join(NETWORKS)}")
    measured: Any = metadata.get("activation_bounds")
    if calibration is not None:
        try:
            measured = torch.from_numpy(np.load(calibration, allow_pickle=False))
        except (ValueError, OSError, EOFError, TypeError) as error:
            raise ValueError(f"{calibration} is no batch of inputs: expected a float32 .npy file ({error})") from None
    public: dict[str, Any] = {key: metadata[key] for key in ("classes", "preprocessing") if key in metadata}
    return private.compile(model.eval(), example, calibration=measured, metadata=public, **options)


def _make(target: str) -> tuple[Any, Any, dict[str, Any]]:
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
    return made[0], made[1], dict(made[2]) if len(made) == 3 else {}
