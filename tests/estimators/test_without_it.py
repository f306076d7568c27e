"""densa.sklearn where scikit-learn is not installed."""

import sys

import pytest

import densa


@pytest.mark.parametrize("module", [densa.sklearn, densa.wrappers])
def test_it_says_what_to_install(module, monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    assert "SKLearnClassifier" in dir(module)
    with pytest.raises(ImportError, match=r'pip install "densa\[sklearn\]"'):
        module.SKLearnClassifier  # noqa: B018
