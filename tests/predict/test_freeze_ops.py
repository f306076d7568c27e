"""What freezes: whatever gives each row from that row alone, and nothing else."""

import inspect
import re

import numpy as np
import pytest

import densa
from densa import _core, ops
from densa.utils import tree
from predict import more_row_cases, row_cases
from predict.row_cases import CASES, INPUTS, ROUNDABOUT, ROWS, arrays, names_of
from predict_files import edited, file_bytes, read

pytestmark = pytest.mark.cpu_only("what freezes is the same everywhere")

# Functions that take no array of the batch, or give none.
APART = {"convert_to_numpy", "is_tensor", "ndim", "size"}
# A function that looks at values: no recording, so nothing freezes (tests/ops/test_public.py).
APART |= {"bincount"} | more_row_cases.ELSEWHERE
# Ops of the engine that only gradients, training and models that are no functions of rows use.
NOT_HERE = re.compile(
    r".*_grad|.*_slope|unary_curve|accuracy_sparse|affine_transform|dropout|random_.*|round_.*|"
    r"row_count|sum_to"
)


class Case(densa.Model):
    def __init__(self, function):
        super().__init__(name="case")
        self.function = function

    def call(self, x):
        return self.function(**x)


def results(model, x):
    return [np.asarray(y) for y in tree.flatten(model(x))]


def close(a, b):
    return (
        a.shape == b.shape
        and a.dtype == b.dtype
        and np.allclose(a, b, rtol=1e-5, atol=1e-6, equal_nan=a.dtype.kind == "f")
    )


def works_row_by_row(model, x, rng):
    """Whether rows of the results depend on their own row of x alone, by numbers."""
    whole = results(model, x)
    if not all(y.ndim and len(y) == ROWS for y in whole):
        return False
    order = rng.permutation(ROWS)
    try:
        mixed = results(model, {k: v[order] for k, v in x.items()})
        cut = {n: results(model, {k: v[:n] for k, v in x.items()}) for n in (2, 4)}
    except (ValueError, IndexError):
        return False
    if not all(close(y[order], z) for y, z in zip(whole, mixed, strict=True)):
        return False
    for n, parts in cut.items():
        if not all(close(y[:n], z) for y, z in zip(whole, parts, strict=True)):
            return False
    for row in range(ROWS):
        other = arrays(x, rng)
        for k, v in x.items():
            other[k][row] = v[row]
        if not all(
            close(y[row], z[row]) for y, z in zip(whole, results(model, other), strict=True)
        ):
            return False
    return True


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("label", CASES)
def test_what_works_row_by_row_freezes_and_nothing_else(label):
    rng = np.random.default_rng(0)
    model = Case(CASES[label])
    x = arrays(names_of(CASES[label]), rng)
    inputs = {k: densa.Input(INPUTS[k][0], dtype=INPUTS[k][1], name=k) for k in x}
    by_rows = works_row_by_row(model, x, rng)
    assert by_rows or label not in ROUNDABOUT
    if not by_rows or label in ROUNDABOUT:
        with pytest.raises(ValueError, match=r"freeze: ") as caught:
            model.freeze(inputs=inputs)
        assert "run_eagerly" not in str(caught.value)  # which would not help
        return
    predictor = model.freeze(inputs=inputs)
    wanted = results(model, x)
    got = [np.asarray(y) for y in tree.flatten(predictor(x))]
    for y, t in zip(got, wanted, strict=True):
        np.testing.assert_allclose(y, t, rtol=1e-5, atol=1e-5)
    one = tree.flatten(predictor({k: v[2:3] for k, v in x.items()}))
    for y, t in zip(one, got, strict=True):
        np.testing.assert_array_equal(y, t[2:3])


def test_the_cases_have_every_function_and_op():
    text = inspect.getsource(row_cases) + inspect.getsource(more_row_cases)
    missing = [n for n in ops.__all__ if not re.search(rf"\b{n}\b", text) and n not in APART]
    assert missing == []
    used = set()
    for case in CASES.values():
        program = _core.Program()
        try:
            with program, _core.no_grad():
                x = {
                    k: program.input(k, (None, *INPUTS[k][0]), INPUTS[k][1]) for k in names_of(case)
                }
                case(**x)
        except (ValueError, TypeError):
            pass  # what it did before it was refused counts
        used |= {node[0] for node in program.contents()[1]}
    assert {n for n in _core.op_names() if n not in used and not NOT_HERE.fullmatch(n)} == set()


def in_a_file(function, change, *names):
    """The bytes of the frozen function's file, where the node of an op is changed."""
    program = _core.Program()
    with program, _core.no_grad():
        inputs = [program.input(k, (None, *INPUTS[k][0]), INPUTS[k][1]) for k in names]
        program.output("y", function(*inputs))
    predictor, _ = program.freeze(["y"], names=[], fold=False, merge=False)

    def changed(header, net):
        for node in net["nodes"]:
            change(node, net)

    data = file_bytes(predictor)
    read(data)
    return edited(data, changed)


def test_a_file_whose_ops_mix_rows_is_refused():
    def look_up_rows(node, net):
        if node["op"] == "embedding":
            node["in"][0] = next(
                i for i, v in enumerate(net["values"]) if v["kind"] == "input" and v["shape"][1:]
            )

    def move_rows(node, net):
        if node["op"] == "pad_slice":
            node["attrs"]["begin"][0] = 1

    def over_rows(node, net):
        if node["op"] == "softmax":
            node["attrs"]["axis"] = 0

    for message, *case in [
        ("mixes the rows", lambda x: ops.softmax(x, axis=1), over_rows, "x"),
        ("mixes the rows", lambda x, j: x * table_rows(j), look_up_rows, "x", "j"),
        ("moves the rows", lambda x: ops.pad(x, ((0, 0), (1, 2))), move_rows, "x"),
    ]:
        with pytest.raises(ValueError, match=message):
            read(in_a_file(*case), check=False)


def table_rows(ids):
    return _core.apply("embedding", row_cases.TABLE, ids)
