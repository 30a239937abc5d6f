"""Private inference of hypergraph networks: seconds and bytes of every way to treat the hypergraph:
bench/PRIVATE_HYPERGRAPHS.md.

    OMP_NUM_THREADS=1 python bench/private_hypergraphs.py [--data ../shared/data] [--sets cocitation-cora ..]
        [--ways hypergcn-oblivious ..] [--epochs 60] [--fraction-bits 16] [--network lan] [--note TEXT] [--out FILE]

Each network is trained on the first published split, compiled and run once by two processes and a dealer. "agree" is
the share of nodes whose largest logit is that of the same network in the clear; "formula" says whether rounds and bytes
are those that `private.estimate` computes without running anything. Seconds are of the online phase, on the machine as
it is: the load average stands beside them.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
import warnings
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from moiety import private
from moiety.data import load_hypergraph
from moiety.graph import Graph
from moiety.models import create_model
from moiety.ops import spmm
from moiety.private.revealed import RevealedPairs
from sheet import Sheet, header, raw_of

SHEET = Sheet(
    "PRIVATE_HYPERGRAPHS",
    "Private inference of hypergraph networks",
    "Networks trained on the first published split, one inference by two processes and a dealer. Agree: the share of "
    "nodes with the same answer in the clear; for pairs: what only secret pairs need of the online megabytes; "
    "formula: rounds and bytes equal what `private.estimate` says without a run.",
    5,
)
SETS = ("cocitation-cora", "coauthorship-cora")
OF_PAIRS = ("extremes", "sparse_multiply", "multiply", "revealed")  # operations that only secret pairs need


@dataclass(frozen=True)
class Way:
    """A network and what `private.compile` is told of its hypergraph; frozen: pairs of the features themselves."""

    network: str
    pairs: str = "oblivious"
    private_graph: bool = False
    activation: str = "relu"


WAYS = {
    "hypergcn-oblivious": Way("hypergcn"),
    "hypergcn-oblivious-x2": Way("hypergcn", activation="x2"),
    "one_hypergcn-oblivious": Way("one_hypergcn"),
    "hypergcn-frozen": Way("hypergcn", "frozen"),
    "hypergcn-revealed": Way("hypergcn", "revealed"),
    "hgnn": Way("hgnn"),
    "hgnn-x2": Way("hgnn", activation="x2"),
    "unisage": Way("unisage"),
    "edhnn": Way("edhnn"),
    "hgnn-private": Way("hgnn", private_graph=True),
}


@dataclass(frozen=True)
class Row:
    data: str
    way: str
    agree: float
    accuracy: float
    rounds: int
    megabytes: float  # online, both directions
    material: float  # megabytes that the dealer streams
    pairs_megabytes: float  # of it, for `OF_PAIRS`
    formula: bool
    seconds: float
    cpu_seconds: float  # of both parties, online
    compile_seconds: float
    load: float


def trained(way: Way, x: Tensor, data: Any, epochs: int) -> nn.Module:
    torch.manual_seed(0)
    options = {"in_features": x.shape[1], "num_classes": len(data.classes), "activation": way.activation}
    model = create_model(way.network, **options)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01, weight_decay=5e-4)
    seen = data.train[0]
    for _ in range(epochs):
        optimizer.zero_grad()
        F.cross_entropy(model(x, data.hypergraph)[seen], data.y[seen]).backward()
        optimizer.step()
    return model.eval()


def measure(name: str, key: str, given: argparse.Namespace) -> Row:
    way, network = WAYS[key], given.network
    data = load_hypergraph(name, given.data)
    x = spmm(data.x, torch.eye(data.x.num_cols)) if isinstance(data.x, Graph) else data.x
    model = trained(way, x, data, given.epochs)
    began = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RevealedPairs)
        program = private.compile(
            model,
            x,
            calibration=x,
            fraction_bits=given.fraction_bits,
            graph=data.hypergraph,
            pairs=x if way.pairs == "frozen" else way.pairs,
            private_graph=way.private_graph,
        )
    compiled = time.process_time() - began
    result = private.run_local(program, x[None], comparison="circuit", network=network, timeout=300)
    cost = private.estimate(program, network, comparison="circuit")
    with torch.no_grad():
        expected = model(x, data.hypergraph).argmax(1)
    found = result.output[0].argmax(1)
    client, server = result.stats.client["online"], result.stats.server["online"]
    counted = (client.rounds, server.bytes_sent, client.bytes_sent)
    spent = [party.operators.get(kind, {}).get("bytes_sent", 0) for party in (client, server) for kind in OF_PAIRS]
    return Row(
        name,
        key,
        float((found == expected).double().mean()),
        float((found == data.y)[~data.train[0]].double().mean()),
        client.rounds,
        (server.bytes_sent + client.bytes_sent) / 1e6,
        cost.material_bytes / 1e6,
        sum(spent) / 1e6,
        counted == (cost.rounds, cost.bytes_server, cost.bytes_client),
        client.wall_seconds,
        client.cpu_seconds + server.cpu_seconds,
        compiled,
        os.getloadavg()[0],
    )


COLUMNS = ("data", "way", "agree %", "accuracy %", "rounds", "online MB", "for pairs MB", "dealt MB", "formula", "s")
HEAD = "| " + " | ".join((*COLUMNS, "CPU s", "compile CPU s", "load")) + " |\n" + "|---" * (len(COLUMNS) + 3) + "|"


def line(row: Row) -> str:
    return (
        f"| {row.data} | {row.way} | {100 * row.agree:.2f} | {100 * row.accuracy:.1f} | {row.rounds} "
        f"| {row.megabytes:.2f} | {row.pairs_megabytes:.2f} | {row.material:.2f} | {'exact' if row.formula else 'OFF'} "
        f"| {row.seconds:.2f} | {row.cpu_seconds:.2f} | {row.compile_seconds:.2f} | {row.load:.1f} |"
    )


def main() -> int:
    parser = SHEET.parser(__doc__)
    parser.add_argument("--data", help="folder of the data sets")
    parser.add_argument("--sets", nargs="+", default=list(SETS))
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=list(WAYS))
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--fraction-bits", type=int, default=16)
    parser.add_argument("--network", help="lan, wan, or a shape of the link; none by default")
    options = parser.parse_args()
    torch.set_num_threads(1)
    results, found = SHEET.results(options), []
    note = f"{options.note}\n\n" if options.note else ""
    raw = raw_of(options.out)
    text = f"# {SHEET.title}\n\nMade by `{results['command']}`, raw figures in `{raw.name}`. {SHEET.about}\n\n"
    text += f"{note}{header(results['machine'])}\n{HEAD}\n"
    print(HEAD)
    for name in options.sets:
        for key in options.ways:
            found.append(measure(name, key, options))
            print(line(found[-1]), flush=True)
            text += line(found[-1]) + "\n"
            options.out.write_text(text)
            raw.write_text(json.dumps(results | {"ways": [asdict(row) for row in found]}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
