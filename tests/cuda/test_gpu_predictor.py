"""A frozen network on a GPU: the answers of the model, one replay a call, refusals, threads."""

import threading

import numpy as np
import pytest

import densa
from densa import layers
from densa.device import _cuda
from predict_nets import NETS, data_for, dense_net, flat_net, move_weights, wide_net

AS_IT_IS = {"fold": False, "merge": False, "prune": False}


@pytest.fixture(autouse=True)
def gpu():
    """New tensors go to the GPU; there is one."""
    before = densa.get_device()
    try:
        densa.set_device("cuda")
    except RuntimeError as error:
        pytest.skip(f"no GPU: {error}")
    yield
    densa.set_device(before)


@pytest.fixture
def counted():
    """A function that calls its argument and returns what that asked of the GPU."""
    if not hasattr(_cuda(), "counts"):
        pytest.skip("a real GPU does not count")

    def count(call):
        first = _cuda().counts()
        call()
        return {name: number - first[name] for name, number in _cuda().counts().items()}

    return count


def made(make=dense_net, device="cpu", **options):
    """A network of `device`, frozen for the GPU, and the network."""
    densa.set_device(device)
    model = make()
    move_weights(model)
    densa.set_device("cuda")
    return model.freeze(device="cuda", **options), model


def as_given(predictor, arrays):
    names = [spec.name for spec in predictor.inputs]
    return dict(zip(names, arrays, strict=True)) if len(names) > 1 else arrays[0]


def there(arrays):
    return [densa.asarray(a).to("cuda") for a in arrays]


# ---- answers -------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", NETS, ids=lambda make: make.__name__)
def test_the_bits_of_predict_on_the_gpu(make):
    """In batches of as many rows: those alone decide the order of a GPU's sums."""
    predictor, model = made(make, "cuda", **AS_IT_IS)
    for rows in (1, 3, 32, 70):
        arrays = data_for(predictor, rows)
        wanted = model.predict(as_given(predictor, arrays), batch_size=rows, verbose=0)
        wanted = wanted if isinstance(wanted, list) else [wanted]
        for _ in range(3):  # launched, captured, replayed
            for y, t in zip(predictor.run(arrays), wanted, strict=True):
                assert isinstance(y, np.ndarray)
                assert y.dtype == t.dtype
                np.testing.assert_array_equal(y, t)


@pytest.mark.parametrize("make", NETS, ids=lambda make: make.__name__)
@pytest.mark.parametrize("options", [{}, {"dtype": "float64"}], ids=["float32", "float64"])
def test_the_answers_of_the_cpu(make, options):
    """To the rounding of a few hundred sums: float32 has 2^-24 each, a row's norm is about 1."""
    predictor, model = made(make, **options)
    reference = model.freeze(dtype="float64", **AS_IT_IS)
    arrays = data_for(predictor, 17)
    wide = [a.astype(s.dtype) for a, s in zip(arrays, reference.inputs, strict=True)]
    limit = 1e-12 if options else 1e-5
    for y, t in zip(predictor.run(arrays), reference.run(wide), strict=True):
        assert y.dtype == options.get("dtype", "float32")
        error = np.linalg.norm(y - t, axis=-1) / np.linalg.norm(t, axis=-1)
        assert error.max() < limit


@pytest.mark.parametrize("make", NETS, ids=lambda make: make.__name__)
def test_tensors_get_tensors_with_the_bits_of_arrays(make):
    predictor, _ = made(make)
    arrays = data_for(predictor, 5)
    wanted = predictor.run(arrays)
    for _ in range(3):
        for y, t in zip(predictor.run(there(arrays)), wanted, strict=True):
            assert isinstance(y, densa.Tensor)
            assert y.device == "cuda:0"
            np.testing.assert_array_equal(y.numpy(), t)


