"""Kernel objects keep to their CPU level: names in its namespace, nothing that runs at load."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def build_folder():
    """The folder of `DENSA_BUILD_DIR`, which must then be right, or the newest one in build/."""
    given = os.environ.get("DENSA_BUILD_DIR")
    if given:
        return Path(given)
    builds = [cache.parent for cache in (ROOT / "build").glob("*/CMakeCache.txt")]
    builds = [b for b in builds if (b / "CMakeFiles").is_dir()]
    return max(builds, key=lambda b: b.stat().st_mtime, default=None)


def wanted_levels(build):
    """The levels that the build was told to make; objects of others may be left from before."""
    cache = (build / "CMakeCache.txt").read_text(encoding="utf-8")
    (wanted,) = re.findall(r"^DENSA_ISAS:\w+=(.*)$", cache, re.MULTILINE)
    return wanted.split(";")


BUILD = build_folder()
LEVELS = wanted_levels(BUILD) if BUILD else []
OBJECTS = [
    path
    for level in LEVELS
    for path in sorted(BUILD.glob(f"CMakeFiles/kernels_{level}.dir/csrc/**/*.o"))
]


def level_of(path):
    (part,) = [p for p in path.parts if p.startswith("kernels_") and p.endswith(".dir")]
    return part[len("kernels_") : -len(".dir")]


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="module", autouse=True)
def _tools():
    if not sys.platform.startswith("linux"):
        pytest.skip("reads ELF objects")
    for tool in ("nm", "readelf"):
        if not shutil.which(tool):
            pytest.skip(f"needs {tool}")
    if not OBJECTS:
        if os.environ.get("DENSA_BUILD_DIR"):
            pytest.fail(f"DENSA_BUILD_DIR={BUILD} holds no kernel objects")
        pytest.skip("no build folder; name one in DENSA_BUILD_DIR")


def exported(path, kinds="ABCDGRSTVWuvw"):
    """Names that other objects can see, demangled; by default weak ones and functions too."""
    names = []
    for line in run("nm", "--defined-only", "--demangle", str(path)).splitlines():
        _, kind, name = line.split(maxsplit=2)
        if kind in kinds:
            names.append(name)
    return names


def test_every_level_was_built():
    assert {level_of(path) for path in OBJECTS} == set(LEVELS)
    if {"v4", "v4x"} <= set(LEVELS):
        own = {path.name for path in OBJECTS if level_of(path) == "v4x"}
        assert own == {"bfloat16.kernel.cpp.o", "int8.kernel.cpp.o"}


@pytest.mark.parametrize("path", OBJECTS, ids=lambda p: f"{level_of(p)}-{p.stem}")
def test_names_carry_the_level(path):
    mark = f"densa::{level_of(path)}::"
    strangers = [name for name in exported(path) if mark not in name]
    assert not strangers, f"{path.name} ({level_of(path)}) exports {strangers}"


@pytest.mark.parametrize("path", OBJECTS, ids=lambda p: f"{level_of(p)}-{p.stem}")
def test_nothing_runs_at_load(path):
    sections = run("readelf", "--section-headers", "--wide", str(path))
    assert not re.findall(r"\.(?:init_array|ctors|preinit_array)\S*", sections)
    assert "_GLOBAL__sub_I" not in run("nm", str(path))


def test_levels_export_the_same_tables():
    tables = {}
    for path in OBJECTS:
        level = level_of(path)
        for name in exported(path, "BDR"):
            plain = name.replace(f"densa::{level}::", "densa::LEVEL::")
            tables.setdefault(level, set()).add((path.name, plain))
    if "v4" in tables:  # v4x has the rest from it
        own = {name for name, _ in tables.get("v4x", ())}
        tables["v4x"] = {t for t in tables["v4"] if t[0] not in own} | tables.get("v4x", set())
    first, *others = tables.values()
    for other in others:
        assert other == first
