"""Writes the results of one run as Markdown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cases import ACTIVATIONS, KERNELS, NETWORKS, PROTOCOLS
from peers import OPERATIONS, PEERS
from sheet import header, summary
from targets import TARGETS, judge

__all__ = ["render"]

MIB = 2**20
Results = dict[str, Any]

READING = """\
**Ours.** Three processes on this machine (client, server, dealer), one thread each, 64-bit ring, 16 fraction bits.
CPU-s are user and system seconds of the whole process in the phase, of the larger of the two parties; MiB are what both
send, frame headers included, TCP/IP headers not. *Online* is what happens once the input is there; *offline* is what an
inference consumes and can be had before (expansion of seeds, corrections, keys, the client's product with the masked
weights). `k` is the compared width.

**Trust.** Our dealer and CrypTen's TTP are the same assumption: a third process that sees neither data nor weights, and
that together with one party sees everything. SPU's SEMI2K as it comes (TrustedFirstParty) lets party 0 know every
triple, which is no security between the two. SPU CHEETAH needs nobody else and pays for it: no like-for-like row.

**Peers** keep both operands secret. Our linear layers and matrix products let the server know W, as inference allows;
no peer has that mode. Peers' figures include their preprocessing, which they do not separate, so ours stand beside them
online and offline + online together. Their CPU-s are those of rank 0, as their scripts print them (CrypTen's third
process is not counted); their MiB are all of loopback in a private network namespace, TCP/IP headers and, for CrypTen,
the third process's traffic included. Their rounds are their own counts: CrypTen's calls of its communicator, the third
process's included; SPU's send actions.

