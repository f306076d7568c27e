"""What a certificate says is what can be measured."""

import dataclasses
import json

import numpy as np
import pytest

import densa
from densa import _core, _folding, layers
from densa._certificate import Certificate, _agreement, generate, row_error
from predict_nets import (
    NETS,
    data_for,
    dense_net,
    image_net,
    move_weights,
    norm_net,
    wide_net,
)


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


# ---- beside model.predict ------------------------------------------------------------------------


@pytest.fixture(params=["float32", "float64", "mixed_bfloat16", "mixed_float16"])
def policy(request):
    before = densa.config.dtype_policy()
    densa.config.set_dtype_policy(request.param)
    yield request.param
    densa.config.set_dtype_policy(before)


def worst_row(answers, wanted):
    """The largest error of a row over its norm, one row after the other."""
    worst = 0.0
    for y, t in zip(answers, wanted, strict=True):
        for a, b in zip(y.astype("float64"), t.astype("float64"), strict=True):
            worst = max(worst, np.sqrt(((a - b) ** 2).sum()) / np.sqrt((b**2).sum()))
    return worst


@pytest.mark.parametrize("off", [{}, {"fold": False, "merge": False, "prune": False}])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("make", [norm_net, wide_net, image_net])
def test_the_model_is_what_predict_returns(policy, make, dtype, off):
    model = make()
    move_weights(model)
    unfolded = model.freeze("float64", fold=False, merge=False, prune=False)
    arrays = data_for(unfolded, 40, seed=5)
    names = [spec.name for spec in unfolded.inputs]
    given = arrays[0] if len(arrays) == 1 else dict(zip(names, arrays, strict=True))
    predictor = model.freeze(dtype, calibration=given, **off)
    told = predictor.certificate
    own = model.predict(given, verbose=0)
    own = own if isinstance(own, list) else [own]
    alike = [
        y.dtype == t.dtype and y.tobytes() == t.tobytes()
        for y, t in zip(predictor.run(arrays), own, strict=True)
    ]
    assert told.same_bits == all(alike)
    if policy == dtype and off:
        assert told.same_bits
    if policy != dtype:
        assert not told.same_bits
        assert "not the bits of model.predict" in str(told)
    np.testing.assert_allclose(
        told.model_row_error, worst_row(own, unfolded.run(arrays)), rtol=1e-6, atol=1e-15
    )
    if "mixed" in policy:
        assert told.model_row_error > 1e-4
        assert told.max_row_error < 1e-4
        assert any("computed in more" in line for line in told.removed)


@pytest.mark.parametrize("what", ["raises", "labels", "another"])
def test_a_predict_that_gives_something_else(what):
    class Own(densa.Sequential):
        def predict_step(self, data):
            y = super().predict_step(data)
            if what == "raises":
                raise RuntimeError("not for this")
            return densa.ops.argmax(y, axis=1) if what == "labels" else y + 1

    model = Own([densa.Input((3,)), layers.Dense(4)])
    told = model.freeze().certificate
    assert not told.same_bits
    assert told.max_row_error < 1e-4
    if what == "another":
        assert told.model_row_error > 0.1
    else:
        assert np.isnan(told.model_row_error)


# ---- NaN and infinities --------------------------------------------------------------------------


def test_nan_agrees_with_nan_alone():
    nan, inf = np.nan, np.inf
    exact = np.array([[nan, 1, 2], [nan, 2, 1], [nan] * 3, [0, 1, 2], [0, nan, 2], [0, 1, inf]])
    answers = np.array([[nan, 1, 2], [nan, 1, 2], [nan] * 3, [nan, 1, 2], [0, 1, 2], [0, 1, inf]])
    for row, agrees in enumerate([True, False, True, False, False, True]):
        assert _agreement([answers[[row]]], [exact[[row]]]) == agrees, row
    assert _agreement([answers], [exact]) == 0.5


@pytest.fixture
def logs():
    """Two outputs; one has NaN in the rows with a negative number."""
    x = densa.Input((2,), name="x")
    return [densa.ops.log(layers.Dense(2, name="a")(x)), layers.Dense(3, name="b")(x), x]


