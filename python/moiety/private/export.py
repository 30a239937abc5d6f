"""From a torch module to the float graph, through `torch.export`.

Usually with a free batch dimension, axis 0. A model over a graph is exported *whole*: its input (nodes, features) is
one sample, and the first axis of every tensor, nodes or edges, is the last one of the float graph's, so that features
are channels like those of images and what follows needs to know nothing about graphs.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from moiety.private import (  # noqa: F401 (they fill HANDLERS)
    operators_graph,
    operators_hypergraph,
    operators_pool,
    operators_product,
    operators_shape,
)
from moiety.private.graph import Graph, Node
from moiety.private.operators import HANDLERS, HINTS, Refused, permute, reshape
from moiety.private.pairs import Pairs

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


BATCHED = SPATIAL | {"batch_norm", "cudnn_batch_norm", "_native_batch_norm_legit_no_training"}


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

    def __init__(self, whole: bool = False, single: bool = False, adjacency: str = "private") -> None:
        self.whole, self.single, self.adjacency = whole, single, adjacency
        self.current: Any = None  # the torch.fx node that is being translated
        self.operator = ""
        self.batch: Any = None
        self.permuted: dict[tuple[Node, tuple[int, ...]], Node] = {}
        self.reshaped: dict[tuple[Node, tuple[int, ...]], Node] = {}
        self.repeated: dict[tuple[Node, int, int], Node] = {}
        self.parted: dict[tuple[Node, int], list[tuple[Node | None, int]] | None] = {}
        self.products: dict[tuple[str, Node, tuple[int, ...], bytes], Node] = {}
        self.pairs = Pairs()
        self.chosen: dict[tuple[Any, ...], Any] = {}  # bits of a hypergraph's pairs, and what was made of them
        self.known_zeros: dict[int, torch.Tensor] = {}  # by id: zeros of the code, whatever the parameters are
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

    @property
    def free(self) -> bool:
        """Is axis 0 of what is exported a batch of any size?"""
        return not (self.whole or self.single)

    def once(self, kind: str, x: Node, shape: Sequence[int], constant: Any, **attrs: Any) -> Node:
        """A node that is a function of one other and a constant: of one sample, where it stands in several places, one
        node for all of them."""
        if not self.single:
            return self.node(kind, [x], shape, **attrs)
        held = np.ascontiguousarray(constant)
        key = kind, x, tuple(shape), hashlib.sha256(repr(held.shape).encode() + held.tobytes()).digest()
        if key not in self.products:
            self.products[key] = self.node(kind, [x], shape, **attrs)
        return self.products[key]

    def is_zero(self, value: Any) -> bool:
        """Zeros that the code says: structure may depend on them."""
        return id(value) in self.known_zeros

    def zeros(self) -> torch.Tensor:
        """Of the current call's result, with a batch of one."""
        import torch

        shape = [1 if isinstance(n, torch.SymInt) else int(n) for n in self.current.meta["val"].shape]
        made = torch.zeros(shape)
        self.known_zeros[id(made)] = made
        return made

    def note_zeros(self, fx: Any, value: Any, arguments: Sequence[Any]) -> None:
        """Is this constant zero, and not because of the values of parameters?"""
        import torch

        if not isinstance(value, torch.Tensor) or not value.is_floating_point() or bool(value.any()):
            return
        given = [v for v in flattened(arguments) if isinstance(v, torch.Tensor)]
        of_code = not any(argument in self.trained for argument in fx.all_input_nodes)
        product = operator_name(fx) in ("mul", "matmul", "mm", "bmm") and any(map(self.is_zero, given))
        if of_code or product or (given and all(map(self.is_zero, given))):
            self.known_zeros[id(value)] = value

    def axis(self, x: Node, axis: int) -> int:
        """An axis of the batched tensor as an axis of the sample."""
        if not self.free:
            rank = len(x.shape)
            if not -rank <= axis < rank:
                raise Refused(f"there is no axis {axis} of {rank}")
            return (axis - self.whole) % rank
        rank = len(x.shape) + 1
        if not -rank <= axis < rank or axis % rank == 0:
            raise Refused("it works along the batch axis")
        return axis % rank - 1

    def keeps_batch(self) -> bool:
        """Has the current call's result the batch as axis 0?"""
        if not self.free:
            return True
        value = self.current.meta["val"]
        value = value[0] if isinstance(value, (tuple, list)) else value
        return value.dim() > 0 and bool(value.shape[0] == self.batch)

    def result_shape(self) -> tuple[int, ...]:
        """Shape of the current call's result, without the batch."""
        value = self.current.meta["val"]
        if not self.keeps_batch():
            raise Refused(f"its result of shape {tuple(value.shape)} does not keep the batch as axis 0")
        if self.single:
            return tuple(int(n) for n in value.shape)
        shape = tuple(int(n) for n in value.shape[1:])
        return (*shape, int(value.shape[0])) if self.whole else shape


