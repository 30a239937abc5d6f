"""What a run found as Markdown tables, for documents."""

from __future__ import annotations

from ..results import Group, Results, comparison, summarise
from .plots import group_name

__all__ = ["markdown"]


def markdown(results: Results) -> str:
    """Accuracy and latency by method and target, what the search wins against random, and the gates that it found."""
    groups = summarise(results.networks)
    parts = [_ends(results, groups), _targets(results, groups), _found(results)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(group: Group | None) -> str:
    """Mean with its standard error, in per cent, and the mean latency."""
    if group is None:
        return ""
    error = f" ± {100 * group.test_error:.2f}" if len(group.networks) > 1 else ""
    return f"{100 * group.test:.2f}{error} @ {1e3 * group.seconds:.2f}"


def _ends(results: Results, groups: list[Group]) -> str:
    rows = [[group_name(group), f"{len(group.networks)}", _cell(group)] for group in groups if group.target is None]
    if "test" in results.teacher:
        rows.insert(0, ["teacher", "1", f"{100 * results.teacher['test']:.2f}"])
    return _table(["network", "seeds", "test accuracy % @ ms"], rows) if rows else ""


def _targets(results: Results, groups: list[Group]) -> str:
    """A row a target, a column a method."""
    by_key = {(group.target, group.method): group for group in groups if group.target is not None}
    methods = list(dict.fromkeys(method for _, method in by_key))
    if not methods:
        return ""
    against = comparison(groups)
    rows = []
    for target in results.targets:
        won = against.get(target.seconds)
        gain = f"{100 * won['gain']:.2f} (± {100 * won['error']:.2f})" if won else ""
        recovered = f"{won['recovered']:.0%}" if won and "recovered" in won else ""
        cells = [_cell(by_key.get((target.seconds, method))) for method in methods]
        rows.append([f"{1e3 * target.seconds:.2f}", *cells, gain, recovered])
    heads = [group_name(next(group for group in groups if group.method == method)) for method in methods]
    return _table(["target ms", *heads, "searched - random", "of random's loss recovered"], rows)


def _found(results: Results) -> str:
    """The searched architectures, gate by gate: one letter for each seed where seeds differ."""
    searched = [network for network in results.networks if network.method == "search"]
    if not searched:
        return ""
    gates = list(searched[0].gates)
    rows = []
    for target in results.targets:
        found = [network for network in searched if network.target == target.seconds]
        choices = [[_name(network.gates[gate]) for network in found] for gate in gates]
        rows.append([f"{1e3 * target.seconds:.2f}", *(", ".join(dict.fromkeys(names)) for names in choices)])
    return _table(["target ms", *gates], rows)


def _name(choice: object) -> str:
    return choice if isinstance(choice, str) else "mixed"
