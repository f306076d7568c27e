"""The parent's side of `worker.py`: starts the peers and hands out their slots."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import machine


class Skipped(Exception):
    """This peer cannot do the job; the message says why, `peer` is its name."""

    peer = ""


class Worker:
    """A peer in its own process, with its thread count set by every means there is.

    Args:
        peer: a name from `peers.PEERS`.
        threads: how many threads the peer may use.
        python: the interpreter that has the peer, by default this one.
        log: where the peer's standard error goes.
        name: what it is called in results, by default the peer's name.
        variables: of the environment, beside those of this process.
        patience: seconds that an answer may take; then the process is ended. 0: any number.
    """

    def __init__(
        self,
        peer: str,
        threads: int,
        python: str,
        log: Path,
        *,
        name: str = "",
        variables: Mapping[str, str] | None = None,
        patience: float = 0,
    ) -> None:
        self.name = name or peer
        self._patience = patience
        environment = dict(os.environ)
        for variable in ("OMP", "MKL", "OPENBLAS", "NUMEXPR", "DENSA"):
            environment[f"{variable}_NUM_THREADS"] = str(threads)
        if threads < machine.cpu_count():
            # XLA sizes its pool by the CPUs it sees; these two are its ways to be told less.
            environment["NPROC"] = str(threads)
            if threads == 1:
                flags = environment.get("XLA_FLAGS", "")
                environment["XLA_FLAGS"] = f"{flags} --xla_cpu_multi_thread_eigen=false".strip()
        environment["KERAS_BACKEND"] = "jax"
        environment["JAX_PLATFORMS"] = "cpu"
        environment["TF_CPP_MIN_LOG_LEVEL"] = "2"
        environment.update(variables or {})
        self._log = log.open("a")
        self._process = subprocess.Popen(
            [python, str(Path(__file__).with_name("worker.py")), peer],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            env=environment,
        )

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """Sends one request and waits for its answer.

        Raises:
            Skipped: the peer is missing, cannot do the job, or died.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        late: list[float] = []
        timer = threading.Timer(self._patience or 1, self._end, [late])
        if self._patience:
            timer.start()
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        finally:
            timer.cancel()
        if late:
            raise self._skipped(f"no answer within {late[0]:g} s")
        if not line:
            raise self._skipped(f"the process ended (exit status {self._process.wait()})")
        answer: dict[str, Any] = json.loads(line)
        if "skip" in answer:
            raise self._skipped(answer["skip"])
        return answer

    def _end(self, late: list[float]) -> None:
        late.append(self._patience)
        self._process.kill()

    def _skipped(self, why: str) -> Skipped:
        reason = Skipped(why)
        reason.peer = self.name
        return reason

    def prepare(self, job: dict[str, Any]) -> dict[str, Any]:
        """Builds the job: loads data, makes the model, compiles."""
        return self.ask({"do": "prepare", "job": job})

    def run(self, units: int, warmup: int) -> tuple[float, float]:
        """Runs warm-up and timed units; returns wall and CPU seconds of the timed ones."""
        answer = self.ask({"do": "run", "units": units, "warmup": warmup})
        return answer["wall"], answer["cpu"]

    def proof(self) -> list[float]:
        """What the peer computes before it is timed, to be compared with other peers' answers."""
        values: list[float] = self.ask({"do": "proof"})["values"]
        return values

    def check(self) -> float:
        """The loss or accuracy after what was run so far."""
        return float(self.ask({"do": "check"})["value"])

    def close(self) -> None:
        """Ends the process."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._log.close()


def start(
    peers: Iterable[str],
    threads: int,
    pythons: dict[str, str],
    job: dict[str, Any],
    log: Path,
) -> tuple[list[Worker], dict[str, dict[str, Any]]]:
    """Starts and prepares the peers; those that cannot do the job are named and left out."""
    ready, notes = [], {}
    for peer in peers:
        worker = Worker(peer, threads, pythons.get(peer, pythons.get("", sys.executable)), log)
        try:
            notes[peer] = worker.prepare(job)
            ready.append(worker)
        except Skipped as reason:
            print(f"  {peer}: skipped: {reason}")
            worker.close()
    return ready, notes


def parse_pythons(values: list[str]) -> dict[str, str]:
    """Reads `--python PEER=PATH` and `--python PATH` (the default for every peer)."""
    result = {}
    for value in values:
        peer, found, path = value.partition("=")
        result[peer if found else ""] = path if found else peer
    return result
