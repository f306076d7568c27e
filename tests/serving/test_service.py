"""The app around the protocol: paths, limits, threads, batches, counts, start and end."""

import asyncio
import logging
import re
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import densa
from serving.client import acall, binary_request, call, json_request
from serving.predictors import Echo, Gated, Spec, Sums

INFER = "/v2/models/model/infer"
ONE = json_request({"x": np.ones((1, 2), "float32")})


@pytest.fixture
def app():
    return densa.serving.asgi(
        {"sums": Sums(), "echo": {2: Echo(), "10": Echo("float64"), 1: Echo("int8")}}
    )


def test_about(app):
    about = call(app, "GET", "/v2").json
    assert about == {
        "name": "densa",
        "version": densa.__version__,
        "extensions": ["binary_tensor_data"],
    }
    assert call(app, "GET", "/v2/health/live").json == {"live": True}
    assert call(app, "GET", "/v2/health/ready").json == {"ready": True}


def test_metadata(app):
    assert call(app, "GET", "/v2/models/sums").json == {
        "name": "sums",
        "versions": ["1"],
        "platform": "densa",
        "inputs": [
            {"name": "a", "datatype": "FP32", "shape": [-1, 3]},
            {"name": "n", "datatype": "INT64", "shape": [-1, 1]},
        ],
        "outputs": [
            {"name": "total", "datatype": "FP64", "shape": [-1, 1]},
            {"name": "any", "datatype": "BOOL", "shape": [-1, 3]},
        ],
    }
    assert call(app, "GET", "/v2/models/sums/ready").json == {"name": "sums", "ready": True}


@pytest.mark.parametrize(
    ("path", "version", "datatype"),
    [("", "10", "FP64"), ("/versions/1", "1", "INT8"), ("/versions/2", "2", "FP32")],
)
def test_the_highest_version_is_the_default(app, path, version, datatype):
    path = f"/v2/models/echo{path}"
    about = call(app, "GET", path).json
    assert about["versions"] == ["1", "2", "10"]
    assert about["inputs"][0]["datatype"] == datatype
    assert call(app, "GET", f"{path}/ready").json == {"name": "echo", "ready": True}
    dtype = {"FP64": "float64", "INT8": "int8", "FP32": "float32"}[datatype]
    answer = call(app, "POST", f"{path}/infer", json_request({"x": np.ones((1, 2), dtype)})).json
    assert (answer["model_name"], answer["model_version"]) == ("echo", version)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/", "nothing at '/'"),
        ("", "nothing at ''"),
        ("/v1/models/sums", "nothing at '/v1/models/sums'"),
        ("/\udc80", "nothing at '/\\udc80'"),
        ("/v2/models/\udc80", "No model"),
        ("/v2/", "nothing"),
        ("/v2/models", "nothing"),
        ("/v2/models/", "No model has the name ''; there are: 'sums', 'echo'"),
        ("/v2/models/other", "No model has the name 'other'"),
        ("/v2/models/other/infer", "No model has the name 'other'"),
        ("/v2/models/echo/versions/3", "Model 'echo' has no version '3'; there are: 1, 2, 10"),
        ("/v2/models/echo/versions/3/infer", "no version '3'"),
        ("/v2/models/echo/versions", "nothing"),
        ("/v2/models/echo/config", "nothing"),
        ("/v2/models/echo/infer/", "nothing"),
        ("/v2/models/" + "x" * 9999, "No model"),
        ("/metrics/more", "nothing"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_unknown_paths(app, method, path, message):
    response = call(app, method, path, b"x")
    assert response.status == 404
    assert message in response.error
    assert len(response.error) < 300


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("POST", "/v2", "GET, HEAD"),
        ("PUT", "/v2/health/ready", "GET, HEAD"),
        ("POST", "/v2/models/sums", "GET, HEAD"),
        ("DELETE", "/metrics", "GET, HEAD"),
        ("GET", "/v2/models/sums/infer", "POST"),
        ("HEAD", "/v2/models/sums/infer", "POST"),
    ],
)
def test_wrong_methods(app, method, path, allow):
    response = call(app, method, path)
    assert response.status == 405
    assert response.headers["allow"] == allow


