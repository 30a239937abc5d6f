"""`search`: the architecture with the best validation loss at a latency.

Three phases. Shared weights: one sampled architecture a batch, so that they rank discrete architectures (shared.py).
Gradients: PASNet's alternation of architecture and weight steps on the mixture (bilevel.py), with a temperature
that falls and gates that are frozen once they are decided. Polish: from where that ends, and from the greedy choice
(without a target the first candidates everywhere), coordinate descent on the shared weights' score under the exact
latency (polish.py).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import count, islice
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from moiety.cost import Cost
from moiety.data import Split, batches
from moiety.nn import Gate
from moiety.search import parallel
from moiety.search.architecture import Architecture
from moiety.search.baselines import greedy
from moiety.search.bilevel import alpha_gradient, latency_loss
from moiety.search.latency import Latency
from moiety.search.losses import teach
from moiety.search.polish import polish
from moiety.search.relax import export, gates
from moiety.search.shared import Scorer, train_shared
from moiety.search.training import Checkpoint, FitConfig, Progress, Stepper, cycle, training_batches

__all__ = ["SearchConfig", "SearchResult", "prepare", "search"]


@dataclass(frozen=True)
class SearchConfig:
    target: float | None = None  # seconds; None: the paper's lambda, `latency_weight` a second
    latency_weight: float = 4.0  # of relu(latency / target - 1), or lambda
    images: int | None = None  # the first training images, which alone it sees; None: all
    shared_epochs: int = 4  # of one sampled architecture a batch
    epochs: int = 2  # of gradients
    order: int = 1  # of the architecture's gradient: 2 as in the paper, at four more passes
    every: int = 2  # weight steps to an architecture step
    alpha_rate: float = 0.02  # Adam's
    alpha_decay: float = 1e-3
    temperature: float = 5.0  # of the gates, at first
    final_temperature: float = 0.1
    decided: float = 0.95  # a gate whose probability has been above this for `decided_steps` is frozen
    decided_steps: int = 20
    trials: int = 12  # architectures that a round of the polish scores beyond its flips; 0: no polish
    rounds: int = 20
    score_images: int = 2000  # validation images to score an architecture on
    calibration_images: int = 512  # training images to measure its batch statistics on
    weights: FitConfig = field(
        default_factory=lambda: FitConfig(learning_rate=0.02, label_smoothing=0.0, average=0.0)
    )  # how the weights are trained; its epochs are not used
    seed: int = 1

    def __post_init__(self) -> None:
        if self.target is not None and not self.target > 0:
            raise ValueError(f"expected a target in seconds, above zero, found {self.target}")
        if self.images is not None and self.images < 1:
            raise ValueError(f"expected at least one training image, found {self.images}")
        if self.order not in (1, 2) or self.every < 1:
            raise ValueError(f"expected order 1 or 2 and every >= 1, found {self.order} and {self.every}")
        if not 0 < self.final_temperature <= self.temperature:
            raise ValueError(
                f"expected 0 < final_temperature <= temperature, found {self.final_temperature} and {self.temperature}"
            )

    @property
    def training(self) -> FitConfig:
        """How the shared weights are trained."""
        return replace(self.weights, epochs=max(1, self.shared_epochs), seed=self.seed, settle=0, fixed_epochs=0)


@dataclass(frozen=True)
class SearchResult:
    """history: one record an epoch of gradients (loss, latency, each gate's probabilities) and an accepted move."""

    architecture: Architecture
    cost: Cost
    history: list[dict[str, Any]]


def prepare(
    supernet: nn.Module,
    train: Split,
    valid: Split,
    latency: Latency,
    config: SearchConfig,
    *,
    teacher: nn.Module | None = None,
    progress: Progress | None = None,
    checkpoint: Checkpoint | None = None,
) -> Scorer:
    """Trains shared weights from those of `supernet` (which stays as it is): what `search` and `evolve` score with.

    It does not depend on the target: searches at several targets can share one.
    """
    shared, train = copy.deepcopy(supernet), _seen(train, config)
    if config.shared_epochs:
        corners = (latency.base, latency.cheapest())
        train_shared(shared, train, config.training, corners, teacher=teacher, progress=progress, checkpoint=checkpoint)
    first = valid.subset(np.arange(min(config.score_images, len(valid))))
    return Scorer(shared, first, _calibration(train, config), bfloat16=config.weights.bfloat16)


def search(
    supernet: nn.Module,
    train: Split,
    valid: Split,
    latency: Latency,
    config: SearchConfig | None = None,
    *,
    teacher: nn.Module | None = None,
    scorer: Scorer | None = None,
    starts: Sequence[Architecture] = (),
    progress: Progress | None = None,
    checkpoint: Checkpoint | None = None,
) -> SearchResult:
    """The architecture of the lowest loss on `valid` at the latency that `config` asks for; `supernet` stays as it is.

    scorer: of `prepare`, to share it among searches; else it is made here. teacher: a network to distil from. starts:
    architectures to polish besides, as what a search at a lower target has found.
    """
    config = config or SearchConfig()
    state = (checkpoint.load() if checkpoint is not None else None) or {}
    if config.target is not None:
        fastest = latency.exact(latency.cheapest()).seconds
        if fastest > config.target:
            raise ValueError(
                f"the target is {1e3 * config.target:.3f} ms, but the cheapest candidates everywhere take "
                f"{1e3 * fastest:.3f} ms: raise the target or allow cheaper candidates"
            )
    if scorer is None:
        kept = None if checkpoint is None else _Part(checkpoint, state, "shared")
        scorer = prepare(supernet, train, valid, latency, config, teacher=teacher, progress=progress, checkpoint=kept)
    history: list[dict[str, Any]] = []
    mixture, train = copy.deepcopy(scorer.supernet), _seen(train, config)
    for gate in gates(mixture).values():
        gate.choose(None)
    if config.epochs:
        kept = None if checkpoint is None else _Part(checkpoint, state, "gradients")
        history = descend(mixture, train, valid, latency, config, teacher=teacher, progress=progress, checkpoint=kept)
    found = export(mixture)
    if config.trials:
        ends = []
        second = latency.base if config.target is None else greedy(latency, config.target)
        for start in {start.key: start for start in (found, second, *starts)}.values():
            ends.append(
                polish(
                    start,
                    latency,
                    scorer,
                    target=config.target,
                    weight=config.latency_weight,
                    trials=config.trials,
                    rounds=config.rounds,
                    progress=_recorder(history, progress),
                )
            )
        extra = 0.0 if config.target is not None else config.latency_weight
        found = min(ends, key=lambda end: scorer(end) + extra * latency.exact(end).seconds)
    return SearchResult(found, latency.exact(found), history)


def descend(
    supernet: nn.Module,
    train: Split,
    valid: Split,
    latency: Latency,
    config: SearchConfig,
    *,
    teacher: nn.Module | None = None,
    progress: Progress | None = None,
    checkpoint: Checkpoint | None = None,
) -> list[dict[str, Any]]:
    """The phase of gradients, in place: alphas on `valid`, weights on `train`, in turn."""
    w = config.training
    supernet.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    parallel.same_everywhere(supernet)
    every = gates(supernet)
    stepper = Stepper(supernet, w)
    alphas = [gate.alpha for gate in every.values()]
    weights = [p for group in stepper.optimizer.param_groups for p in group["params"]]
    adam = torch.optim.Adam(alphas, lr=config.alpha_rate, betas=(0.5, 0.999), weight_decay=config.alpha_decay)
    steps, first, history = len(train) // w.batch, 0, list[dict[str, Any]]()
    sure = dict.fromkeys(every, 0)  # steps for which a gate has been decided
    if checkpoint is not None and (state := checkpoint.load()) is not None:
        supernet.load_state_dict(state["supernet"])
        stepper.optimizer.load_state_dict(state["optimizer"])
        adam.load_state_dict(state["adam"])
        first, history, sure = state["epoch"], list(state["history"]), dict(state["sure"])
        for path, choice in state["choices"].items():
            every[path].choose(choice)

    for epoch in range(first, config.epochs):
        supernet.train()
        total = 0.0
        held_out = _endless(valid, w, epoch)
        with parallel.synchronised(supernet):
            for step, (images, labels) in enumerate(training_batches(train, w, epoch)):
                progressed = (epoch * steps + step) / (config.epochs * steps)
                rate = w.learning_rate * cycle(progressed, w.warm_up)
                temperature = config.temperature * (config.final_temperature / config.temperature) ** progressed
                for gate in every.values():
                    gate.temperature = temperature
                target = teach(teacher, images, w.bfloat16)
                if step % config.every == 0:
                    batch = next(held_out)
                    gradients = alpha_gradient(
                        alphas,
                        weights,
                        _loss(stepper, images, labels, target),
                        _loss(stepper, *batch, teach(teacher, batch[0], w.bfloat16), latency, config),
                        order=config.order,
                        rate=rate,
                    )
                    parallel.average_gradients(gradients)
                    for alpha, gradient in zip(alphas, gradients, strict=True):
                        alpha.grad = gradient
                    adam.step()
                    _freeze_decided(every, sure, config)
                loss, _ = stepper(images, labels, target, rate, bfloat16=w.bfloat16)
                total += loss
                if progress is not None:
                    progress(
                        {"phase": "search", "epoch": epoch, "epochs": config.epochs, "step": step + 1, "steps": steps}
                        | {"loss": total / (step + 1), "temperature": temperature}
                        | {"latency": float(latency.expected(supernet).detach())}
                    )
        record = {
            "phase": "search",
            "epoch": epoch,
            "epochs": config.epochs,
            "step": steps,
            "steps": steps,
            "loss": parallel.mean(total / steps),
            "latency": float(latency.expected(supernet).detach()),
            "temperature": temperature,
            "gates": {path: _probabilities(gate) for path, gate in every.items()},
        }
        history.append(record)
        if progress is not None:
            progress(record)
        if checkpoint is not None:
            state = {"supernet": supernet.state_dict(), "optimizer": stepper.optimizer.state_dict()}
            state |= {"adam": adam.state_dict(), "epoch": epoch + 1, "history": history, "sure": sure}
            checkpoint.save(state | {"choices": {path: gate.choice for path, gate in every.items()}})
    return history


def _loss(
    stepper: Stepper,
    images: Tensor,
    labels: Tensor,
    target: Tensor | None,
    latency: Latency | None = None,
    config: SearchConfig | None = None,
) -> Callable[[], Tensor]:
    def evaluated() -> Tensor:
        loss, penalty = stepper.losses(images, labels, target, bfloat16=stepper.config.bfloat16)
        loss = loss + stepper.config.penalty * penalty
        if latency is not None and config is not None:
            loss = loss + latency_loss(latency.expected(stepper.model), config.target, config.latency_weight)
        return loss

    return evaluated


def _freeze_decided(every: dict[str, Gate], sure: dict[str, int], config: SearchConfig) -> None:
    for path, gate in every.items():
        if gate.choice is None:
            least = float(gate.probabilities().detach().amax(0).min())
            sure[path] = sure[path] + 1 if least > config.decided else 0
            if sure[path] >= config.decided_steps:
                gate.choose(gate.decided())


def _probabilities(gate: Gate) -> dict[str, float]:
    theta = gate.probabilities().detach()
    return {name: float(theta[k].mean()) for k, name in enumerate(gate.names)}


def _recorder(history: list[dict[str, Any]], progress: Progress | None) -> Callable[[Architecture, float, float], None]:
    def record(architecture: Architecture, loss: float, seconds: float) -> None:
        event = {"phase": "polish", "loss": loss, "latency": seconds, "architecture": architecture.gates}
        history.append(event)
        if progress is not None:
            progress(event)

    return record


def _endless(split: Split, config: FitConfig, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Validation batches for one training epoch: as many passes as it takes, each in an order of its own."""
    config = replace(config, batch=min(config.batch, len(split)))
    for again in count():
        yield from training_batches(split, config, epoch * 1000 + again)


def _seen(train: Split, config: SearchConfig) -> Split:
    """The training images of the search."""
    return train if config.images is None else train.subset(np.arange(min(config.images, len(train))))


def _calibration(train: Split, config: SearchConfig) -> list[Tensor]:
    size = min(256, len(train))
    unvaried = batches(train, size, epoch=0, seed=config.seed, augment=False)
    return [images for images, _ in islice(unvaried, max(1, config.calibration_images // size))]


class _Part:
    """One phase's share of a checkpoint."""

    def __init__(self, checkpoint: Checkpoint, state: dict[str, Any], name: str) -> None:
        self._checkpoint, self._state, self._name = checkpoint, state, name

    def load(self) -> dict[str, Any] | None:
        found: dict[str, Any] | None = self._state.get(self._name)
        return found

    def save(self, state: dict[str, Any]) -> None:
        self._state[self._name] = state
        self._checkpoint.save(self._state)
