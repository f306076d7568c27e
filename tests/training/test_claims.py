"""`benchmarks/claims.py`: intervals, verdicts and pictures say what was measured."""

from __future__ import annotations

import importlib
import math
import re
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
if not BENCHMARKS.is_dir():
    pytest.skip("no benchmarks beside these tests", allow_module_level=True)
pytest.importorskip("scipy")
sys.path.insert(0, str(BENCHMARKS))
try:
    import claims
    import claims_report
    from claims_cases import CLAIMS, Claim, Trial
    from claims_cases.base import compare, interval, verdict

    data, nets = (importlib.import_module(f"claims_cases.{name}") for name in ("data", "nets"))
finally:
    sys.path.remove(str(BENCHMARKS))


def trial(**changes: Any) -> Trial:
    given: dict[str, Any] = {
        "data": "rows",
        "setup": "3 rows",
        "measure": "accuracy, %",
        "better": "higher",
        "variants": {"old": lambda seed: 1.0 + seed, "new": lambda seed: 2.0 + 1.1 * seed},
    }
    return Trial(**{**given, **changes})


def claim(*trials: Trial) -> Claim:
    return Claim("c", "New < old", "New is better.", "A1", (("new", "old"),), trials)


def test_the_interval_is_student_s() -> None:
    # t(0.975, 4) = 2.7764451
    values = [1.0, 2.0, 3.0, 4.0, 5.0]
    half = 2.7764451 * math.sqrt(2.5 / 5)
    assert interval(values) == (pytest.approx(3.0), pytest.approx(half, rel=1e-7))
    widened = 2.7764451 * math.sqrt(2.5 * (1 / 5 + 0.5))
    assert interval(values, 0.5)[1] == pytest.approx(widened, rel=1e-7)
    assert interval([7.0]) == (7.0, math.inf)


def test_numbers_that_are_not_finite_have_no_interval() -> None:
    with pytest.raises(ValueError, match="finite"):
        interval([1.0, math.nan])


def test_seeds_are_compared_in_pairs() -> None:
    # The values overlap, the differences of seeds do not.
    measured = {"old": [1.0, 5.0, 9.0], "new": [1.5, 5.6, 9.4]}
    (found,) = compare([("new", "old")], trial(), measured)
    assert found.mean == pytest.approx(0.5)
    assert found.verdict == "holds"
    (found,) = compare([("new", "old")], trial(better="lower"), measured)
    assert found.mean == pytest.approx(-0.5)
    assert found.verdict == "does not hold"
    ratios = {"old": [10.0, 1000.0], "new": [100.0, 10000.0]}
    (found,) = compare([("new", "old")], trial(log=True), ratios)
    assert (found.mean, found.half) == (pytest.approx(1.0), pytest.approx(0.0, abs=1e-12))


def test_equal_values_decide_nothing() -> None:
    (found,) = compare([("new", "old")], trial(), {"old": [3.0, 3.0], "new": [3.0, 3.0]})
    assert found.verdict == "undecided"


@pytest.mark.parametrize(
    ("differences", "expected"),
    [
        (([1.0, 1.1], [2.0, 2.1]), "holds"),
        (([1.0, 1.1], [-5.0, 5.0]), "holds in part"),
        (([1.0, 1.1], [-1.0, -1.1]), "holds in part"),
        (([-5.0, 5.0], [-1.0, -1.1]), "does not hold"),
        (([-5.0, 5.0], [-4.0, 5.0]), "undecided"),
    ],
)
def test_verdict_of_several_pairs(differences: Any, expected: str) -> None:
    measured = {"old": [0.0, 0.0], "a": differences[0], "b": differences[1]}
    assert verdict(compare([("a", "old"), ("b", "old")], trial(), measured)) == expected


def test_a_sentence_says_how_much_and_for_how_many_seeds() -> None:
    measured = {"old": [80.0, 81.0, 82.0], "new": [81.0, 82.5, 83.0]}
    text = claims_report.sentence(claim(), trial(), measured)
    assert "rows: holds." in text
    assert "3 seeds" in text
    assert "new 82.17 against old 81, better by 1.17 ± 0.72" in text
    text = claims_report.sentence(claim(), trial(better="lower"), measured)
    assert "rows: does not hold." in text
    assert "worse by 1.17 ± 0.72" in text
    measured = {"old": [10.0, 20.0], "new": [1000.0, 4000.0]}
    text = claims_report.sentence(claim(), trial(log=True), measured)
    assert "new 2000 against old 14.1, better by a factor of 141 (1.73 to 11561)." in text
    text = claims_report.sentence(claim(), trial(), {"old": [1.0, 4.0], "new": [2.0, 4.0]})
    assert "rows: undecided." in text
    assert text.endswith("better by 0.5 ± 6.4, undecided.")
    text = claims_report.sentence(claim(), trial(), {"old": [1.0, 4.0], "new": [2.0, 2.99]})
    assert text.endswith("no difference: 0 ± 13, undecided.")


