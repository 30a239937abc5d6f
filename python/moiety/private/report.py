"""The tables that `moiety infer`, `estimate` and `bench` print."""

from __future__ import annotations

from collections import Counter
from typing import Any

from .images import class_names
from .program import Program
from .stats import PHASES
from .transport import Network

__all__ = ["counters", "show_estimate", "show_inferences", "size"]


def counters(stats: dict[str, dict[str, dict[str, Any]]]) -> str:
    """Bytes, rounds, seconds and memory by party and phase."""
    lines = [f"{'party':8}{'phase':9}{'sent':>12}{'rounds':>8}{'CPU s':>10}{'wall s':>10}{'peak':>12}"]
    for party, phases in stats.items():
        for name in PHASES:
            c = phases[name]
            if c["wall_seconds"] or c["bytes_sent"]:
                lines.append(
                    f"{party:8}{name:9}{size(c['bytes_sent']):>12}{c['rounds']:>8}{c['cpu_seconds']:>10.3f}"
                    f"{c['wall_seconds']:>10.3f}{size(c['peak_bytes']):>12}"
                )
    return "\n".join(lines)


def size(count: float) -> str:
    """Bytes in words."""
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.2f} GiB"


def show_estimate(program: Program, batch: int, comparison: str, network: Network) -> tuple[dict[str, Any], str]:
    """`estimate` as JSON values and as text."""
    from .cost import estimate

    cost = estimate(program, network, batch=batch, comparison=comparison)
    lines = [
        f"comparison       {cost.comparison}",
        f"online rounds    {cost.rounds}",
        f"online bytes     {size(cost.bytes_online)} ({size(cost.bytes_client)} by the client)",
        f"from the dealer  {size(cost.material_bytes)}",
        f"multiplications  {cost.macs / 1e6:.1f} M",
        f"online seconds   {cost.seconds:.3f} (modelled)",
    ]
    return cost.to_dict(), "\n".join(lines)


def show_inferences(program: Program, names: list[str], outputs: list[Any], runs: list[Any], top: int) -> str:
    """The best classes of each input, then the counters of each inference."""
    lines = []
    for name, output in zip(names, outputs, strict=True):
        lines.append(name)
        if program.output_kind == "class" and program.output_shape:  # one for every node of a graph
            found = Counter(int(label) for label in output)
            labels = class_names(program, max(found) + 1)
            lines += [f"  {labels[label]:20} {count:10} nodes" for label, count in found.most_common(top)]
            lines.append("  --json prints the class of every node")
        elif program.output_kind == "class":
            label = int(output[0] if isinstance(output, list) else output)
            lines.append(f"  {class_names(program, label + 1)[label]}")
        elif len(program.output_shape) == 1:
            labels = class_names(program, len(output))
            best = sorted(range(len(output)), key=lambda i: -output[i])[:top]
            lines += [f"  {labels[i]:20} {output[i]:10.4f}" for i in best]
        else:
            lines.append(f"  an output of shape {program.output_shape}; --json prints its values")
    for index, run in enumerate(runs):
        lines += ["", f"inference {index + 1} of {len(runs)}", counters(run)]
    return "\n".join(lines)
