"""Settings shared by all tests."""

from hypothesis import HealthCheck, settings

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
