"""Trains the demo's networks on CIFAR-10 on one CPU core and exports them for private inference; docs/demo.md says with
which arguments.

    python examples/train_demo.py --activation relu --widths 32,64,128,256 --data ../shared/data --out runs
    python examples/train_demo.py --activation x2 --data ../shared/data --out runs --compile

SGD with Nesterov momentum, one triangular learning-rate cycle, label smoothing, mirrored and shifted images, bfloat16
autocast, and an exponential moving average of the weights, which is what is evaluated and exported. The quadratic
network needs three things more: a smaller learning rate for the polynomials' coefficients, clipped gradients, and a
penalty on the polynomials' inputs beyond +-B.

A run that was interrupted continues from the last epoch when started again with the same arguments; `--epochs` may
change then and shortens or stretches the remaining cycle.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from moiety.data.cifar10 import CLASSES, Cifar10, load_cifar10
from moiety.data.images import MEAN, STD, normalize
from moiety.models import load_network, save_network
from moiety.models.resnet_cifar import ResNetCifar, resnet_cifar
from moiety.nn import X2Act


@dataclass(frozen=True)
class Config:
    activation: Literal["relu", "x2"] = "relu"
    widths: str = "32,64,128,128"
    blocks: str = ""  # of each width but the first, else one
    identity: str = ""  # paths of activations that are left out, as a search found
    init: str = ""  # an exported network to begin as, where this one has no more blocks and channels
    epochs: int = 30
    data: str | None = None  # else MOIETY_DATA, else ../shared/data
    out: str = "runs"
    teacher: str = ""  # exported networks to distil from, separated by commas: the mean of their answers
    views: int = 3  # of each image and of its mirror image: the teachers' answers are the mean over them
    threads: int = 1
    seed: int = 1
    float32: bool = False  # in place of bfloat16: faster where the CPU's convolutions are not faster in that
    compile: bool = False  # torch.compile fuses the polynomials: about 1.2 times as fast, nothing gained for ReLU
    batch: int = 128
    learning_rate: float = 0.1  # peak
    coefficient_rate: float = 0.1  # the polynomial coefficients' learning rate, as a fraction
    warm_up: float = 0.2  # fraction of the cycle before the peak
    momentum: float = 0.9
    weight_decay: float = 5e-4
    label_smoothing: float = 0.1
    distillation: float = 0.5  # weight of the teacher's loss, when there is one
    temperature: float = 4.0
    clip: float = 2.0  # norm of the gradient
    bound: float = 10.0  # B
    penalty: float = 0.1  # weight of the boundary loss
    settle: int = 3  # last epochs of the quadratic network, with frozen batch statistics and extreme images
    extremes: int = 16  # such images a batch
    average: float = 0.998  # decay of the weights' moving average, a step
    shift: int = 4  # pixels, either way
    hole: int = 0  # side of the square that is greyed out in every training image (cutout, arXiv 1708.04552)
    export_every: int = 5  # epochs
    sample: int = 2000  # images of each split to evaluate on before the last epoch


def main() -> None:
    config = parse()
    torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)
    out = Path(config.out)
    out.mkdir(parents=True, exist_ok=True)
    checkpoint, exported = out / f"checkpoint_{config.activation}.pt", out / f"resnet_{config.activation}.safetensors"
    train, test = load_cifar10("train", config.data), load_cifar10("test", config.data)

    model = make_network(config).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if config.init:
        begin_as(model, cast(ResNetCifar, load_network(config.init)[0]))
    averaged = make_network(config).eval()
    averaged.load_state_dict(model.state_dict())
    optimizer = make_optimizer(model, config)
    answers = teach(train, config) if config.teacher else None
    watched = WatchedInputs(model, config.bound)
    forward = torch.compile(watched) if config.compile else watched

    begin = 0
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        model.load_state_dict(state["model"])
        averaged.load_state_dict(state["averaged"])
        optimizer.load_state_dict(state["optimizer"])
        begin = state["epoch"] + 1
        print(f"continuing {checkpoint} at epoch {begin}", flush=True)

    steps = len(train) // config.batch  # an epoch; the remainder of each epoch's permutation is left out
    started, cpu_started = time.monotonic(), time.process_time()
    for epoch in range(begin, config.epochs):
        settling = config.activation == "x2" and epoch >= config.epochs - config.settle
        if settling and epoch == config.epochs - config.settle:
            model.load_state_dict(averaged.state_dict())
        model.train()
        if settling:
            freeze_batch_statistics(model)
        total, total_penalty, rng = 0.0, 0.0, np.random.default_rng((config.seed, epoch, 1))
        for step, (images, labels, chosen) in enumerate(batches(train, epoch, config)):
            rate = config.learning_rate * cycle((epoch * steps + step) / (config.epochs * steps), config.warm_up)
            for group in optimizer.param_groups:
                group["lr"] = rate * group["scale"]

            with torch.autocast("cpu", torch.bfloat16, enabled=not config.float32):
                extra = extreme_images(images, config.extremes, rng) if settling else images[:0]
                logits, penalty = forward(torch.cat([images, extra]))
            logits = logits[: len(labels)].float()
            loss = F.cross_entropy(logits, labels, label_smoothing=config.label_smoothing)
            if answers is not None:
                loss = (1 - config.distillation) * loss + config.distillation * distil(logits, answers[chosen], config)
            value = (loss + config.penalty * penalty).item()
            if not math.isfinite(value):
                raise FloatingPointError(
                    f"epoch {epoch} step {step}: loss {value}, from {first_not_finite(model, images)}"
                )

            optimizer.zero_grad()
            (loss + config.penalty * penalty).backward()
            nn.utils.clip_grad_norm_(model.parameters(), config.clip)
            optimizer.step()
            seen = epoch * steps + step
            update_average(averaged, model, min(config.average, (1 + seen) / (10 + seen)))

            total, total_penalty = total + loss.item(), total_penalty + penalty.item()
            if step % 130 == 0:
                done = (epoch - begin) * steps + step + 1
                eta = (time.monotonic() - started) / done * ((config.epochs - begin) * steps - done)
                print(
                    f"{config.activation} epoch {epoch}/{config.epochs} step {step}/{steps} "
                    f"loss {total / (step + 1):.4f} penalty {total_penalty / (step + 1):.2e} "
                    f"rate {rate:.4f} eta {eta / 60:.1f} min",
                    flush=True,
                )

        accuracy, bounds = evaluate(averaged, first(test, config.sample))
        with torch.no_grad(), recorded_bounds(averaged) as extreme_bounds:
            averaged(extreme_images(to_input(test.images[:200]), 400, np.random.default_rng(config.seed)))
        print(
            f"{config.activation} epoch {epoch} accuracy {accuracy:.4f} on {config.sample} largest activation input "
            f"{largest_activation_input(bounds):.2f} output {largest_activation_output(bounds):.2f}, on extreme images "
            f"{largest_activation_input(extreme_bounds):.2f} and {largest_activation_output(extreme_bounds):.2f} "
            f"[{time.monotonic() - started:.0f} s, {time.process_time() - cpu_started:.0f} CPU s]",
            flush=True,
        )
        save_atomically(
            {
                "epoch": epoch,
                "model": model.state_dict(),
                "averaged": averaged.state_dict(),
                "optimizer": optimizer.state_dict(),
            },
            checkpoint,
        )
        if epoch == config.epochs - 1:
            export(averaged, exported, train, test, epoch + 1, config)
        elif (epoch + 1) % config.export_every == 0:
            export(averaged, exported, first(train, config.sample), first(test, config.sample), epoch + 1, config)


def parse() -> Config:
    parser = argparse.ArgumentParser(description="Train the CIFAR-10 demo network.")
    for field in fields(Config):
        name = "--" + field.name.replace("_", "-")
        if field.name == "activation":
            parser.add_argument(name, choices=["relu", "x2"], default=field.default)
        elif isinstance(field.default, bool):
            parser.add_argument(name, action="store_true")
        else:
            parser.add_argument(name, type=str if field.default is None else type(field.default), default=field.default)
    return Config(**vars(parser.parse_args()))


def make_network(config: Config) -> ResNetCifar:
    widths, blocks = ([int(n) for n in numbers.split(",") if n] for numbers in (config.widths, config.blocks))
    model = resnet_cifar(config.activation, widths=widths, blocks=blocks)
    for path in filter(None, config.identity.split(",")):
        parent, _, name = path.rpartition(".")
        setattr(model.get_submodule(parent), name, nn.Identity())
    return model


@torch.no_grad()
def begin_as(model: ResNetCifar, other: ResNetCifar) -> None:
    """Takes over `other` for each stage's blocks and channels, the first ones; a block more begins as none."""
    theirs = other.state_dict()
    names: dict[str, str] = {}
    ours = at = 0
    for count, known in zip(model.blocks, other.blocks, strict=True):
        names |= {f"layers.{ours + i}.": f"layers.{at + i}." for i in range(min(count, known))}
        for block in list(model.layers)[ours + known : ours + count]:
            nn.init.zeros_(cast(Any, block).bn2.weight)
        ours, at = ours + count, at + known
    for name, value in model.state_dict().items():
        layer = name[: name.index(".", 7) + 1] if name.startswith("layers.") else ""
        source = theirs.get(names.get(layer, layer) + name[len(layer) :]) if layer in names or not layer else None
        if source is not None:
            shared = tuple(slice(min(a, b)) for a, b in zip(value.shape, source.shape, strict=True))
            value[shared] = source[shared]


