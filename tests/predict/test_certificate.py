"""What a certificate says is what can be measured."""

import dataclasses
import json

import numpy as np
import pytest

import densa
from densa import _core, _folding, layers
from densa._certificate import Certificate, generate, row_error
from predict_nets import NETS, data_for, dense_net, move_weights, norm_net, wide_net


@pytest.fixture(params=NETS, ids=lambda make: make.__name__)
def model(request):
    made = request.param()
    move_weights(made)
    return made


def exact(model, arrays):
    """The unfolded network in float64."""
    predictor = model.freeze("float64", fold=False, merge=False, prune=False)
    return predictor.run(arrays)


def test_the_errors_are_those_of_the_data(model):
    plain = model.freeze(fold=False, merge=False, prune=False)
    arrays = data_for(plain, 40, seed=5)
    names = [spec.name for spec in plain.inputs]
    given = arrays[0] if len(arrays) == 1 else dict(zip(names, arrays, strict=True))
    predictor = model.freeze(calibration=given)
    told = predictor.certificate
    answers, wanted = predictor.run(arrays), exact(model, arrays)
    assert (told.data, told.rows) == ("given", 40)
    assert told.max_row_error == row_error(answers, wanted)
    assert told.max_abs_error == max(
        np.abs(y.astype("float64") - t).max() for y, t in zip(answers, wanted, strict=True)
    )
    assert told.model_row_error == row_error(plain.run(arrays), wanted)
    assert told.same_bits == all(
        np.array_equal(a, b) for a, b in zip(answers, plain.run(arrays), strict=True)
    )
    assert told.max_row_error <= 2 * told.model_row_error + 1e-6
    assert 0 < told.max_ulp_error < 1e6
    assert told.argmax_agreement == 1.0


def test_foldings_that_break_the_bound_are_taken_back(monkeypatch):
    model = norm_net()
    move_weights(model)
    folded = model.freeze()
    assert len(folded.certificate.folded) == 2
    assert not folded.certificate.kept
    monkeypatch.setattr(_folding, "FACTOR", 0.0)
    monkeypatch.setattr(_folding, "SLACK", 0.0)
    told = model.freeze().certificate
    assert told.same_bits  # nothing keeps a bound of 0, so nothing is left
    assert not told.folded
    assert len(told.kept) == 2
    assert all("with all foldings the error is" in line for line in told.kept)
    assert model.freeze("float64").certificate.folded  # that is not measured against itself


def test_rows_without_finite_answers_hide_no_errors():
    exact = np.array([[3.0, 4.0], [np.nan, 1.0], [np.inf, 1.0]])
    answers = exact + np.array([[0.5, 0.0], [0.0, 0.0], [0.0, 0.0]])
    assert row_error([answers], [exact]) == 0.1
    answers[0, 0] = np.nan
    assert row_error([answers], [exact]) == np.inf


def test_float64_agrees_with_itself(model):
    told = model.freeze("float64").certificate
    assert told.max_row_error < 1e-12
    plain = model.freeze("float64", fold=False, merge=False, prune=False).certificate
    assert plain.max_row_error == 0
    assert plain.same_bits


def test_nothing_to_fold_keeps_the_bits():
    told = dense_net().freeze().certificate
    assert told.same_bits
    assert (told.folded, told.merged, told.removed) == ((), (), ())
    assert (told.bytes, told.flops) == (told.model_bytes, told.model_flops)


def test_what_was_folded_is_named_and_saves_work():
    told = norm_net().freeze().certificate
    assert len(told.folded) == 2
    assert all("batch" in line for line in told.folded), told.folded
    assert told.bytes < told.model_bytes
    off = norm_net().freeze(fold=False).certificate
    assert off.folded == ()


def test_normalization_and_rescaling_are_folded_by_name():
    x = np.random.default_rng(1).normal(0.3, 2.0, (50, 6)).astype("float32")
    model = densa.Sequential(
        [
            densa.Input((6,)),
            layers.Rescaling(0.5, 0.1),
            layers.Normalization(name="scaler"),
            layers.Dense(8, "relu", name="first"),
            layers.Dense(2),
        ]
    )
    model.layers[1].adapt(model.layers[0](x))
    predictor = model.freeze()
    told = predictor.certificate
    assert told.kept == ()
    (line,) = told.folded
    for part in ("multiply 0.5", "scaler/mean", "scaler/variance", "into", "first/kernel"):
        assert part in line
    dense = densa.Sequential([densa.Input((6,)), *(layers.Dense(n, "relu") for n in (8, 2))])
    assert told.flops == pytest.approx(dense.freeze().certificate.flops, abs=2)
    np.testing.assert_allclose(predictor(x), model.predict(x, verbose=0), rtol=1e-5, atol=1e-6)


