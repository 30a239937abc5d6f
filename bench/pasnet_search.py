"""Does the search beat its baselines? CIFAR-10 (the JPEG copy), a ResNet of 0.30 M parameters, a shaped LAN.

    python bench/pasnet_search.py --out bench/results/pasnet_search.json

A ReLU teacher is trained on 45,000 training images. For every seed: shared weights and searches on 16,000 of them, each
architecture fine-tuned on the same 16,000 with distillation from the teacher, and its accuracy on the 10,000 test
images written down. Every choice (search, scores) is made on the 5,000 training images held out; the test images choose
nothing. Equal architectures of one seed share one fine-tuning. The results are written after every fine-tuning, and a
run that was interrupted goes on with what is missing; --report prints the tables of what is there.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from moiety.cost import backend
from moiety.data import Dataset, Split, batches, load_dataset
from moiety.models import create_model
from moiety.search import (
    Architecture,
    FitConfig,
    Latency,
    Remembered,
    SearchConfig,
    evaluate,
    finetune,
    fit,
    greedy,
    prepare,
    random_architectures,
    relax,
    search,
    uniform,
    uniform_architecture,
)

MODEL = {"widths": (16, 32, 64, 128)}
BACKEND, COMPARISON = "analytic:1:1000", "dcf"
FRACTIONS = (0.2, 0.35, 0.5, 0.62, 0.8)  # targets, between the latencies of all-identity (0) and all-ReLU (1)
RANDOM = 2  # random architectures a target and seed
TEACHER = FitConfig(epochs=14, seed=0)
TUNING = FitConfig(epochs=3, learning_rate=0.05)
SEARCH = SearchConfig(epochs=1, every=4, shared_epochs=3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("bench/results/pasnet_search.json"))
    parser.add_argument("--work", type=Path, default=Path("build/pasnet_search"), help="for the teacher's weights")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--report", action="store_true", help="print the tables of the results and end")
    args = parser.parse_args()
    if args.report:
        print(report(json.loads(args.out.read_text())))
        return
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    results = json.loads(args.out.read_text()) if args.out.exists() else {"runs": {}, "searches": {}, "latencies": {}}
    data = load_dataset("cifar10", cache=True)
    order = np.random.default_rng(0).permutation(len(data.train))
    valid, train = data.train.subset(order[:5000]), data.train.subset(order[5000:])
    teacher = trained_teacher(args.work, train, valid)
    some = train.subset(np.arange(16_000))
    images = next(iter(batches(some, 256, epoch=0, seed=0, augment=False)))[0]
    supernet = relax(teacher, images)
    latency = Latency(supernet, images[:64], backend(BACKEND), comparison=COMPARISON)
    low, high = (latency.exact(uniform_architecture(latency, name)).seconds for name in ("identity", "relu"))
    results |= {
        "config": {"model": MODEL, "backend": BACKEND, "comparison": COMPARISON, "fractions": FRACTIONS}
        | {
            "tuning": asdict(TUNING),
            "search": asdict(SEARCH),
            "parameters": sum(p.numel() for p in teacher.parameters()),
        },
        "targets": [low + f * (high - low) for f in FRACTIONS],
        "teacher": results.get("teacher") or evaluate(teacher, data.test),
        "table": latency.table,
    }
    # What the requirements compare comes first for every seed; greedy and uniform, which they only report, afterwards.
    jobs: list[tuple[int, str, float | None, Architecture]] = []
    for seed in args.seeds:
        for found in searches(results, args.out, supernet, teacher, some, valid, latency, seed):
            jobs.append(found)
        main_jobs = [(seed, name, None, uniform_architecture(latency, name)) for name in ("relu", "x2")]
        for target in results["targets"]:
            drawn = random_architectures(latency, target, RANDOM, seed=seed)
            main_jobs += [(seed, "random", target, architecture) for architecture in drawn]
        jobs += main_jobs
        tune_all(jobs, results, args.out, supernet, teacher, some, data, latency)
    jobs = []
    for seed in args.seeds:
        jobs.append((seed, "identity", None, uniform_architecture(latency, "identity")))
        for target in results["targets"]:
            jobs += [
                (seed, "greedy", target, greedy(latency, target)),
                (seed, "uniform", target, uniform(latency, target)),
            ]
    tune_all(jobs, results, args.out, supernet, teacher, some, data, latency)
    print(report(results))


def trained_teacher(work: Path, train: Split, valid: Split) -> nn.Module:
    path = work / "teacher.safetensors"
    torch.manual_seed(0)
    teacher = create_model("resnet_cifar", **MODEL)
    if path.exists():
        teacher.load_state_dict(load_file(path))
        return teacher.eval().to(memory_format=torch.channels_last)
    fit(teacher, train, TEACHER, valid=valid, progress=say)
    work.mkdir(parents=True, exist_ok=True)
    save_file({key: value.contiguous() for key, value in teacher.state_dict().items()}, path)
    return teacher


def searches(
    results: dict[str, Any],
    out: Path,
    supernet: nn.Module,
    teacher: nn.Module,
    train: Split,
    valid: Split,
    latency: Latency,
    seed: int,
) -> list[tuple[int, str, float | None, Architecture]]:
    """One search a target, all with the shared weights of the seed."""
    scorer = None
    for target in results["targets"]:
        name = f"{seed} {target:.6f}"
        if name in results["searches"]:
            continue
        config = SearchConfig(**{**vars(SEARCH), "target": target, "seed": seed})
        started, cpu = time.monotonic(), time.process_time()
        if scorer is None:
            scorer = prepare(supernet, train, valid, latency, config, teacher=Remembered(teacher))
            print(f"seed {seed}: shared weights in {time.process_time() - cpu:.0f} CPU-s", flush=True)
        found = search(supernet, train, valid, latency, config, teacher=teacher, scorer=scorer)
        results["searches"][name] = {
            "gates": dict(found.architecture.gates),
            "seconds": time.monotonic() - started,
            "cpu_seconds": time.process_time() - cpu,
            "scored": scorer.scored,
            "loss": scorer(found.architecture),
            "gradients_end": found.history[SEARCH.epochs - 1].get("gates"),
        }
        write(results, out)
        print(f"seed {seed} target {1e3 * target:.2f} ms: {found.architecture}", flush=True)
    return [
        (seed, "searched", target, Architecture(results["searches"][f"{seed} {target:.6f}"]["gates"]))
        for target in results["targets"]
    ]


def tune_all(
    jobs: list[tuple[int, str, float | None, Architecture]],
    results: dict[str, Any],
    out: Path,
    supernet: nn.Module,
    teacher: nn.Module,
    train: Split,
    data: Dataset,
    latency: Latency,
) -> None:
    """Fine-tunes and evaluates what is missing, from the teacher's weights."""
    remembered = Remembered(teacher)
    for number, (seed, kind, target, architecture) in enumerate(jobs):
        key = f"{seed} {architecture.key}"
        if key not in results["runs"]:
            torch.manual_seed(seed)
            started = time.process_time()
            config = FitConfig(**{**vars(TUNING), "seed": seed})
            network, history = finetune(supernet, architecture, train, config, teacher=remembered)
            results["runs"][key] = {
                "accuracy": evaluate(network, data.test),
                "latency": latency.exact(architecture).seconds,
                "cpu_seconds": time.process_time() - started,
                "loss": history[-1]["loss"],
                "uses": [],
            }
        run = results["runs"][key]
        use = [kind, target]
        if use not in run["uses"]:
            run["uses"].append(use)
            write(results, out)
            print(
                f"{number + 1}/{len(jobs)} seed {seed} {kind} {'' if target is None else f'{1e3 * target:.2f} ms'}: "
                f"{100 * run['accuracy']:.2f} % at {1e3 * run['latency']:.2f} ms ({run['cpu_seconds']:.0f} CPU-s) "
                f"{architecture}",
                flush=True,
            )


