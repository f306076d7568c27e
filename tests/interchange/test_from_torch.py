"""Modules of PyTorch as densa models: the same numbers."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import densa
from interchange.errors import assert_as_good
from interchange.networks import draw, exact, in_torch, roundings

torch = pytest.importorskip("torch", reason="needs the extra torch")
nn = torch.nn
F = torch.nn.functional
RNG = np.random.default_rng(14)


def numbers(x):
    return x.detach().numpy()


def as_list(x):
    if isinstance(x, dict):
        return [x[k] for k in sorted(x)]
    return list(x) if isinstance(x, (list, tuple)) else [x]


def same(module, *xs, input_shape=None, rtol=1e-5, atol=1e-6):
    """Both give the same; returns densa's model."""
    module = module.eval()
    with torch.no_grad():
        for p in [*module.parameters(), *module.buffers()]:
            if p.dtype.is_floating_point:
                p.uniform_(0.2, 1)
        expected = module(*(torch.from_numpy(x) for x in xs))
    ours = densa.convert.from_torch(module, input_shape)
    y = ours(list(xs) if len(xs) > 1 else xs[0])
    for value, wanted in zip(as_list(y), as_list(expected), strict=True):
        np.testing.assert_allclose(value.numpy(), numbers(wanted), rtol=rtol, atol=atol)
    return ours


@settings(max_examples=30)  # a network takes 0.1 s
@given(seed=st.integers(0, 2**32 - 1))
def test_random_networks(seed):
    x, network = draw(seed)
    module = in_torch(x, network)
    ours = densa.convert.from_torch(module, (x.shape[1],))
    theirs = numbers(module(torch.from_numpy(x)))
    assert_as_good(ours.predict(x, verbose=0), theirs, exact(x, network), roundings(x, network))


X = RNG.normal(size=(5, 6)).astype("f4")
DEEP = RNG.normal(size=(5, 4, 6)).astype("f4")
LAYERS = {
    "Linear": (nn.Linear(6, 3), X),
    "Linear, no bias": (nn.Linear(6, 3, bias=False), X),
    "Linear, rank 3": (nn.Linear(6, 3), DEEP),
    "BatchNorm1d": (nn.BatchNorm1d(6, momentum=0.2), X),
    "BatchNorm1d, plain": (nn.BatchNorm1d(6, affine=False), X),
    "BatchNorm1d, rank 3": (nn.BatchNorm1d(4), DEEP),
    "LayerNorm": (nn.LayerNorm(6), X),
    "LayerNorm, two axes": (nn.LayerNorm((4, 6)), DEEP),
    "LayerNorm, plain": (nn.LayerNorm(6, elementwise_affine=False), X),
    "LayerNorm, no bias": (nn.LayerNorm(6, bias=False), X),
    "RMSNorm": (nn.RMSNorm(6), X * 1e-3),
    "RMSNorm, two axes": (nn.RMSNorm((4, 6), eps=0.1), DEEP),
    "RMSNorm, plain": (nn.RMSNorm(6, elementwise_affine=False), X),
    "Embedding": (nn.Embedding(7, 3, padding_idx=0), RNG.integers(0, 7, (5, 2))),
    "Flatten": (nn.Flatten(), DEEP),
    "Flatten, 2": (nn.Flatten(2), RNG.normal(size=(2, 3, 4, 2)).astype("f4")),
    "Unflatten": (nn.Unflatten(1, (2, 3)), X),
    "Dropout": (nn.Dropout(0.4), X),
    "AlphaDropout": (nn.AlphaDropout(0.4), X),
    "Identity": (nn.Identity(), X),
    "PReLU": (nn.PReLU(), DEEP),
    "PReLU, 4": (nn.PReLU(4), DEEP),
    "PReLU, 6": (nn.PReLU(6), X),
    "ReLU": (nn.ReLU(inplace=True), X),
    "ReLU6": (nn.ReLU6(), X * 4),
    "LeakyReLU": (nn.LeakyReLU(), X),
    "RReLU": (nn.RReLU(0.2, 0.4), X),
    "ELU": (nn.ELU(0.5), X),
    "CELU": (nn.CELU(0.5), X),
    "SELU": (nn.SELU(), X),
    "GELU": (nn.GELU(), X),
    "GELU, tanh": (nn.GELU("tanh"), X),
    "GLU": (nn.GLU(), X),
    "SiLU": (nn.SiLU(), X),
    "Mish": (nn.Mish(), X),
    "Sigmoid": (nn.Sigmoid(), X),
    "LogSigmoid": (nn.LogSigmoid(), X),
    "Tanh": (nn.Tanh(), X),
    "Hardtanh": (nn.Hardtanh(-0.5, 0.7), X),
    "Hardsigmoid": (nn.Hardsigmoid(), X * 3),
    "Hardswish": (nn.Hardswish(), X * 3),
    "Softplus": (nn.Softplus(), X * 9),
    "Softplus, beta": (nn.Softplus(2.0), X * 9),
    "Softsign": (nn.Softsign(), X),
    "Tanhshrink": (nn.Tanhshrink(), X),
    "Softshrink": (nn.Softshrink(0.3), X),
    "Hardshrink": (nn.Hardshrink(0.3), X),
    "Threshold": (nn.Threshold(0.1, -2.0), X),
    "Softmax": (nn.Softmax(dim=-1), X),
    "Softmax, 1": (nn.Softmax(dim=1), DEEP),
    "LogSoftmax": (nn.LogSoftmax(dim=1), X),
}


