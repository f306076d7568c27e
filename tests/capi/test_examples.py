"""The examples build with each compiler and give the answers of Python."""

import shutil
import subprocess
from importlib import metadata
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

import densa
from capi_tools import ROOT, run
from densa import layers
from predict_nets import data_for, move_weights, wide_net

STRICT = ["-Wall", "-Wextra", "-Werror", "-pedantic"]


def compiler(*names):
    found = [path for name in names if (path := shutil.which(name))]
    return pytest.param(
        found[0] if found else None,
        id=names[0],
        marks=[] if found else pytest.mark.skip(reason=f"needs {names[0]}"),
    )


C = [compiler("gcc", "cc"), compiler("clang", "clang-14")]
CXX = [compiler("g++", "c++"), compiler("clang++", "clang++-14")]


def flags(installed):
    return [f"-I{installed.include}"], [f"-L{installed.lib}", f"-Wl,-rpath,{installed.lib}"]


@pytest.fixture(scope="module")
def wide(tmp_path_factory):
    """A network of two inputs and outputs, its file, inputs and answers."""
    model = wide_net()
    move_weights(model)
    predictor, folder = model.freeze(), tmp_path_factory.mktemp("wide")
    predictor.save(folder / "net.densa")
    x = data_for(predictor, 9)
    for i, array in enumerate(x):
        array.tofile(folder / f"x{i}")
    return folder, predictor.run(x)


def check_raw(program, wide):
    folder, wanted = wide
    for i in range(2):
        (folder / f"y{i}").unlink(missing_ok=True)
    run([program, "net.densa", 9, "x0", "x1", "y0", "y1"], cwd=folder)
    for i, t in enumerate(wanted):
        y = np.fromfile(folder / f"y{i}", t.dtype).reshape(t.shape)
        np.testing.assert_array_equal(y, t)


@pytest.mark.parametrize("cc", C)
@pytest.mark.parametrize("extra", [[], ["-fsanitize=address,undefined"]], ids=["plain", "asan"])
def test_c(installed, wide, tmp_path, cc, extra):
    includes, libs = flags(installed)
    source, program = ROOT / "examples/c/predict.c", tmp_path / "predict"
    if extra and not links(cc, extra, tmp_path):
        pytest.skip(f"{cc} has no libraries for {extra}")
    command = [cc, "-std=c99", "-O1", *STRICT, *extra, *includes, source, "-o", program, *libs]
    run([*command, "-ldensa_predict"])
    check_raw(program, wide)


def links(cc, options, folder):
    """Whether an empty program builds: Debian's clang comes without its sanitizers' libraries."""
    (folder / "empty.c").write_text("int main(void) { return 0; }\n")
    command = [cc, *options, folder / "empty.c", "-o", folder / "empty"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize("cxx", CXX)
@pytest.mark.parametrize("standard", ["c++11", "c++20"])
def test_cpp(installed, tmp_path, cxx, standard):
    includes, libs = flags(installed)
    source, program = ROOT / "examples/cpp/predict.cpp", tmp_path / "predict"
    command = [cxx, f"-std={standard}", "-O1", *STRICT, *includes, source, "-o", program, *libs]
    run([*command, "-ldensa_predict"])
    check_text(program, tmp_path)


def check_text(program, folder):
    model = densa.Sequential([densa.Input((6,)), layers.Dense(20, "gelu"), layers.Dense(3)])
    predictor = model.freeze()
    predictor.save(folder / "net.densa")
    (x,) = data_for(predictor, 5)
    text = "\n".join(" ".join(repr(float(number)) for number in row) for row in x)
    done = run([program, folder / "net.densa"], input=text)
    y = np.array([line.split() for line in done.stdout.splitlines()], "float32")
    np.testing.assert_array_equal(y, predictor(x))


@pytest.mark.parametrize("compilers", C + CXX)
def test_the_header_alone(installed, tmp_path, compilers):
    """In either language and the strictest dialects, included twice and first."""
    name = "x.cpp" if "++" in compilers else "x.c"
    (tmp_path / name).write_text(
        '#include "densa.h"\n#include "densa.h"\n'
        "densa_load_options a = DENSA_LOAD_OPTIONS_INIT;\n"
        "densa_session_options b = DENSA_SESSION_OPTIONS_INIT;\n"
        "densa_tensor_info c = DENSA_TENSOR_INFO_INIT;\n"
    )
    standard = "-std=c++98" if "++" in compilers else "-std=c99"
    extra = ["-Wno-c++11-long-long", "-Wno-long-long"] if "++" in compilers else []
    includes, _ = flags(installed)
    run([compilers, standard, *STRICT, *extra, *includes, "-c", name, "-o", "x.o"], cwd=tmp_path)


@pytest.mark.skipif(shutil.which("cmake") is None, reason="needs cmake")
@pytest.mark.parametrize(("example", "check"), [("c", check_raw), ("cpp", check_text)])
def test_cmake(installed, wide, tmp_path, example, check):
    """find_package finds it wherever the folder was moved."""
    prefix = tmp_path / "moved"
    shutil.copytree(installed.include, prefix / "include")
    shutil.copytree(installed.lib, prefix / "lib")
    source = ROOT / "examples" / example
    run(["cmake", "-S", source, "-B", tmp_path / "build", f"-DCMAKE_PREFIX_PATH={prefix}"])
    run(["cmake", "--build", tmp_path / "build"])
    check(tmp_path / "build" / "predict", wide if example == "c" else tmp_path)


@pytest.mark.skipif(shutil.which("pkg-config") is None, reason="needs pkg-config")
def test_pkg_config(installed, wide, tmp_path):
    folder = installed.lib / "pkgconfig"
    done = run(["pkg-config", "--cflags", "--libs", "densa"], env={"PKG_CONFIG_PATH": folder})
    program = tmp_path / "predict"
    source = ROOT / "examples/c/predict.c"
    found = run(["pkg-config", "--variable=libdir", "densa"], env={"PKG_CONFIG_PATH": folder})
    rpath = f"-Wl,-rpath,{found.stdout.strip()}"
    run(["cc", "-std=c99", source, "-o", program, *done.stdout.split(), rpath])
    check_raw(program, wide)


def test_builds_of_other_packages_find_it():
    """By entry points, as scikit-build-core and pkgconf resolve them."""
    try:
        package = metadata.distribution("densa")
    except metadata.PackageNotFoundError:
        pytest.skip("densa is not installed")
    if Path(package.locate_file("densa")).resolve() != Path(densa.__file__).resolve().parent:
        pytest.skip("not the installed package")
    (prefix,) = package.entry_points.select(group="cmake.prefix")
    assert files(prefix.load()).joinpath("lib/cmake/densa/densaConfig.cmake").is_file()
    (pkg_config,) = package.entry_points.select(group="pkg_config")
    assert files(pkg_config.load()).joinpath("densa.pc").is_file()


def test_the_archive(installed, wide, tmp_path):
    """Where it is installed: it needs the libraries of C++ and threads, and nothing of training."""
    archive = installed.lib / "libdensa_predict.a"
    if not archive.exists() or shutil.which("g++") is None:
        pytest.skip("needs libdensa_predict.a and g++")
    includes, _ = flags(installed)
    run(["gcc", "-std=c99", *includes, "-c", ROOT / "examples/c/predict.c", "-o", "p.o"],
        cwd=tmp_path)  # fmt: skip
    run(["g++", "p.o", archive, "-pthread", "-o", "predict"], cwd=tmp_path)
    check_raw(tmp_path / "predict", wide)
