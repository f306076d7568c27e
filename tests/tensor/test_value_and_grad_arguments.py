"""What `value_and_grad` says of positions that are none."""

import numpy as np
import pytest

import densa


def test_variables_are_no_positions():
    with pytest.raises(TypeError, match="make them an argument"):
        densa.value_and_grad(lambda: 0.0, [densa.Variable(np.ones(2, "float32"))])


@pytest.mark.parametrize(("position", "args"), [(1, 1), (-2, 1), (0, 0)])
def test_no_argument_there(position, args):
    with pytest.raises(ValueError, match=f"position {position} .* called with {args} by position"):
        densa.value_and_grad(lambda a=1.0: a * a, position)(*[np.ones(1)] * args)