def test_results_stay_what_they_are():
    """Behind them others use the same memory."""
    predictor, _ = made()
    x = data_for(predictor, 8)[0]
    wanted = [predictor(x[i : i + 1]) for i in range(8)]
    kept = [w.copy() for w in wanted]
    tensors = [predictor(t) for t in [there([x[i : i + 1]])[0] for i in range(8)]]
    for y, t, k in zip(tensors, wanted, kept, strict=True):
        np.testing.assert_array_equal(t, k)
        np.testing.assert_array_equal(y.numpy(), k)


def test_any_number_of_rows():
    predictor, model = made(flat_net)
    plain = model.freeze()
    x = data_for(predictor, 300)[0]
    wanted = plain(x)
    assert predictor(x[:0]).shape == (0, 3)
    assert predictor(there([x[:0]])[0]).shape == (0, 3)
    for rows in [*range(1, 24), 64, 65, 300]:  # more than one room keeps
        np.testing.assert_allclose(predictor(x[:rows]), wanted[:rows], rtol=0, atol=1e-5)
    for rows in (2, 300):
        np.testing.assert_allclose(predictor(x[:rows]), wanted[:rows], rtol=0, atol=1e-5)


def test_batches_beyond_what_has_room_run_part_by_part(monkeypatch):
    monkeypatch.setenv("DENSA_GPU_PART_BYTES", "10000")
    predictor, model = made(flat_net)
    most = predictor._net.most_rows
    assert 4 < most < 128
    x = data_for(predictor, 3 * most + 2)[0]
    wanted = model.freeze()(x)
    np.testing.assert_allclose(predictor(x), wanted, rtol=0, atol=1e-5)
    np.testing.assert_allclose(predictor(there([x])[0]).numpy(), wanted, rtol=0, atol=1e-5)


def test_products_that_few_rows_cut_into_parts():
    """Few rows of a long product need scratch memory that many do not."""
    predictor, model = made(lambda: densa.Sequential([densa.Input((900,)), layers.Dense(300)]))
    plain = model.freeze()
    x = data_for(predictor, 64)[0]
    for rows in (64, 40, 33, 64, 40):
        np.testing.assert_allclose(predictor(x[:rows]), plain(x[:rows]), rtol=0, atol=1e-4)


def test_it_keeps_the_weights_of_the_moment():
    predictor, model = made(device="cuda")
    x = data_for(predictor, 4)[0]
    before = predictor(x)
    predictor(x)
    for variable in model.variables:
        variable.assign(np.zeros(variable.shape))
    np.testing.assert_array_equal(predictor(x), before)
    assert not np.array_equal(model.freeze(device="cuda")(x), before)


def test_a_mixed_policy_is_computed_in_float32():
    before = densa.config.dtype_policy()
    try:
        densa.config.set_dtype_policy("mixed_bfloat16")
        predictor, _ = made(flat_net)
    finally:
        densa.config.set_dtype_policy(before)
    assert predictor.outputs[0].dtype == "float32"
    assert any("computed in more" in line for line in predictor.certificate.removed)


def test_an_output_that_is_an_input_or_another_output():
    x = densa.Input((3,), name="x")
    h = layers.Dense(6)(x)
    model = densa.Model(x, [layers.Flatten()(x), h, layers.Reshape((2, 3))(h), h])
    predictor = model.freeze(device="cuda")
    rows = np.arange(12, dtype="float32").reshape(4, 3)
    for given in (rows, there([rows])[0]):
        same, a, b, c = (np.asarray(y) for y in predictor(given))
        np.testing.assert_array_equal(same, rows)
        np.testing.assert_array_equal(a, c)
        np.testing.assert_array_equal(b, a.reshape(4, 2, 3))
        np.testing.assert_allclose(a, model.freeze()(rows)[1], rtol=1e-5)


# ---- what it asks of the GPU ---------------------------------------------------------------------


def test_a_call_with_arrays_is_one_replay(counted):
    predictor, _ = made()
    x = data_for(predictor, 3)[0]
    out = np.empty((3, 5), "float32")
    counts = [counted(lambda: predictor(x, out=out)) for _ in range(4)]
    assert [c["captures"] for c in counts] == [0, 1, 0, 0]
    assert counts[0]["launches"] > 0
    for again in counts[2:]:
        assert again["graphs"] == again["waits"] == 1
        assert again["launches"] == again["allocations"] == 0
        assert again["to_device"] == again["to_host"] == again["on_device"] == 0  # in the graph


