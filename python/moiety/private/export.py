"""From a torch module to the float graph, through `torch.export`.

Usually with a free batch dimension, axis 0. A model over a graph is exported *whole*: its input (nodes, features) is
one sample, and the first axis of every tensor, nodes or edges, is the last one of the float graph's, so that features
are channels like those of images and what follows needs to know nothing about graphs.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from moiety.private import operators_graph, operators_pool, operators_shape  # noqa: F401 (they fill HANDLERS)
from moiety.private.graph import Graph, Node
from moiety.private.operators import HANDLERS, HINTS, Refused, permute

if TYPE_CHECKING:
    import torch

__all__ = ["INPUT_OF", "Builder", "UnsupportedOperator", "export"]

MAX_BATCH = 1 << 16
# Modules of moiety.nn that square their input, and what follows their path where it means that input.
QUADRATIC = ("X2Act", "ChannelMix")
INPUT_OF = ":input"
# Operators whose result may share memory with their input.
# fmt: off
VIEWS = frozenset((
    "alias", "chunk", "clone", "contiguous", "detach", "dropout", "expand", "expand_as", "feature_dropout", "flatten",
    "movedim", "narrow", "permute", "ravel", "reshape", "reshape_as", "select", "slice", "split", "split_with_sizes",
    "squeeze", "swapaxes", "t", "tensor_split", "to", "transpose", "unbind", "unflatten", "unsqueeze", "view",
    "view_as",
))
# fmt: on


# Operators over space, of which a model over a graph has none.
# fmt: off
SPATIAL = frozenset((
    "convolution", "_convolution", "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d",
    "conv_transpose3d", "max_pool1d", "max_pool2d", "max_pool3d", "max_pool2d_with_indices", "max_pool3d_with_indices",
    "avg_pool1d", "avg_pool2d", "avg_pool3d", "adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d",
    "_adaptive_avg_pool2d", "adaptive_max_pool1d", "adaptive_max_pool2d", "adaptive_max_pool3d", "upsample_nearest1d",
    "upsample_nearest2d", "upsample_nearest3d", "upsample_linear1d", "upsample_bilinear2d", "upsample_trilinear3d",
    "pixel_shuffle", "channel_shuffle", "native_channel_shuffle", "constant_pad_nd", "pad",
))
# fmt: on


class UnsupportedOperator(ValueError):
    """An operator that has no two-party form. `operator`, `module` (path) and `line` (source) say which and where."""

    def __init__(self, operator: str, module: str, line: str, reason: str) -> None:
        self.operator = operator
        self.module = module
        self.line = line
        self.reason = reason
        super().__init__(
            f"unsupported operator {operator} in module {module or '(the network itself)'!r}"
            f"{f' at {line}' if line else ''}: {reason}"
        )


def module_path(node: Any) -> str:
    """Path of the innermost module that called the operator."""
    stack = node.meta.get("nn_module_stack") or {}
    paths = [path for path, _ in stack.values() if not path.startswith("_empty_nn_module_stack")]
    return str(paths[-1]) if paths else ""


def source_line(node: Any) -> str:
    """file:line: `code` of the innermost frame outside torch, or of the innermost one."""
    lines = [line.strip() for line in str(node.meta.get("stack_trace") or "").strip().splitlines()]
    frames = [
        (line, lines[i + 1] if i + 1 < len(lines) and not lines[i + 1].startswith("File ") else "")
        for i, line in enumerate(lines)
        if line.startswith("File ")
    ]
    if not frames:
        return ""
    outside = [frame for frame in frames if "/torch/" not in frame[0]]
    place, code = (outside or frames)[-1]
    parts = place.split('"')
    number = parts[2].split("line ")[1].split(",")[0] if len(parts) > 2 and "line " in parts[2] else "?"
    return f"{parts[1]}:{number}" + (f": `{code}`" if code else "")


@dataclass(frozen=True)
class Missing:
    """A result that has no two-party form; an error only if something reads it."""

    error: UnsupportedOperator


class Builder:
    """Makes the nodes of one exported graph; handlers see the call that is being translated through it."""

    def __init__(self, whole: bool = False) -> None:
        self.whole = whole
        self.current: Any = None  # the torch.fx node that is being translated
        self.operator = ""
        self.batch: Any = None
        self.permuted: dict[tuple[Node, tuple[int, ...]], Node] = {}
        self.trained: set[Any] = set()  # torch.fx nodes that parameters enter, and nothing private

    def node(self, kind: str, inputs: list[Node], shape: Sequence[int], **attrs: Any) -> Node:
        """A node with the current call's module path and source line."""
        return Node(
            kind,
            inputs,
            tuple(int(n) for n in shape),
            attrs,
            module_path(self.current),
            source_line(self.current),
        )

    def axis(self, x: Node, axis: int) -> int:
        """An axis of the batched tensor as an axis of the sample."""
        if self.whole:
            rank = len(x.shape)
            if not -rank <= axis < rank:
                raise Refused(f"there is no axis {axis} of {rank}")
            return (axis - 1) % rank
        rank = len(x.shape) + 1
        if not -rank <= axis < rank or axis % rank == 0:
            raise Refused("it works along the batch axis")
        return axis % rank - 1

    def keeps_batch(self) -> bool:
        """Has the current call's result the batch as axis 0?"""
        if self.whole:
            return True
        value = self.current.meta["val"]
        value = value[0] if isinstance(value, (tuple, list)) else value
        return value.dim() > 0 and bool(value.shape[0] == self.batch)

    def result_shape(self) -> tuple[int, ...]:
        """Shape of the current call's result, without the batch."""
        value = self.current.meta["val"]
        if not self.keeps_batch():
            raise Refused(f"its result of shape {tuple(value.shape)} does not keep the batch as axis 0")
        shape = tuple(int(n) for n in value.shape)
        return (*shape[1:], *shape[:1]) if self.whole else shape[1:]


