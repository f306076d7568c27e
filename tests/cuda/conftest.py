"""Fixtures of the tests of a GPU, real or emulated."""

import pytest

import densa


@pytest.fixture
def gpu():
    """New tensors and models lie on the GPU; without one the test is skipped."""
    before = densa.get_device()
    try:
        densa.set_device("cuda")
    except RuntimeError as error:
        pytest.skip(f"no GPU: {error}")
    yield
    densa.set_device(before)


@pytest.fixture(params=["bfloat16", "float16"])
def half(request):
    """The 16-bit type of a mixed policy that is set."""
    densa.config.set_dtype_policy(f"mixed_{request.param}")
    yield request.param
    densa.config.set_dtype_policy(None)
