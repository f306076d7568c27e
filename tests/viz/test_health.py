"""The picture of a doctor's records: which panels, which lines, what is marked."""

import numpy as np
import pytest

import densa
from densa.viz import plot_health
from densa.viz._figure import FOUND

pytest.importorskip("matplotlib", reason="needs the extra plot")
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # matplotlib's own
    pytest.mark.cpu_only("pictures of what any device gives"),
]

L = densa.layers


@pytest.fixture(scope="module")
def watched():
    densa.utils.set_random_seed(0)
    low = densa.initializers.Constant(-9.0)
    model = densa.Sequential(
        [
            densa.Input((4,)),
            L.Dense(8, "relu", bias_initializer=low, name="low", kernel_regularizer="l2"),
            L.Dense(8, "tanh", name="second"),
            L.Dense(1, name="out"),
        ]
    )
    model.compile(densa.optimizers.Adam(global_clipnorm=1e-3), "mse")
    x = np.random.default_rng(0).normal(size=(160, 4)).astype("float32")
    doctor = densa.callbacks.Doctor(interval=2, verbose=0)
    history = model.fit(x, x[:, :1], 16, epochs=2, callbacks=[doctor], verbose=0)
    return doctor, history


def panels_of(figure):
    return {ax.get_ylabel(): ax for ax in figure.axes if ax.get_visible()}


def lines_of(ax):
    return {line.get_label(): line for line in ax.lines}


def test_a_line_for_each_layer(watched, tmp_path):
    doctor, history = watched
    path = tmp_path / "health.png"
    shown = panels_of(plot_health(history, path, title="a title"))
    assert path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert list(shown) == [
        "gradient norm",
        "update / weight",
        "spread of outputs",
        "silent units (ReLU)",
        "saturated units",
        "share cut by clipping",
    ]
    gradients = lines_of(shown["gradient norm"])
    assert list(gradients)[:4] == ["low", "second", "out", "all"]
    for name in ("low", "second", "out"):
        line = gradients[name]
        np.testing.assert_array_equal(line.get_xdata(), doctor.health["step"])
        layer = doctor.health["layers"][name]
        np.testing.assert_array_equal(line.get_ydata(), layer["gradient_norm"])
    np.testing.assert_array_equal(gradients["all"].get_ydata(), doctor.health["gradient_norm"])
    clipped = shown["share cut by clipping"].lines[0].get_ydata()
    np.testing.assert_array_equal(clipped, doctor.health["clipped"])


def test_findings_are_marked(watched):
    doctor, history = watched
    found = {finding.id for finding in history.findings}
    assert {"dead_units", "clipped_too_often", "l2_with_adam"} <= found
    for source in (doctor, history):
        figure = plot_health(source)
        shown = panels_of(figure)
        silent = shown["silent units (ReLU)"]
        assert silent.get_title().startswith("dead_units in low:")
        assert silent.title.get_color() == FOUND
        widths = {name: line.get_linewidth() for name, line in lines_of(silent).items()}
        assert widths["low"] == 3.0
        plain = lines_of(shown["update / weight"])["out"]
        assert plain.get_linewidth() < 3.0
        assert "clipped_too_often" in shown["share cut by clipping"].get_title()
        assert "l2_with_adam" in figure.get_supxlabel()  # of no panel


def test_nothing_is_marked_without_findings(watched):
    doctor, history = watched
    for figure in (plot_health(doctor.health), plot_health(history, findings=[])):
        assert not any(ax.get_title() for ax in figure.axes)
        assert not figure.get_supxlabel()


def test_the_threshold_of_a_rule_is_drawn(watched):
    silent = panels_of(plot_health(watched[0]))["silent units (ReLU)"]
    level = [line for line in silent.lines if line.get_linestyle() == ":"]
    assert [list(line.get_ydata()) for line in level] == [[0.4, 0.4]]


def test_what_is_not_finite_has_a_panel_and_what_is_all_nan_none():
    nan = float("nan")
    layer = {"gradient_norm": [1.0, nan, nan], "spread": [nan] * 3, "nonfinite": [0, 3, 8]}
    health = {"step": [0, 5, 10], "gradient_norm": [1.0, nan, nan], "layers": {"a": layer}}
    assert list(panels_of(plot_health(health))) == ["gradient norm", "NaN or inf, units"]


def test_many_layers_fit_a_legend():
    names = [f"layer_{i}" for i in range(40)]
    layers = {name: {"gradient_norm": [1.0, 2.0]} for name in names}
    health = {"step": [0, 5], "gradient_norm": [1.0, 2.0], "layers": layers}
    figure = plot_health(health)
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert len(texts) == 16
    assert texts[0] == "layer_0"
    assert texts[-1] == "all"


@pytest.mark.parametrize(
    ("health", "error", "words"),
    [
        ([1.0], TypeError, "expected a Doctor, what `fit` returned or its `health`, got list"),
        (densa.callbacks.Doctor(), ValueError, "has not looked at any step"),
        (densa.callbacks.History(), ValueError, "no doctor has watched"),
        ({"step": [1], "layers": {}}, ValueError, "nothing to draw"),
    ],
)
def test_health_refuses(health, error, words):
    with pytest.raises(error, match=words):
        plot_health(health)