@pytest.mark.parametrize("first", [0, 1])
def test_nan_shows_wherever_it_stands(logs, first, tmp_path):
    *outputs, x = logs
    model = densa.Model(x, [outputs[first], outputs[1 - first]])
    move_weights(model)
    predictor = model.freeze()
    told = predictor.certificate
    for error in (told.max_abs_error, told.max_ulp_error, told.max_row_error, told.model_row_error):
        assert np.isnan(error)
    rows = np.random.default_rng(0).standard_normal((256, 2)).astype("float32")
    bad = ~np.isfinite(predictor(rows)[first]).all(axis=1)
    assert told.non_finite_rows == bad.sum() > 0
    assert f"{bad.sum()} rows have answers that are NaN or infinite" in str(told)
    assert told.same_bits
    assert told.argmax_agreement == 1
    predictor.save(tmp_path / "a.densa")
    assert str(densa.Predictor.load(tmp_path / "a.densa").certificate) == str(told)


def test_answers_that_are_lost_are_infinite_errors():
    model = densa.Sequential(
        [densa.Input((1,)), layers.Dense(2, "relu"), layers.Dense(2, use_bias=False)]
    )
    for variable in model.trainable_variables:
        variable.assign(np.full(variable.shape, 1e25))
    told = model.freeze(calibration=np.ones((5, 1), "float32")).certificate
    assert told.max_abs_error == told.max_row_error == told.model_row_error == np.inf
    assert told.non_finite_rows == 5
    assert told.same_bits


def test_a_minus_before_zero_is_another_bit():
    model = densa.Sequential([densa.Input((2,)), layers.Rescaling(-1.0)])
    told = model.freeze(calibration=np.zeros((3, 2), "float32")).certificate
    x = np.zeros((3, 2), "float32")
    same = model.freeze()(x).tobytes() == model.predict(x, verbose=0).tobytes()
    assert told.same_bits == same


def test_shares_are_rounded_down():
    told = dataclasses.replace(dense_net().freeze().certificate, argmax_agreement=1 - 1e-6)
    assert "argmax agrees on 99.99%" in str(told)


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
    assert not plain.same_bits  # `predict` computes in float32


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


def test_ids_may_be_floats():
    ids, plain = densa.Input((3,)), densa.Input((2,))
    parts = [layers.Flatten()(layers.Embedding(37, 4)(ids)), layers.CategoryEncoding(50)(ids)]
    model = densa.Model([ids, plain], layers.Dense(2)(layers.Concatenate()([*parts, plain])))
    probe = model.freeze("float64", fold=False)
    drawn, numbers = generate(probe, probe)
    assert (drawn.dtype, len(np.unique(drawn)), drawn.max()) == ("float32", 37, 36)
    assert numbers.min() < -1
    assert (numbers % 1).all()


@pytest.mark.parametrize("dtype", ["float32", "int32"])
def test_rows_that_cannot_be_made_up_are_asked_for(dtype):
    front = [densa.Input((3,), dtype=dtype), layers.Lambda(lambda x: x - 1)]
    model = densa.Sequential([*front, layers.Embedding(9, 4)])
    with pytest.raises(ValueError, match=r"id -1 .* ids go from 0 to 8\).*calibration=rows"):
        model.freeze()
    assert model.freeze(calibration=np.array([[1, 9, 3]])).certificate.same_bits


def test_answers_that_are_not_finite_stay_with_the_file(tmp_path):
    model = densa.Sequential([densa.Input((6,)), layers.Lambda(densa.ops.log), layers.Dense(3)])
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


@pytest.mark.parametrize("later", [False, True])
def test_a_file_of_before_or_later(tmp_path, later):
    predictor = wide_net().freeze()
    kept = predictor.certificate.to_dict()
    if later:
        kept["another_error"] = [1, 2]
    else:
        del kept["non_finite_rows"]
    notes = {"certificate": json.dumps(kept), "structure": "[null,null]"}
    header, arena = _core.predictor_file(predictor, notes)
    (tmp_path / "a.densa").write_bytes(header + arena.tobytes())
    assert densa.Predictor.load(tmp_path / "a.densa").certificate == predictor.certificate