def test_a_call_with_tensors_does_not_wait(counted):
    predictor, _ = made()
    x = there(data_for(predictor, 3))[0]
    out = predictor(x)
    assert counted(lambda: predictor(x))["captures"] == 1
    again = counted(lambda: predictor(x, out=out))
    assert again["graphs"] == 1
    assert again["on_device"] == 2
    assert again["waits"] == again["launches"] == again["captures"] == again["allocations"] == 0
    assert again["to_device"] == again["to_host"] == 0


def test_every_number_of_rows_has_its_graph(counted):
    predictor, _ = made()
    x = data_for(predictor, 8)[0]
    for rows in (8, 7, 8, 7):
        predictor(x[:rows])
    again = counted(lambda: [predictor(x[:rows]) for rows in (8, 7, 8)])
    assert (again["captures"], again["graphs"]) == (0, 3)


def test_launches_of_network_a():
    """Three products, each with its bias and activation: no gathering, nothing behind them."""
    model = densa.Sequential(
        [densa.Input((784,)), layers.Dense(300, "relu"), layers.Dense(100, "relu"),
         layers.Dense(10)]
    )  # fmt: skip
    predictor = model.freeze(device="cuda")
    assert "for one row: 3 launches" in predictor.explain()
    assert predictor._net.seconds(1, 2) > 0  # what the benchmark asks for
    with pytest.raises(ValueError, match="at least 1 repeat, got 1 and 0"):
        predictor._net.seconds(1, 0)


# ---- arguments -----------------------------------------------------------------------------------


@pytest.fixture
def small():
    return densa.Sequential([densa.Input((4,), name="x"), layers.Dense(3, name="y")]).freeze(
        device="cuda"
    )


def test_results_go_where_they_are_wanted(small):
    x = np.ones((5, 4), "float32")
    out = np.full((5, 3), np.nan, "float32")
    assert small(x, out=out) is out
    np.testing.assert_array_equal(out, small(x))
    assert small(x, out=[out]) is out
    tensor = there([np.full((5, 3), np.nan, "float32")])[0]
    assert small(there([x])[0], out=tensor) is tensor
    np.testing.assert_array_equal(tensor.numpy(), out)


def test_a_result_written_over_what_the_tape_needs_is_noticed(small):
    w = there([np.ones((5, 3), "float32")])[0]
    w.requires_grad = True
    x = there([np.ones((5, 3), "float32")])[0]
    y = densa.ops.sum(w * x)
    small(there([np.ones((5, 4), "float32")])[0], out=x)
    with pytest.raises(RuntimeError, match="chang|writ"):
        y.backward()


@pytest.mark.parametrize(
    ("x", "error", "text"),
    [
        (np.ones((5, 3), "float32"), ValueError, r"'x' must have shape \(rows, 4\) but has"),
        (np.ones(4, "float32"), ValueError, r"must have shape \(rows, 4\) but has shape \(4,\)"),
        (np.ones((5, 4)), TypeError, "'x' must be float32 but is float64"),
        (object(), TypeError, "float"),
    ],
)
def test_a_wrong_input_is_refused(small, x, error, text):
    with pytest.raises(error, match=text):
        small(x)
    if isinstance(x, np.ndarray):
        with pytest.raises(error, match=text):
            small(there([x])[0])


def test_a_wrong_out_is_refused(small):
    x = np.ones((5, 4), "float32")
    on_gpu = there([x])[0]
    here, tensor = np.zeros((5, 3), "float32"), there([np.zeros((5, 3), "float32")])[0]
    with pytest.raises(TypeError, match="must be a NumPy array"):
        small(x, out=tensor)
    with pytest.raises(TypeError, match=r"row-major tensor of float32\(5, 3\) on cuda:0"):
        small(on_gpu, out=here)
    with pytest.raises(TypeError, match="row-major tensor"):
        small(on_gpu, out=there([np.zeros((4, 3), "float32")])[0])
    with pytest.raises(ValueError, match=r"must have shape \(5, 3\)"):
        small(x, out=here[:4])
    with pytest.raises(ValueError, match="out must hold 1 arrays, got 0"):
        small(x, out=[])