def write(results: dict[str, Any], out: Path) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = out.with_suffix(".partial")
    partial.write_text(json.dumps(results, indent=1) + "\n")
    partial.replace(out)


def say(event: dict[str, Any]) -> None:
    if "seconds" in event:
        print(event, flush=True)


def report(results: dict[str, Any]) -> str:
    """Markdown: accuracy by target and method, mean and standard deviation over the seeds, and what they must reach."""

    def of(kind: str, target: float | None) -> tuple[list[float], list[float]]:
        """Mean accuracy of each seed, in per cent, and all latencies in ms."""
        by_seed: dict[str, list[float]] = {}
        latencies = []
        for key, run in results["runs"].items():
            if [kind, target] in run["uses"]:
                by_seed.setdefault(key.split()[0], []).append(100 * run["accuracy"])
                latencies.append(1e3 * run["latency"])
        return [float(np.mean(values)) for values in by_seed.values()], latencies

    def cell(kind: str, target: float | None) -> str:
        found, latencies = of(kind, target)
        if not found:
            return "-"
        spread = f" ± {np.std(found, ddof=1):.2f}" if len(found) > 1 else ""
        return f"{np.mean(found):.2f}{spread} @ {np.mean(latencies):.1f}"

    lines = [f"Teacher {100 * results['teacher']:.2f} %.", "", "| everywhere | test accuracy % @ ms |", "|---|---|"]
    lines += [f"| {name} | {cell(name, None)} |" for name in ("relu", "x2", "identity")]
    relu, (at_x2, at_relu) = np.mean(of("relu", None)[0]), [np.mean(of(name, None)[1]) for name in ("x2", "relu")]
    limit = at_x2 + 0.35 * (at_relu - at_x2)
    lines += [
        "",
        f"L_x2 = {at_x2:.2f} ms, L_relu = {at_relu:.2f} ms, L_x2 + 0.35 (L_relu - L_x2) = {limit:.2f} ms.",
        "",
    ]
    lines += [
        "| target ms | searched | random | greedy | uniform | searched - random (s.e.) | of random's loss recovered |"
    ]
    lines += ["|---|---|---|---|---|---|---|"]
    for target in results["targets"]:
        searched, drawn = of("searched", target)[0], of("random", target)[0]
        gain = recovered = "-"
        if searched and drawn:
            difference = np.mean(searched) - np.mean(drawn)
            error = np.hypot(*(np.std(v, ddof=1) / np.sqrt(len(v)) if len(v) > 1 else 0.0 for v in (searched, drawn)))
            gain = f"{difference:.2f} ({error:.2f})"
            recovered = f"{100 * difference / (relu - np.mean(drawn)):.0f} %"
        cells = [cell(kind, target) for kind in ("searched", "random", "greedy", "uniform")]
        lines.append(f"| {1e3 * target:.2f} | {' | '.join(cells)} | {gain} | {recovered} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