@pytest.mark.parametrize("name", LAYERS)
def test_layers(name):
    module, x = LAYERS[name]
    ours = same(module, x, input_shape=x.shape[1:])
    if isinstance(module, nn.BatchNorm1d):
        assert ours.layers[-1].momentum == pytest.approx(1 - module.momentum)
    trained = sum(p.numel() for p in module.parameters() if p.requires_grad)
    assert sum(int(np.prod(w.shape)) for w in ours.trainable_weights) == trained


class Feed(nn.Module):
    """Layers used twice, functions, methods, sizes, a buffer, several inputs and outputs."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(6, 6)
        self.again = nn.Linear(6, 6)
        self.table = nn.Embedding(7, 3)
        self.tail = nn.ModuleList([nn.Linear(6, 4), nn.Sequential(nn.ReLU(), nn.Linear(4, 4))])
        self.register_buffer("mean", torch.zeros(6))

    def forward(self, x, ids):
        h = F.relu(self.first(x - self.mean)) + x
        h = self.again(self.again(h)).view(x.size(0), -1)
        for part in self.tail:
            h = part(h)
        a, b = h.chunk(2, dim=1)
        h = torch.cat([a * 2 - b, 1 - a, b / 3], dim=-1)
        e = self.table(ids).reshape(ids.shape[0], 2, 3).permute(0, 2, 1).flatten(1)
        h = torch.cat((h, e, h.mean(dim=1, keepdim=True), h.sum(1).unsqueeze(1)), 1)
        h = F.dropout(h, 0.2, self.training)
        return {"y": F.softmax(h, dim=1), "z": torch.sigmoid(h)[:, 1:].clamp(min=0.4)}


def test_forward_of_its_own():
    ids = RNG.integers(0, 7, (5, 2))
    ours = same(Feed(), X, ids, input_shape=[(6,), (2,)])
    assert ours.input_names == ["x", "ids"]
    names = [layer.name for layer in ours.layers]
    assert not any(name.startswith(("first_", "again_")) for name in names)
    assert names.count("first") == names.count("again") == names.count("tail_1_1") == 1


def test_the_shape_comes_from_the_first_layer():
    ours = densa.convert.from_torch(nn.Sequential(nn.Dropout(0.1), nn.Linear(6, 3), nn.Tanh()))
    assert ours.input_shape == (None, 6)
    for norm in (nn.LayerNorm, nn.RMSNorm):
        assert densa.convert.from_torch(norm((4, 6))).input_shape == (None, 4, 6)


@pytest.mark.parametrize("rows", ["any", "fixed"])
@pytest.mark.parametrize("exporter", ["new", "old"])
@pytest.mark.filterwarnings("ignore")  # those of the exporters
def test_what_torch_exports_as_onnx_can_be_loaded(tmp_path, exporter, rows):
    pytest.importorskip("onnx", reason="needs the extra onnx")
    if exporter == "new":
        pytest.importorskip("onnxscript", reason="torch's new exporter needs onnxscript")
    module, ids = Feed().eval(), RNG.integers(0, 7, (5, 2))
    inputs = (torch.from_numpy(X), torch.from_numpy(ids))
    axes = {"x": {0: "n"}, "ids": {0: "n"}}
    dynamic = {"dynamic_shapes": axes} if exporter == "new" else {"dynamic_axes": axes}
    path = tmp_path / "a.onnx"
    torch.onnx.export(module, inputs, path, dynamo=exporter == "new", verbose=False,
                      input_names=["x", "ids"], output_names=["y", "z"],
                      **(dynamic if rows == "any" else {}))  # fmt: skip
    ours = densa.onnx.load(path)
    assert (ours.input_names, ours.output_names) == (["x", "ids"], ["y", "z"])
    for value, wanted in zip(ours([X, ids]), as_list(module(*inputs)), strict=True):
        np.testing.assert_allclose(value.numpy(), numbers(wanted), rtol=1e-5, atol=1e-6)
    if rows == "any":
        assert ours([X[:2], ids[:2]])[0].shape[0] == 2


def test_float64():
    module = nn.Sequential(nn.Linear(6, 4), nn.Tanh(), nn.Linear(4, 2)).double().eval()
    ours = densa.convert.from_torch(module)
    assert {w.dtype for w in ours.weights} == {"float64"}
    x = densa.asarray(X.astype("f8"))
    np.testing.assert_allclose(ours(x).numpy(), numbers(module(torch.from_numpy(X).double())), 1e-6)


def test_what_is_converted_trains_and_the_source_is_left_alone(tmp_path):
    module = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 1))
    before = {k: v.clone() for k, v in module.state_dict().items()}
    ours = densa.convert.from_torch(module)
    x = RNG.normal(size=(64, 6)).astype("f4")
    ours.compile(densa.optimizers.Adam(0.01), "mse")
    first = ours.evaluate(x, x[:, :1], verbose=0)
    ours.fit(x, x[:, :1], epochs=40, verbose=0)
    assert ours.evaluate(x, x[:, :1], verbose=0) < 0.9 * first
    ours.save(tmp_path / "a.densa")
    assert densa.models.load_model(tmp_path / "a.densa").count_params() == ours.count_params()
    assert all(torch.equal(v, before[k]) for k, v in module.state_dict().items())
    assert module.training


def module_of(function, **layers):
    class Made(nn.Module):
        def __init__(self):
            super().__init__()
            for name, layer in layers.items():
                setattr(self, name, layer)

        def forward(self, x):
            return function(self, x)

    return Made()


@pytest.mark.parametrize(
    ("words", "module"),
    [
        (r"'1' \(Conv1d\) has no counterpart", nn.Sequential(nn.Linear(6, 6), nn.Conv1d(1, 1, 1))),
        ("'cumsum'.*no counterpart", module_of(lambda m, x: m.a(x).cumsum(1), a=nn.Linear(6, 2))),
        ("cannot trace Made", module_of(lambda m, x: x if x.sum() > 0 else -x, a=nn.Linear(6, 2))),
        ("parameter that is used outside", module_of(lambda m, x: m.a(x) * m.s, a=nn.Linear(6, 2),
                                                     s=nn.Parameter(torch.ones(2)))),
        ("not known from the module", nn.Sequential(nn.Embedding(5, 2), nn.Flatten())),
        ("computes with the number of rows", module_of(lambda m, x: m.a(x) / x.shape[0],
                                                       a=nn.Linear(6, 2))),
        ("max_norm", nn.Sequential(nn.Linear(6, 6), nn.Embedding(5, 2, max_norm=1.0))),
        ("track_running_stats", nn.BatchNorm1d(6, track_running_stats=False)),
        ("float16", nn.Linear(6, 2).half()),
        ("Submodule '1'", nn.Sequential(nn.Linear(6, 4), nn.Linear(5, 2))),
    ],
)  # fmt: skip
def test_refusals(words, module):
    with pytest.raises(ValueError, match=words):
        densa.convert.from_torch(module)


def test_refuses_what_is_no_module_and_wrong_shapes():
    with pytest.raises(TypeError, match="received int"):
        densa.convert.from_torch(3)
    with pytest.raises(ValueError, match="takes 2 tensors"):
        densa.convert.from_torch(Feed(), [(6,)])


def test_without_the_library(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ImportError, match=r"densa\[torch\]"):
        densa.convert.from_torch(None)
