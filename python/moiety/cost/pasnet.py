"""PASNet's own cost model: two FPGA boards on a network, by the paper's closed formulas.

H. Peng et al., "PASNet: Polynomial Architecture Search Framework for Two-party Computation-based Secure Neural
Network Deployment" (DAC 2023, arXiv:2306.15513), section on latency modelling. N elements of a feature map, PP parallel
units at f hertz, a message takes T_bc and its bits over R_bw:

    2PC-ReLU    = COMM1 + CMP2 + COMM2 + CMP3 + COMM3 + CMP4 + COMM4
                  COMM1 = T_bc + 32 / R                 CMP2 = 32*17*N / (PP_cmp f)      COMM2 = T_bc + 32*16*N / R
                  CMP3 = 32*(17 + 4*16)*N / (PP_cmp f)  COMM3 = T_bc + 32*4*16*N / R
                  CMP4 = (32*4*16 + 1)*N / (PP_cmp f)   COMM4 = T_bc + (32 + 1)*N / R
    2PC-MaxPool = 2PC-ReLU + 3 T_bc
    2PC-x2act   = N / (PP f) + 2 (T_bc + 32 N / R)
    2PC-AvgPool = 2 N / (PP f)
    2PC-Conv    = 3 macs / (PP f) + 2 (T_bc + 32 N_in / R)

It is here to compare with the paper and to search for its hardware, not as a protocol to run: the paper's comparison
exchanges group elements g^r mod m of 32 bits, and a discrete logarithm of that size falls to baby-step giant-step in
milliseconds on one core. Whoever sees the traffic, and either party, undoes it. This engine's comparisons are 128-bit
secure (docs/engine.md, section 3).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from moiety.private.program import Program

from .shapes import Layer, layers_of, program_layers
from .types import Cost

if TYPE_CHECKING:
    from torch import nn

__all__ = [
    "BANDWIDTH",
    "COMPARE_UNITS",
    "CONV_UNITS",
    "DEPTHWISE_UNITS",
    "FREQUENCY",
    "MESSAGE_SECONDS",
    "POWER",
    "FpgaBackend",
    "fpga",
]

# Published, in the paper or in its released code.
MESSAGE_SECONDS = 1e-4  # T_bc: the intercepts of the code's latency table, 4 and 2 messages
BANDWIDTH = 8e9  # R_bw in bits a second: 1 GB/s between the boards
FREQUENCY = 200e6  # hertz, of the ZCU104 boards
POWER = 16.0  # watts of both boards: what the table's efficiencies 1 / (s kW) come to

# Fitted here to the paper's table of ImageNet networks, which gives times and not these.
CONV_UNITS = 1375.0  # PP of dense convolutions and of element-wise work
DEPTHWISE_UNITS = 5.0  # PP of depthwise convolutions, which the accelerator's tiles do not fit
COMPARE_UNITS = 163.0  # PP_cmp

_WORD = 32  # bits of the paper's ring
_PARTS, _CHOICES = 16, 4  # a value as 16 parts of 2 bits, a 1-of-4 transfer each
_KINDS = ("conv", "depthwise", "relu", "maxpool", "x2", "multiply", "avgpool", "argmax")


@dataclass(frozen=True)
class FpgaBackend:
    """The formulas of the module with these constants. Rounds are messages; correlations are not in the paper's model,
    so offline bytes are 0."""

    units: float = CONV_UNITS
    frequency: float = FREQUENCY
    bandwidth: float = BANDWIDTH
    message_seconds: float = MESSAGE_SECONDS
    power: float = POWER
    depthwise_units: float = DEPTHWISE_UNITS
    compare_units: float = COMPARE_UNITS

    @property
    def name(self) -> str:
        return "FPGA of the PASNet paper"

    def layer(self, layer: Layer, batch: int = 1) -> Cost:
        """One operator on `batch` samples."""
        n = batch * layer.inputs
        match layer.kind:
            case "conv" | "depthwise":
                units = self.units if layer.kind == "conv" else self.depthwise_units
                return self._cost(2, 2 * _WORD * n, 3 * batch * layer.macs / units, batch * layer.macs)
            case "x2":
                return self._cost(2, 2 * _WORD * n, n / self.units)
            case "multiply":
                return self._cost(2, 4 * _WORD * n, n / self.units)
            case "avgpool":
                return self._cost(0, 0, 2 * n / self.units)
            case "relu" | "maxpool" | "argmax":
                bits = _WORD + (_WORD * _PARTS + _WORD * _CHOICES * _PARTS + _WORD + 1) * n
                table = _WORD * _CHOICES * _PARTS
                work = (_WORD * (_PARTS + 1) + _WORD * (_PARTS + 1) + table + table + 1) * n
                return self._cost(4 if layer.kind == "relu" else 7, bits, work / self.compare_units)
        raise ValueError(f"operator is {layer.kind!r}: expected one of {', '.join(_KINDS)}")

    def _cost(self, messages: int, bits: int, cycles: float, macs: int = 0) -> Cost:
        seconds = messages * self.message_seconds + bits / self.bandwidth + cycles / self.frequency
        return Cost(messages, bits // 8, 0, macs, seconds)

    def layers(self, layers: Iterable[Layer], batch: int = 1) -> Cost:
        """Operators one after the other: the paper overlaps nothing."""
        return sum((self.layer(layer, batch) for layer in layers), Cost())

    def cost(self, program: Program, *, batch: int = 1, comparison: str = "auto") -> Cost:
        """A compiled program on the boards, which compare in their one way whatever `comparison` says."""
        return self.layers(program_layers(program), batch)

    def model(self, model: nn.Module, input_shape: tuple[int, ...], *, batch: int = 1) -> Cost:
        """Any torch module on inputs of `input_shape` (without the batch): its operators are found on meta tensors."""
        return self.layers(layers_of(model, input_shape), batch)

    def operator(self, kind: str, *, inputs: int = 4096, outputs: int = 4096, macs: int = 0, batch: int = 1) -> Cost:
        """One operator by its elements and multiply-adds a sample; a clip such as ReLU6 is a ReLU, as in the paper."""
        return self.layer(Layer(kind, inputs, outputs, macs), batch)

    def efficiency(self, cost: Cost) -> float:
        """Inferences a second and kilowatt."""
        return 1e3 / (cost.seconds * self.power)


def fpga(**constants: Any) -> FpgaBackend:
    """The paper's accelerator; `units` (PP), `frequency`, `bandwidth` (R_bw, bits a second), `message_seconds` (T_bc),
    `power`, `depthwise_units` and `compare_units` may be set to another's."""
    made = FpgaBackend(**constants)
    if min(vars(made).values()) <= 0:
        raise ValueError(f"expected positive constants, got {made}")
    return made
