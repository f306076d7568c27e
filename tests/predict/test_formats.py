"""bfloat16 and int8 weights: what they compute, how they are chosen, what the file keeps."""

import copy
import json
import pickle

import numpy as np
import pytest

import densa
from densa import _core, _formats, layers
from predict_files import edited, file_bytes, put, read
from predict_nets import NETS, data_for, dense_net, move_weights

NARROW = ["bfloat16", "int8"]
# A change of an output, as a part of its norm: 8 bits of precision in x and w, summed over a few
# layers of these small networks. int8 divides the range of a row or column into 255 or 254 parts.
BOUND = {"bfloat16": 0.01, "int8": 0.04}


def all_in(model, form, **options):
    names = model.freeze().formats
    return model.freeze(formats=dict.fromkeys(names, form), **options)


@pytest.fixture(params=NETS, ids=lambda make: make.__name__)
def model(request):
    made = request.param()
    move_weights(made)
    return made


@pytest.fixture(params=NARROW)
def form(request):
    return request.param


# ---- what they compute ---------------------------------------------------------------------------


def to_bfloat16(x):
    """Rounded to 8 bits of precision, ties to even."""
    fraction, exponent = np.frexp(x.astype("float64"))
    return np.ldexp(np.rint(fraction * 256) / 256, exponent)


def int8_weights(w):
    scale = np.abs(w).max(0) / 127
    return np.rint(w / np.where(scale > 0, scale, 1)), scale


def one_layer(rows, inputs, outputs, seed=0):
    rng = np.random.default_rng(seed)
    layer = layers.Dense(outputs, name="one")
    model = densa.Sequential([densa.Input((inputs,)), layer])
    layer.bias.assign(rng.normal(size=outputs))
    x = (rng.normal(size=(rows, inputs)) + 0.3).astype("float32")
    return model, x, layer.kernel.numpy().astype("float64"), layer.bias.numpy().astype("float64")


SIZES = [(1, 1, 1), (2, 3, 17), (5, 4, 16), (33, 65, 33), (17, 130, 100), (64, 31, 15)]


@pytest.mark.parametrize("sizes", SIZES)
def test_a_bfloat16_layer(sizes):
    model, x, w, b = one_layer(*sizes)
    y = model.freeze(formats={"one": "bfloat16"})(x)
    x, w = to_bfloat16(x), to_bfloat16(w)
    # Each addition in float32 rounds by 2^-23 of what was added up at most.
    bound = 2.0**-23 * (x.shape[1] + 2) * (np.abs(x) @ np.abs(w) + np.abs(b))
    assert np.all(np.abs(y - (x @ w + b)) <= bound)


def int8_product(x, w, b, scale, zero):
    u = np.clip(np.rint(x / scale) + zero, 0, 255)
    q, per_column = int8_weights(w)
    return (u - zero) @ q * (scale * per_column) + b, np.abs(q).sum(0) * scale * per_column


@pytest.mark.parametrize("sizes", SIZES)
def test_an_int8_layer(sizes):
    model, x, w, b = one_layer(*sizes)
    y = model.freeze(formats={"one": "int8"})(x)
    low, high = np.minimum(x.min(1, keepdims=True), 0), np.maximum(x.max(1, keepdims=True), 0)
    scale = (high - low).astype("float64") / 255
    wanted, unit = int8_product(x, w, b, scale, np.rint(-low / scale))
    # A number that lies between two steps may be rounded either way in float32: those are rare.
    assert np.all(np.abs(y - wanted) <= 0.01 * unit + 1e-6 * (np.abs(wanted) + np.abs(b)))


