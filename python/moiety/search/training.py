"""`fit`, one loop that trains any network of this package, and `evaluate`.

SGD with Nesterov momentum, one triangular learning-rate cycle, label smoothing, distillation, bfloat16 autocast with
channels last, clipped gradients, and an exponential moving average of the weights, which is what remains in the end.
For quadratic activations: a learning rate of their own for their coefficients, and the boundary loss on their inputs.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from moiety.data import Augment, Split, batches, in_order
from moiety.nn import DivergenceError, Gate, RangeWatch, X2Act
from moiety.search import parallel
from moiety.search.extremes import extreme_images
from moiety.search.fixed import fixed_point
from moiety.search.losses import classification_loss, teach

__all__ = [
    "Checkpoint",
    "FitConfig",
    "Progress",
    "Schedule",
    "Stepper",
    "average_weights",
    "certify",
    "cycle",
    "evaluate",
    "fit",
]

CERTIFIED = 1000  # images that must be in range at the end
RESCUE_STEPS = 40
LARGE = 1e12  # a gradient's element

Progress = Callable[[dict[str, Any]], None]
Schedule = Callable[[nn.Module, float], None]  # a network, and the part of the training that is done


class Checkpoint(Protocol):
    """Where a run keeps its state: a tree of dict, list, tensors, numbers, text and None."""

    def load(self) -> dict[str, Any] | None: ...

    def save(self, state: dict[str, Any]) -> None: ...


@dataclass(frozen=True)
class FitConfig:
    epochs: int = 10
    batch: int = 128  # of all processes together
    learning_rate: float = 0.1  # peak of the cycle
    coefficient_rate: float = 0.1  # the quadratic coefficients' learning rate, as a fraction
    warm_up: float = 0.2  # fraction of the cycle before the peak
    momentum: float = 0.9
    weight_decay: float = 5e-4  # of matrices alone
    label_smoothing: float = 0.1
    distillation: float = 0.5  # weight of the teacher's loss, when there is a teacher
    temperature: float = 4.0  # of distillation
    clip: float = 2.0  # norm of the gradient
    bound: float = 10.0  # B of the boundary loss; a training must not end beyond its margin
    penalty: float = 0.1  # weight of the boundary loss
    average: float = 0.998  # decay of the weights' moving average, a step
    settle: int = 0  # last epochs, with frozen batch statistics: trains what inference computes
    extremes: int = 0  # images of extreme contrast a batch in those epochs, for the boundary loss alone
    rescues: int = 3  # times that a network which ends out of its range is pulled back, a few steps each
    fixed_epochs: int = 0  # last epochs, with the rounding of the private program as well
    fraction_bits: int = 16  # of that program
    shift: int | None = None  # pixels by which training images move, either way; None: an eighth of the side
    hole: int = 0  # side of the square greyed out in every training image
    augment: bool = True
    bfloat16: bool = True
    seed: int = 1

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch < 1:
            raise ValueError(f"expected at least one epoch and one image a batch, found {self.epochs} and {self.batch}")
        if not max(self.settle, self.fixed_epochs) <= self.epochs:
            raise ValueError(
                f"settle {self.settle}, fixed_epochs {self.fixed_epochs}: expected at most {self.epochs} each"
            )

    @property
    def variation(self) -> bool | Augment:
        return Augment(self.shift, self.hole) if self.augment else False


def fit(
    model: nn.Module,
    split: Split,
    config: FitConfig | None = None,
    *,
    teacher: nn.Module | None = None,
    valid: Split | None = None,
    progress: Progress | None = None,
    checkpoint: Checkpoint | None = None,
    schedule: Schedule | None = None,
) -> list[dict[str, Any]]:
    """Trains `model` in place on `split`; what remains are the averaged weights, in evaluation mode.

    teacher: a network to distil from. valid: images to measure accuracy on after every epoch; the training does not
    look at it. schedule: changes the network (and its average) before every step. Under torch.distributed every process
    calls this; the result is one process's up to rounding.

    Returns one record an epoch: epoch, loss, penalty, peak (largest input of a quadratic activation), seconds, with
    `valid` accuracy, and in the last one `rescues` if there were any. Raises `moiety.nn.DivergenceError`, which names
    the layer, when the training diverges or ends with a quadratic activation out of its certified range.
    """
    config = config or FitConfig()
    if config.batch > len(split):
        raise ValueError(f"a batch of {config.batch} images: the split has {len(split)}; choose a smaller batch")
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    parallel.same_everywhere(model)
    averaged = copy.deepcopy(model).eval()
    stepper = Stepper(model, config)
    steps = len(split) // config.batch
    first, history = 0, list[dict[str, Any]]()
    if checkpoint is not None and (state := checkpoint.load()) is not None:
        model.load_state_dict(state["model"])
        averaged.load_state_dict(state["averaged"])
        stepper.optimizer.load_state_dict(state["optimizer"])
        first, history = state["epoch"], list(state["history"])

    for epoch in range(first, config.epochs):
        started = time.monotonic()
        settling = epoch >= config.epochs - max(config.settle, config.fixed_epochs)
        rounding = epoch >= config.epochs - config.fixed_epochs
        if epoch == config.epochs - max(config.settle, config.fixed_epochs):
            model.load_state_dict(averaged.state_dict())
        model.train()
        rng = np.random.default_rng((config.seed, epoch, 1))
        totals = [0.0, 0.0]
        with ExitStack() as stack:
            stack.enter_context(parallel.synchronised(model))
            if settling:
                _freeze_batch_statistics(model)
            for step, (images, labels) in enumerate(training_batches(split, config, epoch)):
                if rounding and step == 0:
                    stack.enter_context(fixed_point(model, images, config.fraction_bits))
                seen = epoch * steps + step
                if schedule is not None:
                    for network in (model, averaged):
                        schedule(network, seen / (config.epochs * steps))
                rate = config.learning_rate * cycle(seen / (config.epochs * steps), config.warm_up)
                extra = extreme_images(images, config.extremes, split, rng) if settling else None
                target = teach(teacher, images, config.bfloat16)
                loss, penalty = stepper(
                    images, labels, target, rate, extra=extra, bfloat16=config.bfloat16 and not rounding
                )
                average_weights(averaged, model, min(config.average, (1 + seen) / (10 + seen)))
                totals = [totals[0] + loss, totals[1] + penalty]
                if progress is not None:
                    progress(
                        {"phase": "fit", "epoch": epoch, "epochs": config.epochs, "step": step, "steps": steps}
                        | {"loss": totals[0] / (step + 1), "penalty": totals[1] / (step + 1), "rate": rate}
                    )
        if schedule is not None:
            for network in (model, averaged):
                schedule(network, (epoch + 1) / config.epochs)
        loss, penalty = (parallel.mean(total / steps) for total in totals)
        record = {"epoch": epoch, "loss": loss, "penalty": penalty, "peak": stepper.peak}
        record["seconds"] = time.monotonic() - started
        if valid is not None:
            record["accuracy"] = evaluate(averaged, valid)
        history.append(record)
        if progress is not None:
            progress({"phase": "fit", "epochs": config.epochs, "step": steps, "steps": steps, **record})
        if checkpoint is not None:
            state = {"model": model.state_dict(), "averaged": averaged.state_dict()}
            checkpoint.save(
                state | {"optimizer": stepper.optimizer.state_dict(), "epoch": epoch + 1, "history": history}
            )
    model.load_state_dict(averaged.state_dict())
    model.eval()
    for attempt in range(config.rescues):
        outside = _outside(model, split, config.bound)
        if outside is None:
            break
        _pull_back(model, split, config, teacher, outside, attempt)
        history[-1]["rescues"] = attempt + 1
    certify(model, split, config.bound)
    return history


@torch.no_grad()
def _outside(model: nn.Module, split: Split, bound: float, *, images: int = CERTIFIED, most: int = 32) -> Tensor | None:
    """Of the images that `certify` looks at, some that leave the range; None if there are none."""
    found = []
    with evaluating(model), RangeWatch(model, bound) as watch:
        for several, _ in in_order(split.subset(np.arange(min(images, len(split)))), 250):
            model(several)
            if all(peak <= watch.limit for peak in watch.peaks().values()):
                continue
            for image in torch.split(several, 1):
                model(image)
                if not all(peak <= watch.limit for peak in watch.peaks().values()):
                    found.append(image)
    return torch.cat(found[:most]) if found else None


def _pull_back(
    model: nn.Module, split: Split, config: FitConfig, teacher: nn.Module | None, outside: Tensor, attempt: int
) -> None:
    """A few small steps with frozen batch statistics, on what inference computes: in a batch, an outlier is damped by
    the very variance that it raises. The boundary loss sees the images outside as well."""
    stepper = Stepper(model, config)
    model.train()
    _freeze_batch_statistics(model)
    for step, (images, labels) in enumerate(training_batches(split, config, config.epochs + attempt)):
        if step == RESCUE_STEPS:
            break
        rate = 0.1 * config.learning_rate * (1 - step / RESCUE_STEPS)
        target = teach(teacher, images, config.bfloat16)
        stepper(images, labels, target, rate, extra=outside, bfloat16=config.bfloat16)
    model.eval()


@torch.no_grad()
def certify(model: nn.Module, split: Split, bound: float, *, images: int = CERTIFIED) -> None:
    """Raises `moiety.nn.DivergenceError`, which names the layer, if some of the first images drives a quadratic
    activation out of the range that the boundary `bound` certifies."""
    with evaluating(model), RangeWatch(model, bound) as watch:
        for inputs, _ in in_order(split.subset(np.arange(min(images, len(split)))), 250):
            model(inputs)
            watch.check()


@torch.no_grad()
def evaluate(model: nn.Module, split: Split, *, batch: int = 500) -> float:
    """Accuracy in float32 and evaluation mode."""
    with evaluating(model):
        correct = sum(int((model(images).argmax(1) == labels).sum()) for images, labels in in_order(split, batch))
    return correct / len(split)


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Evaluation mode for a while; then every module is in the mode that it was in."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode


class Stepper:
    """One optimizer step on a batch, with everything that keeps quadratic activations in their range."""

    def __init__(self, model: nn.Module, config: FitConfig) -> None:
        self.model, self.config = model, config
        self.optimizer = make_optimizer(model, config)
        self.peak = 0.0  # largest input of a quadratic activation in the last step
        self._weights = [p for group in self.optimizer.param_groups for p in group["params"]]

    def __call__(
        self,
        images: Tensor,
        labels: Tensor,
        target: Tensor | None,
        rate: float,
        *,
        extra: Tensor | None = None,
        bfloat16: bool = True,
    ) -> tuple[float, float]:
        """Loss and boundary loss before the step. `extra`: images that only the boundary loss sees."""
        loss, penalty = self.losses(images, labels, target, extra=extra, bfloat16=bfloat16)
        self.optimizer.zero_grad()
        (loss + self.config.penalty * penalty).backward()  # type: ignore[no-untyped-call]
        self.descend(rate)
        return loss.item(), penalty.item()

    def losses(
        self,
        images: Tensor,
        labels: Tensor,
        target: Tensor | None,
        *,
        extra: Tensor | None = None,
        bfloat16: bool = True,
    ) -> tuple[Tensor, Tensor]:
        """Classification loss and boundary loss; raises `DivergenceError`, with the layer, where they are not finite.

        An input out of the range is the boundary loss's to bring back, until the end of the training (`certify`).
        """
        c = self.config
        inputs = images if extra is None else torch.cat([images, extra]).contiguous(memory_format=torch.channels_last)
        with RangeWatch(self.model, c.bound) as watch:
            with torch.autocast(images.device.type, torch.bfloat16, enabled=bfloat16):
                logits = self.model(inputs)
            loss = classification_loss(
                logits[: len(labels)],
                labels,
                target,
                label_smoothing=c.label_smoothing,
                distillation=c.distillation,
                temperature=c.temperature,
            )
            penalty = watch.penalty()
            peaks = watch.peaks()
            self.peak = max(peaks.values(), default=0.0)
            if not math.isfinite(loss.item() + penalty.item()):
                watch.check()
                raise DivergenceError(
                    f"{first_not_finite(self.model, inputs)}: the loss is {loss.item()}: lower the learning rate (its "
                    f"peak is {c.learning_rate:g}) or clip the gradient harder (its norm is clipped at {c.clip:g})"
                )
        return loss, penalty

    def descend(self, rate: float) -> None:
        """Averages the gradients over the processes, clips them, and moves the weights."""
        gradients = [p.grad for p in self._weights if p.grad is not None]
        parallel.average_gradients(gradients)
        largest = float(torch.stack(torch._foreach_norm(gradients, math.inf)).max())  # NaN if any is
        if not math.isfinite(largest):
            worst = next(
                n for n, p in self.model.named_parameters() if p.grad is not None and not p.grad.isfinite().all()
            )
            raise DivergenceError(f"{worst}: its gradient is not finite: lower the learning rate or the boundary")
        if largest > LARGE:  # an escaped input's: its direction is right, and its norm would be infinite in float32
            torch._foreach_div_(gradients, largest)
        nn.utils.clip_grad_norm_(self._weights, self.config.clip)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["scale"]
        self.optimizer.step()


def make_optimizer(model: nn.Module, config: FitConfig) -> torch.optim.SGD:
    """Weight decay for the matrices alone; a rate of their own for the quadratics' coefficients; no gates' alphas."""
    alphas = {id(module.alpha) for module in model.modules() if isinstance(module, Gate)}
    coefficients = [p for module in model.modules() if isinstance(module, X2Act) for p in module.parameters()]
    chosen = alphas | {id(p) for p in coefficients}
    rest = [p for p in model.parameters() if id(p) not in chosen]
    groups: list[dict[str, Any]] = [
        {"params": [p for p in rest if p.ndim > 1], "weight_decay": config.weight_decay, "scale": 1.0},
        {"params": [p for p in rest if p.ndim <= 1], "scale": 1.0},
        {"params": coefficients, "scale": config.coefficient_rate},
    ]
    return torch.optim.SGD(
        [g for g in groups if g["params"]], lr=config.learning_rate, momentum=config.momentum, nesterov=True
    )


def cycle(progress: float, warm_up: float) -> float:
    """0 -> 1 over the first `warm_up` of the progress, then linearly back to 0."""
    return progress / warm_up if progress < warm_up else (1 - progress) / (1 - warm_up)


@torch.no_grad()
def average_weights(averaged: nn.Module, model: nn.Module, decay: float) -> None:
    """Moves the average (parameters and batch statistics alike) towards `model`."""
    pairs = zip(averaged.state_dict().values(), model.state_dict().values(), strict=True)
    floats = [(mean, value) for mean, value in pairs if mean.dtype.is_floating_point]
    torch._foreach_lerp_([mean for mean, _ in floats], [value for _, value in floats], 1 - decay)


@torch.no_grad()
def first_not_finite(model: nn.Module, images: Tensor) -> str:
    """The path of the first module whose result is not finite, run as it is."""
    found: list[str] = []

    def look(path: str, y: Any) -> None:
        if isinstance(y, Tensor) and not y.isfinite().all() and not found:
            found.append(path)

    handles = [
        module.register_forward_hook(lambda _m, _i, y, path=path: look(path, y))
        for path, module in model.named_modules()
        if not list(module.children())
    ]
    try:
        model(images)
    finally:
        for handle in handles:
            handle.remove()
    return found[0] if found else "the loss alone"


def training_batches(split: Split, config: FitConfig, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
    return batches(
        split,
        config.batch,
        epoch=epoch,
        seed=config.seed,
        augment=config.variation,
        rank=parallel.rank(),
        world=parallel.world(),
    )


def _freeze_batch_statistics(model: nn.Module) -> None:
    """In a batch, an outlier is damped by the very variance that it raises; not so at inference."""
    for module in model.modules():
        if isinstance(module, parallel.BATCH_NORMS):
            module.eval()
