"""Average two exported demo networks of one training run, and export the result as train_demo.py does.

    python examples/average_demo.py LATER EARLIER OUT [--share 0.1] [--data DIR]

Weights and batch statistics are (1 - share) LATER + share EARLIER: a moving average over a longer stretch of the run
than the run itself kept (Izmailov et al., Averaging Weights Leads to Wider Optima and Better Generalization, UAI 2018).
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
from safetensors import safe_open
from train_demo import Config, export

from moiety.data.cifar10 import load_cifar10
from moiety.models.resnet_cifar import load_resnet_cifar


def main() -> None:
    parser = argparse.ArgumentParser(description="Average two exported demo networks.")
    parser.add_argument("later", type=Path)
    parser.add_argument("earlier", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--share", type=float, default=0.1, help="of the earlier network")
    parser.add_argument("--data", default=None)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    model, metadata = load_resnet_cifar(arguments.later)
    earlier = load_resnet_cifar(arguments.earlier)[0].state_dict()
    for name, value in model.state_dict().items():
        if value.dtype.is_floating_point:
            value.lerp_(earlier[name], arguments.share)
    with safe_open(arguments.later, framework="np") as file:
        epochs = json.loads(file.metadata()["epochs"])
    train, test = load_cifar10("train", arguments.data), load_cifar10("test", arguments.data)
    export(model, arguments.out, train, test, epochs, Config(activation=metadata["architecture"]["activation"]))


if __name__ == "__main__":
    main()
