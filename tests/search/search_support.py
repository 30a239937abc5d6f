"""A checkpoint in memory and a backend that only counts, for the tests of the search."""

from __future__ import annotations

from torch import Tensor

from moiety.cost import Cost


class Memory:
    """A checkpoint in memory; with `stop_after`, a run that is killed when it saves for that many times."""

    def __init__(self, stop_after: int = -1) -> None:
        self.state: dict | None = None
        self.left = stop_after

    def load(self) -> dict | None:
        return self.state

    def save(self, state: dict) -> None:
        self.state = _copied(state)
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


def _copied(tree: object) -> object:
    if isinstance(tree, dict):
        return {key: _copied(value) for key, value in tree.items()}
    if isinstance(tree, (list, tuple)):
        return [_copied(value) for value in tree]
    return tree.detach().clone() if isinstance(tree, Tensor) else tree


class Rounds:
    """A backend whose seconds are a millisecond a round and a microsecond a byte: quick, and exact."""

    name = "rounds"

    def cost(self, program: object, *, batch: int = 1, comparison: str = "auto") -> Cost:
        from moiety import private

        made = private.estimate(program, batch=batch, comparison=comparison)
        seconds = 1e-3 * made.rounds + 1e-8 * made.bytes_online
        return Cost(made.rounds, made.bytes_online, made.material_bytes, made.macs, seconds)
