"""Pictures: what is in them, and what is refused. Their looks are for eyes."""

import itertools
import sys

import numpy as np
import pytest

import densa
from densa import viz
from densa.viz import plot_activations, plot_calibration, plot_confusion, plot_history

pytest.importorskip("matplotlib", reason="needs the extra plot")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # matplotlib's own

LAYERS = densa.layers


def curves(ax):
    return {line.get_label(): np.asarray(line.get_xydata()) for line in ax.lines}


def test_history_draws_what_fit_returns(tmp_path):
    model = densa.Sequential([densa.Input((3,)), LAYERS.Dense(1)])
    model.compile("sgd", "mse", metrics=["mae"])
    x = np.random.default_rng(0).normal(size=(40, 3)).astype("float32")
    history = model.fit(x, x[:, :1], epochs=4, validation_split=0.25, verbose=0)
    path = tmp_path / "curves.png"
    figure = plot_history(history, path, title="a line")
    assert path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert [ax.get_ylabel() for ax in figure.axes] == ["loss", "mae"]
    loss = curves(figure.axes[0])
    np.testing.assert_array_equal(loss["training"][:, 0], [1, 2, 3, 4])
    np.testing.assert_array_equal(loss["validation"][:, 1], history.history["val_loss"])
    best = int(np.argmin(history.history["val_loss"]))
    np.testing.assert_array_equal(loss["best"], [[best + 1, history.history["val_loss"][best]]])
    assert sorted(p.name for p in tmp_path.iterdir()) == ["curves.png"]


def test_history_starts_at_its_first_epoch():
    history = densa.callbacks.History()
    for epoch in (5, 6):
        history.on_epoch_end(epoch, {"loss": 1.0})
    line = curves(plot_history(history).axes[0])["training"]
    np.testing.assert_array_equal(line[:, 0], [6, 7])


def test_history_with_nan_marks_the_best_that_is_known():
    values = {"loss": [1.0, 2.0, 3.0], "val_loss": [float("nan"), 2.0, 1.5]}
    best = curves(plot_history(values).axes[0])["best"]
    np.testing.assert_array_equal(best, [[3, 1.5]])


def test_a_panel_without_a_finite_value_says_so():
    nan = float("nan")
    history = {"loss": [nan, float("inf")], "val_loss": [nan, nan], "mae": [nan, 1.0]}
    loss, mae = plot_history(history).axes
    assert "no finite value of loss" in loss.texts[0].get_text()
    assert loss.get_xlim() == (0.5, 2.5)
    assert not mae.texts


def test_one_epoch_has_one_tick():
    (ax,) = plot_history({"loss": [1.0], "val_loss": [1.2]}).axes
    assert ax.get_xlim() == (0.5, 1.5)
    assert list(ax.get_xticks()) == [1]


def test_a_loss_that_begins_with_a_tower_has_a_logarithmic_axis():
    falling = [2.0, 1.0, 0.5, 0.2, 0.1, 0.05]
    assert plot_history({"loss": falling}).axes[0].get_yscale() == "linear"
    assert plot_history({"loss": [1e9, *falling]}).axes[0].get_yscale() == "log"
    assert plot_history({"loss": [1e9, *falling, -0.1]}).axes[0].get_yscale() == "linear"


def test_many_epochs_have_no_dots():
    for count, marker in ((60, "."), (61, "")):
        (ax,) = plot_history({"loss": [1.0 + i for i in range(count)]}).axes
        assert ax.lines[0].get_marker() in (marker, marker if marker else "None")


def boxes(figure, texts):
    figure.canvas.draw()
    return [text.get_window_extent(figure.canvas.get_renderer()) for text in texts]


def test_long_names_stay_in_their_panels():
    long = "another_head_with_a_very_long_name_sparse_categorical_accuracy"
    figure = plot_history({"loss": [1.0, 0.5], long: [0.1, 0.2], "mae": [1.0, 0.5]})
    labels = boxes(figure, [ax.yaxis.label for ax in figure.axes])
    panels = boxes(figure, figure.axes)
    assert figure.axes[1].get_ylabel().replace("\n", "") == long
    for label, panel in zip(labels, panels, strict=True):
        assert panel.y0 - 1 <= label.y0 < label.y1 <= panel.y1 + 1
    model = densa.Sequential([densa.Input((2,)), LAYERS.Dense(1, name=long), LAYERS.Dense(1)])
    figure = viz.plot_weights(model)
    titles = boxes(figure, [ax.title for ax in figure.axes])
    assert all(one.x1 < two.x0 for one, two in itertools.pairwise(titles))


