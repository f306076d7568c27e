"""The graph between symbolic inputs and outputs: its order, its replay, its configuration."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from densa._symbolic import KerasTensor, Node, OpCall, Operation, find_op
from densa.layers.input_layer import InputLayer
from densa.layers.layer import Layer
from densa.saving.object_registration import registered_name_or_none
from densa.saving.serialization import deserialize_keras_object, serialize_keras_object
from densa.utils import tree


class _Place:
    """Stands for a symbolic tensor in a copy."""

    def __init__(self, index: int) -> None:
        self.index = index


class Graph:
    """What lies between `inputs` and `outputs`, two structures of symbolic tensors.

    Raises:
        ValueError: if something else than a symbolic tensor is given, an output does not depend on
            the inputs alone, or two operations share a name.
    """

    def __init__(self, inputs: Any, outputs: Any) -> None:
        for what, struct in (("inputs", inputs), ("outputs", outputs)):
            flat = tree.flatten(struct)
            for x in flat:
                if not isinstance(x, KerasTensor) or x._keras_history is None:
                    raise ValueError(
                        f"All `{what}` values must be KerasTensors, made by Input or by calling a "
                        f"layer on one. Received: {what}={struct} including invalid value {x} of "
                        f"type {type(x)}"
                    )
            if len({id(x) for x in flat}) != len(flat) and what == "inputs":
                raise ValueError(f"Each input must be given once; got {struct}.")
        inputs, outputs = _start_at_inputs(inputs, outputs)
        self.inputs_struct = inputs
        self.outputs_struct = outputs
        self.inputs: list[KerasTensor] = tree.flatten(inputs)
        self.outputs: list[KerasTensor] = tree.flatten(outputs)
        self.nodes, self.depths, self.operations = _order(self.inputs, self.outputs)
        names: dict[str, int] = {}
        for operation in self.operations:
            names[operation.name] = names.get(operation.name, 0) + 1
        double = [n for n, count in names.items() if count > 1]
        if double:
            raise ValueError(
                f'The name "{double[0]}" is used {names[double[0]]} times in the model. All '
                "operation names should be unique: pass another name= to one of them."
            )
        places = {id(node): _training_place(node) for node in self.nodes}
        self._fixed = {key: place for key, place in places.items() if place is not None}
        self.layers: list[Layer] = [op for op in self.operations if isinstance(op, Layer)]

    @property
    def is_chain(self) -> bool:
        """Whether every operation follows the one before it, and none comes twice."""
        alone = all(len(nodes) == 1 for nodes in self.depths.values())
        once = len({id(node.operation) for node in self.nodes}) == len(self.nodes)
        return alone and once and all(len(node.inputs) <= 1 for node in self.nodes)

    def run(
        self,
        inputs: list[Any],
        training: bool | None = None,
        begin: Callable[[Operation], None] | None = None,
    ) -> Any:
        """Replay the nodes on values, given in the order of `inputs`.

        `training`, where it is known, comes before what a layer was called with in the graph.
        `begin` is told of each operation before it runs.
        """
        values: dict[int, Any] = {id(k): v for k, v in zip(self.inputs, inputs, strict=True)}
        self.replay(self.nodes, values, training, begin)
        return tree.map_structure(lambda k: values[id(k)], self.outputs_struct)

    def replay(
        self,
        nodes: list[Node],
        values: dict[int, Any],
        training: bool | None = None,
        begin: Callable[[Operation], None] | None = None,
    ) -> None:
        """Add the results of some of the nodes, in running order, to values by symbol's id."""
        for node in nodes:
            if node.is_input:
                continue
            if begin is not None:
                begin(node.operation)
            args, kwargs = node.fill(values)
            if training is not None and id(node) in self._fixed:
                place = self._fixed[id(node)]
                if isinstance(place, int):
                    args = (*args[:place], training, *args[place + 1 :])
                else:
                    kwargs["training"] = training
            result = tree.flatten(node.operation(*args, **kwargs))
            for symbol, value in zip(node.outputs, result, strict=True):
                values[id(symbol)] = value

    # Copies and pickles hold the nodes as a flat list: following them from one to the next would
    # go as deep as the network.
    def __getstate__(self) -> dict[str, Any]:
        place = {id(op): i for i, op in enumerate(self.operations)}
        symbols = [x for node in self.nodes for x in node.outputs if isinstance(x, KerasTensor)]
        index = {id(x): _Place(i) for i, x in enumerate(symbols)}

        def flat(struct: Any) -> Any:
            return tree.map_structure(
                lambda x: index[id(x)] if isinstance(x, KerasTensor) else x, struct
            )

        return {
            "operations": self.operations,
            "symbols": symbols,
            "nodes": [
                (place[id(n.operation)], flat(n.args), flat(n.kwargs), flat(n.output_struct))
                for n in self.nodes
            ],
            "inputs": flat(self.inputs_struct),
            "outputs": flat(self.outputs_struct),
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        symbols, operations = state["symbols"], state["operations"]

        def full(struct: Any) -> Any:
            return tree.map_structure(
                lambda x: symbols[x.index] if isinstance(x, _Place) else x, struct
            )

        for which, args, kwargs, outputs in state["nodes"]:
            Node(operations[which], full(args), full(kwargs), full(outputs))
        Graph.__init__(self, full(state["inputs"]), full(state["outputs"]))

    # ---- configuration ---------------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        """Return layers, their uses, inputs and outputs as plain data."""
        used = {id(node) for node in self.nodes}
        places: dict[int, tuple[str, int]] = {}
        for operation in self.operations:
            own = [n for n in operation._inbound_nodes if id(n) in used]
            for i, node in enumerate(own):
                places[id(node)] = (operation.name, i)

        def history(x: KerasTensor) -> list[Any]:
            assert x._keras_history is not None
            operation, node_index, index = x._keras_history
            return [*places[id(operation._inbound_nodes[node_index])], index]

        def argument(x: Any) -> Any:
            if not isinstance(x, KerasTensor):
                return serialize_keras_object(x)
            config = {"shape": list(x.shape), "dtype": x.dtype, "keras_history": history(x)}
            return {"class_name": "__keras_tensor__", "config": config}

        layers = []
        for operation in self.operations:
            data = operation_config(operation)
            data["name"] = operation.name
            data["inbound_nodes"] = [
                {
                    "args": [tree.map_structure(argument, a) for a in node.args],
                    "kwargs": {k: tree.map_structure(argument, v) for k, v in node.kwargs.items()},
                }
                for node in operation._inbound_nodes
                if id(node) in used and not node.is_input
            ]
            layers.append(data)
        return {
            "layers": layers,
            "input_layers": tree.map_structure(history, self.inputs_struct),
            "output_layers": tree.map_structure(history, self.outputs_struct),
        }


def _training_place(node: Node) -> int | str | None:
    """Where in a layer's arguments its use says whether it trains: a position, a name, nowhere."""
    if not isinstance(node.operation, Layer):
        return None
    if node.kwargs.get("training") is not None:
        return "training"
    names = list(node.operation._call_signature.parameters)
    position = names.index("training") - 1 if "training" in names else len(node.args)
    return position if position < len(node.args) else None


def operation_config(operation: Operation) -> dict[str, Any]:
    """Return plain data for a layer or an op of a graph."""
    if isinstance(operation, OpCall):
        config = operation.get_config()
        wrapper = getattr(operation.function, "_recording", operation.function)
        registered = registered_name_or_none(wrapper)
        if registered is not None:
            config["function"] = registered
        return {
            "module": operation.function.__module__,
            "class_name": "Operation",
            "config": config,
            "registered_name": registered,
        }
    data: dict[str, Any] = serialize_keras_object(operation)
    # Calls build the layers again, in the scopes they were first built in.
    data.pop("build_config", None)
    return data


def operation_from_config(data: Mapping[str, Any]) -> Any:
    """Make the layer or op that `operation_config` described."""
    if data.get("class_name") == "Operation":
        config = data["config"]
        function = find_op(str(data.get("module")), str(config["function"]))
        return OpCall(function, config["name"])
    return deserialize_keras_object(data)


def graph_from_config(config: Mapping[str, Any]) -> tuple[Any, Any]:
    """Make the layers that `Graph.get_config` described and call them on each other.

    Returns:
        The structures of inputs and outputs.

    Raises:
        ValueError: if the description is not whole.
    """
    made: dict[str, Any] = {}
    own: dict[str, list[Any]] = {}  # the uses here: a shared layer has others elsewhere
    waiting: dict[str, list[Any]] = {}
    for data in config["layers"]:
        name = data["name"]
        if name in made:
            raise ValueError(f"The configuration names two layers {name!r}.")
        made[name] = operation_from_config(data)
        own[name] = made[name]._inbound_nodes[:1] if isinstance(made[name], InputLayer) else []
        waiting[name] = list(data["inbound_nodes"])

    def find(history: Any) -> KerasTensor | None:
        name, node_index, index = history
        if name not in made:
            raise ValueError(f"The configuration refers to a layer {name!r} that it lacks.")
        nodes = own[name]
        return nodes[node_index].outputs[index] if node_index < len(nodes) else None

    while any(waiting.values()):
        progress = False
        for name, uses in waiting.items():
            while uses:
                filled = _fill_use(uses[0], find)
                if filled is None:
                    break
                args, kwargs = filled
                made[name](*args, **kwargs)
                own[name].append(made[name]._inbound_nodes[-1])
                uses.pop(0)
                progress = True
        if not progress:
            left = [name for name, uses in waiting.items() if uses]
            raise ValueError(f"The configuration's layers {left} depend on each other in a circle.")
    return tuple(_structure(config[k], find) for k in ("input_layers", "output_layers"))


class _Missing(Exception):
    pass


def _fill_use(use: Mapping[str, Any], find: Callable[[Any], Any]) -> Any:
    def argument(x: Any) -> Any:
        if isinstance(x, Mapping):
            if x.get("class_name") == "__keras_tensor__":
                found = find(x["config"]["keras_history"])
                if found is None:
                    raise _Missing
                return found
            if "class_name" in x and "config" in x:
                return deserialize_keras_object(x)
            return {k: argument(v) for k, v in x.items()}
        if isinstance(x, (list, tuple)):
            return [argument(v) for v in x]
        return x

    try:
        return [argument(a) for a in use["args"]], {
            k: argument(v) for k, v in use["kwargs"].items()
        }
    except _Missing:
        return None


def _structure(struct: Any, find: Callable[[Any], Any]) -> Any:
    if isinstance(struct, Mapping):
        return {k: _structure(v, find) for k, v in struct.items()}
    if len(struct) == 3 and isinstance(struct[0], str):
        found = find(struct)
        if found is None:
            raise ValueError(f"The configuration refers to a use {list(struct)} that it lacks.")
        return found
    return [_structure(s, find) for s in struct]


# ---- order ---------------------------------------------------------------------------------------


def _node_of(x: KerasTensor) -> Node:
    assert x._keras_history is not None
    operation, index, _ = x._keras_history
    return operation._inbound_nodes[index]


def topological(outputs: list[KerasTensor], stop: set[int] | None = None) -> list[Node]:
    """Return the nodes that the outputs depend on, each after those it depends on."""
    order: list[Node] = []
    state: dict[int, int] = {}
    for out in outputs:
        stack = [_node_of(out)]
        while stack:
            node = stack[-1]
            seen = state.get(id(node), 0)
            if seen == 0:
                state[id(node)] = 1
                if stop is None or not any(id(x) in stop for x in node.outputs):
                    stack.extend(reversed([p for p in node.parent_nodes if not state.get(id(p))]))
            else:
                stack.pop()
                if seen == 1:
                    state[id(node)] = 2
                    order.append(node)
    return order


def _order(
    inputs: list[KerasTensor], outputs: list[KerasTensor]
) -> tuple[list[Node], dict[int, list[Node]], list[Operation]]:
    """Return the nodes in running order, by distance from the outputs, and the operations."""
    order = topological(outputs)
    given = {id(_node_of(x)) for x in inputs}
    for node in order:
        if node.is_input and id(node) not in given:
            x = node.outputs[0]
            raise ValueError(
                f"The outputs depend on the input {x.name!r} (shape {x.shape}), which is not "
                f"among `inputs`: {[i.name for i in inputs]}. Add it to inputs=, or build the "
                "outputs from the inputs given."
            )
    rank = _visit_order(outputs)
    depth: dict[int, int] = {}
    operation_depth: dict[int, int] = {}
    for node in reversed(order):
        level = max(depth.get(id(node), 0), operation_depth.get(id(node.operation), 0))
        depth[id(node)] = operation_depth[id(node.operation)] = level
        for parent in node.parent_nodes:
            depth[id(parent)] = max(level + 1, depth.get(id(parent), 0))
    for x in inputs:  # an input that no output uses
        node = _node_of(x)
        if id(node) not in depth:
            depth[id(node)] = operation_depth[id(node.operation)] = 0
            rank.setdefault(id(node.operation), len(rank))
            order.append(node)
    by_depth: dict[int, list[Node]] = {}
    for node in order:
        by_depth.setdefault(depth[id(node)], []).append(node)
    operations = {id(n.operation): n.operation for n in order}
    ranked = sorted(operations.values(), key=lambda op: (-operation_depth[id(op)], rank[id(op)]))
    return order, by_depth, ranked


def _visit_order(outputs: list[KerasTensor]) -> dict[int, int]:
    """Number the operations as they are met on the way back from the outputs."""
    rank: dict[int, int] = {}
    seen: set[int] = set()
    stack = [_node_of(x) for x in reversed(outputs)]
    while stack:
        node = stack.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        rank.setdefault(id(node.operation), len(rank))
        stack.extend(reversed(node.parent_nodes))
    return rank


def _start_at_inputs(inputs: Any, outputs: Any) -> tuple[Any, Any]:
    """Give inputs that lie inside a graph an InputLayer of their own, on a copy of the nodes."""
    flat: list[KerasTensor] = tree.flatten(inputs)
    inside = [x for x in flat if not _is_input(x)]
    if not inside:
        return inputs, outputs
    copies: dict[int, KerasTensor] = {}
    for x in inside:
        copies[id(x)] = InputLayer(batch_shape=x.shape, dtype=x.dtype, name=x.name).output

    def swap(x: Any) -> Any:
        return copies.get(id(x), x) if isinstance(x, KerasTensor) else x

    for node in topological(tree.flatten(outputs), stop={id(x) for x in inside}):
        if node.is_input or not any(id(x) in copies for x in node.inputs):
            continue
        if all(id(x) in copies for x in node.outputs):
            continue
        out = tree.map_structure(
            lambda x: KerasTensor(x.shape, x.dtype) if isinstance(x, KerasTensor) else x,
            node.output_struct,
        )
        for old, new in zip(node.outputs, tree.flatten(out), strict=True):
            if isinstance(old, KerasTensor):
                copies.setdefault(id(old), new)
        Node(
            node.operation,
            tuple(tree.map_structure(swap, a) for a in node.args),
            {k: tree.map_structure(swap, v) for k, v in node.kwargs.items()},
            out,
        )
    return tree.map_structure(swap, inputs), tree.map_structure(swap, outputs)


def _is_input(x: KerasTensor) -> bool:
    assert x._keras_history is not None
    return isinstance(x._keras_history[0], InputLayer)
