"""`plot_model`: the boxes and arrows of an SVG."""

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

import densa
from densa.utils.graph_svg import graph_svg

SVG = "{http://www.w3.org/2000/svg}"


def boxes(text):
    root = ET.fromstring(text)
    made = [r for r in root.iter(f"{SVG}rect") if r.get("rx")]
    return np.array([[float(r.get(k)) for k in ("x", "y", "width", "height")] for r in made])


def arrows(text):
    return [p.get("d") for p in ET.fromstring(text).iter(f"{SVG}path") if p.get("marker-end")]


def points(path):
    return np.array(
        [[float(v) for v in p.split(",")] for p in re.findall(r"[-\d.]+,[-\d.]+", path)]
    )


def chain_with_a_skip():
    x = densa.Input((4,))
    a = densa.layers.Dense(4, "relu", name="a<b")(x)
    b = densa.layers.Dense(4)(a)
    return densa.Model(x, densa.layers.Add()([x, b]))


@pytest.mark.parametrize("rankdir", ["TB", "LR"])
def test_svg_has_a_box_for_each_layer_and_an_arrow_for_each_edge(tmp_path, rankdir):
    path = tmp_path / "model.svg"
    densa.utils.plot_model(
        chain_with_a_skip(), path, show_shapes=True, show_layer_names=True, rankdir=rankdir
    )
    text = path.read_text()
    assert len(boxes(text)) == 4
    assert len(arrows(text)) == 4
    words = [t.text for t in ET.fromstring(text).iter(f"{SVG}text")]
    assert "a<b" in words
    assert words.count("output: (None, 4)") == 4


@pytest.mark.parametrize("rankdir", ["TB", "LR"])
def test_boxes_stand_apart_and_arrows_go_around_them(rankdir):
    rng = np.random.default_rng(0)
    for _ in range(40):
        count = int(rng.integers(1, 12))
        edges = [(i, j) for j in range(count) for i in range(j) if rng.random() < 0.3]
        labels = [["x" * int(rng.integers(1, 12))] * int(rng.integers(1, 4)) for _ in range(count)]
        text = graph_svg(labels, edges, rankdir)
        found = boxes(text)
        assert len(found) == count
        assert len(arrows(text)) == len(edges)
        for i in range(count):
            for j in range(i):
                a, b = found[i], found[j]
                assert (a[:2] >= b[:2] + b[2:]).any() or (b[:2] >= a[:2] + a[2:]).any()
        axis = 1 if rankdir == "TB" else 0
        for path in arrows(text):
            # An arrow goes forward only.
            along = points(path)[:, axis]
            assert (np.diff(along) >= -0.11).all()
            for x, y in points(path)[1:-1]:
                inside = (found[:, 0] + 0.2 < x) & (x < found[:, 0] + found[:, 2] - 0.2)
                inside &= (found[:, 1] + 0.2 < y) & (y < found[:, 1] + found[:, 3] - 0.2)
                assert not inside.any()


@pytest.mark.parametrize("rankdir", ["TB", "LR"])
def test_models_inside_are_drawn_in_boxes_beside_which_arrows_go(tmp_path, rankdir):
    layers = densa.layers
    x = densa.Input((4,))
    deep = densa.Sequential([densa.Input((4,)), layers.Dense(2, name="deep")], name="deepest")
    tall = densa.Sequential([densa.Input((4,)), layers.Dense(4), deep], name="tall")
    model = densa.Model(x, layers.Add()([tall(x), layers.Dense(2, name="beside")(x)]))
    path = tmp_path / "model.svg"
    options = {"show_layer_names": True, "rankdir": rankdir}
    densa.utils.plot_model(model, path, **options)
    assert len(boxes(path.read_text())) == 4
    densa.utils.plot_model(model, path, expand_nested=True, **options)
    text = path.read_text()
    root = ET.fromstring(text)
    frames = [r for r in root.iter(f"{SVG}rect") if r.get("stroke-dasharray")]
    outer, inner = (
        np.array([float(r.get(k)) for k in ("x", "y", "width", "height")]) for r in frames
    )
    found = boxes(text)
    within = (found[:, :2] > outer[:2]).all(1) & (
        found[:, :2] + found[:, 2:] < outer[:2] + outer[2:]
    ).all(1)
    assert (len(found), within.sum()) == (9, 5)  # input, Dense, frame, input and Dense in it
    assert any((b == inner).all() for b in found[within])
    assert len(arrows(text)) == 4 + 2 + 1
    # The arrow to the layer beside does not cross the frame.
    low, high = outer[:2] + 0.2, outer[:2] + outer[2:] - 0.2
    crossing = [p for p in map(points, arrows(text)) if ((p > low) & (p < high)).all(1).any()]
    assert len(crossing) == 3  # those inside it
    dot = densa.utils.model_to_dot(model, expand_nested=True)
    assert dot.count("subgraph cluster_") == 2
    assert dot.count("lhead") == 2
    assert dot.count("ltail") == 1
    assert dot.count("{") == dot.count("}")


def test_svg_refuses():
    with pytest.raises(ValueError, match='must be "TB" or "LR"'):
        graph_svg([["a"]], [], "BT")
    with pytest.raises(TypeError, match="Expected a model to draw; received 3"):
        densa.utils.plot_model(3)
    with pytest.raises(ValueError, match="cycle"):
        graph_svg([["a"], ["b"]], [(0, 1), (1, 0)])


def test_a_sequential_model_is_a_chain(tmp_path):
    layers = densa.layers
    model = densa.Sequential([densa.Input((4,)), layers.Dense(8), layers.Dense(2)])
    path = tmp_path / "model.svg"
    densa.utils.plot_model(model, path)
    assert len(boxes(path.read_text())) == 1 + len(arrows(path.read_text()))


def test_other_pictures_name_the_way_without_graphviz(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ImportError, match=r"model\.svg"):
        densa.utils.plot_model(chain_with_a_skip(), tmp_path / "model.png")
