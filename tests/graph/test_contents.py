"""`Program.contents`: a recording as plain data."""

import numpy as np

import densa
from densa import _core


def test_values_nodes_and_outputs():
    w = densa.Variable(np.ones((2, 3), "f4"), name="w")
    seen = densa.Variable(0.0, name="seen")
    program = _core.Program()
    with program, _core.no_grad():
        x = program.input("x", (None, 2), "float32")
        assert len(program) == 0
        y = _core.apply("dense", x, w.value, activation="relu")
        y = y[:, ::-1] * 2.5 + np.arange(3, dtype="f4")
        program.output("y", y)
        seen.assign(seen + 1.0)
    values, nodes, outputs = program.contents()
    assert len(program) == len(nodes) == 6
    op, (first, second), (out,), attributes = nodes[0]
    assert (op, attributes) == ("dense", {"activation": "relu"})
    assert values[first] == ("float32", (None, 2), "x")
    assert values[second][:2] == ("float32", (2, 3))
    assert values[second][2] is w
    assert values[out] == ("float32", (None, 3), None)
    assert nodes[1][0] == "slice"
    assert nodes[1][3]["step"] == [1, -1]
    assert values[nodes[2][1][1]] == ("float32", (), 2.5)
    constant = values[nodes[3][1][1]][2]
    np.testing.assert_array_equal(constant.numpy(), [0, 1, 2])
    assert outputs == [("y", nodes[3][2][0])]
    assert [n[0] for n in nodes[3:]] == ["add", "add", "assign"]
