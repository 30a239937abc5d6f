"""Losses of training and search, and a teacher that remembers."""

from __future__ import annotations

import hashlib

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["Remembered", "classification_loss", "distillation_loss", "teach"]


def classification_loss(
    logits: Tensor,
    labels: Tensor,
    target: Tensor | None,
    *,
    label_smoothing: float = 0.0,
    distillation: float = 0.5,
    temperature: float = 4.0,
) -> Tensor:
    """Cross entropy with the labels; with a teacher's logits as `target`, `distillation` of it is theirs."""
    logits = logits.float()
    loss = F.cross_entropy(logits, labels, label_smoothing=label_smoothing)
    if target is None or distillation == 0:
        return loss
    return (1 - distillation) * loss + distillation * distillation_loss(logits, target, temperature)


def distillation_loss(logits: Tensor, target: Tensor, temperature: float) -> Tensor:
    """T^2 KL(teacher || student), both at temperature T (G. Hinton et al., arXiv 1503.02531)."""
    log_probabilities = F.log_softmax(logits.float() / temperature, 1)
    kl = F.kl_div(log_probabilities, F.softmax(target.float() / temperature, 1), reduction="batchmean")
    return temperature * temperature * kl


@torch.no_grad()
def teach(teacher: nn.Module | None, images: Tensor, bfloat16: bool) -> Tensor | None:
    """The teacher's logits (N, classes), in the mode that it is in."""
    if teacher is None:
        return None
    with torch.autocast(images.device.type, torch.bfloat16, enabled=bfloat16):
        logits: Tensor = teacher(images)
    return logits.float()


class Remembered(nn.Module):
    """A teacher that is asked once for a batch: many trainings on the same batches then pay for it once.

    Worth it when several networks are trained with one seed, whose epochs have equal batches. Keeps the logits alone.
    """

    def __init__(self, teacher: nn.Module) -> None:
        super().__init__()
        self.teacher = teacher.eval()
        self._known: dict[bytes, Tensor] = {}

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        digest = hashlib.blake2b(images.cpu().permute(0, 2, 3, 1).contiguous().numpy().data, digest_size=16).digest()
        if digest not in self._known:
            self._known[digest] = self.teacher(images).float()
        return self._known[digest]