def test_head_is_get_without_a_body(app):
    get, head = (call(app, method, "/v2/health/ready") for method in ("GET", "HEAD"))
    assert (head.status, head.headers, head.body) == (200, get.headers, b"")


def test_names_of_any_script_and_mounted_apps():
    app = densa.serving.asgi({"modèle 1": Echo()})
    assert call(app, "POST", "/v2/models/modèle 1/infer", ONE).status == 200
    path = "/ml/v2/models/modèle 1/infer"
    assert call(app, "POST", path, ONE, root_path="/ml").status == 200
    assert call(app, "POST", path, ONE).status == 404


class No:
    """No predictor."""


@pytest.mark.parametrize(
    ("predictors", "error", "message"),
    [
        ({}, ValueError, "No predictor"),
        ({"m": {}}, ValueError, "'m' has no version"),
        ({"": Echo()}, ValueError, "name is a string without '/'"),
        ({"a/b": Echo()}, ValueError, "name is a string without '/'"),
        ({1: Echo()}, ValueError, "name is a string without '/'"),
        ({"m": {"v1": Echo()}}, ValueError, "is a whole number, not 'v1'"),
        ({"m": {"01": Echo()}}, ValueError, "is a whole number, not '01'"),
        ({"m": {-1: Echo()}}, ValueError, "is a whole number, not -1"),
        (No(), TypeError, "'model', version 1: a No is no predictor"),
        (Echo("complex64"), ValueError, "x has dtype complex64, which the protocol cannot carry"),
        (Echo("<U4"), ValueError, "cannot carry"),
        (Echo(shape=(3, 2)), ValueError, "axis 0 of x is not rows"),
        (Echo(shape=(-1, 2)), ValueError, "axis 0 of x is not rows, which are None"),
        (Echo(shape=(None, -1)), ValueError, "it is (None, -1)"),
        (Echo(shape=(None, "2")), ValueError, "shape of x must be extents"),
        (Echo(shape=None), ValueError, "shape of x must be extents"),
        (Echo(shape=()), ValueError, "axis 0 of x is not rows"),
    ],
)
def test_what_cannot_be_served(predictors, error, message):
    with pytest.raises(error, match=re.escape(message)):
        densa.serving.asgi(predictors)


class Blind:
    """It does not say what it takes."""

    def run(self, arrays):
        return arrays


def test_a_predictor_says_what_it_takes_and_gives():
    with pytest.raises(TypeError, match="Blind does not say what it takes and gives: `inputs`"):
        densa.serving.asgi(Blind())


@pytest.mark.parametrize("shape", [[None, 2], (None, np.int64(2)), (None, None)])
def test_shapes_of_any_kind_of_sequence(shape):
    app = densa.serving.asgi(Echo(shape=shape))
    two = -1 if shape[1] is None else 2
    metadata = call(app, "GET", "/v2/models/model").json
    assert metadata["inputs"] == [{"name": "x", "datatype": "FP32", "shape": [-1, two]}]
    assert call(app, "POST", INFER, ONE).status == 200


@pytest.mark.parametrize(
    ("outputs", "text"),
    [
        (lambda x: [x[:, :1]], "output 'y' has shape (3, 1), not (3, 2)"),
        (lambda x: [x[:1]], "output 'y' has shape (1, 2), not (3, 2)"),
        (lambda x: [x[0, 0]], "output 'y' has shape (), not (3, 2)"),
        (lambda x: [x.astype("complex64")], "output 'y' is complex64, not float32"),
        (lambda x: [np.full((3, 2), "a")], "output 'y' is <U1, not float32"),
        (lambda x: [x, x], "2 arrays came for 1 outputs"),
        (lambda x: x, "ndarray arrays came for 1 outputs"),
        (lambda x: None, "NoneType arrays came for 1 outputs"),
    ],
)
def test_outputs_that_are_not_as_they_are_described(outputs, text, caplog):
    """The predictor's mistake: the client hears of none of it."""

    class Wrong(Echo):
        def run(self, arrays):
            return outputs(arrays[0])

    body = json_request({"x": np.ones((3, 2), "float32")})
    response = call(densa.serving.asgi(Wrong()), "POST", INFER, body)
    assert response.status == 500
    assert "output" not in response.error
    assert text in caplog.text