def test_measuring_goes_on_after_the_seeds_it_has() -> None:
    before = {"old": [0.5], "new": [0.25, 0.75]}
    measured = claims.measure(trial(), 3, before)
    assert measured == {"old": [0.5, 2.0, 3.0], "new": [0.25, 3.1, 4.2]}


def test_a_page_has_sentences_and_small_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seeds = np.random.default_rng(0).normal(5, 1, (2, 10))
    measured = {"old": list(np.exp(seeds[0])), "new": list(np.exp(seeds[1] + 2))}
    first, second = trial(), trial(data="other & rows", log=True, better="lower")
    monkeypatch.setattr(claims_report, "CLAIMS", (claim(first, second),))
    page = tmp_path / "claims.md"
    page.write_text("a\n<!-- benchmarks:begin -->\n<!-- benchmarks:end -->\nb\n")
    section = {
        "machine": {"densa": "0"},
        "date": "today",
        "rows": {"c": {"rows": measured, "other & rows": measured}},
    }
    claims_report.write(page, section)
    text = page.read_text()
    assert "rows: holds; other & rows: does not hold" in text
    assert "![New < old](claims/c.svg)" in text
    picture = (tmp_path / "claims" / "c.svg").read_text()
    assert len(picture) < 15_000
    root = ET.fromstring(picture)
    assert not re.search("nan|inf", picture)
    shapes = [e for e in root.iter() if e.tag.endswith("circle")]
    assert len(shapes) == 4  # means, of two variants on two data sets


def test_what_claims_compare_is_measured() -> None:
    for one in CLAIMS:
        assert len({t.data for t in one.trials}) == len(one.trials), one.name
        for t in one.trials:
            assert {name for pair in one.pairs for name in pair} <= set(t.variants), one.name
            assert list(t.variants) == list(one.trials[0].variants), one.name
            assert t.better in ("higher", "lower")


def test_tables_are_split_by_the_seed_and_standardized_by_training_rows() -> None:
    pytest.importorskip("sklearn")
    (x, y), (xt, yt) = data.CANCER.draw(None, 3)
    assert (len(x), len(xt)) == (569 - 189, 189)
    np.testing.assert_allclose(x.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(x.std(0), 1, atol=1e-5)
    assert abs(xt.mean(0)).max() > 1e-3
    again, other = data.CANCER.draw(None, 3), data.CANCER.draw(None, 4)
    np.testing.assert_array_equal(again[0][0], x)
    assert not np.array_equal(other[1][1], yt)
    (_, y), _ = data.DIABETES.draw(None, 0)
    assert (y.mean(), y.std()) == (pytest.approx(0, abs=1e-6), pytest.approx(1, rel=1e-6))


def test_a_network_that_answers_nan_is_never_right() -> None:
    class Ruined:
        def predict(self, x: Any, **_: Any) -> Any:
            return np.full((len(x), 10), np.nan)

    assert nets.accuracy(Ruined(), (np.zeros((4, 2)), np.zeros(4))) == 0.0


def test_the_calibration_error_is_the_gap_between_sure_and_right() -> None:
    p = np.array([[0.75, 0.25]] * 4)
    assert nets.calibration_error(p, np.array([0, 0, 0, 1])) == pytest.approx(0.0)
    assert nets.calibration_error(p, np.array([0, 1, 1, 1])) == pytest.approx(50.0)


@pytest.mark.cpu_only("the rows and the rate are the same there")
def test_the_best_rate_is_chosen_by_rows_held_back_not_by_test_rows() -> None:
    seen = []

    def train(rate: float, rows: Any) -> Any:
        seen.append(len(rows[0]))

        class Fixed:
            def predict(self, x: Any, **_: Any) -> Any:
                guess = np.zeros((len(x), 10))
                guess[:, int(rate)] = 1
                return guess

        return Fixed()

    found = nets.at_best_rate(data.DIGITS, 100, 0, [float(digit) for digit in range(10)], train)
    (_, y), (_, yt) = data.DIGITS.draw(100, 0)
    commonest = int(np.bincount(y[:20], minlength=10).argmax())
    assert seen == [80] * 10
    assert found == pytest.approx(100 * np.mean(yt == commonest))
