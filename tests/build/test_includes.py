"""Includes point one way: the rules of the design, read from the sources."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CSRC = ROOT / "csrc"

# Folder -> folders that its ordinary files may include.
MAY_INCLUDE = {
    "base": {"base"},
    "simd": {"base", "simd"},
    "cuda": {"base", "simd", "cuda"},
    "ops": {"base", "ops"},
    "tensor": {"base", "ops", "tensor"},
    "graph": {"base", "ops", "tensor", "predict", "graph"},
    "predict": {"base", "ops", "predict"},
    "capi": {"base", "ops", "predict", "capi"},
    "bindings": {"base", "simd", "ops", "tensor", "predict", "graph", "bindings"},
}
# What an ordinary file may include beyond its folder's rule: the choice of a CPU level.
ANYONE_MAY_INCLUDE = {"simd/level.h", "simd/cpu_level.h", "simd/pick.h"}

# Kernel files are compiled once per CPU level, so whatever they reach must define nothing that the
# linker could take from another level: plain definitions, lanes, their own op and formulas.
KERNEL_BASE = {"base/pod.h", "base/panel.h", "base/pack.h", "base/philox.h"}
KERNEL_SYSTEM = {"cstddef", "cstdint", "limits", "type_traits", "immintrin.h", "arm_neon.h"}

SOURCES = sorted(
    path.relative_to(CSRC).as_posix()
    for path in CSRC.rglob("*")
    if path.suffix in {".h", ".cpp", ".inc", ".cu"}
)
# CUDA sources sit in their op's folder and see the launcher, lanes and what an op is.
CUDA_MAY_INCLUDE = {"base", "simd", "cuda", "ops"}
# What code on the GPU's side knows of ops.
OP_CONTRACT = {"ops/op.h", "ops/backend.h", "ops/list.inc"}
KERNELS = [source for source in SOURCES if source.endswith(".kernel.cpp")]

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.MULTILINE)


def includes(source):
    """The includes of a file, as (is it a system header, name)."""
    text = (CSRC / source).read_text(encoding="utf-8")
    return [(mark == "<", name) for mark, name in INCLUDE.findall(text)]


def reached(source):
    """Every include of a file and of what it includes, as (includer, is system, name)."""
    found, todo, seen = [], [source], {source}
    while todo:
        current = todo.pop()
        for system, name in includes(current):
            found.append((current, system, name))
            if not system and name not in seen and (CSRC / name).is_file():
                seen.add(name)
                todo.append(name)
    return found


def test_there_are_sources():
    assert len(SOURCES) > 10
    assert KERNELS


@pytest.mark.parametrize("source", [s for s in SOURCES if not s.endswith(".kernel.cpp")])
def test_folders(source):
    folder = source.split("/")[0]
    assert folder in MAY_INCLUDE, f"csrc/{source}: no rule for csrc/{folder} in this test"
    for system, name in includes(source):
        if system:
            continue
        assert (CSRC / name).is_file(), f"csrc/{source} includes {name}: not a path from csrc/"
        target = name.split("/")[0]
        assert (
            target in (CUDA_MAY_INCLUDE if source.endswith(".cu") else MAY_INCLUDE[folder])
            or (folder == "cuda" and name in OP_CONTRACT)
            or name in ANYONE_MAY_INCLUDE
            or in_kernel_only(source, name)
        ), f"csrc/{source} may not include {name}"


def in_kernel_only(source, name):
    """Headers of an op that are written for its kernels may use lanes."""
    return source.startswith("ops/") and source.endswith(".h") and name.startswith("simd/")


@pytest.mark.parametrize("kernel", KERNELS)
def test_kernels(kernel):
    own = kernel.rsplit("/", 1)[0] + "/"
    for includer, system, name in reached(kernel):
        if system:
            allowed = name in KERNEL_SYSTEM
        else:
            allowed = (
                name.startswith((own, "simd/"))
                or name in KERNEL_BASE
                or (name.startswith("ops/") and name.endswith("/formula.h"))
            )
        assert allowed, f"csrc/{kernel} reaches {name} through csrc/{includer}"


@pytest.mark.parametrize(
    "source",
    [s for s in SOURCES if not s.startswith("bindings/") and s != "cuda/module.cpp"],
)
def test_only_bindings_see_python(source):
    for _, name in includes(source):
        assert not name.startswith(("pybind11/", "Python.h", "numpy/")), f"csrc/{source}: {name}"


@pytest.mark.parametrize("source", [s for s in SOURCES if not s.endswith(".cu")])
def test_cuda_headers_stay_on_their_side(source):
    """The engine never sees CUDA, and kernels reach it by one header."""
    may = {
        "cuda/runtime.cpp",
        "cuda/hardware_kernel.h",
        "cuda/hardware_mma.h",
        "cuda/hardware_warpgroup.h",
    }
    for _, name in includes(source):
        assert not name.startswith(("cuda_", "cuda.h")) or source in may, f"csrc/{source}: {name}"
        assert not name.startswith("cuda/") or source.startswith("cuda/"), f"csrc/{source}: {name}"


@pytest.mark.parametrize("source", [s for s in SOURCES if s.endswith(".cpp")])
def test_ordinary_files_do_not_use_lanes(source):
    """Lanes exist per CPU level; an ordinary file has none."""
    if source.endswith(".kernel.cpp") or source.startswith("simd/"):
        return
    for includer, system, name in reached(source):
        assert system or not name.startswith("simd/lanes"), f"csrc/{source} through {includer}"


@pytest.mark.parametrize("source", [s for s in SOURCES if s.endswith(".h")])
def test_headers(source):
    text = (CSRC / source).read_text(encoding="utf-8")
    once = "#ifndef DENSA_H" if source == "capi/densa.h" else "#pragma once"  # it is C99
    assert text.count(once) == 1, f"csrc/{source}: once"
    assert not re.search(r"^\s*using namespace", text, re.MULTILINE), f"csrc/{source}"
