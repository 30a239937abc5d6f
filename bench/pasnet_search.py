"""Does the search beat its baselines? CIFAR-10 (the JPEG copy), a ResNet of 0.30 M parameters, a shaped LAN.

    python bench/pasnet_search.py --out bench/pasnet_search.json
    python bench/pasnet_search.py --out bench/pasnet_search.json --backends
    python bench/pasnet_search.py --out bench/pasnet_search.json --ends

A ReLU teacher is trained on 45,000 training images. For every seed: shared weights and searches on 16,000 of them, each
architecture fine-tuned on the same 16,000 with distillation from the teacher, and its accuracy on the 10,000 test
images written down. Every choice (search, scores) is made on the 5,000 training images held out; the test images choose
nothing. Equal architectures of one seed share one fine-tuning. The results are written after every fine-tuning, and a
run that was interrupted goes on with what is missing; --report prints the tables of what is there.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from moiety.cost import backend
from moiety.data import Dataset, Split, batches, load_dataset
from moiety.models import create_model
from moiety.search import (
    Architecture,
    FitConfig,
    Latency,
    Remembered,
    Scorer,
    SearchConfig,
    base_architecture,
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
BACKENDS = (
    ("PASNet's FPGA", "fpga", "auto"),
    ("LAN, 1 ms, 1 Gbit/s", "analytic:1:1000", "dcf"),
    ("WAN, 40 ms, 100 Mbit/s", "analytic:40:100", "dcf"),
)
RANDOM = 2  # random architectures a target and seed
TEACHER = FitConfig(epochs=14, seed=0)
TUNING = FitConfig(epochs=3, learning_rate=0.05)
LONG = FitConfig(epochs=8, learning_rate=0.05)  # of the ends, on all 45,000 images
SEARCH = SearchConfig(epochs=1, every=4, shared_epochs=3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("bench/pasnet_search.json"))
    parser.add_argument("--work", type=Path, default=Path("build/pasnet_search"), help="for the teacher's weights")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--backends", action="store_true", help="search with several backends instead, and end")
    parser.add_argument("--ends", action="store_true", help="fine-tune the ends for longer instead, and end")
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
    at = {name: latency.exact(uniform_architecture(latency, name)).seconds for name in ("relu", "x2", "identity")}
    results |= {
        "config": {"model": MODEL, "backend": BACKEND, "comparison": COMPARISON, "fractions": FRACTIONS}
        | {
            "tuning": asdict(TUNING),
            "search": asdict(SEARCH),
            "parameters": sum(p.numel() for p in teacher.parameters()),
        },
        "everywhere": at,
        "targets": results.get("targets") or [at["identity"] + f * (at["relu"] - at["identity"]) for f in FRACTIONS],
        "teacher": results.get("teacher") or evaluate(teacher, data.test),
        "table": latency.table,
    }
    if args.backends:
        compare_backends(results, args.work, supernet, teacher, some, valid, images)
        write(results, args.out)
        return
    if args.ends:
        compare_ends(results, args.out, args.seeds, supernet, teacher, train, data, at)
        return
    drawn = {
        (seed, target): random_architectures(latency, target, RANDOM, seed=seed)
        for seed in args.seeds
        for target in results["targets"]
    }
    # What the requirements compare comes first, for every seed; the rest refines the means and is only reported.
    for seed in args.seeds:
        jobs = searches(results, args.out, args.work, supernet, teacher, some, valid, latency, seed)
        jobs += [(seed, name, None, uniform_architecture(latency, name)) for name in ("relu", "x2")]
        jobs += [(seed, "random", target, drawn[seed, target][0]) for target in results["targets"]]
        tune_all(jobs, results, args.out, supernet, teacher, some, data, latency)
    for seed in args.seeds:
        jobs = [(seed, "identity", None, uniform_architecture(latency, "identity"))]
        for target in results["targets"]:
            jobs += [
                (seed, "greedy", target, greedy(latency, target)),
                (seed, "uniform", target, uniform(latency, target)),
            ]
            jobs += [(seed, "random", target, architecture) for architecture in drawn[seed, target][1:]]
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


def shared_scorer(
    work: Path,
    supernet: nn.Module,
    teacher: nn.Module,
    train: Split,
    valid: Split,
    latency: Latency,
    config: SearchConfig,
) -> Scorer:
    """The scorer of the seed; its shared weights are kept in the work folder."""
    path = work / f"shared_{config.seed}.safetensors"
    if path.exists():
        trained = copy.deepcopy(supernet)
        trained.load_state_dict(load_file(path))
        return prepare(trained, train, valid, latency, replace(config, shared_epochs=0))
    started = time.process_time()
    scorer = prepare(supernet, train, valid, latency, config, teacher=Remembered(teacher))
    print(f"seed {config.seed}: shared weights in {time.process_time() - started:.0f} CPU-s", flush=True)
    save_file({key: value.contiguous() for key, value in scorer.supernet.state_dict().items()}, path)
    return scorer


def compare_backends(
    results: dict[str, Any],
    work: Path,
    supernet: nn.Module,
    teacher: nn.Module,
    train: Split,
    valid: Split,
    images: Tensor,
) -> None:
    """One search at the middle of each backend's range, with the shared weights of the first seed."""
    results["backends"] = {}
    scorer = None
    for name, spec, comparison in BACKENDS:
        latency = Latency(supernet, images[:64], backend(spec), comparison=comparison)
        low, high = (latency.exact(uniform_architecture(latency, n)).seconds for n in ("identity", "relu"))
        config = replace(SEARCH, target=low + 0.5 * (high - low), seed=1)
        if scorer is None:
            scorer = shared_scorer(work, supernet, teacher, train, valid, latency, config)
        found = search(supernet, train, valid, latency, config, teacher=teacher, scorer=scorer)
        results["backends"][name] = {"spec": spec, "comparison": comparison, "target": config.target}
        results["backends"][name] |= {"seconds": found.cost.seconds, "gates": dict(found.architecture.gates)}
        results["backends"][name]["uniform"] = {
            n: latency.exact(uniform_architecture(latency, n)).seconds for n in ("relu", "x2", "identity")
        }
        print(
            f"{name}: {1e3 * found.cost.seconds:.2f} of {1e3 * config.target:.2f} ms: {found.architecture}", flush=True
        )