def make_optimizer(model: ResNetCifar, config: Config) -> torch.optim.SGD:
    """Weight decay for the matrices alone; a rate of their own for the polynomials' coefficients."""
    coefficients = [p for module in model.modules() if isinstance(module, X2Act) for p in module.parameters()]
    chosen = {id(p) for p in coefficients}
    weights = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim == 1 and id(p) not in chosen]
    groups: list[dict[str, Any]] = [
        {"params": weights, "weight_decay": config.weight_decay, "scale": 1.0},
        {"params": others, "scale": 1.0},
    ]
    if coefficients:
        groups.append({"params": coefficients, "scale": config.coefficient_rate})
    return torch.optim.SGD(groups, lr=config.learning_rate, momentum=config.momentum, nesterov=True)


def cycle(progress: float, warm_up: float) -> float:
    """0 -> 1 over the first `warm_up` of the progress, then linearly back to 0."""
    return progress / warm_up if progress < warm_up else (1 - progress) / (1 - warm_up)


def batches(data: Cifar10, epoch: int, config: Config) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """One epoch of (images, labels, their numbers), shuffled and shifted; an image is mirrored in every other epoch
    (K. Jordan, arXiv 2404.00498).

    Depends on (seed, epoch) alone, so that a continued run sees what an uninterrupted one would have.
    """
    rng = np.random.default_rng((config.seed, epoch))
    order = rng.permutation(len(data))
    mirrored = (np.random.default_rng(config.seed).integers(0, 2, len(data)) + epoch) % 2 == 1
    margin = config.shift
    padded = np.pad(data.images, ((0, 0), (margin, margin), (margin, margin), (0, 0)), mode="reflect")
    side = np.arange(data.images.shape[1])
    for begin in range(0, len(data) - config.batch + 1, config.batch):
        chosen = order[begin : begin + config.batch]
        rows = rng.integers(0, 2 * margin + 1, (config.batch, 1)) + side
        columns = rng.integers(0, 2 * margin + 1, (config.batch, 1)) + side
        flip = mirrored[chosen]
        columns[flip] = columns[flip, ::-1]
        pixels = padded[chosen[:, None, None], rows[:, :, None], columns[:, None, :]]
        images = to_input(pixels)
        if config.hole:
            for image, (top, left) in zip(
                images, rng.integers(1 - config.hole, len(side), (len(images), 2)), strict=True
            ):
                image[:, max(top, 0) : top + config.hole, max(left, 0) : left + config.hole] = 0
        yield images, torch.from_numpy(data.labels[chosen]), torch.from_numpy(chosen)


