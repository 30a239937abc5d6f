"""The table of what must be reached, judged on the results of one run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

__all__ = ["TARGETS", "Reached", "Target", "judge"]

MIB = 2**20
Results = dict[str, Any]


@dataclass(frozen=True)
class Check:
    """One figure and its limit."""

    text: str
    met: bool


@dataclass(frozen=True)
class Target:
    """A row: what, the target in words, the figures that answer it, the peers' operation."""

    what: str
    words: str
    checks: Callable[[Results], list[Check]]
    peer: str = ""


@dataclass(frozen=True)
class Reached:
    target: Target
    verdict: str
    figures: str
    met: bool | None  # None: not measured


class Missing(Exception):
    """A row cannot be filled; says why."""


def measured(results: Results, section: str, key: str) -> Results:
    row = results.get(section, {}).get(key, {"missing": "not in this run"})
    if "missing" in row:
        raise Missing(row["missing"])
    return dict(row)


def at_most(value: float, limit: float, unit: str, digits: int = 2) -> Check:
    return Check(f"{value:.{digits}f}{unit}", value <= limit)


def at_least(value: float, limit: float, unit: str) -> Check:
    return Check(f"{value:.2f}{unit}", value >= limit)


def kernel(key: str, int64: float, fp32: float, u32: float) -> Callable[[Results], list[Check]]:
    def checks(results: Results) -> list[Check]:
        row = measured(results, "kernels", key)
        seconds = row["seconds"]
        rate = {name: row["macs"] / s for name, s in seconds.items()}
        if "avx512" not in results["machine"]["features"]:
            peaks = results["peaks"]
            return [
                at_least(rate[ring] / peaks[f"{ring} MAC/s"], 0.7, f"x the multiplier's peak ({ring})")
                for ring in ("u64", "u32")
            ]
        return [
            at_least(rate["u64"] / rate["torch int64"], int64, "x int64"),
            at_least(rate["u64"] / rate["torch fp32"], fp32, "x fp32"),
            at_least(rate["u32"] / rate["torch fp32"], u32, "x fp32 (u32)"),
        ]

    return checks


def protocol(key: str, cpu: float, mib: float, rounds: int | None) -> Callable[[Results], list[Check]]:
    def checks(results: Results) -> list[Check]:
        row = measured(results, "protocols", key)
        found = [at_most(row["online_cpu_s"], cpu, " CPU-s", 3), at_most(row["online_bytes"] / MIB, mib, " MiB")]
        if rounds is not None:
            found.append(at_most(row["rounds"], rounds, " rounds" if row["rounds"] != 1 else " round", 0))
        return found

    return checks


def cifar_online(results: Results) -> list[Check]:
    found = []
    for comparison, rounds in (("circuit", 130), ("dcf", 80)):
        row = measured(results, "networks", f"resnet18-cifar {comparison}")
        found += [
            at_most(row["online_cpu_s"], 0.30, f" CPU-s ({comparison})", 3),
            at_most(row["online_bytes"] / MIB, 30, " MiB", 1),
            at_most(row["rounds"], rounds, " rounds", 0),
        ]
    return found


def cifar_together(results: Results) -> list[Check]:
    row = measured(results, "networks", "resnet18-cifar circuit")
    return [
        at_most(row["together_cpu_s"], 1.0, " CPU-s a party", 3),
        at_most((row["online_bytes"] + row["offline_bytes"]) / MIB, 60, " MiB all parties", 1),
    ]


def imagenet_wall(results: Results) -> list[Check]:
    row = measured(results, "networks", "resnet18-imagenet-x2 circuit")
    return [at_most(1000 * row["online_wall_median_s"], 200, f" ms (median of {row['repeats']})", 0)]


def imagenet_peak(results: Results) -> list[Check]:
    return [
        at_most(
            measured(results, "networks", f"resnet18-imagenet-{kind} circuit")["peak_bytes"] / 2**30,
            1.5,
            f" GiB ({name})",
        )
        for kind, name in (("relu", "ReLU"), ("x2", "x^2"))
    ]