@pytest.mark.parametrize("sizes", SIZES)
def test_an_int8_layer_with_a_scale_for_all_rows(sizes):
    model, x, w, b = one_layer(*sizes)
    seen = x[: (len(x) + 1) // 2]  # other rows go beyond it
    y = model.freeze(formats={"one": "int8"}, calibration=seen)(x)
    low, high = min(seen.min(), 0), max(seen.max(), 0)
    scale = float(np.float32((float(high) - float(low)) / 255))
    wanted, unit = int8_product(x, w, b, scale, np.rint(-float(low) / scale))
    assert np.all(np.abs(y - wanted) <= 0.01 * unit + 1e-6 * (np.abs(wanted) + np.abs(b)))


def test_outputs_stay_near_float32(model, form):
    plain = model.freeze()
    arrays = data_for(plain, 200)
    for predictor in (all_in(model, form), all_in(model, form, calibration=given(plain, arrays))):
        assert set(predictor.formats.values()) <= {form}
        for y, t in zip(predictor.run(arrays), plain.run(arrays), strict=True):
            change = np.linalg.norm(y.astype("float64") - t) / np.linalg.norm(t)
            assert change > 0
            assert change < BOUND[form]


def given(predictor, arrays):
    names = [spec.name for spec in predictor.inputs]
    return dict(zip(names, arrays, strict=True)) if len(names) > 1 else arrays[0]


@pytest.mark.parametrize("static", [False, True])
def test_rows_do_not_depend_on_each_other(model, form, static):
    arrays = data_for(model.freeze(), 300)
    options = {"calibration": given(model.freeze(), arrays)} if static else {}
    predictor = all_in(model, form, **options)
    whole = predictor.run(arrays)
    for cut in [slice(i, i + 1) for i in range(0, 300, 7)] + [slice(3, 40), slice(100, 260)]:
        for y, t in zip(predictor.run([a[cut] for a in arrays]), whole, strict=True):
            np.testing.assert_array_equal(y, t[cut])


@pytest.mark.parametrize("rows", [1, 5, 40, 65, 500])
def test_threads_do_not_change_a_bit(model, form, rows):
    predictor = all_in(model, form)
    arrays = data_for(predictor, rows)
    before = densa.get_num_threads()
    results = []
    try:
        for threads in (1, 2, 3):
            densa.set_num_threads(threads, exact=True)
            results.append(predictor.run(arrays))
    finally:
        densa.set_num_threads(before)
    for other in results[1:]:
        for y, t in zip(other, results[0], strict=True):
            np.testing.assert_array_equal(y, t)


@pytest.mark.parametrize("static", [False, True])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_row_that_is_not_finite_stays_alone(form, bad, static):
    model, x, _, _ = one_layer(5, 20, 7)
    options = {"calibration": x} if static else {}
    predictor = model.freeze(formats={"one": form}, **options)
    wanted = predictor(x)
    x[2, 3] = bad
    y = predictor(x)
    assert not np.isfinite(y[2]).any()
    np.testing.assert_array_equal(np.delete(y, 2, 0), np.delete(wanted, 2, 0))


@pytest.mark.parametrize("static", [False, True])
@pytest.mark.parametrize("form", ["float32", *NARROW])
@pytest.mark.parametrize("shape", [(5,), (2, 1, 3), (1,)])
def test_an_input_of_more_axes_is_many_rows(shape, form, static):
    one, x, _, _ = one_layer(60, 65, 33)
    deep = densa.Sequential([densa.Input((*shape, 65)), layers.Dense(33, name="one")])
    deep.set_weights(one.get_weights())
    xs = x.reshape(-1, *shape, 65)
    options = [{"calibration": rows} if static else {} for rows in (x, xs)]
    plain = one.freeze(formats={"one": form}, **options[0])
    predictor = deep.freeze(formats={"one": form}, **options[1])
    wanted = plain(x).reshape(-1, *shape, 33)
    np.testing.assert_array_equal(predictor(xs), wanted)
    for part in (slice(0, 1), slice(3, 10)):  # of one row the panels are not its memory, either
        np.testing.assert_array_equal(predictor(xs[part]), wanted[part])
    (step,) = (line.split() for line in predictor.explain().splitlines() if " (65x33) " in line)
    assert step[0] == ("dense" if form == "float32" else form)


def test_layers_may_differ():
    model = dense_net()
    formats = {"dense": "int8", "dense_1": "float32", "dense_2": "bfloat16", "dense_3": "int8"}
    names = list(model.freeze().formats)
    formats = dict(zip(names, formats.values(), strict=True))
    predictor = model.freeze(formats=formats)
    assert predictor.formats == formats
    text = predictor.explain()
    assert text.count("int8 dense") == 2
    assert text.count("bfloat16 dense") == 1
    assert text.count("constant in int8") == 2


def test_a_layer_that_is_used_twice_has_two_names(form):
    x = densa.Input((6,))
    layer = layers.Dense(6, "relu", name="same")
    model = densa.Model(x, layer(layer(x)))
    assert list(model.freeze().formats) == ["same", "same:2"]
    predictor = model.freeze(formats={"same:2": form})
    assert predictor.formats == {"same": "float32", "same:2": form}
    x = np.ones((3, 6), "float32")
    np.testing.assert_allclose(predictor(x), model.freeze()(x), rtol=0.1, atol=0.02)


def test_a_layer_that_is_used_twice_is_held_once(form):
    x = densa.Input((64,))
    layer = layers.Dense(64, "relu", name="same")
    model = densa.Model(x, layer(layer(layer(x))))
    once = densa.Sequential([densa.Input((64,)), layers.Dense(64, "relu", name="same")])
    for made in (model.freeze(formats=dict.fromkeys(model.freeze().formats, form)), model.freeze()):
        plain = once.freeze(formats={"same": made.formats["same"]})
        assert made.certificate.bytes == plain.certificate.bytes
        assert made.certificate.model_bytes == plain.certificate.model_bytes
        assert made.certificate.flops == 3 * plain.certificate.flops


def test_formats_bring_their_ranges_along(form, tmp_path):
    model = dense_net()
    x = data_for(model.freeze(), 50)[0]
    names = model.freeze().formats
    calibrated = model.freeze(formats=dict.fromkeys(names, form), calibration=x[:20])
    calibrated.save(tmp_path / "a.densa")
    formats = densa.Predictor.load(tmp_path / "a.densa").formats
    assert formats == calibrated.formats == dict.fromkeys(names, form)
    for same in (calibrated.formats, formats, pickle.loads(pickle.dumps(formats)),
                 copy.deepcopy(formats)):  # fmt: skip
        again = model.freeze(formats=same)
        np.testing.assert_array_equal(again(x), calibrated(x))
        assert again.explain() == calibrated.explain()
    # Plain words have none, and rows that are given have others.
    plain = model.freeze(formats=json.loads(json.dumps(formats)))
    np.testing.assert_array_equal(plain(x), model.freeze(formats=dict.fromkeys(names, form))(x))
    other = model.freeze(formats=formats, calibration=3 * x)
    wanted = model.freeze(formats=dict.fromkeys(names, form), calibration=3 * x)
    np.testing.assert_array_equal(other(x), wanted(x))
    if form == "int8":
        assert not np.array_equal(plain(x), calibrated(x))
        assert not np.array_equal(other(x), calibrated(x))


@pytest.mark.parametrize("formats", ["int8", ["int8"], 3, {"one"}])
def test_formats_are_a_mapping(formats):
    model, _, _, _ = one_layer(1, 5, 3)
    with pytest.raises(TypeError, match=r"formats is a format for layers by name.*dtype='int8'"):
        model.freeze(formats=formats)
    for bad in ({"one": 3}, {"one": ["int8"]}, {"one": None}):
        with pytest.raises(ValueError, match="format of 'one' must be one of"):
            model.freeze(formats=bad)
    for budget in ("1%", True, [0.1]):
        with pytest.raises(TypeError, match="budget is a number"):
            model.freeze("int8", budget=budget)
    assert model.freeze("int8", budget=np.float32(0.1)).formats.keys() == {"one"}


# ---- choosing ------------------------------------------------------------------------------------


@pytest.fixture
def timed(monkeypatch):
    """Decides what is measured: the ratios of each layer's time to float32's, or of a format's."""
    ratios = {}

    def decided(plain, tried, i, layer):
        form = list(tried.formats.values())[i]
        return ratios.get(form, ratios.get(i, [0.5, 0.5]))

    monkeypatch.setattr(_formats, "_ratios", decided)
    return ratios


def test_a_format_is_kept_where_it_is_faster(form, timed):
    model = dense_net()
    timed[1] = [1.2, 0.9]
    predictor = model.freeze(dtype=form, calibration=data_for(model.freeze(), 100)[0])
    assert list(predictor.formats.values()) == [form, "float32", form, form]
    assert list(predictor.certificate.formats) == list(predictor.formats)
    texts = list(predictor.certificate.formats.values())
    assert texts[0].startswith(f"{form}, {form} takes 50% of the time at 1 rows and 50% of")
    assert texts[1].startswith(f"float32, {form} takes 120% of the time at 1 rows and 90% of")
    assert f"format: {next(iter(predictor.formats))} {form}" in str(predictor.certificate)


def test_what_breaks_the_budget_goes(timed):
    model = dense_net()
    move_weights(model)
    x = data_for(model.freeze(), 100)[0]
    predictor = model.freeze(dtype="int8", calibration=x, budget=0)
    assert set(predictor.formats.values()) == {"float32"}
    assert str(predictor.certificate).count("more than the budget of 0.00%") == 4
    np.testing.assert_array_equal(predictor(x), model.freeze()(x))
    name = next(iter(predictor.formats))
    held = model.freeze(dtype="int8", calibration=x, budget=0, formats={name: "int8"})
    assert list(held.formats.values()) == ["int8", "float32", "float32", "float32"]
    # A part of the budget keeps a part of the layers, and the outputs within it.
    full = model.freeze(dtype="int8", calibration=x, budget=1)
    change = np.linalg.norm(full(x) - model.freeze()(x)) / np.linalg.norm(model.freeze()(x))
    some = model.freeze(dtype="int8", calibration=x, budget=0.7 * float(change))
    assert 0 < list(some.formats.values()).count("int8") < 4
    change = np.linalg.norm(some(x) - model.freeze()(x)) / np.linalg.norm(model.freeze()(x))
    assert change <= 0.7 * np.linalg.norm(full(x) - model.freeze()(x))


def change_of(predictor, plain, x):
    return float(np.linalg.norm(predictor(x) - plain(x)) / np.linalg.norm(plain(x)))


def test_bfloat16_where_int8_breaks_the_budget(timed):
    model, x, _, _ = one_layer(200, 65, 33)
    plain = model.freeze()
    changes = {form: change_of(model.freeze(formats={"one": form}), plain, x) for form in NARROW}
    assert changes["bfloat16"] < 0.7 * changes["int8"]
    between = (changes["bfloat16"] * changes["int8"]) ** 0.5
    predictor = model.freeze("int8", calibration=x, budget=between)
    assert predictor.formats == {"one": "bfloat16"}
    text = predictor.certificate.formats["one"]
    assert text.startswith("bfloat16, int8 takes 50% of the time at 1 rows")
    assert f"more than the budget of {between:.2%}; bfloat16 takes 50% of the time" in text
    assert change_of(predictor, plain, x) <= between
    # Not where that breaks the budget as well, nor where it is not faster than float32.
    predictor = model.freeze("int8", calibration=x, budget=changes["bfloat16"] / 2)
    assert predictor.formats == {"one": "float32"}
    timed["bfloat16"] = [0.9, 1.1]
    predictor = model.freeze("int8", calibration=x, budget=between)
    assert predictor.formats == {"one": "float32"}
    assert "bfloat16 takes 90% of the time" in predictor.certificate.formats["one"]


def test_everything_is_measured(model, form):
    """Without a stand-in for the clock: whatever is kept answers within the budget."""
    plain = model.freeze()
    arrays = data_for(plain, 64)
    predictor = model.freeze(dtype=form, calibration=given(plain, arrays))
    assert set(predictor.formats.values()) <= {"float32", "bfloat16", form}
    for y, t in zip(predictor.run(arrays), plain.run(arrays), strict=True):
        assert np.linalg.norm(y.astype("float64") - t) <= BOUND[form] * np.linalg.norm(t)
    again = model.freeze(formats=predictor.formats, calibration=given(plain, arrays))
    for y, t in zip(again.run(arrays), predictor.run(arrays), strict=True):
        np.testing.assert_array_equal(y, t)


def test_without_calibration_rows_are_made_up(model, form, timed):
    predictor = model.freeze(dtype=form)
    assert set(predictor.formats.values()) <= {form}
    assert predictor.certificate.data == "generated"


def test_weights_that_int8_cannot_hold(timed):
    model = dense_net()
    kernel = model.layers[0].kernel
    kernel.assign(np.where(np.arange(kernel.shape[1]) == 2, np.nan, kernel.numpy()))
    first, second = list(model.freeze().formats)[:2]
    with pytest.raises(ValueError, match="column 2 is not"):
        model.freeze(formats={first: "int8"})
    predictor = model.freeze(dtype="int8", budget=1e9)
    assert predictor.formats[first] == "float32"
    assert "must be finite" in predictor.certificate.formats[first]
    assert second in predictor.formats


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"dtype": "int4"}, "dtype must be 'float32'.* received 'int4'"),
        ({"dtype": "float16"}, "dtype must be"),
        ({"formats": {"none": "int8"}}, r"formats names 'none'; the layers are \['one'\]"),
        ({"formats": {"one": "int4"}}, "format of 'one' must be one of"),
        ({"dtype": "int8", "budget": -1}, "budget must be 0 or more"),
        ({"dtype": "int8", "budget": float("nan")}, "budget must be 0 or more"),
        ({"dtype": "int8", "calibration": np.ones((3, 4), "float32")}, "must have shape"),
    ],
)
def test_refusals(options, text):
    model, _, _, _ = one_layer(1, 5, 3)
    with pytest.raises(ValueError, match=text):
        model.freeze(**options)