def first(data: Cifar10, count: int) -> Cifar10:
    """The first `count` images; the files interleave the classes, so that they are balanced."""
    return Cifar10(data.images[:count], data.labels[:count])


def to_input(pixels: npt.NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(normalize(pixels)).contiguous(memory_format=torch.channels_last)


def extreme_images(images: Tensor, count: int, rng: np.random.Generator) -> Tensor:
    """Inputs at the edge of the range: photographs of very high contrast, and blocks of random pure colours."""
    low = torch.tensor([-m / s for m, s in zip(MEAN, STD, strict=True)]).view(3, 1, 1)  # black
    high = torch.tensor([(1 - m) / s for m, s in zip(MEAN, STD, strict=True)]).view(3, 1, 1)  # white
    gain = torch.from_numpy(rng.uniform(1.5, 8.0, (count // 2, 1, 1, 1)).astype(np.float32))
    contrast = (images[: count // 2] * gain).clamp(low, high)
    blocks = []
    for _ in range(count - count // 2):
        side = 2 ** int(rng.integers(0, 6))
        bits = rng.integers(0, 2, (32 // side, 32 // side, 3)).repeat(side, axis=0).repeat(side, axis=1)
        blocks.append(torch.from_numpy(bits.astype(np.float32)).permute(2, 0, 1))
    colours = low + (high - low) * torch.stack(blocks)
    return torch.cat([contrast, colours]).contiguous(memory_format=torch.channels_last)


def freeze_batch_statistics(model: nn.Module) -> None:
    """Trains what inference computes: in a batch, an outlier is damped by the very variance that it raises."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()


class WatchedInputs(nn.Module):
    """The network with the boundary loss of its polynomials' inputs: a batch's mean of log(1 + sum(relu(|x| - B))).

    The sum is over an image's elements, so that a single one counts; the logarithm, because an escaping input grows
    doubly exponentially with depth. Added up over the layers.
    """

    def __init__(self, model: nn.Module, bound: float) -> None:
        super().__init__()
        self.model = model
        self.bound = bound
        self.excess: list[Tensor] = []
        for module in model.modules():
            if isinstance(module, X2Act):
                module.register_forward_pre_hook(self.watch)

    def watch(self, module: nn.Module, inputs: tuple[Tensor]) -> None:
        if module.training:
            self.excess.append(F.relu(inputs[0].float().abs() - self.bound).flatten(1).sum(1).log1p().mean())

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        self.excess = []
        logits = self.model(x)
        penalty = torch.stack(self.excess).sum() if self.excess else logits.new_zeros((), dtype=torch.float32)
        return logits, penalty


@torch.no_grad()
def teach(train: Cifar10, config: Config) -> Tensor:
    """(images, classes) probabilities at the temperature: the mean over teachers and over shifted and mirrored views.

    One answer for all views of an image costs a forward pass of each teacher for the whole training, and the mean of an
    image's views is right more often than any of them. Kept in the output folder.
    """
    path = Path(config.out) / "answers.npy"
    if path.exists():
        return torch.from_numpy(np.load(path))
    answers = torch.zeros(len(train), len(CLASSES))
    teachers = [load_network(name)[0].eval() for name in config.teacher.split(",")]
    teachers = [teacher.to(memory_format=torch.channels_last) for teacher in teachers]  # type: ignore[call-overload]
    views = replace(config, hole=0, batch=500, seed=config.seed + 1)
    for epoch in range(2 * config.views):  # mirrored in every other one
        for images, _, chosen in batches(train, epoch, views):
            for teacher in teachers:
                answers[chosen] += F.softmax(teacher(images) / config.temperature, 1)
        print(f"teachers' answers: view {epoch + 1} of {2 * config.views}", flush=True)
    answers /= answers.sum(1, keepdim=True)
    right = (answers.argmax(1).numpy() == train.labels).mean()
    print(f"teachers' answers are right for {right:.4f} of the training images", flush=True)
    np.save(path, answers.numpy())
    return answers


def distil(logits: Tensor, answers: Tensor, config: Config) -> Tensor:
    """G. Hinton et al., "Distilling the Knowledge in a Neural Network", 2015."""
    t = config.temperature
    return t * t * F.kl_div(F.log_softmax(logits / t, 1), answers, reduction="batchmean")


@torch.no_grad()
def update_average(averaged: nn.Module, model: nn.Module, decay: float) -> None:
    """Parameters and batch statistics alike."""
    for mean, value in zip(averaged.state_dict().values(), model.state_dict().values(), strict=True):
        if mean.dtype.is_floating_point:
            mean.lerp_(value, 1 - decay)


@contextmanager
def recorded_bounds(model: ResNetCifar) -> Iterator[dict[str, float]]:
    """max |output| of every module by path; also ``*.add`` (a block's addition) and ``pool``, which are no modules."""
    bounds: dict[str, float] = {}

    def record(path: str, value: Tensor) -> None:
        low, high = value.aminmax()
        peak = max(-low.item(), high.item())
        if not math.isfinite(peak):
            raise FloatingPointError(f"{path}: output is {peak}")
        bounds[path] = max(bounds.get(path, 0.0), peak)

    handles = []
    for path, module in model.named_modules():
        if not list(module.children()):
            handles.append(module.register_forward_hook(lambda _m, _i, y, path=path: record(path, y)))
        if path.endswith(".act2"):
            add = path.removesuffix("act2") + "add"
            handles.append(module.register_forward_pre_hook(lambda _m, x, path=add: record(path, x[0])))
    handles.append(model.register_forward_pre_hook(lambda _m, x: record("input", x[0])))
    handles.append(model.fc.register_forward_pre_hook(lambda _m, x: record("pool", x[0])))
    try:
        yield bounds
    finally:
        for handle in handles:
            handle.remove()


@torch.no_grad()
def evaluate(model: ResNetCifar, data: Cifar10) -> tuple[float, dict[str, float]]:
    """Accuracy and bounds in float32, evaluation mode."""
    model.eval()
    correct = 0
    with recorded_bounds(model) as bounds:
        for begin in range(0, len(data), 500):
            logits = model(to_input(data.images[begin : begin + 500]))
            correct += int((logits.argmax(1).numpy() == data.labels[begin : begin + 500]).sum())
    return correct / len(data), bounds


def largest_activation_input(bounds: dict[str, float]) -> float:
    return max(value for path, value in bounds.items() if path.endswith(("add", "bn1")))


def largest_activation_output(bounds: dict[str, float]) -> float:
    return max(value for path, value in bounds.items() if "act" in path)


@torch.no_grad()
def first_not_finite(model: ResNetCifar, images: Tensor) -> str:
    """The path of the first module whose output is not finite, for the error message."""
    try:
        with recorded_bounds(model):
            model(images)
    except FloatingPointError as error:
        return str(error)
    return "the loss alone"


def export(model: ResNetCifar, path: Path, train: Cifar10, test: Cifar10, epochs: int, config: Config) -> None:
    """float16 weights, with the accuracy and the bounds of the rounded weights."""
    rounded = make_network(config)
    state = model.state_dict()
    rounded.load_state_dict({k: v.half().float() if v.is_floating_point() else v for k, v in state.items()})
    rounded = cast(ResNetCifar, rounded.to(memory_format=torch.channels_last))  # type: ignore[call-overload]
    accuracy, test_bounds = evaluate(rounded, test)
    train_accuracy, bounds = evaluate(rounded, train)
    kwargs = {
        "activation": config.activation,
        "widths": model.widths,
        "num_classes": model.num_classes,
        "blocks": model.blocks,
    }
    left_out = config.identity.split(",")
    gates = {path: "identity" if path in left_out else config.activation for path in activation_paths(model)}
    metadata = {
        "model": {"name": "resnet_cifar", "kwargs": kwargs},
        "gates": gates if config.identity else {},
        "input_shape": [3, 32, 32],
        "preprocessing": {"mean": MEAN, "std": STD},
        "classes": CLASSES,
        "activation_bounds": {name: float(f"{value:.4g}") for name, value in bounds.items()},
        "accuracy": {"test": accuracy, "train": train_accuracy},
        "trained_on": {"dataset": "cifar10", "images": len(train)},
        "epochs": epochs,
    }
    save_network(path, rounded, metadata)
    print(
        f"wrote {path}: test accuracy {accuracy:.4f}, train accuracy {train_accuracy:.4f}\n"
        f"bounds on train {json.dumps(metadata['activation_bounds'])}\n"
        f"bounds on test {json.dumps({name: float(f'{value:.4g}') for name, value in test_bounds.items()})}",
        flush=True,
    )


def activation_paths(model: ResNetCifar) -> list[str]:
    return [path for path, _ in model.named_modules() if path.rpartition(".")[2] in ("act1", "act2")]


def save_atomically(state: dict[str, Any], path: Path) -> None:
    partial = path.with_suffix(".partial")
    torch.save(state, partial)
    os.replace(partial, path)


if __name__ == "__main__":
    main()
