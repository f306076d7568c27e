"""Training runs two ways, and both are tested."""

from __future__ import annotations

import pytest


@pytest.fixture(params=[False, True], ids=["plan", "eager"])
def eager(request):
    return request.param