def test_outputs_of_another_size_of_the_same_kind():
    class Wide(Echo):
        def run(self, arrays):
            return [arrays[0].astype("float64").tolist()]

    response = call(densa.serving.asgi(Wide()), "POST", INFER, ONE)
    assert response.outputs()["y"].dtype == "float32"


def test_two_inputs_of_one_name():
    echo = Echo()
    echo.inputs = (Spec("x", (None, 2), "float32"),) * 2
    with pytest.raises(ValueError, match="same name"):
        densa.serving.asgi(echo)


@pytest.mark.parametrize("name", ["max_body", "max_rows", "batch_window_us", "offload_bytes"])
def test_options_out_of_range(name):
    with pytest.raises(ValueError, match="at least"):
        densa.serving.asgi(Echo(), **{name: -1})

    for value in (True, "1", None, float("nan"), float("inf"), 10**400):
        if value == 10**400 and name != "batch_window_us":
            continue  # as good as no limit
        with pytest.raises((TypeError, ValueError), match=f"asgi: `{name}`.*received"):
            densa.serving.asgi(Echo(), **{name: value})


def test_a_window_nobody_would_wait_for():
    with pytest.raises(ValueError, match="`batch_window_us` must be at most 60000000, a minute"):
        densa.serving.asgi(Echo(), batch_window_us=60_000_001)


def test_body_limit():
    echo = Echo()
    app = densa.serving.asgi(echo, max_body=len(ONE))
    length = [("content-length", len(ONE))]
    assert call(app, "POST", INFER, ONE, length).status == 200
    assert call(app, "POST", INFER, parts=[ONE[:9], b"", ONE[9:]]).status == 200
    assert len(echo.calls) == 2
    announced = call(app, "POST", INFER, b"", [("content-length", len(ONE) + 1)])
    endless = call(app, "POST", INFER, b"", [("content-length", "9" * 40)])
    whole = call(app, "POST", INFER, ONE + b" ")
    pieces = call(app, "POST", INFER, parts=[ONE, b" ", b"never read"])
    for response in (announced, endless, whole, pieces):
        assert response.status == 413
        assert response.error == f"The request is larger than {len(ONE)} bytes."
    assert len(echo.calls) == 2


def test_row_limit():
    app = densa.serving.asgi(Echo(), max_rows=3)
    for rows, status in ((3, 200), (4, 400)):
        body, headers = binary_request({"x": np.ones((rows, 2), "float32")})
        assert call(app, "POST", INFER, body, headers).status == status


def test_compressed_requests_are_refused():
    app = densa.serving.asgi(Echo())
    assert call(app, "POST", INFER, ONE, [("Content-Encoding", "gzip")]).status == 415
    assert call(app, "POST", INFER, ONE, [("Content-Encoding", "identity")]).status == 200


def test_a_client_that_goes_away_gets_nothing():
    sent = []
    messages = [
        {"type": "http.request", "body": b"{", "more_body": True},
        {"type": "http.disconnect"},
    ]

    async def receive():
        return messages.pop(0)

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": INFER, "headers": []}
    asyncio.run(densa.serving.asgi(Echo())(scope, receive, send))
    assert sent == []


def test_only_http():
    with pytest.raises(RuntimeError, match="not websocket"):
        asyncio.run(densa.serving.asgi(Echo())({"type": "websocket"}, None, None))


@pytest.mark.parametrize("wrong", ["raises", "too few", "too long"])
def test_a_predictor_that_fails_is_the_service_s_error(wrong, caplog):
    class Fails(Echo):
        def run(self, arrays):
            if wrong == "raises":
                raise KeyError("secret")
            return [] if wrong == "too few" else [arrays[0], arrays[0]]

    with caplog.at_level(logging.ERROR, "densa.serving"):
        response = call(densa.serving.asgi(Fails()), "POST", INFER, ONE)
    assert (response.status, response.error) == (
        500,
        "Model 'model' failed; the server's log says how.",
    )
    assert "Traceback" in caplog.text


