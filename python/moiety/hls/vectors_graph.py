"""Golden vectors of the sparse product: a whole graph convolution of a recorded inference, on both parties' shares."""

from __future__ import annotations

from functools import cache

import numpy as np

from moiety.private.program import Program

from .record import Recording, record
from .schedule_tiles import steps_of_rows
from .vectorfile import Vectors

__all__ = ["graph_program", "graph_recording", "scheduled_graph", "spmm_vectors"]

FEATURES, HIDDEN, CLASSES = 16, 13, 4  # no multiples of the kernels' lanes but the first


@cache
def _network() -> tuple[Program, np.ndarray[tuple[int, ...], np.dtype[np.float32]]]:
    """Two graph convolutions on a stochastic block model, weights as they are initialised, and the features."""
    import torch

    from moiety import private
    from moiety.data.graphs import load_graph
    from moiety.models import create_model

    data = load_graph("sbm", features=FEATURES, classes=CLASSES)
    assert isinstance(data.x, torch.Tensor)
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(0)
        model = create_model("gcn", in_features=FEATURES, num_classes=CLASSES, hidden=HIDDEN).eval()
    program = private.compile(model, data.x, calibration=data.x, graph=data.graph)
    return program, data.x[None].numpy()


def graph_program() -> Program:
    """The network, compiled."""
    return _network()[0]


@cache
def graph_recording() -> Recording:
    """The engine's inference of it."""
    program, x = _network()
    return record(program, x, "graph")


def spmm_vectors() -> Vectors:
    """The first convolution's product with the normalised adjacency."""
    recording = graph_recording()
    program = recording.program
    op = next(op for op in program.ops if op.kind == "spmm")
    indptr, indices, coefficients = (program.public[op.attrs[key]] for key in ("indptr", "indices", "values"))
    x, y = program.tensors[op.inputs[0]], program.tensors[op.output]
    values = {"n": y.size, "channels": y.shape[0], "rows": y.shape[1], "columns": x.shape[1]}
    values |= {"steps": steps_of_rows(indptr), "weighted": 1}
    arrays = {"indptr": indptr.astype(np.uint32), "indices": indices.astype(np.uint32), "values": coefficients}
    for half in recording.halves:
        me = "server" if half.server else "client"
        arrays |= {f"{me}.x": recording.share(half, op.inputs[0]), f"{me}.y": recording.share(half, op.output)}
    return Vectors("spmm", program.ring, program.hash, op.source, values, arrays)


def scheduled_graph() -> Vectors:
    """The whole network on two boards, by a schedule for two ZCU104."""
    from moiety.cost.fpga_machine import Lanes, Machine

    from .image import scheduler_vectors
    from .schedule import schedule

    machine = Machine(lanes=Lanes(out=8, pix=5, pool=4), tile=2048)
    return scheduler_vectors(graph_recording(), schedule(graph_program(), machine))