def refuse_training(model: torch.nn.Module) -> None:
    for path, module in model.named_modules():
        if module.training and (path == "" or not list(module.children())):
            raise ValueError(
                f"module {path or '(the network itself)'!r} ({type(module).__name__}) is in training mode: "
                "call model.eval() before compiling"
            )


def export(model: torch.nn.Module, example: torch.Tensor, whole: bool = False) -> Graph:
    """The float graph of `model` for inputs like `example` (batch first), before any pass. whole: `example` is one
    sample, (nodes, features).

    Raises `UnsupportedOperator` for an operator without a two-party form and ValueError for a model that is in
    training mode, that `torch.export` cannot trace, or that has not one tensor in and one tensor out.
    """
    import torch

    refuse_training(model)
    if example.dim() < 2:
        raise ValueError(f"expected an example input with the batch as axis 0, found shape {tuple(example.shape)}")
    # Two samples: torch.export treats a batch of one as a constant.
    given = example if whole else example[:1].expand(2, *example.shape[1:]).contiguous()
    if whole:
        with torch.no_grad():
            model(given)  # what layers make of a graph once and keep is made of numbers, not of a trace
    shapes = None if whole else ({0: torch.export.Dim("batch", min=1, max=MAX_BATCH)},)
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            program = torch.export.export(model, (given,), dynamic_shapes=shapes, strict=False)
            if mutates_views(program.graph):
                program = program.run_decompositions({})  # functional form; operators stay whole (takes a while)
    except Exception as error:  # torch.export raises many kinds
        first = str(error).strip().splitlines()
        raise ValueError(
            f"torch.export cannot trace the model{'' if whole else ' with a free batch dimension'} "
            f"({type(error).__name__}: {first[0] if first else ''}): remove control flow that depends on data"
            f"{'' if whole else ' or on the batch size'}"
        ) from error
    return translate(program, whole)


def operator_name(fx: Any) -> str:
    """`relu_` for aten.relu_.default; "" for what is not an ATen call."""
    name = str(fx.target)
    return name.split(".")[1] if fx.op == "call_function" and name.startswith("aten.") else ""


def in_place(name: str) -> bool:
    return name.endswith("_") and not name.endswith("__")


def mutates_views(graph: Any) -> bool:
    """Does an in-place operator work on a value that another value may share its memory with?

    If not, `translate` can follow mutations by itself: every later reader of the old value reads the new one.
    """
    for fx in graph.nodes:
        if not in_place(operator_name(fx)):
            continue
        target = fx.args[0]
        related = [target, *target.users]
        if any(operator_name(other) in VIEWS or "getitem" in str(other.target) for other in related):
            return True
    return False


def constants_of(program: Any) -> tuple[dict[str, Any], set[str]]:
    """Placeholder name -> parameter, buffer or constant tensor; and which are parameters."""
    from torch.export.graph_signature import InputKind

    found: dict[str, Any] = {}
    parameters: set[str] = set()
    for spec in program.graph_signature.input_specs:
        if spec.kind in (InputKind.PARAMETER, InputKind.BUFFER, InputKind.CONSTANT_TENSOR):
            store = program.state_dict if spec.target in program.state_dict else program.constants
            found[spec.arg.name] = store[spec.target].detach()
            if spec.kind == InputKind.PARAMETER:
                parameters.add(spec.arg.name)
    return found, parameters


