"""Recording, freezing and running programs, and how far results are from a reference."""

from __future__ import annotations

import numpy as np

from densa import _core
from densa.utils import tree


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
