"""Several processes on one run (torchrun): all compute, the first one decides and writes."""

from __future__ import annotations

import datetime
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

__all__ = ["agree", "first", "process_group", "wait", "world"]

T = TypeVar("T")
# The first process compiles and measures alone for a while, which must not look like a dead peer to the others.
PATIENCE = datetime.timedelta(hours=2)


def world() -> int:
    """Processes that torchrun started, 1 without it."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def first() -> bool:
    return int(os.environ.get("RANK", "0")) == 0


@contextmanager
def process_group() -> Iterator[None]:
    """Join the processes that torchrun started; nothing happens without it."""
    if world() == 1:
        yield
        return
    import torch.distributed as dist

    dist.init_process_group("gloo", timeout=PATIENCE)
    try:
        yield
    finally:
        dist.destroy_process_group()


def agree(make: Callable[[], T]) -> T:
    """What the first process makes, given to all; an error of it is raised in all."""
    if world() == 1:
        return make()
    import torch.distributed as dist

    box: list[object] = [None, None]
    if first():
        try:
            box[0] = make()
        except Exception as error:
            box[1] = error
    dist.broadcast_object_list(box, src=0)
    if isinstance(box[1], Exception):
        raise box[1]
    return box[0]  # type: ignore[return-value]


def wait() -> None:
    """Until all processes are here."""
    agree(lambda: None)
