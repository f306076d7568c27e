"""`benchmarks/gpu.py`: what is wrong gets no number, what fails ends nothing, all is saved."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
if not BENCHMARKS.is_dir():
    pytest.skip("no benchmarks beside these tests", allow_module_level=True)
sys.path.insert(0, str(BENCHMARKS))
try:
    import gpu
    import gpu_limits
    import gpu_report
    import gpu_rows
    import gpu_setup
    import slots
    from peers import gpu_data
finally:
    sys.path.remove(str(BENCHMARKS))

# PyTorch in name only: every loss is 1, and what is compiled raises when it first runs.
FAKE_TORCH = """
import sys, types
from unittest.mock import MagicMock

class Fake(types.ModuleType):
    __version__ = "9.9"
    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        value = MagicMock(name=name)
        setattr(self, name, value)
        return value

def compile(function, mode):
    def fails(*arguments):
        raise RuntimeError("Triton is not installed")
    return fails

sys.modules[__name__].__class__ = Fake
"""


@pytest.fixture
def command(tmp_path):
    """Runs the command with PyTorch in name only; returns its status, results, table and output."""
    if "DENSA_CUDA_EMULATED" not in os.environ:
        pytest.skip("needs the emulated GPU")
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text(FAKE_TORCH)

    def run(*arguments, **environment):
        saved, table = tmp_path / "results.json", tmp_path / "table.md"
        options = ["--json", saved, "--write", table, "--log", tmp_path / "log", "--product", "40"]
        options += ["--weights", "1000", "--repeats", "1", "--slot", "0.001", *arguments]
        path = f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
        done = subprocess.run(
            [sys.executable, BENCHMARKS / "gpu.py", *map(str, options)],
            env={**os.environ, "PYTHONPATH": path, **environment},
            capture_output=True,
            text=True,
            timeout=300,
        )
        results = json.loads(saved.read_text())["gpu"]["rows"]
        rows = {row["name"]: row["peers"] for row in results["rows"]}
        return done.returncode, rows, results, table.read_text(), done.stdout + done.stderr

    return run


def test_a_wrong_loss_has_no_number_and_a_peer_that_raises_ends_nothing(command):
    status, rows, results, table, output = command("--rows", "C", "copy", "--forms", "exact")
    assert status == 1, output
    assert rows["C"]["densa"]["us"] > 0
    assert len(rows["C"]["densa"]["proof"]) == 4
    assert np.isfinite(rows["C"]["densa"]["end"])
    assert "us" not in rows["C"]["torch"]
    assert rows["C"]["torch"]["why"].startswith("wrong losses: 1.0000 1.0000 1.0000 1.0000; densa")
    assert rows["C"]["torch-compile"]["why"] == "RuntimeError: Triton is not installed"
    assert "us" in rows["copy"]["densa"]
    assert rows["copy"]["torch"]["why"] == "wrong results: shape (0,), not (1010,)"
    assert [problem[:21] for problem in results["problems"]] == [
        "C, torch: wrong losse",
        "copy, torch: wrong re",
    ]
    assert "no number: RuntimeError: Triton is not installed" in table
    # No emulation meets a target.
    assert {target["verdict"] for target in results["targets"]} == {"no number"}


def test_a_peer_that_raises_is_no_failure(command):
    peers = ["--peers", "densa", "torch-compile"]
    status, rows, results, _, output = command("--rows", "C", "--forms", "exact", *peers)
    assert status == 0, output
    assert results["problems"] == []
    assert set(rows["C"]) == {"densa", "torch-compile"}
    assert "us" in rows["C"]["densa"]
    assert "Triton" in rows["C"]["torch-compile"]["why"]


def test_densa_failing_is_a_failure_and_other_rows_go_on(command):
    arguments = ["--rows", "copy", "adamw", "--peers", "densa"]
    status, rows, results, _, output = command(*arguments, DENSA_EMULATION_BREAK="add")
    assert status == 1, output
    assert "us" not in rows["copy"]["densa"]
    assert results["problems"][0].startswith("copy, densa: RuntimeError")
    assert "us" in rows["adamw"]["densa"]


def test_every_form_is_checked_and_timed(command):
    arguments = ["--rows", "product bfloat16", "product float32", "inference", "--peers", "densa"]
    status, rows, _, _, output = command(*arguments)
    assert status == 0, output
    for row, forms in [("product bfloat16", "mma wgmma"), ("product float32", "tf32x3 tf32")]:
        names = ["densa", *(f"densa {form}" for form in forms.split())]
        assert list(rows[row]) == names
        assert all("us" in rows[row][name] for name in names), output
    assert list(rows["inference"]) == ["densa", "densa tensors", "densa arrays"]
    assert all("us" in one for one in rows["inference"].values()), output


def test_a_form_that_the_gpu_lacks_is_no_failure(command):
    status, rows, _, _, output = command(
        *["--rows", "product bfloat16", "--peers", "densa", "--forms", "mma", "wgmma"],
        DENSA_EMULATION_CAPABILITY="8.0",
    )
    assert status == 0, output
    assert "us" in rows["product bfloat16"]["densa mma"]
    assert rows["product bfloat16"]["densa wgmma"] == {"why": "needs compute capability 9.0"}


# ---- its parts ----------------------------------------------------------------------------------


@pytest.fixture
def bench():
    options = SimpleNamespace(product=24, weights=5000, peers=["densa", "torch"], forms=["exact"])
    return gpu_rows.Bench(options, {"capability": (9, 0)}, gpu_limits.Limits())


@pytest.mark.parametrize(
    ("losses", "says"),
    [
        ([2.0, 1.5, 1.2, 1.0], ""),
        ([2.0001, 1.5, 1.2015, 1.0], ""),
        ([2.001, 1.5, 1.2, 1.0], "wrong"),
        ([2.0, 1.5, 1.2, 1.01], "wrong"),
        ([2.0, 1.5, float("nan"), 1.0], "wrong"),
        ([2.0, 1.5], "wrong"),
    ],
)
def test_losses_are_compared(losses, says):
    net = gpu_rows.of_job({"net": "A"})
    bounds = gpu_rows.bounds(net, gpu_rows.Column("densa", "densa"), False)
    assert gpu_rows.judge_losses(losses, [2.0, 1.5, 1.2, 1.0], bounds)[: len("wrong")] == says


def test_losses_must_fall():
    assert "do not fall" in gpu_rows.judge_losses([1.0, 1.0], [1.0, 1.0], (0.1, 0.1))


def check_of(monkeypatch, make):
    """What a row says of a file of results."""
    monkeypatch.setattr(gpu_rows, "measure", lambda *arguments: arguments[-1])
    return make()


@pytest.mark.parametrize("bits_16", [False, True])
def test_every_result_of_a_product_is_compared(monkeypatch, bench, tmp_path, bits_16):
    wrong = check_of(monkeypatch, lambda: gpu_rows.product_row(bench, bits_16))
    a, b = gpu_data.factors(24)
    if bits_16:
        a, b = gpu_rows.to_bfloat16(a), gpu_rows.to_bfloat16(b)
    y, out = a @ b, tmp_path / "out.npy"
    column = gpu_rows.Column("densa", "densa")

    def says(values):
        np.save(out, values)
        return wrong(column, [], out)

    assert says(gpu_rows.to_bfloat16(y) if bits_16 else y) == ""
    for value in (y[7, 9] * 1.01, np.nan, np.inf):
        bad = y.copy()
        bad[7, 9] = value
        assert says(bad).startswith("wrong results: y[7, 9] is")
    assert "shape" in says(y[:-1])


@pytest.mark.parametrize("kind", ["copy", "adamw"])
def test_updates_and_copies_are_compared(monkeypatch, bench, tmp_path, kind):
    wrong = check_of(monkeypatch, lambda: gpu_rows.memory_row(bench, kind))
    w, g = (gpu_data.sampled(v) for v in gpu_data.weights(5000))
    right, out = g, tmp_path / "out.npy"
    if kind == "adamw":
        m, v, right = np.zeros_like(w), np.zeros_like(w), w
        for t in (1, 2, 3):
            m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
            rate = 1e-3 * np.sqrt(1 - 0.999**t) / (1 - 0.9**t)
            right = right * np.float32(1 - 4e-6) - np.float32(rate) * m / (np.sqrt(v) + 1e-7)
    column = gpu_rows.Column("densa", "densa")
    np.save(out, right.astype(np.float32))
    assert wrong(column, [], out) == ""
    right[17] += 2e-6
    np.save(out, right)
    assert "number 17" in wrong(column, [], out)


def test_rows_are_saved_one_by_one(monkeypatch, tmp_path):
    def row_of(bench, name):
        if name == "C":
            raise KeyboardInterrupt
        return {"name": name, "title": name, "peers": {"densa": {"us": 1.0, "version": "1"}}}

    monkeypatch.setattr(gpu, "describe", lambda: {"capability": (9, 0), "emulated": False})
    monkeypatch.setattr(gpu_rows, "row_of", row_of)
    saved = tmp_path / "results.json"
    options = gpu.parse(["--rows", "A", "C", "--json", str(saved), "--no-write"])
    with pytest.raises(KeyboardInterrupt):
        gpu.time_rows(options, [])
    rows = json.loads(saved.read_text())["gpu"]["rows"]["rows"]
    assert [row["name"] for row in rows] == ["A"]


def test_targets_are_judged():
    def row(name, **peers):
        return {"name": name, "title": "", "unit": "", "peers": peers}

    def by(form, ratio):
        return {"us": 1.0, "by": {form: ratio}}

    rows = [
        row("A", densa={"us": 1.0}, torch=by("densa", 10.0), **{"torch-compile": by("densa", 2.4)}),
        # The default form counts for float32, the fastest that is right for bfloat16.
        row("C", **{"densa": {"us": 2.0}, "densa tf32": {"us": 1.0}}, torch=by("densa tf32", 99)),
        row(
            "D, bfloat16",
            **{"densa mma": {"us": 2.0}, "densa": {"us": 9.0}},
            torch=by("densa mma", 2),
        ),
        row("product bfloat16", torch={"us": 7.0}, **{"densa wgmma": {"us": 8.0}}),
        row("copy", densa={"us": 1, "rate": 4.0}, torch={"us": 1, "rate": 4.4}),
        row("adamw", densa={"us": 1, "rate": 3.7}, torch={"us": 1, "rate": 9.9}),
        row("inference", densa={"us": 8.1, "note": "replays"}),
    ]
    verdicts = {one.target: one for one in gpu_limits.judge(rows)}
    said = {target: one.text() for target, one in verdicts.items()}
    assert said["A: a training step by torch"] == "met"
    assert said["A: a training step by torch-compile"] == "missed"
    assert said["C: a training step by torch"] == "no number"
    assert said["D, bfloat16: a training step by torch"] == "met"
    assert said["E: a training step by torch"] == "no number"
    assert verdicts["product of bfloat16 numbers"].got == "88% (densa wgmma)"
    assert said["product of bfloat16 numbers"] == "met"
    assert verdicts["a fused step of AdamW"].got == "84% (copy: torch)"
    assert said["a fused step of AdamW"] == "missed"
    assert said["A: one row on the device"] == "missed"
    assert len(said) == 13
    text = gpu_report.markdown({}, gpu_limits.Limits(), rows, list(verdicts.values()), ["a: b"])
    assert "| a fused step of AdamW | 85% of the better copy | 84% (copy: torch) | missed |" in text
    assert "- a: b" in text


class Driver:
    """The driver of a GPU with some attributes."""

    def __init__(self, found):
        self.found = found

    def cuInit(self, flags):
        return 0

    def cuDeviceGet(self, device, number):
        return 0

    def cuDeviceGetAttribute(self, value, number, device):
        value._obj.value = self.found.get(number, 0)
        return 0 if number in self.found else 1


def test_limits_follow_from_what_the_driver_says():
    found = gpu_limits.driver_attributes(Driver({13: 1_980_000, 36: 3_201_000, 37: 6144}))
    h200 = {"capability": (9, 0), "multiprocessors": 132, "emulated": False}
    limits = gpu_limits.limits_of(h200, found)
    assert limits.bfloat16 == pytest.approx(1070.5, rel=1e-3)
    assert limits.float32 == pytest.approx(66.9, rel=1e-3)
    assert limits.memory == pytest.approx(4.917, rel=1e-3)
    other = gpu_limits.limits_of({**h200, "capability": (7, 7)}, {13: 1_980_000})
    assert other == gpu_limits.Limits()
    assert "bfloat16 unknown" in other.text()
    assert gpu_limits.limits_of({**h200, "emulated": True}, found) == gpu_limits.Limits()
    assert gpu_limits.driver_attributes(Driver({})) == {}


def test_a_peer_that_hangs_is_ended(tmp_path, monkeypatch):
    (tmp_path / "torch.py").write_text("import time; time.sleep(300)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    worker = slots.Worker("torch", 1, sys.executable, tmp_path / "log", patience=0.5)
    try:
        with pytest.raises(slots.Skipped, match=r"no answer within 0\.5 s") as found:
            worker.prepare({"kind": "train"})
    finally:
        worker.close()
    assert found.value.peer == "torch"


def test_what_is_missing_is_named_first(monkeypatch, capsys):
    ran = []
    monkeypatch.setattr(gpu_setup, "run", lambda *command, **_: ran.append(command))
    monkeypatch.setattr(gpu_setup, "missing_modules", lambda modules, python="": list(modules))
    monkeypatch.setattr(gpu_setup, "find_program", lambda name: None)
    assert gpu.main(["--build", "--check", "--sanitize", "--time", "--no-write"]) == 1
    said = capsys.readouterr().err
    for name in ["scikit-build-core pybind11", "pytest hypothesis scipy", "torch", "ninja"]:
        assert f"pip install {name}" in said
    for name in ["nvcc", "nvidia-smi", "compute-sanitizer", "--peers densa", "--no-sanitize"]:
        assert name in said
    assert ran == []


def test_a_failing_test_suite_fails_the_run_at_its_end(monkeypatch, capsys):
    def run(command, **environment):
        raise gpu_setup.Failed("pytest ended with status 1")

    timed = []
    monkeypatch.setattr(gpu_setup, "run", run)
    monkeypatch.setattr(gpu_setup, "check_needs", lambda *_: None)
    monkeypatch.setattr(gpu, "time_rows", lambda options, problems: timed.append(list(problems)))
    assert gpu.main(["--no-build", "--check", "--no-sanitize", "--no-write"]) == 1
    assert timed == [["check: pytest ended with status 1"]]
    assert "pytest ended with status 1" in capsys.readouterr().err


def test_sanitizers_follow_processes_and_see_every_allocation(monkeypatch):
    ran = []
    monkeypatch.setattr(gpu_setup, "run", lambda command, **env: ran.append((command, env)))
    gpu_setup.sanitize()
    assert [command[command.index("--tool") + 1] for command, _ in ran] == [
        "memcheck",
        "racecheck",
        "initcheck",
    ]
    for command, environment in ran:
        assert command[command.index("--target-processes") + 1] == "all"
        assert environment["DENSA_CUDA_NO_CACHE"] == "1"
        assert environment["DENSA_TEST_DEVICE"] == "cuda"