def refuse_training(model: torch.nn.Module) -> None:
    for path, module in model.named_modules():
        if module.training and (path == "" or not list(module.children())):
            raise ValueError(
                f"module {path or '(the network itself)'!r} ({type(module).__name__}) is in training mode: "
                "call model.eval() before compiling"
            )


def export(
    model: torch.nn.Module,
    examples: torch.Tensor | Sequence[torch.Tensor],
    whole: bool = False,
    single: bool = False,
    adjacency: str = "private",
    pairs: Pairs | None = None,
) -> Graph:
    """The float graph of `model` for inputs like the examples (batch first), before any pass. whole: the example is one
    sample, (nodes, features); single: the model is exported for a batch of one, which may be anywhere inside it.

    Raises `UnsupportedOperator` for an operator without a two-party form and ValueError for a model that is in
    training mode, that `torch.export` cannot trace, or that has not one tensor in and one tensor out.
    """
    import torch

    refuse_training(model)
    examples = [examples] if isinstance(examples, torch.Tensor) else list(examples)
    for example in examples:
        if example.dim() < 2:
            raise ValueError(f"expected an example input with the batch as axis 0, found shape {tuple(example.shape)}")
    free = not (whole or single)
    # Two samples: torch.export treats a batch of one as a constant.
    samples = 2 if free else 1
    given = tuple(x if whole else x[:1].expand(samples, *x.shape[1:]).contiguous() for x in examples)
    if whole:
        with torch.no_grad():
            model(*given)  # what layers make of a graph once and keep is made of numbers, not of a trace
    batch = torch.export.Dim("batch", min=1, max=MAX_BATCH)
    # One for each argument of forward(), an optional one included.
    shapes = tuple({0: batch} for _ in given) if free else None
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            program = torch.export.export(model, given, dynamic_shapes=shapes, strict=False)
            if mutates_views(program.graph):
                program = program.run_decompositions({})  # functional form; operators stay whole (takes a while)
    except Exception as error:  # torch.export raises many kinds
        first = str(error).strip().splitlines()
        raise ValueError(
            f"torch.export cannot trace the model{' with a free batch dimension' if free else ''} "
            f"({type(error).__name__}: {first[0] if first else ''}): remove control flow that depends on data"
            f"{' or on the batch size, or compile it for one sample (single=True)' if free else ''}"
        ) from error
    builder = Builder(whole, single, adjacency)
    builder.pairs = (pairs or Pairs()).of(program)
    return translate(program, builder)


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


def translate(program: Any, builder: Builder | None = None) -> Graph:
    """The float graph of an exported program."""
    import torch

    constants, parameters = constants_of(program)
    values: dict[Any, Any] = {}
    made: dict[Any, Any] = {}  # what each call returned, before any mutation
    builder = builder or Builder()
    whole = builder.whole
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
            if builder.single:
                values[fx] = reshape(builder, given, (1, *given.shape))
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
    outputs = [value for value in output if value is not None]
    if len(outputs) != 1 or not isinstance(outputs[0], Node):
        raise ValueError(f"expected a network with one output tensor that depends on its input, found {len(outputs)}")
    mark_module_outputs(made)
    last = first_last(builder, outputs[0]) if whole else outputs[0]
    if builder.single:
        if last.shape[:1] != (1,):
            raise ValueError(f"expected an output with the batch as axis 0, found shape {last.shape} for one sample")
        last = reshape(builder, last, last.shape[1:])
    return Graph(inputs, last)


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
        symbolic = [a for a in flattened([args, *kwargs.values()]) if isinstance(a, torch.SymInt)]
        if symbolic and operator_name(fx) in ("zeros", "full") and not builder.whole:
            found = builder.zeros()
            return found if operator_name(fx) == "zeros" else found + args[1]
        if symbolic:
            raise UnsupportedOperator(
                name, module_path(fx), source_line(fx), "a constant that depends on the batch size"
            )
        with torch.no_grad():
            found = fx.target(*args, **kwargs)
        builder.note_zeros(fx, found, args)
        return found
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
        if builder.single and builder.operator in BATCHED:
            return one_sample(builder, handler, args, kwargs)
        return handler(builder, *args, **kwargs)
    except (Refused, TypeError) as error:
        raise UnsupportedOperator(name, module_path(fx), source_line(fx), str(error)) from error


def flattened(values: Any) -> list[Any]:
    """All that is in nested lists."""
    if isinstance(values, (list, tuple)):
        return [found for value in values for found in flattened(value)]
    return [values]


def one_sample(builder: Builder, handler: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """An operator whose axes are (batch, channels, ...) on the one sample that is exported."""
    if any(isinstance(a, Node) and a.shape[0] != 1 for a in args):
        raise Refused("expected the batch as axis 0")
    builder.single = False
    try:
        found = handler(
            builder, *[reshape(builder, a, a.shape[1:]) if isinstance(a, Node) else a for a in args], **kwargs
        )
    finally:
        builder.single = True
    several = found if isinstance(found, tuple) else (found,)
    several = tuple(v if v is None else reshape(builder, v, (1, *v.shape)) for v in several)
    return several if isinstance(found, tuple) else several[0]


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