def test_a_model_is_no_predictor():
    with pytest.raises(TypeError, match="A model is frozen first"):
        densa.serving.asgi(densa.Sequential([densa.Input((2,)), densa.layers.Dense(1)]))


def test_large_requests_run_in_another_thread():
    echo = Echo()
    app = densa.serving.asgi(echo, offload_bytes=80)
    for rows in (9, 10):
        call(app, "POST", INFER, json_request({"x": np.ones((rows, 2), "float32")}))
    (_, small), (_, large) = echo.calls
    assert small is threading.current_thread()
    assert large is not threading.current_thread()


async def begun(*predictors):
    """Waits until predictors run in other threads."""
    for predictor in predictors:
        while not predictor.started.is_set():
            await asyncio.sleep(0.001)


def test_the_event_loop_is_free_while_a_large_request_runs():
    slow = Gated()
    app = densa.serving.asgi({"slow": slow, "fast": Echo()}, offload_bytes=80)
    large = json_request({"x": np.ones((10, 2), "float32")})

    async def both():
        running = asyncio.create_task(acall(app, "POST", "/v2/models/slow/infer", large))
        await begun(slow)
        fast = await acall(app, "POST", "/v2/models/fast/infer", ONE)
        assert not running.done()
        slow.gate.set()
        return fast, await running

    assert [response.status for response in asyncio.run(both())] == [200, 200]


def rows_of(values):
    """A request whose rows hold these values."""
    return json_request({"x": np.array([[v, -v] for v in values], "float32").reshape(-1, 2)})


def gather(app, bodies, path=INFER):
    """Sends requests at the same time."""

    async def send():
        return await asyncio.gather(*(acall(app, "POST", path, body) for body in bodies))

    return asyncio.run(send())


def batching(predictor, max_rows, **options):
    """An app whose batches end when they are full: the window is too long to end in a test."""
    return densa.serving.asgi(predictor, batch_window_us=60e6, max_rows=max_rows, **options)


@pytest.mark.parametrize("offload_bytes", [0, 1 << 20])
def test_batches(offload_bytes):
    """Requests of several sizes are one run, and each gets its own rows."""
    echo = Echo()
    rows = [k % 4 for k in range(1, 20)]
    app = batching(echo, sum(rows), offload_bytes=offload_bytes)
    values = [range(100 * k, 100 * k + n) for k, n in enumerate(rows)]
    for own, response in zip(values, gather(app, map(rows_of, values)), strict=True):
        expected = np.array([[v, -v] for v in own]).reshape(-1, 2)
        np.testing.assert_array_equal(response.outputs()["y"], expected)
    assert [shape for shape, _ in echo.calls] == [(sum(rows), 2)]


def test_a_batch_runs_when_its_window_ends():
    echo = Echo()
    app = densa.serving.asgi(echo, batch_window_us=5000)
    start = time.monotonic()
    assert call(app, "POST", INFER, ONE).status == 200
    assert 0.005 <= time.monotonic() - start < 30
    assert [shape for shape, _ in echo.calls] == [(1, 2)]


def test_what_does_not_fit_into_a_batch_begins_another():
    echo = Echo()
    responses = gather(batching(echo, 4), [rows_of([1, 2, 3]), rows_of([4, 5]), rows_of([6, 8])])
    assert [r.outputs()["y"][0, 0] for r in responses] == [1, 4, 6]
    assert [shape for shape, _ in echo.calls] == [(3, 2), (4, 2)]


def test_other_shapes_are_other_batches():
    echo = Echo("float32", (None, None))
    wide = json_request({"x": np.ones((2, 5), "float32")})
    responses = gather(batching(echo, 4), [rows_of([1]), rows_of([2]), wide, wide])
    assert [r.outputs()["y"].shape for r in responses] == [(1, 2), (1, 2), (2, 5), (2, 5)]
    assert sorted(shape for shape, _ in echo.calls) == [(2, 2), (4, 5)]