**Noise.** Kernels: least CPU time of the thread over turns that alternate ours and torch's. Protocols and networks:
least over repetitions, figure by figure. Peers: the repetition with the least CPU time of three (ResNet-18 and CHEETAH:
of one). Wall times depend on what else runs: see the load average beside every table."""


def table(head: list[str], rows: list[list[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def missing(row: Results | None) -> str | None:
    if row is None:
        return "not measured: not in this run"
    return f"not measured: {row['missing']}" if "missing" in row else None


def mib(count: float) -> str:
    value = count / MIB
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def rounds(count: int) -> str:
    return f"{count} round" if count == 1 else f"{count} rounds"


def load_of(results: Results, section: str) -> str:
    before, after = results.get("load", {}).get(section, ["?", "?"])
    return f"Load average (1 / 5 min) before: {before}, after: {after}."


def peer_cell(row: Results | None) -> str:
    if said := missing(row):
        return said
    assert row is not None
    parts = [
        f"{row['cpu_s']:.3f} CPU-s",
        f"{row['mib']:.1f} MiB" if "mib" in row else "bytes not measured: no network namespace",
    ]
    return ", ".join([*parts, rounds(row["rounds"])] if "rounds" in row else parts)


def best_peer(results: Results, operation: str) -> str:
    """The peers with a dealer or none of them; CHEETAH has a table of its own."""
    if not operation:
        return "none has it"
    cells = [
        f"{name} {peer_cell(rows[operation])}"
        for name, rows in results.get("peers", {}).items()
        if name != "SPU CHEETAH" and not missing(rows.get(operation))
    ]
    return "; ".join(cells) or "not measured: no peer in this run"


def targets(results: Results) -> str:
    rows = []
    for target in TARGETS:
        reached = judge(target, results)
        verdict = f"{reached.figures}: {reached.verdict}" if reached.figures else reached.verdict
        kernel = target.what.startswith(("u64", "x^2"))
        peer = "torch, in the same run" if kernel else best_peer(results, target.peer)
        rows.append([target.what, target.words, verdict, peer])
    return table(["what", "target", "reached (bold: short)", "peers in this run"], rows)


def activations(results: Results) -> str:
    rows = []
    for case in ACTIVATIONS:
        row = results.get("activations", {}).get(case.key)
        if said := missing(row):
            rows.append([case.title, said, *[""] * 4])
            continue
        seconds = row["seconds"]
        ours = seconds["moiety"]
        cells = [f"{1e3 * ours:.2f}", f"{row['bytes'] / ours / 1e9:.1f}"]
        ratios = [f"{seconds[peer] / ours:.2f}x" for peer in ("torch", "copy")]
        rows.append([case.title, *cells, *ratios, str(row["turns"])])
    head = ["forward and backward", "ms (CPU)", "GB/s", "against torch's expression", "against a copy", "turns"]
    return table(head, rows)


def kernels(results: Results) -> str:
    rows = []
    peaks = results.get("peaks", {})
    for case in KERNELS:
        row = results.get("kernels", {}).get(case.key)
        if said := missing(row):
            rows.append([case.title, said, *[""] * 6])
            continue
        for name, seconds in row["seconds"].items():
            rate = row["macs"] / seconds
            cells = [case.title, name, f"{1e3 * seconds:.3f}", f"{rate / 1e9:.1f}"]
            if name.startswith("u"):
                bandwidth = peaks["copy bytes/s"] * row["macs"] / (row["items"] * (8 if name == "u64" else 4))
                peak = peaks[f"{name} MAC/s"]
                cells += [
                    f"{rate / min(peak, bandwidth):.2f}{' (memory)' if bandwidth < peak else ''}",
                    *(f"{row['seconds'][peer] / seconds:.2f}x" for peer in ("torch int64", "torch fp32")),
                ]
            else:
                cells += ["", "", ""]
            rows.append(cells)
    head = [
        "kernel",
        "arithmetic",
        "ms (CPU)",
        "GMAC/s",
        "of the roofline",
        "against torch int64",
        "against torch fp32",
    ]
    peak_words = ", ".join(f"{name} {value / 1e9:.2f}e9" for name, value in peaks.items())
    return (
        f"Measured peaks: {peak_words}.\n"
        "The roofline is the lower of the multiplier's peak and what a copy's bandwidth allows; products that save\n"
        "multiplications (Strassen) may come out above 1.\n\n" + table(head, [row[:7] for row in rows])
    )


def roofline(row: Results, peaks: Results) -> float:
    """Seconds that the work of the online phase needs at the measured peaks, over the seconds taken."""
    work, online = row["work"], row["phases"]["online"]
    moved = 8 * work["elements"] + sum(online[party]["bytes"] for party in ("client", "server"))
    seconds = (
        moved / peaks["copy bytes/s"] + work["macs"] / peaks["u64 MAC/s"] + work["aes_blocks"] / peaks["AES blocks/s"]
    )
    return float(seconds / max(row["online_cpu_s"], 1e-9))


def protocols(results: Results) -> str:
    rows = []
    for case in PROTOCOLS:
        row = results.get("protocols", {}).get(case.key)
        if said := missing(row):
            rows.append([case.title, said, *[""] * 6])
            continue
        offline = row["phases"]["offline"]
        rows.append(
            [
                case.title,
                f"{row['online_cpu_s']:.4f}",
                mib(row["online_bytes"]),
                str(row["rounds"]),
                f"{roofline(row, results['peaks']):.2f}",
                " / ".join(f"{offline[party]['cpu_s']:.3f}" for party in ("server", "client", "dealer")),
                mib(row["offline_bytes"]),
            ]
        )
    head = [
        "protocol",
        "online CPU-s",
        "online MiB",
        "rounds",
        "of the roofline",
        "offline CPU-s: server / client / dealer",
        "offline MiB",
    ]
    note = (
        "Roofline: shares in and out and all messages once through memory at the copy's bandwidth, plus multiply-adds\n"
        "and AES blocks at their measured peaks; correlations that were expanded offline are not counted as moved.\n\n"
    )
    return note + table(head, [row[:7] for row in rows])


def ours(row: Results | None, together: bool) -> str:
    if said := missing(row):
        return said
    assert row is not None
    if together:
        return f"{row['together_cpu_s']:.3f} CPU-s, {mib(row['online_bytes'] + row['offline_bytes'])} MiB"
    return f"{row['online_cpu_s']:.3f} CPU-s, {mib(row['online_bytes'])} MiB, {rounds(row['rounds'])}"


def beside(results: Results) -> str:
    rows = []
    worse: list[str] = []
    cases = [(case.title, case.peer, results.get("protocols", {}).get(case.key)) for case in PROTOCOLS if case.peer]
    first = next(case for case in NETWORKS if case.key == "resnet18-cifar")
    for comparison in first.comparisons:
        row = results.get("networks", {}).get(f"{first.key} {comparison}")
        cases.append((f"{first.title}, {comparison}", "resnet18", row))
    found = results.get("peers", {})
    for title, operation, row in cases:
        rows.append(
            [
                title,
                ours(row, False),
                ours(row, True),
                *(peer_cell(found.get(name, {}).get(operation)) for name in PEERS),
            ]
        )
        worse += ahead(title, row, {name: of.get(operation) for name, of in found.items()})
    head = ["operation", "Moiety online", "Moiety offline + online, all bytes", *PEERS]
    words = "; ".join(worse) or "none"
    return f"{table(head, rows)}\n\nWhere a peer needs less than our offline + online: {words}."


def ahead(title: str, row: Results | None, peers: dict[str, Results | None]) -> list[str]:
    """Where a peer needs fewer CPU-seconds or fewer bytes than our offline and online phases together."""
    if row is None or "missing" in row:
        return []
    ours_mib = (row["online_bytes"] + row["offline_bytes"]) / MIB
    found = []
    for name, peer in peers.items():
        if peer is None or "missing" in peer:
            continue
        less = ["CPU-s"] if peer["cpu_s"] < row["together_cpu_s"] else []
        less += ["MiB"] if peer.get("mib", ours_mib) < ours_mib else []
        if less:
            found.append(f"{title}: {name} ({' and '.join(less)})")
    return found


def networks(results: Results) -> str:
    rows = []
    for case in NETWORKS:
        for comparison in case.comparisons:
            row = results.get("networks", {}).get(f"{case.key} {comparison}")
            title = case.title if "x^2" in case.title else f"{case.title}, {comparison}"
            if said := missing(row):
                rows.append([title, said, *[""] * 7])
                continue
            rows.append(
                [
                    title,
                    f"{row['online_cpu_s']:.3f}",
                    f"{1e3 * row['online_wall_s']:.0f} / {1e3 * row['online_wall_median_s']:.0f}",
                    mib(row["online_bytes"]),
                    str(row["rounds"]),
                    f"{row['together_cpu_s']:.3f} / {row['dealer_cpu_s']:.3f}",
                    mib(row["online_bytes"] + row["offline_bytes"]),
                    f"{row['setup_cpu_s']:.2f}, {mib(row['setup_bytes'])}",
                    f"{row['peak_bytes'] / 2**30:.2f}",
                ]
            )
    head = [
        "network, batch 1",
        "online CPU-s",
        "online wall ms: least / median",
        "online MiB",
        "rounds",
        "offline + online CPU-s: party / dealer",
        "offline + online MiB, all parties",
        "setup CPU-s, MiB",
        "peak GiB of a party",
    ]
    note = (
        "Random weights, standard widths. One session of several inferences: the first carries the setup (program and\n"
        "E = W - A, once per client and model), the figures are those of the later ones. Peak memory is that of all\n"
        "phases, setup included.\n\n"
    )
    return "\n\n".join([note + table(head, rows), *operators(results)])


def operators(results: Results) -> list[str]:
    """Where the online time of each network's larger party goes."""
    found = []
    for name, row in results.get("networks", {}).items():
        spent = {kind: seconds for kind, seconds in row.get("operators", {}).items() if seconds >= 0.0005}
        if spent:
            parts = ", ".join(f"{kind} {1e3 * spent[kind]:.1f}" for kind in sorted(spent, key=spent.get, reverse=True))
            found.append(f"Online CPU-ms by operation, larger party, {name}: {parts}.")
    return found


