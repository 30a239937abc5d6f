"""What becomes of the pairs that a hypergraph's Laplacian depends on, when a model is compiled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

__all__ = ["Pairs"]

OPERATOR = "moiety.hypergraph_pairs.default"


@dataclass(frozen=True)
class Pairs:
    """`mode`: "oblivious", or "revealed" to both parties. `signal`: instead, public features (nodes, features) that the
    model is run on once, of whose pairs the program's Laplacians are made. `frozen`: those, by the exported call."""

    mode: str = "oblivious"
    signal: torch.Tensor | None = None
    private_graph: bool = False
    frozen: Mapping[Any, tuple[torch.Tensor, torch.Tensor]] = field(default_factory=dict)

    @staticmethod
    def named(pairs: Any, private_graph: bool, nodes: tuple[int, ...] | None) -> Pairs:
        """Of `compile`'s arguments; nodes: shape of the model's input, None without a graph."""
        import torch

        if isinstance(pairs, str) and pairs in ("oblivious", "revealed"):
            return Pairs(pairs, None, private_graph)
        if not isinstance(pairs, torch.Tensor):
            raise ValueError(
                "pairs decide what the Laplacian of a hypergraph tells about its features: expected 'oblivious', "
                f"'revealed' or a tensor of public features, found {pairs!r}"
            )
        if nodes is None or tuple(pairs.shape) != nodes or not pairs.is_floating_point():
            raise ValueError(
                f"expected public features of the input's shape {nodes}, found {pairs.dtype} {tuple(pairs.shape)}"
            )
        return Pairs("oblivious", pairs.detach(), private_graph)

    def of(self, program: Any) -> Pairs:
        """With the pairs that an exported program finds of the signal."""
        if self.signal is None:
            return self
        import torch

        found: dict[Any, tuple[torch.Tensor, torch.Tensor]] = {}

        class Watch(torch.fx.Interpreter):
            def run_node(self, n: Any) -> Any:
                result = super().run_node(n)
                if str(n.target) == OPERATOR:
                    found[n] = tuple(result)
                return result

        # Parameters and buffers come first among the placeholders of an exported graph, the input last.
        state = [spec for spec in program.graph_signature.input_specs if spec.target is not None]
        held = [
            program.state_dict[spec.target] if spec.target in program.state_dict else program.constants[spec.target]
            for spec in state
        ]
        with torch.no_grad():
            Watch(program.graph_module).run(*held, self.signal)
        return replace(self, frozen=found)