def test_a_bad_request_spoils_no_other_of_its_batch():
    responses = gather(batching(Echo(), 5), [rows_of([v]) for v in (1, -7, 2, 7, 3)])
    assert [r.status for r in responses] == [200, 400, 200, 400, 200]
    assert [r.outputs()["y"][0, 0] for r in responses if r.status == 200] == [1, 2, 3]


def test_a_failure_reaches_every_request_of_a_batch(caplog):
    class Fails(Echo):
        def run(self, arrays):
            raise RuntimeError("out of order")

    assert [r.status for r in gather(batching(Fails(), 3), [ONE] * 3)] == [500] * 3
    assert "out of order" in caplog.text


def test_outputs_of_other_rows_in_a_batch():
    class Totals(Echo):
        def run(self, arrays):
            return [arrays[0].sum(0, keepdims=True)]

    assert [r.status for r in gather(batching(Totals(), 2), [ONE, ONE])] == [500, 500]


@pytest.mark.parametrize("which", [0, 1, 2])
def test_requests_given_up_leave_the_batch_to_the_others(which):
    """The first request of a batch, or another one, is cancelled by the server."""
    echo = Echo()
    app = batching(echo, 4)

    async def give_up():
        tasks = [asyncio.create_task(acall(app, "POST", INFER, rows_of([k]))) for k in range(3)]
        await asyncio.sleep(0.005)
        tasks[which].cancel()
        last = await acall(app, "POST", INFER, rows_of([3]))
        found = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(found.pop(which), asyncio.CancelledError)
        return [*found, last]

    answered = [k for k in range(4) if k != which]
    assert [r.outputs()["y"][0, 0] for r in asyncio.run(give_up())] == answered
    assert len(echo.calls) == 1


def metrics(app):
    """The page as a dict; its form is checked by the way."""
    response = call(app, "GET", "/metrics")
    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    text = response.body.decode()
    assert text.endswith("\n")
    found, kinds = {}, {}
    for line in text.splitlines():
        if line.startswith("#"):
            _, what, name, rest = line.split(" ", 3)
            if what == "TYPE":
                assert name not in kinds
                kinds[name] = rest
            continue
        sample, value = line.rsplit(" ", 1)
        name = re.match("[a-z_]+", sample)[0]
        assert name in kinds or re.sub("_(bucket|sum|count)$", "", name) in kinds
        assert sample not in found
        found[sample] = float(value)
    return found


def test_metrics():
    app = densa.serving.asgi({"m": {1: Echo(), 2: Echo()}, 'a "b"\\\n': Echo()})
    for rows in (3, 4):
        body = json_request({"x": np.ones((rows, 2), "float32")})
        assert call(app, "POST", "/v2/models/m/versions/1/infer", body).status == 200
    assert call(app, "POST", "/v2/models/m/infer", b"x").status == 400
    assert call(app, "POST", "/v2/models/m/infer", ONE, [("content-encoding", "br")]).status == 415
    assert call(app, "GET", "/v2/models/unknown").status == 404
    found = metrics(app)
    one, two = 'model="m",version="1"', 'model="m",version="2"'
    assert found["densa_serving_ready"] == 1
    assert found[f"densa_serving_requests_total{{{one}}}"] == 2
    assert found[f"densa_serving_requests_total{{{two}}}"] == 2
    assert found[f"densa_serving_rows_total{{{one}}}"] == 7
    assert found[f"densa_serving_rows_total{{{two}}}"] == 0
    assert found[f"densa_serving_runs_total{{{one}}}"] == 2
    assert found[f'densa_serving_errors_total{{{two},code="400"}}'] == 1
    assert found[f'densa_serving_errors_total{{{two},code="415"}}'] == 1
    assert found['densa_serving_errors_total{model="",version="",code="404"}'] == 1
    assert f'densa_serving_errors_total{{{one},code="400"}}' not in found
    assert 'densa_serving_requests_total{model="",version=""}' not in found
    assert found['densa_serving_requests_total{model="a \\"b\\"\\\\\\n",version="1"}'] == 0
    buckets = [
        (float(re.search('le="(.*?)"', k)[1]), v)
        for k, v in found.items()
        if k.startswith(f"densa_serving_request_seconds_bucket{{{one}")
    ]
    ends, counts = zip(*buckets, strict=True)
    assert list(ends) == sorted(ends)
    assert list(counts) == sorted(counts)
    assert ends[-1] == np.inf
    assert counts[-1] == found[f"densa_serving_request_seconds_count{{{one}}}"] == 2
    assert 0 < found[f"densa_serving_request_seconds_sum{{{one}}}"] < 10