def test_long_class_names_leave_room_for_the_matrix():
    names = ["a class of a long name", "another class with an even longer name", "c"]
    figure = plot_confusion([0, 1, 2], [0, 1, 1], class_names=names, normalize=False)
    matrix, whole = boxes(figure, figure.axes[:1])[0], figure.bbox
    assert matrix.width > 0.3 * whole.width
    assert all(tick == int(tick) for tick in figure.axes[1].get_yticks())


def test_lines_stand_out_from_a_dark_background():
    import matplotlib
    from matplotlib import colors, style

    model = densa.Sequential([densa.Input((3,)), LAYERS.Dense(4, "relu"), LAYERS.Dense(1)])
    model.compile("sgd", "mse")
    doctor = densa.callbacks.Doctor(1, verbose=0)
    x = np.random.default_rng(0).normal(size=(40, 3)).astype("float32")
    model.fit(x, x[:, :1], verbose=0, callbacks=[doctor])
    for name, dark in (("dark_background", True), ("default", False)):
        with matplotlib.rc_context():
            style.use(name)
            figure = viz.plot_health(doctor)
        for line in (line for ax in figure.axes for line in ax.lines):
            if line.get_linestyle() != ":":  # a threshold
                light = np.dot(colors.to_rgb(line.get_color()), (0.3, 0.59, 0.11))
                assert light > 0.25 if dark else light < 0.85


def test_history_draws_a_learning_rate_that_changed():
    values = {"loss": [1.0, 2.0], "learning_rate": [0.1, 0.1]}
    assert len(plot_history(values).axes) == 1
    values["learning_rate"] = [0.1, 0.01]
    assert plot_history(values).axes[1].get_yscale() == "log"


@pytest.mark.parametrize(
    ("history", "arguments", "error", "words"),
    [
        ({}, {}, ValueError, "the history is empty"),
        ({"loss": []}, {}, ValueError, "the history is empty"),
        ({"loss": [1.0]}, {"metrics": ["mae"]}, ValueError, "has no 'mae'; it has loss"),
        ([1.0], {}, TypeError, "expected what `fit` returned or a dict"),
    ],
)
def test_history_refuses(history, arguments, error, words):
    with pytest.raises(error, match=words):
        plot_history(history, **arguments)


def test_schedule_is_that_of_each_step():
    decay = densa.optimizers.schedules.ExponentialDecay(0.1, 10, 0.5)
    figure = viz.plot_schedule({"decay": decay, "flat": lambda step: 0.05}, 30)
    lines = curves(figure.axes[0])
    np.testing.assert_allclose(lines["decay"][:, 1], 0.1 * 0.5 ** (np.arange(30) / 10), rtol=1e-6)
    np.testing.assert_array_equal(lines["flat"][:, 1], 0.05)


@pytest.mark.parametrize(
    ("given", "steps", "error", "words"),
    [
        (lambda step: 1.0, 1, ValueError, "steps must be at least 2; received 1"),
        ({}, 10, ValueError, "no schedule"),
        (0.1, 10, TypeError, "the first is a float"),
    ],
)
def test_schedule_refuses(given, steps, error, words):
    with pytest.raises(error, match=words):
        viz.plot_schedule(given, steps)


def test_lr_finder_is_drawn_into_a_file_and_into_axes(tmp_path):
    model = densa.Sequential([densa.Input((1,)), LAYERS.Dense(1)])
    model.compile("sgd", "mse")
    x = np.linspace(-1, 1, 320, dtype="float32")[:, None]
    finder = densa.callbacks.LRFinder(1e-3, 100.0, num_steps=20)
    with pytest.raises(ValueError, match="call fit with this callback first"):
        viz.plot_lr_finder(finder)
    model.fit(x, 3 * x, epochs=2, callbacks=[finder], verbose=0)
    figure = viz.plot_lr_finder(finder, tmp_path / "rates.png", title="rates")
    assert (tmp_path / "rates.png").stat().st_size > 1000
    (ax,) = figure.axes
    np.testing.assert_array_equal(ax.lines[0].get_xdata(), finder.rates)
    assert list(ax.lines[1].get_xdata()) == [finder.suggestion] * 2
    given = viz.plot_history({"loss": [1.0]}).axes[0]
    assert finder.plot(given) is given
    assert len(given.lines) == 3
    with pytest.raises(TypeError, match="expected an LRFinder, got dict"):
        viz.plot_lr_finder({})