def compare_ends(
    results: dict[str, Any],
    out: Path,
    seeds: list[int],
    supernet: nn.Module,
    teacher: nn.Module,
    train: Split,
    data: Dataset,
    at: dict[str, float],
) -> None:
    """All-ReLU, all-x2 and what was found at most 35 % of the way from all-x2's latency to all-ReLU's, with the same,
    longer fine-tuning on all training images."""
    done = results.setdefault("ends", {})
    limit = at["x2"] + 0.35 * (at["relu"] - at["x2"])
    for seed in seeds:
        base = base_architecture(supernet)
        wanted = {name: base.but(dict.fromkeys(base.gates, name)) for name in ("relu", "x2")}
        reached = [t for t in results["targets"] if t <= limit and f"{seed} {t:.6f}" in results["searches"]]
        if reached:
            wanted["searched"] = Architecture(results["searches"][f"{seed} {max(reached):.6f}"]["gates"])
        for name, architecture in wanted.items():
            if f"{seed} {name}" in done:
                continue
            torch.manual_seed(seed)
            started = time.process_time()
            config = replace(LONG, seed=seed)
            tuned, _ = finetune(supernet, architecture, train, config, teacher=teacher, progress=say)
            done[f"{seed} {name}"] = {"accuracy": evaluate(tuned, data.test), "gates": dict(architecture.gates)}
            write(results, out)
            spent = time.process_time() - started
            print(
                f"seed {seed} {name}: {100 * done[f'{seed} {name}']['accuracy']:.2f} % ({spent:.0f} CPU-s)", flush=True
            )


def searches(
    results: dict[str, Any],
    out: Path,
    work: Path,
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
        config = replace(SEARCH, target=target, seed=seed)
        started, cpu = time.monotonic(), time.process_time()
        if scorer is None:
            scorer = shared_scorer(work, supernet, teacher, train, valid, latency, config)
        lower = [
            Architecture(results["searches"][f"{seed} {t:.6f}"]["gates"]) for t in results["targets"] if t < target
        ]
        found = search(supernet, train, valid, latency, config, teacher=teacher, scorer=scorer, starts=lower)
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
            config = replace(TUNING, seed=seed)
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
        return f"{np.mean(found):.2f}{deviation(found)} @ {np.mean(latencies):.1f}"

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
            gain = f"{difference:.2f}"
            if min(len(searched), len(drawn)) > 1:
                errors = [np.std(values, ddof=1) / np.sqrt(len(values)) for values in (searched, drawn)]
                gain += f" ({np.hypot(*errors):.2f})"
            recovered = f"{100 * difference / (relu - np.mean(drawn)):.0f} %"
        cells = [cell(kind, target) for kind in ("searched", "random", "greedy", "uniform")]
        lines.append(f"| {1e3 * target:.2f} | {' | '.join(cells)} | {gain} | {recovered} |")
    if ends := results.get("ends"):
        seeds = len({key.split()[0] for key in ends})
        lines += ["", f"After {LONG.epochs} epochs on 45,000 images, {seeds} seed{'s' * (seeds > 1)}:", ""]
        lines += ["| network | test accuracy % |", "|---|---|"]
        for name, label in (("relu", "all-ReLU"), ("searched", f"searched, at most {limit:.2f} ms"), ("x2", "all-x2")):
            values = [100 * run["accuracy"] for key, run in ends.items() if key.endswith(f" {name}")]
            if values:
                lines.append(f"| {label} | {np.mean(values):.2f}{deviation(values)} |")
    if "backends" in results:
        paths = list(results["table"])
        lines += ["", f"| backend | relu / x2 / identity everywhere, ms | found, ms | {' | '.join(paths)} |"]
        lines += ["|---|---|---|" + "---|" * len(paths)]
        for name, found in results["backends"].items():
            everywhere = " / ".join(f"{1e3 * seconds:.1f}" for seconds in found["uniform"].values())
            chosen = " | ".join(found["gates"][path] for path in paths)
            lines.append(f"| {name} | {everywhere} | {1e3 * found['seconds']:.1f} | {chosen} |")
    return "\n".join(lines)


def deviation(values: list[float]) -> str:
    return f" ± {np.std(values, ddof=1):.2f}" if len(values) > 1 else ""


if __name__ == "__main__":
    main()
