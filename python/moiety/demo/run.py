"""Runs the demo: compile, three processes, compare with the plaintext model, print, write JSON.

`moiety demo [IMAGE...]` calls `run`. Server, dealer and client are separate processes on this machine
(`private.run_local`); the plaintext model runs here, in a fourth, only so that its logits can be shown beside.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from moiety import __version__
from moiety.demo import report
from moiety.demo.assets import Variant, load_network, photos

if TYPE_CHECKING:
    from moiety.private import Network

__all__ = ["TOLERANCE", "Disagreement", "run"]

TOLERANCE = 0.02  # on a logit: what fixed-point arithmetic may change
TITLES: dict[Variant, str] = {"searched": "searched", "x2": "all-x^2"}


class Disagreement(RuntimeError):
    """Private and plaintext results differ by more than fixed-point arithmetic explains."""


@dataclass(frozen=True)
class Outcome:
    """One variant's private run and the plaintext model's answer to the same images."""

    title: str
    classes: list[str]
    private: list[list[float]]  # logits by image
    plain: list[list[float]]
    stats: dict[str, dict[str, dict[str, Any]]]  # party -> phase -> counters
    compile_seconds: float
    total_seconds: float  # of run_local: processes started, all phases, processes ended
    program: dict[str, Any]

    @property
    def largest_difference(self) -> float:
        return max(abs(a - b) for p, q in zip(self.private, self.plain, strict=True) for a, b in zip(p, q, strict=True))


def run(
    images: Sequence[str | Path] | None = None,
    json_path: str | Path | None = "demo-output/demo.json",
    network: Literal["lan", "wan"] | Network | None = None,
    variant: Variant | Literal["both"] = "both",
    comparison: Literal["auto", "circuit", "dcf"] = "auto",
) -> dict[str, Any]:
    """Classify `images` (default: the shipped ones) privately and print what came out; returns the JSON document.

    Raises:
        AssetError: a shipped file is missing, truncated, of another version or altered.
        ValueError: an image cannot be read.
        Disagreement: a logit differs from the plaintext model's by more than `TOLERANCE`.
    """
    from moiety.data.images import preprocess

    paths = [Path(image) for image in images] if images else photos()
    chosen: list[Variant] = ["searched", "x2"] if variant == "both" else [variant]
    import numpy as np

    batch = np.concatenate([preprocess(path) for path in paths])  # (n, 3, 32, 32)
    outcomes = {}
    for name in chosen:
        with report.progress(f"{TITLES[name]}: server, dealer and client work on {report.count(len(paths))}"):
            outcomes[name] = _classify(name, batch, network, comparison)
    report.show(paths, outcomes)
    document = _document(paths, outcomes, network)
    if json_path is not None:
        target = Path(json_path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(json.dumps(document, indent=2) + "\n")
        report.say(f"The same as JSON: {target}")
    for outcome in outcomes.values():
        if not outcome.largest_difference <= TOLERANCE:  # also when it is not a number
            raise Disagreement(
                f"{outcome.title}: a private logit differs from the plaintext one by {outcome.largest_difference:.4f}, "
                f"expected at most {TOLERANCE}: an image may have left the range that the network was calibrated on"
            )
    return document


def _classify(variant: Variant, batch: Any, network: Any, comparison: str) -> Outcome:
    import torch

    from moiety import private

    model, metadata = load_network(variant)
    x = torch.from_numpy(batch)
    with torch.no_grad():
        plain = model(x)
    started = time.perf_counter()
    program = private.compile(model, x[:1], calibration=metadata["activation_bounds"])
    compiled = time.perf_counter()
    result = private.run_local(program, x, randomness="dealer", comparison=comparison, network=network)
    ended = time.perf_counter()
    return Outcome(
        title=TITLES[variant],
        classes=list(metadata["classes"]),
        private=result.output.tolist(),
        plain=plain.tolist(),
        stats=result.stats.to_dict(),
        compile_seconds=compiled - started,
        total_seconds=ended - compiled,
        program={"hash": program.hash, "ring": program.ring, "fraction_bits": program.fraction_bits}
        | {"test_accuracy": metadata["accuracy"]["test"], "operations": len(program.ops)},
    )


def _document(paths: list[Path], outcomes: dict[Variant, Outcome], network: Any) -> dict[str, Any]:
    def top5(logits: list[float], classes: list[str]) -> list[dict[str, Any]]:
        return [{"class": classes[i], "logit": logits[i]} for i in report.largest(logits, 5)]

    return {
        "moiety": __version__,
        "network": network if network is None or isinstance(network, str) else asdict(network),
        "variants": {
            name: {
                "program": o.program,
                "compile_seconds": o.compile_seconds,
                "total_seconds": o.total_seconds,
                "largest_difference": o.largest_difference,
                "images": [
                    {"file": str(path), "private": top5(p, o.classes), "plaintext": top5(q, o.classes)}
                    for path, p, q in zip(paths, o.private, o.plain, strict=True)
                ],
                "stats": o.stats,
            }
            for name, o in outcomes.items()
        },
        "learned": report.LEARNED,
    }