def test_wrong_calls(small):
    x = np.ones((1, 4), "float32")
    with pytest.raises(TypeError, match="1 inputs expected, got 2"):
        small(x, x)
    with pytest.raises(TypeError, match="batch_size"):
        small(x, batch_size=3)


def test_arrays_beside_tensors_are_refused():
    predictor, _ = made(wide_net)
    ids, numbers = data_for(predictor, 3)
    with pytest.raises(TypeError, match="'numbers' does not lie on cuda:0, as other inputs do"):
        predictor(there([ids])[0], numbers)
    both = predictor(ids, densa.asarray(numbers).to("cpu"))  # the CPU's tensors are arrays
    assert all(isinstance(y, np.ndarray) for y in both)
    with pytest.raises(ValueError, match="has 2 rows, the inputs before it 3"):
        predictor(*there([ids, numbers[:2]]))


def test_structures_of_the_model():
    predictor, _ = made(wide_net)
    ids, numbers = data_for(predictor, 3)
    first, second = predictor({"numbers": numbers, "ids": ids}), predictor(ids, numbers)
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(ValueError, match=r"inputs \['ids', 'numbers'\] expected"):
        predictor({"numbers": numbers})


def test_memory_of_any_kind(small):
    base = np.random.default_rng(0).normal(size=(12, 8)).astype("float32")
    wanted = small(np.ascontiguousarray(base[::2, ::2]))
    np.testing.assert_array_equal(small(base[::2, ::2]), wanted)
    np.testing.assert_array_equal(small(there([base])[0][::2, ::2]).numpy(), wanted)
    np.testing.assert_array_equal(small(base[::2, ::2].tolist()), wanted)


def test_not_finite_numbers_go_through(small):
    x = np.array([[np.nan, 0, 0, 0], [np.inf, 0, 0, 0], [1, 1, 1, 1]], "float32")
    y = small(x)
    assert np.isnan(y[0]).all()
    assert not np.isfinite(y[1]).any()
    assert np.isfinite(y[2]).all()


@pytest.mark.parametrize("move", [list, there], ids=["arrays", "tensors"])
def test_an_id_out_of_range_is_an_error(move):
    predictor, _ = made(wide_net)
    ids, numbers = data_for(predictor, 50)
    wanted = predictor.run([ids, numbers])
    bad = ids.copy()
    bad[37, 1] = 11
    for _ in range(3):
        with pytest.raises(IndexError, match="id 11"):
            predictor(*move([bad, numbers]))
        for y, t in zip(predictor(*move([ids, numbers])), wanted, strict=True):
            np.testing.assert_array_equal(np.asarray(y), t)


# ---- freezing ------------------------------------------------------------------------------------


def test_memory_that_is_shared_is_refused():
    x = densa.Input((3,), name="x")
    model = densa.Model(x, [layers.Dense(3, name="a")(x), layers.Dense(3, name="b")(x)])
    predictor = model.freeze(device="cuda")
    rows = np.ones((4, 3), "float32")
    for data, y in ((rows, np.zeros((8, 3), "float32")),
                    (there([rows])[0], there([np.zeros((8, 3), "float32")])[0])):  # fmt: skip
        a, b = y[:4], y[4:]
        part = y[1:5] if isinstance(y, np.ndarray) else a  # parts of tensors are copies there
        for same in ([a, a], [part, a]):
            with pytest.raises(ValueError, match="out for 'b' shares memory with out for 'a'"):
                predictor(data, out=same)
        with pytest.raises(ValueError, match="out for 'b' shares memory with input 'x'"):
            predictor(data, out=[a, data])
        np.testing.assert_array_equal(np.asarray(y), 0)
        for got, wanted in zip(predictor(data, out=[a, b]), predictor(data), strict=True):
            np.testing.assert_array_equal(np.asarray(got), np.asarray(wanted))


