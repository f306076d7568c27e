"""Real servers: under load from many connections, stopped while they work, and broken requests."""

import asyncio
import importlib.util
import json
import signal
import time

import numpy as np
import pytest

from serving.client import binary_request, json_request
from serving.predictors import network
from serving.server import Connection, Server

pytestmark = pytest.mark.cpu_only("the servers' processes compute on the CPU")

INFER = "/v2/models/net/infer"
CONNECTIONS = 16
KINDS = [
    pytest.param(
        kind,
        marks=pytest.mark.skipif(
            importlib.util.find_spec(kind) is None, reason=f"{kind} is not installed"
        ),
    )
    for kind in ("uvicorn", "granian")
]


@pytest.fixture(params=KINDS)
def server(request):
    """A running server, of the app that the test names; it has to end well."""
    app = request.node.callspec.params.get("app", "app")
    server = Server(request.param, f"serving.served_app:{app}")
    server.wait()
    yield server
    server.stop()


class Expected:
    """Rows, and their answers computed here."""

    def __init__(self):
        self.x = np.random.default_rng(1).standard_normal((256, 64)).astype("float32")
        self.run = network().freeze().run


@pytest.fixture(scope="module")
def expected():
    return Expected()


def question(expected, rng, id):
    """A random request, large ones and binary ones among them, and its answer."""
    rows = int(rng.choice([1, 1, 1, 2, 7, 40]))
    start = int(rng.integers(0, len(expected.x) - rows))
    x = expected.x[start : start + rows]
    (y,) = expected.run([x])
    if rng.random() < 0.5:
        return (json_request({"x": x}, id=id), []), y
    as_binary = bool(rng.random() < 0.8)
    return binary_request({"x": x}, id=id, parameters={"binary_data_output": as_binary}), y


def check(response, y, id, batched):
    """The answer is the one to this request."""
    assert response.status == 200, response.body
    length = int(response.headers.get("inference-header-content-length", len(response.body)))
    assert json.loads(response.body[:length])["id"] == id
    found = response.outputs()["y"]
    if batched:  # other rows beside them may change the order of sums
        np.testing.assert_allclose(found, y, rtol=1e-5, atol=1e-7)
    else:
        np.testing.assert_array_equal(found, y)


async def ask_until_closed(server, expected, seed, counts, batched):
    """Asks on one connection until the server closes it between two answers."""
    rng = np.random.default_rng(seed)
    connection = await Connection.open(server.port)
    while True:
        id = f"{seed}-{counts[seed]}"
        (body, headers), y = question(expected, rng, id)
        try:
            connection.send("POST", INFER, body, headers)
            response = await connection.receive()
        except ConnectionError:
            response = None
        if response is None or response.status == 503:
            break
        check(response, y, id, batched)
        counts[seed] += 1
    await connection.close()


@pytest.mark.parametrize("app", ["app", "batched"])
def test_every_answer_is_right_under_load_until_the_server_is_stopped(server, expected, app):
    async def load():
        counts = [0] * CONNECTIONS
        tasks = [
            asyncio.create_task(ask_until_closed(server, expected, k, counts, app == "batched"))
            for k in range(CONNECTIONS)
        ]
        await asyncio.sleep(1.5)
        assert not any(task.done() for task in tasks)
        server.process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(asyncio.gather(*tasks), 30)
        return counts

    assert min(asyncio.run(load())) > 0


def test_what_runs_is_answered_when_the_server_is_stopped(server):
    """More slow requests than threads: some run, some wait, all are answered."""
    x = np.random.default_rng(2).standard_normal((CONNECTIONS, 20, 64)).astype("float32")

    async def stop_at_work():
        connections = [await Connection.open(server.port) for _ in x]
        for connection, values in zip(connections, x, strict=True):
            body, headers = binary_request({"x": values})
            connection.send("POST", "/v2/models/slow/infer", body, headers)
        end = time.monotonic() + 10
        while (
            b'runs_total{model="slow",version="1"} 16\n' not in (await server.get("/metrics")).body
        ):
            assert time.monotonic() < end
        server.process.send_signal(signal.SIGTERM)
        responses = [await connection.receive() for connection in connections]
        for connection in connections:
            await connection.close()
        return responses

    for response, values in zip(asyncio.run(stop_at_work()), x, strict=True):
        assert response is not None
        np.testing.assert_array_equal(response.outputs()["y"], values)
    server.process.wait(30)
    with pytest.raises(OSError):
        asyncio.run(server.get("/v2/health/ready"))


def test_broken_requests_leave_the_server_well(server, expected):
    """As bytes on a socket: what an app is never told of, too."""
    right, headers = binary_request({"x": expected.x[:3]})

    async def break_it():
        for body, more, status in [
            (b"{", [], 400),
            (right[:-1], headers, 400),
            (right, [("Inference-Header-Content-Length", "x")], 400),
            (bytes(2 << 20), [], 413),
        ]:
            connection = await Connection.open(server.port)
            connection.send("POST", INFER, body, more)
            response = await connection.receive()
            if response is None:  # a server may cut off what is refused before it was read
                assert status == 413
            else:
                assert response.status == status
                assert response.error
            await connection.close()
        for text in (
            b"GET / HTTP/9\r\n\r\n",
            b"\x00\x01\x02",
            b"POST " + INFER.encode() + b" HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{",
        ):
            connection = await Connection.open(server.port)
            connection.writer.write(text)
            await connection.writer.drain()
            await connection.close()
        connection = await Connection.open(server.port)
        response = await connection.ask("POST", INFER, right, headers)
        await connection.close()
        return response

    found = asyncio.run(break_it()).outputs()["y"]
    np.testing.assert_array_equal(found, expected.run([expected.x[:3]])[0])
