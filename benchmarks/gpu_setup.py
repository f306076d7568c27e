"""What `gpu.py` does before it times: looks for what it needs, builds, tests, sanitizes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parent.parent
SANITIZERS = ("memcheck", "racecheck", "initcheck")
# Each allocation is one of its own, or the tools would see one large block without inner ends.
SEPARATE = {"DENSA_CUDA_NO_CACHE": "1", "PYTORCH_NO_CUDA_MEMORY_CACHING": "1"}

# Modules and their packages; programs and where they come from.
BUILD_MODULES = {"scikit_build_core": "scikit-build-core", "pybind11": "pybind11"}
BUILD_PROGRAMS = {"cmake": "pip install cmake", "ninja": "pip install ninja"}
TEST_MODULES = {"pytest": "pytest", "hypothesis": "hypothesis", "scipy": "scipy"}


class Failed(Exception):
    """A step did not work; the message says why."""


def missing_modules(modules: Sequence[str], python: str = sys.executable) -> list[str]:
    """Those of the modules that an interpreter does not find; nothing is imported."""
    script = (
        "import importlib.util as u, sys; "
        "print(*[m for m in sys.argv[1:] if u.find_spec(m) is None])"
    )
    done = subprocess.run(
        [python, "-c", script, *modules], capture_output=True, text=True, check=False
    )
    return done.stdout.split() if done.returncode == 0 else list(modules)


def find_program(name: str) -> str | None:
    """A program on the PATH or in CUDA's usual folder."""
    return shutil.which(name) or shutil.which(name, path="/usr/local/cuda/bin")


def needs_of(step: str, modules: dict[str, str], programs: dict[str, str]) -> list[str]:
    """What a step needs and does not find, a line each."""
    packages = [modules[name] for name in missing_modules(list(modules))]
    lines = [
        f"--{step} needs {name}: {how}"
        for name, how in programs.items()
        if find_program(name) is None
    ]
    if packages:
        lines.append(f"--{step} needs {', '.join(packages)}: pip install {' '.join(packages)}")
    return lines


def check_needs(steps: Sequence[str], torch_pythons: Sequence[str]) -> None:
    """Looks for everything that the chosen steps need, before the first of them.

    Args:
        steps: of `build`, `check`, `sanitize`.
        torch_pythons: interpreters that have to find PyTorch.

    Raises:
        Failed: something is missing; the message says what to install, or how to do without.
    """
    lines = []
    if "build" in steps:
        nvcc = {"nvcc": "CUDA's toolkit, 12.4 to 13", "nvidia-smi": "NVIDIA's driver"}
        lines += needs_of("build", BUILD_MODULES, {**BUILD_PROGRAMS, **nvcc})
    if "check" in steps or "sanitize" in steps:
        lines += needs_of("check" if "check" in steps else "sanitize", TEST_MODULES, {})
    if "sanitize" in steps:
        lines += needs_of("sanitize", {}, {"compute-sanitizer": "a part of CUDA's toolkit"})
    for python in torch_pythons:
        if missing_modules(["torch"], python):
            lines.append(
                f"the peers need torch in {python}: pip install torch; or give another "
                "interpreter by --python torch=PATH; or leave it out by --peers densa"
            )
    if lines:
        without = ", ".join(f"--no-{step}" for step in steps)
        raise Failed("\n".join([*lines, *([f"steps can be left out: {without}"] if steps else [])]))


def run(command: Sequence[str], **environment: str) -> None:
    """Runs a command in the repository.

    Raises:
        Failed: it is missing or ended with another status than 0.
    """
    print("$", *(f"{name}={value}" for name, value in environment.items()), *command, flush=True)
    try:
        done = subprocess.run(command, cwd=ROOT, env={**os.environ, **environment}, check=False)
    except OSError as error:
        raise Failed(str(error)) from error
    if done.returncode:
        raise Failed(f"{' '.join(command)} ended with status {done.returncode}")


def build() -> None:
    """Installs densa with machine code for the GPU of this machine."""
    names = ["nvidia-smi", "--query-gpu=compute_cap", "--format=csv,noheader"]
    try:
        done = subprocess.run(names, capture_output=True, text=True, check=True)
        capability = done.stdout.split()[0]
    except (OSError, subprocess.CalledProcessError, IndexError) as error:
        raise Failed(f"nvidia-smi does not name this machine's GPU: {error}") from error
    architecture = capability.replace(".", "")
    defines = f"DENSA_CUDA=ON;DENSA_CUDA_ARCHITECTURES={architecture}{'a' * (architecture == '90')}"
    nvcc = find_program("nvcc")
    path = os.environ.get("PATH", "")
    if nvcc is not None and shutil.which("nvcc") is None:
        path = f"{path}{os.pathsep}{Path(nvcc).parent}"
    run(
        [sys.executable, "-m", "pip", "install", "--no-build-isolation", "--no-deps", str(ROOT)],
        SKBUILD_CMAKE_DEFINE=defines,
        PATH=path,
    )


def check() -> None:
    """The whole suite with every new tensor and variable on the GPU."""
    run([sys.executable, "-m", "pytest", "-q"], DENSA_TEST_DEVICE="cuda")


def sanitize() -> None:
    """The tests of the kernels under each tool of compute-sanitizer, forms of products included.

    The tests start processes of their own for these, so the tool has to follow them.

    Raises:
        Failed: some tool found something; all have run.
    """
    failed = []
    for tool in SANITIZERS:
        command = [find_program("compute-sanitizer") or "compute-sanitizer", "--tool", tool]
        command += ["--target-processes", "all", "--error-exitcode", "1", sys.executable]
        try:
            run(
                [*command, "-m", "pytest", "-q", "tests/cuda"], DENSA_TEST_DEVICE="cuda", **SEPARATE
            )
        except Failed as why:
            failed.append(str(why))
    if failed:
        raise Failed("; ".join(failed))