def test_what_a_gpu_has_not_is_refused(tmp_path):
    model = flat_net()
    for options in ({"dtype": "int8"}, {"dtype": "bfloat16"}, {"budget": 0.1},
                    {"formats": {"dense": "int8"}}):  # fmt: skip
        with pytest.raises(ValueError, match=r"GPU computes in float32 or float64.*device='cpu'"):
            model.freeze(device="cuda", **options)
    with pytest.raises(ValueError, match="device is 'cpu', 'cuda' or 'cuda:N'; received 'gpu'"):
        model.freeze(device="gpu")
    with pytest.raises(TypeError, match="name such as 'cuda'"):
        model.freeze(device=0)
    with pytest.raises(ValueError, match="cuda:7"):
        model.freeze(device="cuda:7")
    predictor = model.freeze(device="cuda")
    with pytest.raises(ValueError, match="has no file"):
        predictor.save(tmp_path / "net.densa")
    with pytest.raises(ValueError, match="has no C code"):
        predictor.export_c(tmp_path / "net.c")
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_frozen_says_why():
    x = densa.Input((4,))
    model = densa.Model(x, x - densa.ops.mean(x, axis=0, keepdims=True))
    with pytest.raises(ValueError, match="rows"):
        model.freeze(device="cuda")


def test_the_certificate_is_that_of_the_gpu():
    predictor, _ = made(lambda: densa.Sequential([
        densa.Input((13,)), layers.Dense(17), layers.BatchNormalization(), layers.Dense(4)
    ]))  # fmt: skip
    found = predictor.certificate
    assert found.folded
    assert not found.same_bits
    assert 0 < found.max_row_error < 1e-5
    assert found.flops < found.model_flops
    assert set(found.latency) == {"1", "32"}
    plain, _ = made(flat_net, "cuda", **AS_IT_IS)
    assert plain.certificate.same_bits  # of `predict` there, too


def test_it_says_what_it_is(small):
    assert repr(small) == "<GpuPredictor on cuda:0 x float32(rows, 4) -> y float32(rows, 3)>"
    assert small.device == "cuda:0"


def test_a_model_itself_still_runs_op_by_op():
    """`model(x)` runs `call` each time; only frozen networks replay."""
    calls = []

    class Net(densa.Model):
        def __init__(self):
            super().__init__()
            self.layer = layers.Dense(3)

        def call(self, x):
            calls.append(1)
            return self.layer(x)

    net = Net()
    x = np.ones((1, 5), "float32")
    for _ in range(3):
        net(x)
    assert len(calls) == 3
    predictor = net.freeze(device="cuda", inputs=densa.Input((5,)))
    before = len(calls)
    np.testing.assert_allclose(predictor(x), net(x).numpy(), rtol=1e-5)
    assert len(calls) == before + 1


# ---- life ----------------------------------------------------------------------------------------


def test_many_threads_call_one_predictor():
    predictor, _ = made(dense_net)
    x = data_for(predictor, 40)[0]
    wanted = [predictor(x[i : i + 3]) for i in range(37)]
    wrong = []

    def work(seed):
        rng = np.random.default_rng(seed)
        for k in range(20):
            i = int(rng.integers(0, 37))
            part = x[i : i + 3]
            y = predictor(there([part])[0]).numpy() if (seed + k) % 3 == 0 else predictor(part)
            if not np.array_equal(y, wanted[i]):
                wrong.append(i)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_its_memory_is_given_back(counted):
    def once():
        predictor, _ = made(flat_net)
        x = data_for(predictor, 9)[0]
        for _ in range(2):
            predictor(x)
            predictor(there([x])[0])

    once()
    again = counted(once)
    assert again["device_bytes"] == 0
    assert again["pinned_bytes"] == 0
