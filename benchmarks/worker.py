"""One peer in a process of its own, so that the peers' thread pools do not meet.

The parent sends a JSON object a line: `prepare` a job, `run` so many units of it, time so many
single `calls`, `check` a number that tells whether the work was done (a loss or an accuracy), give
a `proof` before anything is timed. The answers go to the real standard
output; whatever a library prints goes to a terminal nobody reads, or to nothing.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any, TextIO

from peers import PEERS, Prepared, Unavailable


def take_stdout() -> TextIO:
    """Keeps the pipe to the parent for us and turns file descriptor 1 to /dev/null."""
    answers = os.fdopen(os.dup(1), "w")
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    return answers


def open_terminal() -> subprocess.Popen[bytes] | None:
    """Makes standard output a terminal, so that progress bars cost what they cost users."""
    try:
        import pty

        reader, writer = pty.openpty()
    except (ImportError, OSError):
        return None
    drain = subprocess.Popen(["cat"], stdin=reader, stdout=subprocess.DEVNULL)
    os.close(reader)
    os.dup2(writer, 1)
    os.close(writer)
    sys.stdout = os.fdopen(os.dup(1), "w", buffering=1)
    return drain


def time_calls(call: Callable[[], Any], count: int) -> list[float]:
    """Microseconds of each call; the clock itself takes a few hundredths of one."""
    clock = time.perf_counter_ns
    micros = []
    for _ in range(count):
        start = clock()
        call()
        micros.append((clock() - start) / 1e3)
    return micros


def serve(peer: str) -> None:
    """Answers the parent until it closes the pipe."""
    answers = take_stdout()
    module_name, options = PEERS[peer]
    prepared: Prepared | None = None
    terminal = None
    for line in sys.stdin:
        request: dict[str, Any] = json.loads(line)
        answer: dict[str, Any]
        try:
            if request["do"] == "prepare":
                prepared = None  # the old job's memory goes first
                if request["job"]["kind"] == "fit" and terminal is None:
                    terminal = open_terminal()
                module = importlib.import_module(module_name)
                prepared = module.prepare({**request["job"], **options})
                answer = {"version": module.version(), "note": prepared.note}
            elif prepared is None:
                answer = {"skip": "nothing is prepared"}
            elif request["do"] == "run":
                if request["warmup"]:
                    prepared.run(request["warmup"])
                cpu, start = time.process_time(), time.perf_counter()
                prepared.run(request["units"])
                wall = time.perf_counter() - start
                answer = {"wall": wall, "cpu": time.process_time() - cpu}
            elif request["do"] == "proof":
                assert prepared.proof is not None
                answer = {"values": prepared.proof()}
            elif request["do"] == "calls":
                assert prepared.call is not None
                answer = {"micros": time_calls(prepared.call, request["count"])}
            else:
                answer = {"value": float(prepared.check())}
        except (Unavailable, ImportError) as error:
            answer = {"skip": str(error)}
        except Exception as error:  # a peer's failure is reported, never fatal
            traceback.print_exc()
            answer = {"skip": f"{type(error).__name__}: {error}".splitlines()[0]}
        print(json.dumps(answer), file=answers, flush=True)
    if terminal is not None:
        terminal.terminate()
        terminal.wait()


if __name__ == "__main__":
    serve(sys.argv[1])