@pytest.mark.parametrize(
    ("steps", "losses"), [(20, [0.002, 0.001, 0.5]), (20, [1.0, 1.0, float("inf")])]
)
def test_lr_finder_keeps_the_explosion_out_of_sight(steps, losses):
    finder = densa.callbacks.LRFinder(1e-3, 1.0, num_steps=steps)
    finder.rates, finder.losses = [1e-3, 1e-2, 1e-1], losses
    low, high = viz.plot_lr_finder(finder).axes[0].get_ylim()
    assert low < min(losses) < high < 3 * max(losses[:2])


def test_weights_have_a_panel_each_and_say_what_is_wrong():
    model = densa.Sequential([densa.Input((4,)), LAYERS.Dense(8), LAYERS.Dense(2)])
    model.layers[0].bias.assign([0, 0, 0, 0, 0, 0, np.nan, 1])
    figure = viz.plot_weights(model)
    titles = [ax.get_title() for ax in figure.axes if ax.get_visible()]
    assert len(titles) == 4
    assert "zero 75%" in titles[1]
    assert "1 not finite" in titles[1]
    assert sum(patch.get_height() for patch in figure.axes[0].patches) == 32


def test_activations_are_those_of_each_layer():
    shared = LAYERS.Dense(4, "relu")
    a, b = densa.Input((4,)), densa.Input((4,))
    model = densa.Model([a, b], LAYERS.Add()([shared(a), shared(b)]))
    x = np.random.default_rng(0).normal(size=(10, 4)).astype("float32")
    figure = plot_activations(model, [x, -x])
    panels = [ax for ax in figure.axes if ax.get_visible()]
    assert len(panels) == 3  # the shared layer twice
    assert all(sum(patch.get_height() for patch in ax.patches) == 40 for ax in panels)
    kernel, bias = (np.asarray(w, np.float64) for w in shared.weights)
    zero = np.mean(x @ kernel + bias <= 0)
    assert f"zero {zero:.0%}" in panels[0].get_title()


def test_activations_of_one_layer():
    model = densa.Sequential([densa.Input((4,)), LAYERS.Dense(3)])
    assert len(plot_activations(model, np.ones((2, 4), "float32")).axes) == 1


def test_activations_refuse_a_model_without_a_graph():
    with pytest.raises(ValueError, match="that is built, got Sequential"):
        plot_activations(densa.Sequential([LAYERS.Dense(2)]), np.ones((2, 4)))


def test_confusion_of_one_column_cuts_probabilities_at_a_half():
    truth, p = [0, 1, 1, 0], np.array([0.5, 0.51, 0.2, 0.0])
    for given in (p, p[:, None]):
        figure = plot_confusion(truth, given, normalize=False)
        np.testing.assert_array_equal(figure.axes[0].images[0].get_array(), [[2, 0], [1, 1]])
    assert len(plot_confusion([0, 0], [[0.2], [0.3]]).axes[0].get_xticks()) == 2
    with pytest.raises(ValueError, match=r"from -1 to 2.5. For logits"):
        plot_confusion([0, 1], [[-1.0], [2.5]])


def test_confusion_counts():
    truth = np.array([0, 0, 1, 2, 2, 2])
    scores = np.eye(3)[[0, 1, 1, 2, 2, 0]]
    figure = plot_confusion(truth, scores, normalize=False)
    np.testing.assert_array_equal(
        figure.axes[0].images[0].get_array(), [[1, 1, 0], [0, 1, 0], [1, 0, 2]]
    )
    shares = plot_confusion(truth, scores, class_names=["a", "b", "c"]).axes[0]
    np.testing.assert_allclose(shares.images[0].get_array()[2], [1 / 3, 0, 2 / 3])
    assert [t.get_text() for t in shares.get_xticklabels()] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("truth", "guess", "arguments", "words"),
    [
        ([], [], {}, "y_true has 0 rows"),
        ([0, 1], [0], {}, "y_true has 2 rows, y_pred 1"),
        ([0, -1], [0, 1], {}, "0 or more, got -1"),
        ([0.5, 1], [0, 1], {}, "expected class ids"),
        ([0, 1], [[0.5, np.nan], [1, 0]], {}, "y_pred holds NaN or inf, first in row 0"),
        ([0, 1], [0, np.inf], {}, "y_pred holds NaN or inf, first in row 1"),
        ([0, np.nan], [0, 1], {}, "y_true: expected class ids"),
        (["a", "b"], [0, 1], {}, "y_true: expected an array of numbers"),
        ([0, 1], [[1], [1, 2]], {}, "y_pred: expected an array of numbers"),
        (None, None, {}, "y_true: expected an array of numbers"),
        ([0, 10**9], [0, 1], {}, "at most 2000 fit"),
        ([0, 3], [0, 1], {"class_names": ["a"]}, "4 classes, but 1 class_names"),
    ],
)
def test_confusion_refuses(truth, guess, arguments, words):
    with pytest.raises(ValueError, match=words):
        plot_confusion(truth, guess, **arguments)


