"""Single calls of frozen networks: densa, ONNX Runtime, OpenVINO, PyTorch and TorchScript.

A job has `net`, `data` (a file of frozen_data.write), `rows`, `threads` and `engine`; a call takes
a NumPy array and answers with one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import networks
from peers import Job, Prepared, Unavailable
from peers.frozen_data import EPSILON, error

Call = Callable[[Any], Any]


def version() -> str:
    """Of the engine that was prepared last."""
    return _version


_version = ""


def prepare(job: Job) -> Prepared:
    """One engine, with the call that is timed."""
    global _version
    net = networks.of_job(job)
    with np.load(job["data"]) as file:
        a = {name: file[name] for name in file.files}
    x = np.ascontiguousarray(a.pop("x")[: job["rows"]])
    wanted = a.pop("y")[: job["rows"]]
    call, _version, note = ENGINES[job["engine"]](net, a, job)

    def run(units: int) -> None:
        for _ in range(units):
            call(x)

    return Prepared(run, lambda: error(call(x), wanted), note, lambda: call(x))


# ---- densa ---------------------------------------------------------------------------------------


def densa_predictor(net: networks.Network, a: dict[str, Any], job: Job) -> tuple[Call, str, str]:
    """The frozen model; job["format"] is what its weights may become."""
    import densa

    densa.set_num_threads(job["threads"])
    layers = densa.layers
    stack: list[Any] = [densa.Input((net.sizes[0],))]
    last = len(net.kernels()) - 1
    for i, (_, fan_out) in enumerate(net.kernels()):
        stack.append(layers.Dense(fan_out))
        if i < last:
            if net.batch_norm:
                stack.append(layers.BatchNormalization(epsilon=EPSILON))
            stack.append(layers.Activation(net.activation))
    model = densa.Sequential(stack)
    kinds = {"Dense": ("w", "b"), "BatchNormalization": ("gamma", "beta", "mean", "variance")}
    counts = dict.fromkeys(kinds, 0)
    for layer in model.layers:
        names = kinds.get(type(layer).__name__)
        if names is not None:
            number = counts[type(layer).__name__]
            layer.set_weights([a[f"{name}{number}"] for name in names])
            counts[type(layer).__name__] += 1
    wanted = job.get("format", "float32")
    predictor = model.freeze() if wanted == "float32" else model.freeze(dtype=wanted)
    return predictor, densa.__version__, ""


# ---- PyTorch -------------------------------------------------------------------------------------


def torch_module(net: networks.Network, a: dict[str, Any]) -> Any:
    """The network as a module."""
    import torch

    kinds = {
        "relu": torch.nn.ReLU,
        "tanh": torch.nn.Tanh,
        "gelu": torch.nn.GELU,
        "silu": torch.nn.SiLU,
    }
    stack: list[Any] = []
    last = len(net.kernels()) - 1
    for i, (fan_in, fan_out) in enumerate(net.kernels()):
        dense = torch.nn.Linear(fan_in, fan_out)
        dense.weight.data = torch.from_numpy(np.ascontiguousarray(a[f"w{i}"].T))
        dense.bias.data = torch.from_numpy(a[f"b{i}"])
        stack.append(dense)
        if i == last:
            break
        if net.batch_norm:
            norm = torch.nn.BatchNorm1d(fan_out, eps=EPSILON)
            norm.weight.data = torch.from_numpy(a[f"gamma{i}"])
            norm.bias.data = torch.from_numpy(a[f"beta{i}"])
            norm.running_mean = torch.from_numpy(a[f"mean{i}"])
            norm.running_var = torch.from_numpy(a[f"variance{i}"])
            stack.append(norm)
        stack.append(kinds[net.activation]())
    return torch.nn.Sequential(*stack).eval()


def pytorch(net: networks.Network, a: dict[str, Any], job: Job) -> tuple[Call, str, str]:
    """Eager, under inference mode."""
    import torch

    torch.set_num_threads(job["threads"])
    module = torch_module(net, a)

    def call(x: Any) -> Any:
        with torch.inference_mode():
            return module(torch.from_numpy(x)).numpy()

    return call, torch.__version__, ""


def torchscript(net: networks.Network, a: dict[str, Any], job: Job) -> tuple[Call, str, str]:
    """Traced, frozen and optimized for inference."""
    import torch

    torch.set_num_threads(job["threads"])
    example = torch.zeros((job["rows"], net.sizes[0]))
    with torch.inference_mode():
        traced = torch.jit.trace(torch_module(net, a), example)
        script = torch.jit.optimize_for_inference(torch.jit.freeze(traced))

    def call(x: Any) -> Any:
        with torch.inference_mode():
            return script(torch.from_numpy(x)).numpy()

    return call, torch.__version__, ""


# ---- ONNX ----------------------------------------------------------------------------------------


def onnx_model(net: networks.Network, a: dict[str, Any]) -> Any:
    """The network as an ONNX model with a free number of rows."""
    from onnx import TensorProto, helper, numpy_helper

    nodes, kept = [], []
    z, last = "x", len(net.kernels()) - 1

    def constant(name: str) -> str:
        kept.append(numpy_helper.from_array(a[name], name))
        return name

    def node(op: str, inputs: list[str], output: str, **attributes: Any) -> str:
        nodes.append(helper.make_node(op, inputs, [output], **attributes))
        return output

    for i in range(last + 1):
        z = node("Gemm", [z, constant(f"w{i}"), constant(f"b{i}")], "y" if i == last else f"z{i}")
        if i == last:
            break
        if net.batch_norm:
            names = [constant(f"{n}{i}") for n in ("gamma", "beta", "mean", "variance")]
            z = node("BatchNormalization", [z, *names], f"n{i}", epsilon=EPSILON)
        if net.activation == "silu":
            z = node("Mul", [z, node("Sigmoid", [z], f"s{i}")], f"a{i}")
        else:
            z = node({"relu": "Relu", "tanh": "Tanh", "gelu": "Gelu"}[net.activation], [z], f"a{i}")
    graph = helper.make_graph(
        nodes,
        net.name,
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["rows", net.sizes[0]])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["rows", net.sizes[-1]])],
        kept,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)


def onnx_runtime(net: networks.Network, a: dict[str, Any], job: Job) -> tuple[Call, str, str]:
    """ONNX Runtime on the CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = job["threads"]
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        onnx_model(net, a).SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return lambda x: session.run(None, {"x": x})[0], onnxruntime.__version__, ""


def open_vino(net: networks.Network, a: dict[str, Any], job: Job) -> tuple[Call, str, str]:
    """OpenVINO, in float32 or in bfloat16 where the CPU has it."""
    import openvino

    core = openvino.Core()
    model = core.read_model(onnx_model(net, a).SerializeToString())
    precision = job.get("format", "float32")
    if precision == "bfloat16" and "BF16" not in core.get_property(
        "CPU", "OPTIMIZATION_CAPABILITIES"
    ):
        raise Unavailable("this CPU has no bfloat16")
    compiled = core.compile_model(
        model,
        "CPU",
        {
            "INFERENCE_NUM_THREADS": job["threads"],
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": {"float32": "f32", "bfloat16": "bf16"}[precision],
        },
    )
    request = compiled.create_infer_request()

    def call(x: Any) -> Any:
        return request.infer({0: x}, share_inputs=True)[0]

    return call, openvino.__version__.split("-")[0], ""


ENGINES = {
    "densa": densa_predictor,
    "torch": pytorch,
    "torchscript": torchscript,
    "onnxruntime": onnx_runtime,
    "openvino": open_vino,
}