def test_a_layer_that_was_merged_away_is_named():
    model = densa.Sequential(
        [densa.Input((4,)), *(layers.Dense(3, name=name) for name in "ab"), layers.Dropout(0.5)]
    )
    with pytest.raises(ValueError, match=r"names 'a', .* merged .* merge=False .* are \['b'\]"):
        model.freeze(formats={"a": "int8"})
    with pytest.raises(ValueError, match="names 'dropout.*', which has no product of weights"):
        model.freeze(formats={model.layers[-1].name: "int8"})
    assert model.freeze(formats={"a": "int8"}, merge=False).formats["a"] == "int8"


# ---- files ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("mmap", [True, False])
def test_a_round_trip(model, form, tmp_path, mmap):
    plain = model.freeze()
    arrays = data_for(plain, 70)
    predictor = all_in(model, form, calibration=given(plain, arrays))
    path = tmp_path / "net.densa"
    predictor.save(path)
    loaded = densa.Predictor.load(path, mmap=mmap)
    assert loaded.formats == predictor.formats
    assert loaded.certificate == predictor.certificate
    assert loaded.explain() == predictor.explain()
    for y, t in zip(loaded.run(arrays), predictor.run(arrays), strict=True):
        np.testing.assert_array_equal(y, t)
    again = tmp_path / "again.densa"
    loaded.save(again)
    assert again.read_bytes() == path.read_bytes()


