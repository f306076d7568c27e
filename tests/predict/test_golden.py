"""Files of each version of the format are read for ever, with the answers that they had."""

from pathlib import Path

import numpy as np
import pytest

import densa
from densa import _core

GOLDEN = sorted((Path(__file__).parent / "golden").glob("*.densa"))


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
@pytest.mark.parametrize("mmap", [True, False])
def test_golden(path, mmap):
    predictor = densa.Predictor.load(path, mmap=mmap)
    arrays = np.load(path.with_suffix(".npz"))
    assert [s.name for s in predictor.inputs] == [n[2:] for n in arrays if n.startswith("x_")]
    got = predictor.run([arrays[f"x_{s.name}"] for s in predictor.inputs])
    assert len(got) == len(predictor.outputs)
    for spec, y in zip(predictor.outputs, got, strict=True):
        # Written on a CPU level with fused multiply-add; another rounds each product, too.
        np.testing.assert_allclose(y, arrays[f"y_{spec.name}"], rtol=1e-5, atol=1e-6)


def test_there_are_some_of_each_version():
    versions = [path.stem.rsplit("_v", 1)[1] for path in GOLDEN]
    assert versions.count("1") == 2
    assert versions.count("2") == 1
    for path in GOLDEN:
        assert path.stat().st_size <= 64_000
        header = path.read_bytes()
        assert f'"version":"{path.stem.rsplit("_v", 1)[1]}"'.encode() in header


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_damage_of_a_golden_file_is_an_error_or_changes_nothing(path):
    """A few hundred flips and cuts of each; test_predictor_file.py does all of a smaller one."""
    data = bytearray(path.read_bytes())
    rng = np.random.default_rng(5)
    for _ in range(200):
        at, bit = int(rng.integers(len(data))), 1 << int(rng.integers(8))
        data[at] ^= bit
        with pytest.raises(ValueError, match="not a predictor"):
            _core.read_predictor(bytes(data))
        data[at] ^= bit
        with pytest.raises(ValueError, match="not a predictor"):
            _core.read_predictor(bytes(data[:at]))
    _core.read_predictor(bytes(data))
