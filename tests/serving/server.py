"""Servers in processes of their own, and connections to them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from serving.client import Response

TESTS = Path(__file__).resolve().parents[1]


def free_port() -> int:
    """A port that nobody listens at, and that no other worker of pytest-xdist gives its server.

    Below those that the system gives to connections, which could take it before the server does.
    """
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    while True:
        port = 16 * random.SystemRandom().randrange(20000 // 16, 32000 // 16) + worker % 16
        with socket.socket() as taken, contextlib.suppress(OSError):
            taken.bind(("127.0.0.1", port))
            return port


class Server:
    """A process that serves; `stop` ends it as an administrator would."""

    def __init__(self, kind: str, app: str) -> None:
        self.kind = kind
        self.port = free_port()
        address = ["--host", "127.0.0.1", "--port", str(self.port)]
        command = {
            "uvicorn": ["uvicorn", app, "--no-access-log", *address],
            "granian": ["granian", app, "--interface", "asgi", "--no-ws", *address],
        }[kind]
        path = os.pathsep.join(filter(None, [str(TESTS), os.environ.get("PYTHONPATH")]))
        self.process = subprocess.Popen(
            [sys.executable, "-m", *command],
            env={**os.environ, "PYTHONPATH": path},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def wait(self) -> None:
        """Waits until it takes requests."""
        end = time.monotonic() + 60
        while time.monotonic() < end and self.process.poll() is None:
            with contextlib.suppress(OSError):
                if asyncio.run(self.get("/v2/health/ready")).status == 200:
                    return
            time.sleep(0.05)
        self.process.kill()
        raise RuntimeError(f"the server did not start:\n{self.process.communicate()[0]}")

    def stop(self) -> None:
        """Asks it to end; it ends well, the app's shutdown complete, and nothing went wrong."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            text, _ = self.process.communicate(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        # uvicorn ends by the signal that it was sent, when all is done.
        assert self.process.returncode in (0, -signal.SIGTERM), text
        assert self.kind != "uvicorn" or "Application shutdown complete" in text, text
        assert "Traceback" not in text, text
        assert "ERROR" not in text, text

    async def get(self, path: str) -> Response:
        """One GET on a connection of its own."""
        connection = await Connection.open(self.port)
        try:
            return await connection.ask("GET", path)
        finally:
            await connection.close()


class Connection:
    """An HTTP/1.1 connection that is kept."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def open(cls, port: int) -> Connection:
        """Connects."""
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    def send(self, method, path, body=b"", headers=()) -> None:
        """Writes a request."""
        lines = [f"{method} {path} HTTP/1.1", "Host: test", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in headers]
        self.writer.write("\r\n".join([*lines, "", ""]).encode() + body)

    async def receive(self) -> Response | None:
        """Reads an answer; None where the connection ended before its first byte."""
        try:
            head = await self.reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError as error:
            if error.partial:
                raise
            return None
        except ConnectionResetError:
            return None
        status, *lines = head.decode("latin-1").split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines if line)
        body = await self.reader.readexactly(int(headers["content-length"]))
        return Response(int(status.split()[1]), headers, body)

    async def ask(self, *request) -> Response:
        """Sends a request and reads its answer."""
        self.send(*request)
        response = await self.receive()
        if response is None:
            raise ConnectionError("no answer")
        return response

    async def close(self) -> None:
        """Ends the connection."""
        self.writer.close()
        with contextlib.suppress(ConnectionError):
            await self.writer.wait_closed()
