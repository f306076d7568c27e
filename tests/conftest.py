"""Settings shared by all tests."""

import importlib.util
import os
import signal

import pytest
from hypothesis import HealthCheck, settings

import densa

# No deadline: a shared machine may be slow at any moment. The long profile is for .ci/long.
settings.register_profile("default", deadline=None, max_examples=50, print_blob=True)
settings.register_profile(
    "long",
    deadline=None,
    max_examples=1000,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("default")

# Keras, where it is installed, runs on the library that is there.
BACKENDS = [name for name in ("torch", "jax", "tensorflow") if importlib.util.find_spec(name)]
os.environ.setdefault("KERAS_BACKEND", BACKENDS[0] if BACKENDS else "numpy")


# The same tests on another device: DENSA_TEST_DEVICE=cuda, with DENSA_CUDA_EMULATED naming the
# emulated module where there is no GPU.
if device := os.environ.get("DENSA_TEST_DEVICE"):
    densa.set_device(device)


def pytest_collection_modifyitems(items):
    """Leaves out on a GPU what is about the CPU."""
    if not device:
        return
    for item in items:
        if mark := item.get_closest_marker("cpu_only"):
            item.add_marker(pytest.mark.skip(reason=f"CPU only: {mark.args[0]}"))


@pytest.fixture(autouse=True, scope="session")
def interrupts():
    """Ctrl-C reaches the tests even where the shell that began them ignores it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def same_numbers():
    """Weights, masks and orders are the same in every run, whichever tests run before."""
    densa.utils.set_random_seed(20)


@pytest.fixture(autouse=True)
def same_defaults():
    """Package-wide settings that a test changes are the defaults again for the next one."""
    yield
    densa.config.set_floatx("float32")
    densa.config.set_dtype_policy(None)
    densa.config.set_epsilon(1e-7)