def gaps(results: Results) -> str:
    lines = []
    for section in ("kernels", "activations", "protocols", "networks"):
        lines += [f"- {key}: {said}" for key, row in results.get(section, {}).items() if (said := missing(row))]
    for name in PEERS:
        found = results.get("peers", {}).get(name)
        if found is None:
            lines.append(f"- {name}: not measured: not in this run")
            continue
        why: dict[str, list[str]] = {}
        for operation in OPERATIONS:
            if said := missing(found.get(operation)):
                why.setdefault(said, []).append(operation)
        lines += [f"- {name}, {', '.join(which)}: {said}" for said, which in why.items()]
    return "\n".join(lines) or "Nothing."


def render(results: Results, folder: Path) -> str:
    quick = (
        "> **Quick run: sizes are cut down to try the machinery; no figure here means anything.**\n\n"
        if results["quick"]
        else ""
    )
    load = "{} before, {} after".format(*results["load"]["run"])
    machine = header(results["machine"], **{"load average (1 / 5 min)": load, "note": results.get("note", "")})
    others = summary(folder)
    sections = [
        f"# Benchmarks\n\n{quick}Made by `{results['command']}` (`make bench`) in {results['seconds']:.0f} s; raw "
        "figures in `results.json`. "
        f"How to run and read it: [README.md](README.md).\n\n{machine.rstrip()}",
        "## What must be reached\n\nCPU-seconds of the larger party; peers' figures include their preprocessing.\n\n"
        + targets(results),
        *(
            ["## What must be reached: graphs, hypergraphs, topology\n\nEach from its own table.\n\n" + others]
            if others
            else []
        ),
        f"## How to read the figures\n\n{READING}",
        f"## Kernels, one thread\n\n{load_of(results, 'kernels')}\n\n" + kernels(results),
        f"## Activations, one thread\n\n{load_of(results, 'activations')}\n\n" + activations(results),
        f"## Protocols\n\n{load_of(results, 'protocols')}\n\n" + protocols(results),
        f"## Networks\n\n{load_of(results, 'networks')}\n\n" + networks(results),
        f"## Beside the peers\n\nPeers: {load_of(results, 'peers')}\n\n" + beside(results),
        f"## Not measured\n\n{gaps(results)}",
    ]
    return "\n\n".join(sections) + "\n"