def test_files_are_smaller(tmp_path):
    model = densa.Sequential([densa.Input((256,)), layers.Dense(256, name="one")])
    sizes = {}
    for form in _formats.BUDGETS:
        model.freeze(formats={"one": form}).save(tmp_path / form)
        sizes[form] = (tmp_path / form).stat().st_size
    numbers = 256 * 256
    assert sizes["float32"] - sizes["bfloat16"] >= 2 * numbers - 1000
    assert sizes["float32"] - sizes["int8"] >= 3 * numbers - 4000  # scales and sums of 256 columns


@pytest.fixture(scope="module")
def small_int8():
    model = densa.Sequential([densa.Input((3,)), layers.Dense(4, name="one")])
    return file_bytes(model.freeze(formats={"one": "int8"}, calibration=np.eye(3, dtype="float32")))


def test_the_net_says_how_x_is_quantized(small_int8):
    length = int.from_bytes(small_int8[:8], "little")
    net = json.loads(json.loads(small_int8[8 : 8 + length])["__metadata__"]["net"])
    assert net["nodes"][0]["x"] == {"scale": float(np.float32(1 / 255)), "zero": 0}
    assert [v.get("packing") for v in net["values"]].count("int8") == 1


def packed(net):
    return next(i for i, v in enumerate(net["values"]) if v.get("packing") == "int8")


