"""What this machine is and can do: CPU, clock, FMA peak, barrier latency, copy bandwidth."""

from __future__ import annotations

import importlib
import os
import platform
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any


class Probe:
    """A small native program, compiled for this CPU, that measures the machine's limits.

    Where no compiler is found every answer is None and the tables leave the column empty.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        compiler = next(filter(None, map(shutil.which, ("g++", "clang++", "c++"))), None)
        if compiler is None:
            print("machine limits: no C++ compiler found, skipped")
            return
        self._folder = tempfile.TemporaryDirectory(prefix="densa-probe-")
        program = Path(self._folder.name) / "probe"
        source = Path(__file__).with_name("probe.cpp")
        flags = ["-O3", "-std=c++17", "-pthread", "-ffp-contract=fast"]
        for native in (["-march=native"], ["-mcpu=native"], []):
            command = [compiler, *flags, *native, str(source), "-o", str(program)]
            if subprocess.run(command, capture_output=True, check=False).returncode == 0:
                self._process = subprocess.Popen(
                    [str(program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
                )
                return
        print("machine limits: the probe did not compile, skipped")

    def ask(self, command: str) -> float | None:
        """Sends one command (`probe.cpp` lists them) and returns its number."""
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            return None
        process.stdin.write(command + "\n")
        process.stdin.flush()
        line = process.stdout.readline()
        return float(line) if line else None

    def peak(self, threads: int) -> float | None:
        """float32 FMA peak of `threads` cores in GFLOP/s, right now."""
        return self.ask(f"peak {threads}")

    def barrier(self) -> float | None:
        """Latency of a barrier between two spinning threads in ns, right now."""
        return self.ask("barrier") if cpu_count() > 1 else None

    def bandwidths(self, threads: int, size: int) -> tuple[float, float]:
        """GB/s of y = x and of y += x over `size` bytes in all, reads and writes counted.

        A copy also fetches the lines it overwrites, which is not counted; an update in place has
        no such hidden traffic and is the stricter limit for optimizer steps. 0 where unknown.
        """
        copy, update = self.ask(f"copy {threads} {size}"), self.ask(f"update {threads} {size}")
        return copy or 0.0, update or 0.0

    def close(self) -> None:
        """Ends the program."""
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
            self._process.wait()


def cpu_count() -> int:
    """The number of CPUs that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cpu_name() -> str:
    """The CPU's name as the system tells it."""
    name = platform.processor() or platform.machine()
    try:
        fields: dict[str, str] = {}
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            key, _, value = line.partition(":")
            fields.setdefault(key.strip(), value.strip())
        name = fields.get("model name", name)
        if "cpu family" in fields:
            name += f" (family {fields['cpu family']} model {fields.get('model', '?')})"
    except OSError:
        pass
    return name


def report(probe: Probe, threads: list[int]) -> dict[str, Any]:
    """The machine's name and limits, as a dictionary for the JSON file."""
    bits = probe.ask("lanes")
    result: dict[str, Any] = {
        "cpu": cpu_name(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "cpus": cpu_count(),
        "vector_bits": int(32 * bits) if bits else None,
        "clock_ghz": probe.ask("clock"),
        "barrier_ns": probe.barrier(),
        "densa": densa_build(),
    }
    for n in threads:
        result[f"peak_gflops_{n}"] = probe.peak(n)
        result[f"copy_gbs_{n}"], result[f"update_gbs_{n}"] = probe.bandwidths(n, 160_000_000)
    return result


def densa_build() -> dict[str, Any] | None:
    """Version and CPU level of the densa this interpreter finds."""
    try:
        densa: Any = importlib.import_module("densa")
    except ImportError:
        return None
    core: Any = getattr(densa, "_core", None)
    config = core.config() if hasattr(core, "config") else {}
    return {"version": getattr(densa, "__version__", "?"), "cpu_level": config.get("cpu_level")}


def print_report(result: dict[str, Any]) -> None:
    """Prints the machine's limits, one a line."""
    print("machine")
    for key, value in result.items():
        print(f"  {key:16} {value:.4g}" if isinstance(value, float) else f"  {key:16} {value}")


class Load:
    """How much of the CPUs other processes (and the host) take, from /proc/stat."""

    def __init__(self) -> None:
        self._tick = 1.0 / os.sysconf("SC_CLK_TCK")

    def busy_seconds(self) -> float | None:
        """CPU seconds spent by all processes since boot, stolen time counted; None elsewhere."""
        try:
            with open("/proc/stat") as stat:
                fields = stat.readline().split()[1:]
        except OSError:
            return None
        ticks = list(map(int, fields))
        return self._tick * (sum(ticks[:8]) - ticks[3] - ticks[4])  # less idle and iowait