def translate(program: Any, whole: bool = False) -> Graph:
    """The float graph of an exported program."""
    import torch

    constants, parameters = constants_of(program)
    values: dict[Any, Any] = {}
    made: dict[Any, Any] = {}  # what each call returned, before any mutation
    builder = Builder(whole)
    inputs = []
    output: Any = None

    def resolve(argument: Any) -> Any:
        if isinstance(argument, torch.fx.Node):
            if isinstance(values[argument], Missing):
                raise values[argument].error
            return values[argument]
        if isinstance(argument, (list, tuple)):
            return [resolve(a) for a in argument]
        return argument

    for fx in program.graph.nodes:
        builder.current = fx
        if fx.op == "placeholder":
            if fx.name in constants:
                values[fx] = constants[fx.name]
                if fx.name in parameters:
                    builder.trained.add(fx)
                continue
            shape = fx.meta["val"].shape
            builder.batch = shape[0]
            given = builder.node("input", [], [int(n) for n in (shape if whole else shape[1:])])
            inputs.append(given)
            values[fx] = last_first(builder, given) if whole else given
        elif fx.op == "output":
            output = resolve(fx.args[0])
        elif fx.op == "get_attr":
            values[fx] = getattr(program.graph_module, fx.target)
        else:
            values[fx] = call(builder, fx, [resolve(a) for a in fx.args], {k: resolve(v) for k, v in fx.kwargs.items()})
            made[fx] = values[fx]
            if any(argument in builder.trained for argument in fx.all_input_nodes):
                builder.trained.add(fx)
            if in_place(operator_name(fx)):
                values[fx.args[0]] = values[fx]  # later readers of the old value
    if len(inputs) != 1:
        raise ValueError(f"expected a network with one input tensor, found {len(inputs)}")
    outputs = [value for value in output if value is not None]
    if len(outputs) != 1 or not isinstance(outputs[0], Node):
        raise ValueError(f"expected a network with one output tensor that depends on its input, found {len(outputs)}")
    mark_module_outputs(made)
    return Graph(inputs[0], first_last(builder, outputs[0]) if whole else outputs[0])


def last_first(builder: Builder, x: Node) -> Node:
    """(nodes, features...) -> (features..., nodes), as a whole graph's tensors are kept."""
    return permute(builder, x, [*range(1, len(x.shape)), 0])


def first_last(builder: Builder, x: Node) -> Node:
    """The way back, for the output."""
    return permute(builder, x, [len(x.shape) - 1, *range(len(x.shape) - 1)])


def contains_node(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return any(contains_node(v) for v in value)
    return isinstance(value, Node)


def call(builder: Builder, fx: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """Value of one operator call: a node, a constant, a shape, or `UnsupportedOperator`."""
    import operator

    import torch

    if fx.target is operator.getitem:
        if not contains_node(args[0]) and not isinstance(args[0], torch.Tensor):
            return args[0][args[1]]
        value = args[0][args[1]]
        if value is None:
            reason = f"its result number {args[1]} is used"
            return Missing(UnsupportedOperator(str(fx.args[0].target), module_path(fx), source_line(fx), reason))
        return value
    name = str(fx.target)
    data = contains_node([*args, *kwargs.values()])
    if not isinstance(fx.meta.get("val"), (torch.Tensor, list, tuple)):
        return fx.meta.get("val")  # sizes of the batch and assertions about them
    if not data:
        symbolic = [a for a in [*args, *kwargs.values()] if isinstance(a, torch.SymInt)]
        if symbolic:
            raise UnsupportedOperator(
                name, module_path(fx), source_line(fx), "a constant that depends on the batch size"
            )
        with torch.no_grad():
            return fx.target(*args, **kwargs)
    builder.operator = operator_name(fx) or name
    if in_place(builder.operator):
        builder.operator = builder.operator[:-1]
    if not name.startswith("aten."):
        builder.operator = name.removesuffix(".default")  # with its library's name
    handler = HANDLERS.get(builder.operator)
    try:
        if handler is None:
            raise Refused(HINTS.get(builder.operator, "it has no two-party form"))
        if builder.whole and builder.operator in SPATIAL:
            raise Refused("it works on images, and the nodes of a graph are none")
        kwargs = {k: v for k, v in kwargs.items() if k not in ("memory_format", "dtype", "device", "layout")}
        return handler(builder, *args, **kwargs)
    except (Refused, TypeError) as error:
        raise UnsupportedOperator(name, module_path(fx), source_line(fx), str(error)) from error


def class_name(kind: Any) -> str:
    """Of a module stack's entry: a class, or its qualified name."""
    return (kind if isinstance(kind, str) else kind.__qualname__).rsplit(".", 1)[-1]


def mark_module_outputs(made: dict[Any, Any]) -> None:
    """Fills `Node.paths`: a value is a module's output if it was computed inside a call of it and is read outside.

    What a quadratic activation reads has its path with INPUT_OF as well: its input is what range control bounds in
    training, and need not be any module's output.
    """
    paths: dict[Node, dict[str, None]] = {}
    for fx, value in made.items():
        if not isinstance(value, Node):
            continue
        stack = fx.meta.get("nn_module_stack") or {}
        readers = [set(user.meta.get("nn_module_stack") or {}) for user in fx.users]
        for key, (path, _) in stack.items():
            if path and any(key not in reader for reader in readers):
                paths.setdefault(value, {})[path] = None
        for user in fx.users:
            for key, (path, kind) in (user.meta.get("nn_module_stack") or {}).items():
                if path and key not in stack and class_name(kind) in QUADRATIC:
                    paths.setdefault(value, {})[path + INPUT_OF] = None
    for node, found in paths.items():
        node.paths = tuple(found)