def test_it_cannot_be_replaced():
    predictor = dense_net().freeze()
    with pytest.raises(AttributeError):
        predictor.certificate = None
    assert "measured when it was frozen" in type(predictor).certificate.__doc__


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


@pytest.mark.parametrize(
    ("given", "error", "text"),
    [
        (np.ones((0, 2), "float32"), ValueError, "at least one row is needed; received 0"),
        ([], ValueError, r"must have shape \(rows, 2\) but has shape \(0,\)"),
        (np.float32(1), ValueError, r"but has shape \(\)"),
        (np.array([["a", "b"]]), TypeError, "must be numbers of float32; received <U1"),
        (np.array([[1, None]], object), TypeError, "received object"),
        (np.ones((2, 2), "complex64"), TypeError, "received complex64"),
    ],
)
def test_wrong_calibration(given, error, text):
    model = densa.Sequential([densa.Input((2,)), layers.Dense(3)])
    for dtype in ("float32", "int8"):
        with pytest.raises(error, match=f"calibration: .*{text}"):
            model.freeze(dtype, calibration=given)


def test_wrong_calibration_of_several_inputs():
    model = wide_net()
    numbers, ids = np.ones((3, 6), "float32"), np.ones((3, 2), "int32")
    assert model.freeze(calibration={"numbers": numbers, "ids": ids}).certificate.rows == 3
    with pytest.raises(ValueError, match=r"different numbers of rows: \[2, 3\]"):
        model.freeze(calibration={"numbers": numbers, "ids": ids[:2]})
    for bad in (0.5, np.nan, 3e9):
        with pytest.raises(ValueError, match="'ids' has numbers that are none of int32"):
            model.freeze(calibration={"numbers": numbers, "ids": ids * bad})


@pytest.mark.parametrize("dtype", [">f4", "float64", "float16", "int64", "bool"])
def test_calibration_of_other_types(dtype):
    model = densa.Sequential([densa.Input((2,)), layers.Dense(3)])
    x = np.asfortranarray(np.ones((4, 2), dtype))[::2]
    assert model.freeze("int8", calibration=x).certificate.rows == 2


# ---- odd models ----------------------------------------------------------------------------------


@pytest.mark.cpu_only("predict of a fixed batch is the same everywhere")
@pytest.mark.parametrize("rows", [8, 256, 5])
def test_a_fixed_batch_is_compared_in_its_own_size(rows):
    x = densa.Input(batch_shape=(8, 4))
    h = densa.ops.broadcast_to(layers.Dense(3)(x)[:, None], (8, 5, 3))  # needs the size
    model = densa.Model(x, densa.ops.reshape(h, (8, 15)))
    given = np.random.default_rng(0).normal(size=(rows, 4)).astype("float32")
    told = model.freeze(calibration=given, fold=False, merge=False, prune=False).certificate
    assert told.rows == rows
    assert told.same_bits
    assert told.model_row_error < 1e-6


@pytest.mark.parametrize("number", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("all_of_them", [False, True])
def test_weights_that_are_not_finite_are_named(number, all_of_them, recwarn):
    x = densa.Input((4,))
    h = layers.BatchNormalization()(layers.Dense(3, name="odd")(x))
    model = densa.Model(x, [h, densa.ops.sum(h, axis=1, keepdims=True)])
    kernel, bias = model.layers[1].get_weights()
    kernel[slice(None) if all_of_them else (0, 0)] = number
    model.layers[1].set_weights([kernel, bias])
    told = model.freeze().certificate
    count = 12 if all_of_them else 1
    assert told.non_finite_weights == (f"odd/kernel: {count} of 12 numbers",)
    assert f"not finite: odd/kernel: {count} of 12 numbers" in str(told)
    assert told.non_finite_rows == told.rows
    assert not [w for w in recwarn if issubclass(w.category, RuntimeWarning)]
    again = Certificate.from_dict(told.to_dict())
    assert again.non_finite_weights == told.non_finite_weights