def test_calibration_error_is_the_weighted_mean_of_gaps():
    p = np.array([0.95, 0.93, 0.61, 0.62, 0.2])
    truth = np.array([1, 0, 1, 1, 0])
    # Confidence of the last row is 0.8. Bins: {0.95, 0.93}, {0.61, 0.62}, {0.8}.
    wanted = (2 * abs(0.5 - 0.94) + 2 * abs(1 - 0.615) + abs(1 - 0.8)) / 5
    figure = plot_calibration(truth, p)
    assert figure.get_suptitle() == f"expected calibration error {wanted:.3f}"
    assert sum(patch.get_height() for patch in figure.axes[1].patches) == 5


@pytest.mark.parametrize(
    ("truth", "p", "arguments", "words"),
    [
        ([0, 1], [0.5], {}, "y_true has 2 rows"),
        ([0, 1], [0.5, 1.5], {}, "must lie in"),
        ([0, 7], [[0.5, 0.5], [0.2, 0.8]], {}, "y_true has the class 7, probabilities .* 0 to 1"),
        ([0, 1], ["a", "b"], {}, "probabilities: expected an array of numbers"),
        ([0, 1], [0.5, np.nan], {}, "must lie in"),
        ([0, 1], [0.5, 0.5], {"bins": 0}, "bins must be at least 1; received 0"),
    ],
)
def test_calibration_refuses(truth, p, arguments, words):
    with pytest.raises(ValueError, match=words):
        plot_calibration(truth, p, **arguments)


def test_without_matplotlib_it_says_what_to_install(monkeypatch):
    for name in [m for m in sys.modules if m.split(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r'pip install "densa\[plot\]"'):
        plot_history({"loss": [1.0]})


def test_a_picture_that_cannot_be_written_leaves_the_old_one(tmp_path):
    path = tmp_path / "curves.nonsense"
    path.write_text("old")
    with pytest.raises(ValueError, match="nonsense"):
        plot_history({"loss": [1.0]}, path)
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["curves.nonsense"]


DENSE = densa.Sequential([densa.Input((2,)), densa.layers.Dense(1)])


@pytest.mark.parametrize(
    ("draw", "error", "words"),
    [
        (lambda: plot_history({}), ValueError, "is empty.* .its names: none.; call fit"),
        (lambda: plot_history({"loss": []}), ValueError, "its names: loss"),
        (lambda: plot_history(None), TypeError, "got NoneType"),
        (lambda: plot_history({"loss": 3}), TypeError, "a list with one number per epoch"),
        (lambda: plot_history({1: [1.0]}), TypeError, "a list with one number per epoch"),
        (lambda: plot_history({"loss": [1.0]}, metrics=[]), ValueError, "at least one"),
        (lambda: plot_history({"loss": [1.0]}, metrics="loss"), ValueError, "a list of names"),
        (lambda: plot_confusion([0], [0], class_names=3), TypeError, "class_names is a list"),
        (lambda: plot_calibration([0], [0.5], bins=2.5), TypeError, "bins must be a whole number"),
        (lambda: densa.viz.plot_weights(None), TypeError, "a model or layer, got NoneType"),
        (
            lambda: densa.viz.plot_weights(densa.Sequential([densa.layers.Dense(1)])),
            ValueError,
            "not built yet",
        ),
        (lambda: densa.viz.plot_weights(DENSE, bins=0), ValueError, "bins must be at least 1"),
        (lambda: densa.viz.plot_activations(DENSE, np.ones((1, 2)), bins="x"), TypeError, "bins"),
        (lambda: densa.viz.plot_schedule(lambda s: 0.1, 2.5), TypeError, "steps must be a whole"),
        (lambda: densa.viz.plot_schedule(lambda s: None, 9), TypeError, "gave None for step 0"),
    ],
)
def test_what_cannot_be_drawn(draw, error, words):
    with pytest.raises(error, match=f"plot_.*{words}"):
        draw()
