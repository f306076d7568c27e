"""A client that calls an ASGI app without a server, and the bodies of requests."""

from __future__ import annotations

import asyncio
import json
from typing import NamedTuple

import numpy as np

DATATYPES = {"f": "FP", "i": "INT", "u": "UINT"}
DTYPES = {
    "BOOL": "?",
    **{
        f"{name}{8 * n}": f"<{kind}{n}"
        for kind, name in DATATYPES.items()
        for n in (1, 2, 4, 8)[kind == "f" :]
    },
}


class Response(NamedTuple):
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self):
        """The whole body as JSON."""
        assert self.headers["content-type"] == "application/json"
        return json.loads(self.body)

    @property
    def error(self):
        """The message of an error, which is all there is in it."""
        assert self.status >= 400
        assert list(self.json) == ["error"]
        return self.json["error"]

    def outputs(self):
        """Name → array, from JSON or bytes, decoded apart from the code under test."""
        length = self.headers.get("inference-header-content-length")
        head, rest = self.body, b""
        if length is not None:
            head, rest = self.body[: int(length)], self.body[int(length) :]
        found = {}
        for output in json.loads(head)["outputs"]:
            dtype = DTYPES[output["datatype"]]
            if "data" in output:
                y = np.array(output["data"], dtype)
            else:
                size = output["parameters"]["binary_data_size"]
                y, rest = np.frombuffer(rest[:size], dtype), rest[size:]
            found[output["name"]] = y.reshape(output["shape"])
        assert rest == b""
        return found


async def acall(app, method, path, body=b"", headers=(), *, parts=None, root_path=""):
    """One request; `parts` are pieces of a body that comes bit by bit."""
    parts = [body] if parts is None else list(parts)
    waiting = [
        {"type": "http.request", "body": part, "more_body": i + 1 < len(parts)}
        for i, part in enumerate(parts)
    ]
    waiting.append({"type": "http.disconnect"})
    sent = []

    async def receive():
        return waiting.pop(0)

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "method": method,
        "path": path,
        "root_path": root_path,
        "query_string": b"",
        "headers": [(k.lower().encode(), str(v).encode()) for k, v in headers],
    }
    await app(scope, receive, send)
    start, *rest = sent
    assert start["type"] == "http.response.start"
    assert [m["type"] for m in rest] == ["http.response.body"]
    names = [k for k, _ in start["headers"]]
    assert len(set(names)) == len(names)
    return Response(
        start["status"],
        {k.decode(): v.decode() for k, v in start["headers"]},
        rest[0]["body"],
    )


def call(app, *args, **kwargs):
    """`acall` in an event loop of its own."""
    return asyncio.run(acall(app, *args, **kwargs))


def datatype(x):
    """The protocol's name of an array's type."""
    return "BOOL" if x.dtype == bool else DATATYPES[x.dtype.kind] + str(8 * x.dtype.itemsize)


def json_request(arrays, **more):
    """A request whose tensors are JSON: nested lists, with NaN and infinities as words."""
    inputs = [
        {"name": k, "shape": list(x.shape), "datatype": datatype(x), "data": x.tolist()}
        for k, x in arrays.items()
    ]
    return json.dumps({"inputs": inputs, **more}).encode()


def binary_request(arrays, **more):
    """Body and headers of a request whose tensors are bytes."""
    inputs = [
        {
            "name": k,
            "shape": list(x.shape),
            "datatype": datatype(x),
            "parameters": {"binary_data_size": x.nbytes},
        }
        for k, x in arrays.items()
    ]
    head = json.dumps({"inputs": inputs, **more}).encode()
    tail = b"".join(x.astype(x.dtype.newbyteorder("<")).tobytes() for x in arrays.values())
    return head + tail, [("Inference-Header-Content-Length", len(head))]