def activation(results: Results) -> list[Check]:
    found = []
    for key, layout in (("x2-22", "contiguous"), ("x2-22-last", "channels last")):
        seconds = measured(results, "activations", key)["seconds"]
        found.append(at_least(seconds["torch"] / seconds["moiety"], 2.0, f"x torch ({layout})"))
        found.append(at_least(seconds["copy"] / seconds["moiety"], 0.7, "x the copy"))
    return found


def cold_test(results: Results) -> list[Check]:
    raise Missing("this run builds nothing; time `make distclean test`")


TARGETS = [
    Target(
        "u64 GEMM 512^3, one thread",
        ">= 1.5x torch int64, >= 0.5x torch fp32; u32 >= 0.8x fp32",
        kernel("gemm512", 1.5, 0.5, 0.8),
    ),
    Target(
        "u64 conv 64->64 3x3 56x56, one thread",
        ">= 1.8x torch int64, >= 0.35x torch fp32; u32 >= 0.6x fp32",
        kernel("conv64", 1.8, 0.35, 0.6),
    ),
    Target(
        "x^2 activation forward and backward, 2^22 elements, one thread",
        ">= 2x torch's composed expression, >= 0.7x the bandwidth of a copy",
        activation,
    ),
    Target(
        "ReLU 2^20 online, circuit at k = 64",
        "<= 0.20 CPU-s, <= 70 MiB, <= 8 rounds",
        protocol("relu20-circuit64", 0.20, 70, 8),
        "relu20",
    ),
    Target(
        "ReLU 2^20 online, circuit at k = 24",
        "<= 0.10 CPU-s, <= 34 MiB, <= 7 rounds",
        protocol("relu20-circuit24", 0.10, 34, 7),
        "relu20",
    ),
    Target(
        "ReLU 2^20 online, DCF at k = 32",
        "<= 0.25 CPU-s, <= 26 MiB, <= 3 rounds",
        protocol("relu20-dcf32", 0.25, 26, 3),
        "relu20",
    ),
    Target(
        "conv 64->64 3x3 56x56 online",
        "<= 0.03 CPU-s, <= 1.7 MiB, 1 round",
        protocol("conv64", 0.03, 1.7, 1),
        "conv64",
    ),
    Target(
        "max pooling 2x2, 64x56x56 online, k = 24",
        "<= 0.08 CPU-s, <= 6 MiB",
        protocol("maxpool-circuit24", 0.08, 6, None),
        "maxpool64x56",
    ),
    Target(
        "ResNet-18 CIFAR online",
        "<= 0.30 CPU-s, <= 30 MiB, <= 130 rounds (circuit), <= 80 (DCF)",
        cifar_online,
        "resnet18",
    ),
    Target(
        "ResNet-18 CIFAR, offline and online together, after the once-per-model mask",
        "<= 1.0 CPU-s a party, <= 60 MiB all parties (circuit)",
        cifar_together,
        "resnet18",
    ),
    Target(
        "ResNet-18 at ImageNet shape, all x^2, average-pool stem, online wall time on loopback, one core a party",
        "<= 200 ms",
        imagenet_wall,
    ),
    Target("peak memory of a party, ResNet-18 at ImageNet shape", "<= 1.5 GiB", imagenet_peak),
    Target("cold `make test` on 2 cores", "<= 20 minutes", cold_test),
]


def judge(target: Target, results: Results) -> Reached:
    try:
        checks = target.checks(results)
    except Missing as missing:
        return Reached(target, f"not measured: {missing}", "", None)
    judged = not results["quick"]
    figures = ", ".join(f"**{check.text}**" if judged and not check.met else check.text for check in checks)
    if not judged:
        return Reached(target, "not judged: quick run", figures, None)
    met = all(check.met for check in checks)
    return Reached(target, "met" if met else "**short**", figures, met)
