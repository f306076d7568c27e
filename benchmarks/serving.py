"""Serving speed: densa.serving beside a bare ASGI app under the same server.

    python benchmarks/serving.py                  # uvicorn, and granian where it is installed
    python benchmarks/serving.py --readme         # ... and writes the table of docs/serving.md
    python benchmarks/serving.py --render         # writes it from the JSON, measures nothing

One server process, asked by `wrk` (Debian: `apt-get install wrk`) over loopback on the same
machine; one row of a 64-128-128-10 network a request. The bare app reads the request and answers
with as many bytes. Variants take turns; shown is the median of their slots.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import common
import machine
import render

HERE = Path(__file__).parent
DOCS = HERE.parent / "docs" / "serving.md"
# What wrk prints at its end: requests, microseconds, latencies in microseconds, errors.
SCRIPT = """
local file = io.open("{body}", "rb")
wrk.method, wrk.body = "POST", file:read("*a")
{headers}
function done(summary, latency)
  local errors = summary.errors
  print("RESULT", summary.requests, summary.duration, latency:percentile(50),
    latency:percentile(99), errors.status + errors.connect + errors.read + errors.write)
end
"""


class Variant(NamedTuple):
    """An app, and the body that it is sent."""

    name: str
    app: str
    form: str


VARIANTS = [
    Variant("bare ASGI app", "echo_json", "JSON"),
    Variant("densa.serving", "net", "JSON"),
    Variant("densa.serving, batches of 200 µs", "batched", "JSON"),
    Variant("bare ASGI app", "echo_binary", "binary"),
    Variant("densa.serving", "net", "binary"),
]
SERVERS = {
    "uvicorn": ["uvicorn", "--log-level", "warning", "--no-access-log"],
    "granian": ["granian", "--interface", "asgi", "--no-ws", "--log-level", "warning"],
}


def requests(folder: Path) -> dict[str, Path]:
    """Writes wrk's script for each form of request."""
    x = np.random.default_rng(0).standard_normal((1, 64)).astype("float32")
    entry: dict[str, Any] = {"name": "x", "shape": [1, 64], "datatype": "FP32"}
    text = json.dumps({"inputs": [entry | {"data": x.ravel().tolist()}]}).encode()
    request = {
        "inputs": [entry | {"parameters": {"binary_data_size": x.nbytes}}],
        "parameters": {"binary_data_output": True},
    }
    head = json.dumps(request).encode()
    header = f'wrk.headers["Inference-Header-Content-Length"] = "{len(head)}"'
    scripts = {}
    for form, body, headers in (("JSON", text, ""), ("binary", head + x.tobytes(), header)):
        (folder / form).write_bytes(body)
        scripts[form] = folder / f"{form}.lua"
        scripts[form].write_text(SCRIPT.format(body=folder / form, headers=headers))
    return scripts


@contextlib.contextmanager
def serving(server: str, app: str) -> Iterator[int]:
    """Runs a server process; gives its port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", *SERVERS[server], "--port", str(port), f"serving_apps:{app}"]
    process = subprocess.Popen(command, cwd=HERE)
    try:
        for _ in range(600):
            if process.poll() is not None:
                raise RuntimeError(f"{server} did not start {app}")
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
            time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait()


def ask(port: int, script: Path, connections: int, seconds: float) -> dict[str, float]:
    """One slot of wrk."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds:.0f}s", "-s", str(script)]
    url = f"http://127.0.0.1:{port}/v2/models/model/infer"
    run = subprocess.run([*command, url], check=True, capture_output=True, text=True)
    line = next(line for line in run.stdout.splitlines() if line.startswith("RESULT"))
    count, micros, p50, p99, errors = map(float, line.split()[1:])
    if errors:
        raise RuntimeError(f"{errors:.0f} requests failed:\n{run.stdout}")
    return {"per_second": count / micros * 1e6, "p50_us": p50, "p99_us": p99}


def measure(server: str, options: argparse.Namespace, scripts: dict[str, Path]) -> list[Any]:
    """All variants under one server, in turn."""
    rows = []
    with contextlib.ExitStack() as stack:
        ports = {v: stack.enter_context(serving(server, v.app)) for v in VARIANTS}
        for connections in options.connections:
            slots: dict[Variant, list[dict[str, float]]] = {v: [] for v in VARIANTS}
            for turn in range(options.repeats + 1):
                for v in VARIANTS:
                    found = ask(ports[v], scripts[v.form], connections, options.slot)
                    if turn:  # the first one warms up
                        slots[v].append(found)
            for v, found in slots.items():
                middle = {k: statistics.median(slot[k] for slot in found) for k in found[0]}
                low, _, high = common.quartiles([slot["per_second"] for slot in found])
                row = {"server": server, "connections": connections, **v._asdict(), **middle}
                rows.append(row | {"per_second_q1": low, "per_second_q3": high})
                print(
                    f"  {server:8} {connections:3} {v.form:7} {v.name:34}"
                    f" {row['per_second']:8.0f}/s ({low:.0f}-{high:.0f})"
                    f" p50 {row['p50_us']:.0f} us, p99 {row['p99_us']:.0f} us",
                    flush=True,
                )
    return rows


def versions(servers: list[str]) -> str:
    """What runs the apps, with the parts that make it fast."""
    from importlib.metadata import PackageNotFoundError, version

    found = []
    for name in [*servers, "uvloop", "httptools", "orjson"]:
        with contextlib.suppress(PackageNotFoundError):
            found.append(f"{name} {version(name)}")
    return ", ".join(found)


def main() -> None:
    """Measures, prints, writes the JSON and, where asked, the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    here = [name for name in SERVERS if importlib.util.find_spec(name)]
    parser.add_argument("--servers", nargs="+", default=here, choices=list(SERVERS))
    parser.add_argument("--connections", nargs="+", type=int, default=[1, 16])
    parser.add_argument("--repeats", type=int, default=5, help="slots per variant")
    parser.add_argument("--slot", type=float, default=1, help="seconds per slot")
    parser.add_argument("--json", type=Path, default=HERE / "results.json")
    parser.add_argument(
        "--readme", action="store_true", help="write the table into docs/serving.md"
    )
    parser.add_argument("--render", action="store_true", help="only write it, from --json")
    options = parser.parse_args()
    if not options.render:
        probe = machine.Probe()
        report = machine.report(probe, [1]) | {"software": versions(options.servers)}
        probe.close()
        with tempfile.TemporaryDirectory(prefix="densa-bench-") as folder:
            scripts = requests(Path(folder))
            rows = [row for name in options.servers for row in measure(name, options, scripts)]
        common.save_results(options.json, "serving", report, rows)
    if options.readme or options.render:
        common.write_readme(DOCS, render.serving(common.load_results(options.json)["serving"]))


if __name__ == "__main__":
    main()