def test_latencies_are_counted_in_their_bucket():
    counts = densa.serving.metrics.ModelMetrics("m", "1")
    for seconds in (50e-6, 51e-6, 0.3, 99.0):
        counts.answered(1, seconds)
    page = densa.serving.metrics.exposition([counts], counts, True).decode()
    found = dict(re.findall(r'_bucket\{.*le="(.*?)"\} (\d+)', page))
    assert found["5e-05"] == "1"
    assert found["0.0001"] == found["0.25"] == "2"
    assert found["0.5"] == found["10.0"] == "3"
    assert found["+Inf"] == "4"


class Lifespan:
    """The server's side of the lifespan protocol."""

    def __init__(self, app):
        self._to_app = asyncio.Queue()
        self.sent = asyncio.Queue()
        self.task = asyncio.create_task(app({"type": "lifespan"}, self._to_app.get, self.sent.put))

    async def tell(self, what):
        await self._to_app.put({"type": f"lifespan.{what}"})


def test_shutdown_waits_for_what_runs_and_refuses_the_rest():
    predictors = {"short": Gated(), "long": Gated()}
    app = densa.serving.asgi(predictors, offload_bytes=0)
    paths = [f"/v2/models/{name}/infer" for name in predictors]
    before = set(threading.enumerate())

    async def live():
        server = Lifespan(app)
        await server.tell("startup")
        assert await server.sent.get() == {"type": "lifespan.startup.complete"}
        assert (await acall(app, "GET", "/v2/health/ready")).status == 200
        running = [asyncio.create_task(acall(app, "POST", path, ONE)) for path in paths]
        await begun(*predictors.values())
        await server.tell("shutdown")
        while (await acall(app, "GET", "/v2/health/ready")).status == 200:
            await asyncio.sleep(0)
        for path in ("/v2/health/ready", "/v2/models/short/ready"):
            response = await acall(app, "GET", path)
            assert (response.status, response.json["ready"]) == (503, False)
        assert (await acall(app, "GET", "/v2/health/live")).status == 200
        late = await acall(app, "POST", paths[0], ONE)
        assert (late.status, late.error) == (503, "The service is shutting down.")
        predictors["short"].gate.set()
        assert (await running[0]).status == 200
        await asyncio.sleep(0.02)
        assert server.sent.empty()
        assert not running[1].done()
        predictors["long"].gate.set()
        assert await server.sent.get() == {"type": "lifespan.shutdown.complete"}
        assert running[1].done()
        assert (await running[1]).status == 200
        await server.task

    asyncio.run(live())
    assert metrics(app)["densa_serving_ready"] == 0
    assert set(threading.enumerate()) <= before


def test_an_idle_service_stops_at_once_and_starts_again():
    app = densa.serving.asgi(Echo(), offload_bytes=0)

    async def live():
        server = Lifespan(app)
        await server.tell("startup")
        await server.sent.get()
        assert (await acall(app, "POST", INFER, ONE)).status == 200
        await server.tell("shutdown")
        await asyncio.wait_for(server.task, 5)
        assert (await acall(app, "POST", INFER, ONE)).status == 503

    asyncio.run(live())
    asyncio.run(live())


def test_serving_is_loaded_when_it_is_asked_for():
    code = (
        "import sys, densa; densa.Sequential; assert 'densa.serving' not in sys.modules;"
        "assert 'asyncio' not in sys.modules; densa.serving.asgi; assert 'asyncio' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
