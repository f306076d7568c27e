"""The service: an ASGI callable that any server runs and any framework mounts."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from densa._names import hinted
from densa._numbers import check_real_number, whole_number

from . import metrics, protocol
from .batching import REFUSALS, Batcher
from .predictors import Array, Served, served_models
from .protocol import ProtocolError

__all__ = ["Service", "asgi"]

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]
Answer = tuple[int, Headers, bytes]

JSON = (b"content-type", b"application/json")
_LONGEST_US = 60_000_000
log = logging.getLogger("densa.serving")


class _Disconnected(Exception):
    """The client went away before its request was complete."""


@hinted
def asgi(
    predictors: Any,
    *,
    max_body: int = 16 << 20,
    max_rows: int = 65536,
    batch_window_us: float = 0,
    offload_bytes: int = 65536,
) -> Service:
    """Return an ASGI app that serves predictors by the Open Inference Protocol v2.

    Run it with any ASGI server (`pip install 'densa[serve]'` brings uvicorn), or mount it in
    another app.

    Args:
        predictors: A predictor, which is called "model"; or a dict of them by name; or by name
            and version, where the highest version answers requests that name none.
        max_body: Larger requests are refused, in bytes.
        max_rows: Requests with more rows are refused.
        batch_window_us: Requests that come within as many microseconds are computed together;
            0: each by itself. At most a minute.
        offload_bytes: Requests whose inputs have as many bytes or more are computed in a thread
            beside the event loop, so that others need not wait. Choose less where a row takes
            long; 0: all.

    Returns:
        The app.

    Raises:
        ValueError: A name or version that no path can hold, a dtype the protocol has not, or a
            number out of range.
        TypeError: Something that is no predictor, or no number.

    Example:

    >>> app = densa.serving.asgi(predictor)  # doctest: +SKIP
    """
    return Service(
        served_models(predictors),
        max_body=max_body,
        max_rows=max_rows,
        batch_window_us=batch_window_us,
        offload_bytes=offload_bytes,
    )


class Service:
    """The app that `asgi` makes. It lives in one event loop; each process has its own counts."""

    def __init__(
        self,
        models: dict[str, dict[str, Served]],
        *,
        max_body: int,
        max_rows: int,
        batch_window_us: float,
        offload_bytes: int,
    ) -> None:
        self._max_body = whole_number("asgi: `max_body`", max_body)
        self._max_rows = whole_number("asgi: `max_rows`", max_rows)
        self._offload_bytes = whole_number("asgi: `offload_bytes`", offload_bytes, least=0)
        check_real_number("asgi: `batch_window_us`", batch_window_us, least=0)
        if batch_window_us > _LONGEST_US:
            raise ValueError(
                f"asgi: `batch_window_us` must be at most {_LONGEST_US}, a minute, for which every "
                f"request would wait; received {batch_window_us!r}."
            )
        self._models = models
        self._ready = True
        self._running = 0
        self._idle: asyncio.Event | None = None  # there once the service is shutting down
        self._pool: ThreadPoolExecutor | None = None
        self._unrouted = metrics.ModelMetrics("", "")
        self._runs: dict[Served, Callable[[list[Array]], Awaitable[list[Array]]]] = {}
        for served in self._all():
            run = partial(self._run, served)
            window = batch_window_us / 1e6
            self._runs[served] = Batcher(run, window, max_rows).run if window else run
        self._gets = self._get_routes()
        self._posts = self._post_routes()

    def _all(self) -> list[Served]:
        return [served for versions in self._models.values() for served in versions.values()]

    def _get_routes(self) -> dict[str, Callable[[], Answer]]:
        """What each path answers."""
        from densa import __version__

        about = {"name": "densa", "version": __version__, "extensions": ["binary_tensor_data"]}
        routes: dict[str, Callable[[], Answer]] = {
            "/v2": lambda: _json(200, about),
            "/v2/health/live": lambda: _json(200, {"live": True}),
            "/v2/health/ready": partial(self._readiness, {}),
            "/metrics": self._metrics,
        }
        for path, served in self._model_paths():
            metadata = served.metadata(list(self._models[served.name]))
            routes[path] = partial(_json, 200, metadata)
            routes[f"{path}/ready"] = partial(self._readiness, {"name": served.name})
        return routes

    def _post_routes(self) -> dict[str, Served]:
        return {f"{path}/infer": served for path, served in self._model_paths()}

    def _model_paths(self) -> list[tuple[str, Served]]:
        """Each model's path, for its latest version and for every one by name."""
        paths = []
        for name, versions in self._models.items():
            *_, latest = versions.values()
            paths.append((f"/v2/models/{name}", latest))
            paths += [(f"/v2/models/{name}/versions/{v}", s) for v, s in versions.items()]
        return paths

    def _readiness(self, more: dict[str, Any]) -> Answer:
        return _json(200 if self._ready else 503, {**more, "ready": self._ready})

    def _metrics(self) -> Answer:
        counts = [served.metrics for served in self._all()]
        body = metrics.exposition(counts, self._unrouted, self._ready)
        return 200, [(b"content-type", metrics.CONTENT_TYPE)], body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI entry."""
        if scope["type"] == "lifespan":
            return await self._lifespan(receive, send)
        if scope["type"] != "http":
            raise RuntimeError(f"densa serves HTTP, not {scope['type']}.")
        try:
            status, headers, body = await self._answer(scope, receive)
        except _Disconnected:
            return None
        headers.append((b"content-length", b"%d" % len(body)))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        if scope["method"] == "HEAD":
            body = b""
        return await send({"type": "http.response.body", "body": body})

    async def _answer(self, scope: Scope, receive: Receive) -> Answer:
        path: str = scope["path"]
        root = scope.get("root_path", "")
        if root and path.startswith(root):  # mounted, or behind a proxy
            path = path[len(root) :]
        method = scope["method"]
        served = self._posts.get(path)
        if served is not None:
            if method == "POST":
                return await self._infer(served, scope["headers"], receive)
            return self._unanswered(405, f"{path} takes POST, not {method}.", b"POST")
        get = self._gets.get(path)
        if get is None:
            return self._unanswered(404, self._missing(path))
        if method in ("GET", "HEAD"):
            return get()
        return self._unanswered(405, f"{path} takes GET, not {method}.", b"GET, HEAD")

    def _missing(self, path: str) -> str:
        """Why a path leads nowhere."""
        _, *parts = path.split("/")
        if parts[:2] == ["v2", "models"] and len(parts) > 2:
            versions = self._models.get(parts[2])
            if versions is None:
                known = ", ".join(map(repr, self._models))
                return f"No model has the name {parts[2][:80]!r}; there are: {known}."
            if parts[3:4] == ["versions"] and len(parts) > 4 and parts[4] not in versions:
                known = ", ".join(versions)
                return f"Model {parts[2]!r} has no version {parts[4][:80]!r}; there are: {known}."
        return f"There is nothing at {path[:80]!r}."

    def _unanswered(self, status: int, message: str, allow: bytes = b"") -> Answer:
        self._unrouted.failed(status)
        status, headers, body = _json(status, {"error": message})
        return status, [*headers, (b"allow", allow)] if allow else headers, body

    async def _infer(self, served: Served, headers: Headers, receive: Receive) -> Answer:
        """Answers a request, whatever is in it."""
        try:
            header_length = self._check_headers(headers)
            body = await self._read(receive)
            if not self._ready:
                raise ProtocolError(503, "The service is shutting down.")
            start = time.perf_counter()
            self._running += 1
            try:
                request = protocol.parse(body, header_length, served, self._max_rows)
                try:
                    outputs = await self._runs[served](request.arrays)
                except REFUSALS as error:
                    raise ProtocolError(400, str(error)) from error
                body, json_length = protocol.encode(served, request, outputs)
            finally:
                self._running -= 1
                if self._idle is not None and not self._running:
                    self._idle.set()
        except ProtocolError as error:
            served.metrics.failed(error.status)
            return _json(error.status, {"error": str(error)})
        except _Disconnected:
            raise
        except Exception:
            log.exception("model %r, version %s failed", served.name, served.version)
            served.metrics.failed(500)
            return _json(
                500, {"error": f"Model {served.name!r} failed; the server's log says how."}
            )
        served.metrics.answered(request.rows, time.perf_counter() - start)
        if json_length is None:
            return 200, [JSON], body
        length = (b"inference-header-content-length", b"%d" % json_length)
        return 200, [(b"content-type", b"application/octet-stream"), length], body

    def _check_headers(self, headers: Headers) -> int | None:
        """The length of the JSON, if a header gives it."""
        json_length: int | None = None
        for name, value in headers:
            if name == b"inference-header-content-length":
                if json_length is not None:
                    raise ProtocolError(400, "Inference-Header-Content-Length is there twice.")
                if not value.isdigit() or len(value) > 18:
                    message = "Inference-Header-Content-Length is not a number of bytes."
                    raise ProtocolError(400, message)
                json_length = int(value)
            elif name == b"content-length":
                if value.isdigit() and (len(value) > 18 or int(value) > self._max_body):
                    raise self._too_large()
            elif name == b"content-encoding" and value.lower() != b"identity":
                raise ProtocolError(415, "Compressed requests are not supported.")
        return json_length

    async def _read(self, receive: Receive) -> bytes:
        """A request's whole body."""
        parts: list[bytes] = []
        size = 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise _Disconnected
            part = message.get("body", b"")
            size += len(part)
            if size > self._max_body:
                raise self._too_large()
            parts.append(part)
            if not message.get("more_body", False):
                return parts[0] if len(parts) == 1 else b"".join(parts)

    def _too_large(self) -> ProtocolError:
        return ProtocolError(413, f"The request is larger than {self._max_body} bytes.")

    async def _run(self, served: Served, arrays: list[Array]) -> list[Array]:
        """The model's outputs; large inputs are computed in another thread."""
        served.metrics.runs += 1
        if sum(x.nbytes for x in arrays) < self._offload_bytes:
            return served.run(arrays)
        if self._pool is None:
            self._pool = ThreadPoolExecutor(thread_name_prefix="densa-serving")
        return await asyncio.get_running_loop().run_in_executor(self._pool, served.run, arrays)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        """Takes requests from startup on; at shutdown waits for those that run."""
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                self._ready, self._idle = True, None
                await send({"type": "lifespan.startup.complete"})
            else:
                self._ready, self._idle = False, asyncio.Event()
                if self._running:
                    await self._idle.wait()
                if self._pool is not None:
                    self._pool.shutdown()
                    self._pool = None
                return await send({"type": "lifespan.shutdown.complete"})


def _json(status: int, value: Any) -> Answer:
    return status, [JSON], protocol.dumps(value)