def change_weights(**changes):
    def change(header, net):
        net["values"][packed(net)].update(changes)

    return change


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (put(["nodes", 0, "x"], {"scale": 0, "zero": 0}), "a scale is 0"),
        (put(["nodes", 0, "x"], {"scale": 1e300, "zero": 0}), "has scale"),
        (put(["nodes", 0, "x"], {"scale": -1, "zero": 0}), "has scale"),
        (put(["nodes", 0, "x"], {"scale": 0.1, "zero": 256}), "has scale"),
        (put(["nodes", 0, "x"], {"scale": 0.1}), "zero"),
        (put(["nodes", 0, "x"], {"scale": 0.1, "zero": 1, "more": 1}), "unknown key"),
        (put(["nodes", 0, "x"], 3), "object"),
        (put(["nodes", 0, "name"], 3), "string"),
        (change_weights(packing="bfloat16"), "constants take|no int8"),
        (change_weights(packing="panels"), "constants take|no int8"),
        (change_weights(dtype="float64"), "narrow|dense|constants"),
        (change_weights(shape=[3, 4, 1]), "no matrix"),
        (change_weights(shape=[2**40, 4]), "not a predictor"),
        (change_weights(shape=[70000, 4]), "constants take|more than"),
    ],
)
def test_a_header_that_lies_is_refused(small_int8, change, text):
    with pytest.raises(ValueError, match=text):
        read(edited(small_int8, change), check=False)


def test_a_flipped_bit_without_the_sum_never_does_harm(small_int8):
    data = bytearray(small_int8)
    passed = 0
    for at in range(len(data)):
        for bit in (0, 3, 6):
            data[at] ^= 1 << bit
            try:
                predictor = read(data, check=False)
            except ValueError:
                pass
            else:
                passed += 1
                predictor.run([np.ones((3, *s.shape[1:]), s.dtype) for s in predictor.inputs])
            data[at] ^= 1 << bit
    assert passed > 100


def test_narrow_weights_stay(form):
    model, _, _, _ = one_layer(1, 5, 3)
    predictor = model.freeze(formats={"one": form})
    with pytest.raises(ValueError, match="narrow already"):
        _core.predictor_with(predictor, [("float32", 0.0, 0)])