def test_norms_of_samples_freeze_as_they_are():
    parts = layers.RMSNormalization(), layers.UnitNormalization()
    for part in parts:
        model = densa.Sequential([densa.Input((6,)), layers.Dense(8), part])
        told = model.freeze().certificate
        assert told.folded == ()
        assert told.max_row_error < 1e-6


def test_merged_and_removed():
    model = densa.Sequential(
        [densa.Input((8,)), layers.Dense(9), layers.Dense(4, "relu"), layers.Dense(2)]
    )
    kernel = model.layers[1].kernel
    dead = kernel.numpy().copy()
    dead[:, 1] = 0
    kernel.assign(dead)
    told = model.freeze().certificate
    assert len(told.merged) == 1
    assert len(told.removed) == 1
    assert told.flops < told.model_flops
    off = model.freeze(merge=False, prune=False).certificate
    assert (off.merged, off.removed) == ((), ())


def test_it_stays_with_the_file(tmp_path):
    predictor = wide_net().freeze()
    predictor.save(tmp_path / "a.densa")
    assert densa.Predictor.load(tmp_path / "a.densa").certificate == predictor.certificate


def test_generated_ids_are_all_that_the_tables_take():
    ids, plain = densa.Input((3,), dtype="int32"), densa.Input((2,), dtype="int8")
    table = layers.Embedding(37, 4)
    both = layers.Concatenate()([layers.Flatten()(table(ids)), layers.Rescaling(0.1)(plain)])
    model = densa.Model([ids, plain], layers.Dense(2)(both))
    probe = model.freeze("float64", fold=False)
    drawn, numbers = generate(probe, probe)
    assert (drawn.min(), drawn.max(), len(np.unique(drawn))) == (0, 36, 37)
    assert (numbers.dtype, numbers.min(), numbers.max()) == ("int8", 0, 127)


def test_answers_that_are_not_finite_stay_with_the_file(tmp_path):
    model = densa.Sequential([densa.Input((6,)), layers.Lambda(densa.ops.log), layers.Dense(3)])
    with np.errstate(invalid="ignore"):
        predictor = model.freeze()
    predictor.save(tmp_path / "net.densa")
    told = densa.Predictor.load(tmp_path / "net.densa").certificate
    assert str(told) == str(predictor.certificate)
    assert np.isnan(told.max_abs_error)


def test_a_file_without_one(tmp_path):
    header, arena = _core.predictor_file(wide_net().freeze(), {})
    (tmp_path / "a.densa").write_bytes(header + arena.tobytes())
    assert densa.Predictor.load(tmp_path / "a.densa").certificate is None


def test_a_file_with_a_wrong_one(tmp_path):
    for text in ["[]", "{}", '{"rows": 3}', "nonsense"]:
        header, arena = _core.predictor_file(wide_net().freeze(), {"certificate": text})
        (tmp_path / "a.densa").write_bytes(header + arena.tobytes())
        with pytest.raises(ValueError, match="certificate"):
            densa.Predictor.load(tmp_path / "a.densa")


def test_as_plain_data_and_text():
    told = norm_net().freeze().certificate
    assert Certificate.from_dict(json.loads(json.dumps(told.to_dict()))) == told
    assert set(told.latency) == {"1", "32"}
    assert all(0 < p50 <= p99 for p50, p99 in told.latency.values())
    assert "float64" in str(told)
    with pytest.raises(dataclasses.FrozenInstanceError):
        told.rows = 3


def test_wrong_arguments():
    model = dense_net()
    with pytest.raises(ValueError, match="dtype must be"):
        model.freeze("float16")
    with pytest.raises((TypeError, ValueError), match="'input"):
        model.freeze(calibration=np.ones((3, 4), "float32"))
