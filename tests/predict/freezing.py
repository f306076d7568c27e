"""Layers of variables with their NumPy; recording and running programs; errors of results."""

from __future__ import annotations

import numpy as np

from densa import _core
from densa._core import apply
from densa.utils import tree
from ops import specs

freeze = _core.testing.freeze


def record(function, *inputs):
    """A Program of `function` of inputs given as (shape of a row, dtype)."""
    program = _core.Program()
    with program, _core.no_grad():
        x = [
            program.input(f"x{i}", (None, *shape), dtype) for i, (shape, dtype) in enumerate(inputs)
        ]
        for i, y in enumerate(tree.flatten(function(*x))):
            program.output(f"y{i}", y)
    return program


def run(program, *inputs):
    """All outputs of the program, from a Plan."""
    rows = len(inputs[0])
    names = [line.split()[1] for line in str(program).splitlines() if line.startswith("output ")]
    plan = _core.Plan(program, rows, collect=names)
    shapes = shapes_of(plan.program_text, names)
    results = [np.full((rows, *shape), np.nan, dtype) for shape, dtype in shapes]
    plan.begin([np.ascontiguousarray(x) for x in inputs], None, 0, rows, rows, results)
    while not plan.done:
        plan.run()
    return results[0] if len(results) == 1 else results


def shapes_of(text, names):
    """Row shape and dtype of each output, read from a program's text."""
    types, values = {}, {}
    for line in text.splitlines():
        if line.startswith("output "):
            _, name, _, value = line.split()
            values[name] = value
        elif " : " in line:
            left, kind = line.split(" = ")[0], line.rsplit(" : ", 1)[1]
            types[left] = kind
    found = []
    for name in names:
        dtype, shape = types[values[name]].split("(")
        sizes = [s.strip() for s in shape.rstrip(")").split(",") if s.strip()]
        assert sizes[0] == "rows"
        found.append((tuple(int(s) for s in sizes[1:]), dtype))
    return found


def ops_of(program):
    """Names of the ops of a program, in order."""
    lines = str(program).splitlines()
    nodes = [line.split(" = ", 1)[1] for line in lines if line.startswith("%")]
    words = [node.split()[0] for node in nodes]
    return [word for word in words if word not in {"input", "variable", "constant"}]


def kernels_of(program):
    """Names and shapes of the kernels, such as "a/kernel (3, 4)", in alphabetical order."""
    found = []
    for line in str(program).splitlines():
        if "constant" in line and "kernel" in line:
            name = line.split("constant ")[1].split(" : ")[0]
            found.append(f"{name} {line.rsplit(' : ', 1)[1].lstrip('float3264')}")
    return sorted(found)


def distance(y, reference):
    """The largest error of a row over the row's norm."""
    y = np.asarray(y, np.float64).reshape(len(y), -1)
    reference = np.asarray(reference, np.float64).reshape(len(reference), -1)
    norms = np.linalg.norm(reference, axis=1)
    errors = np.linalg.norm(y - reference, axis=1)
    assert np.all(norms > 0)
    assert np.all(np.isfinite(errors))
    return float(np.max(errors / norms))


def variable(name, value, dtype="float32"):
    return _core.Variable(np.asarray(value, dtype), name=name)


class Dense:
    """A dense layer of variables, and the same in float64 NumPy."""

    def __init__(self, rng, name, size, units, bias=True):
        self.w = variable(f"{name}/kernel", rng.normal(size=(size, units)) / np.sqrt(size))
        self.b = variable(f"{name}/bias", rng.normal(size=units)) if bias else None

    def __call__(self, x):
        if self.b is None:
            return apply("dense", x, self.w)
        return apply("dense", x, self.w, self.b)

    def numpy(self, x):
        return x @ wide(self.w) + (0 if self.b is None else wide(self.b))


class Norm:
    """A batch norm over `axis`, with averages as given, and the same in float64 NumPy."""

    def __init__(self, name, gamma, beta, mean, variance, axis=-1, epsilon=1e-3):
        values = {"gamma": gamma, "beta": beta, "mean": mean, "variance": variance}
        self.all = [variable(f"{name}/{key}", value) for key, value in values.items()]
        self.axis, self.epsilon = axis, epsilon

    def __call__(self, x):
        return apply(
            "batch_norm", x, *self.all, axis=[self.axis], epsilon=self.epsilon, training=False
        )

    def numpy(self, x):
        shape = [1] * x.ndim
        shape[self.axis] = -1
        gamma, beta, mean, variance = (wide(v).reshape(shape) for v in self.all)
        return gamma * (x - mean) / np.sqrt(variance + self.epsilon) + beta


def wide(v):
    return np.asarray(v.numpy(), np.float64)


class Unary:
    def __init__(self, spec):
        self.spec = spec

    def __call__(self, x):
        return apply(self.spec.name, x, **self.spec.attrs)

    def numpy(self, x):
        return self.spec.numpy(x)


class Chain(list):
    def __call__(self, x):
        for part in self:
            x = part(x)
        return x

    def numpy(self, x):
        for part in self:
            x = part.numpy(x)
        return x


RELU = next(s for s in specs.UNARY if s.name == "relu")

TANH = next(s for s in specs.UNARY if s.name == "tanh")

SIGMOID = next(s for s in specs.UNARY if s.name == "sigmoid")


def norm_of(rng, name, size, axis=-1):
    return Norm(
        name,
        rng.uniform(0.5, 2, size) * rng.choice([-1, 1], size),
        rng.normal(size=size),
        rng.normal(size=size),
        rng.uniform(0.5, 2, size),
        axis=axis,
    )


def check(function, reference, *x, ops=None, **options):
    """Freezes in both types, compares the numbers, and returns program and report."""
    program = record(function, *((a.shape[1:], a.dtype.name) for a in x))
    wanted = reference(*(a.astype("float64") if a.dtype.kind == "f" else a for a in x))
    wanted = list(wanted) if isinstance(wanted, (list, tuple)) else [wanted]
    for dtype, most in (("float64", 1e-12), ("float32", 3e-6)):
        frozen, report = freeze(program, dtype, **options)
        got = run(frozen, *x)
        got = got if isinstance(got, list) else [got]
        for y, w in zip(got, wanted, strict=True):
            assert y.dtype == dtype
            assert distance(y, w) < most
        if ops is not None:
            assert ops_of(frozen) == ops
    return frozen, report


def numbers(rng, *shape):
    return rng.normal(size=shape).astype("float32")
