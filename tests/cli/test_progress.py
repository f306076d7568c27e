"""The progress line: redrawn on a terminal, one plain line elsewhere."""

import io
import os
import pty
import re

import numpy as np
import pytest

from densa import progress
from densa.progress import ProgressBar, format_count, format_seconds, format_value
from densa.utils import Progbar


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self):
        return True

    def lines_drawn(self):
        return [line.rstrip() for line in self.getvalue().split("\r")[1:]]


@pytest.fixture
def clock(monkeypatch):
    """A clock that only moves when told to: `clock[0] += seconds`."""
    now = [100.0]
    monkeypatch.setattr(progress, "perf_counter", lambda: now[0])
    return now


def test_plain_stream_gets_one_line(clock):
    out = io.StringIO()
    bar = ProgressBar(4, stream=out, title="Epoch 1/3", samples_per_step=32)
    for step in range(1, 5):
        clock[0] += 0.5
        bar.update(step, [("loss", 1 / step)], finalize=False)
    assert out.getvalue() == ""
    clock[0] += 1.0  # validation: not part of the speed
    bar.update(4, [("loss", 0.25), ("accuracy", 0.5)], finalize=True)
    expected = "Epoch 1/3 4/4 3.0s - 64 samples/s - loss: 0.2500 - accuracy: 0.5000\n"
    assert out.getvalue() == expected
    bar.update(4, [("loss", 9.0)], finalize=True)
    bar.close()
    assert out.getvalue() == expected


def test_terminal_shows_everything(clock):
    out = Terminal()
    bar = ProgressBar(100, stream=out, width=10, title="Epoch 2/3", samples_per_step=10)
    clock[0] += 1.0
    bar.update(25, [("loss", 0.5)])
    assert out.lines_drawn() == [
        "Epoch 2/3 25/100 ━━──────── 3.0s left - 250 samples/s - loss: 0.5000"
    ]
    clock[0] += 3.0
    bar.update(100, [("loss", 0.25)])
    assert out.lines_drawn()[-1] == (
        "Epoch 2/3 100/100 ━━━━━━━━━━ 4.0s - 250 samples/s - loss: 0.2500"
    )
    assert out.getvalue().endswith("\n")


def test_interval_limits_redraws(clock):
    out = Terminal()
    bar = ProgressBar(1000, stream=out, interval=0.05)
    for step in range(1, 1001):
        clock[0] += 0.001
        bar.update(step)
    assert 20 <= len(out.lines_drawn()) <= 22


def test_shorter_line_leaves_no_rest(clock):
    out = Terminal()
    bar = ProgressBar(10, stream=out, interval=0)
    bar.update(1, [("a long name", 1.0)])
    bar.update(2, [("a", 1.0)])
    first, second = out.getvalue().split("\r")[1:]
    assert len(second) == len(first)


def test_long_line_fits_the_terminal(clock):
    out = Terminal()
    bar = ProgressBar(10, stream=out, interval=0, title="Epoch 1/1")
    values = [(f"m{i}", 0.5) for i in range(3)]
    bar.update(1, values)
    clock[0] += 1
    bar.update(2, values * 4)
    first, second = out.lines_drawn()
    assert first.endswith("m2: 0.5000")
    assert len(first) <= 79
    assert len(second) <= 79


def test_unknown_target(clock):
    out = Terminal()
    bar = ProgressBar(None, stream=out, title="Predict")
    clock[0] += 1.0
    bar.update(20)
    bar.update(20, finalize=True)
    assert out.lines_drawn() == ["Predict 20 - 50ms/step", "Predict 20 1.0s - 50ms/step"]


def test_samples_may_be_counted_by_the_caller(clock):
    out = io.StringIO()
    bar = ProgressBar(2, stream=out, samples_per_step=32)
    clock[0] += 1.0
    bar.update(1, samples=32)
    bar.update(2, samples=50)
    assert "50 samples/s" in out.getvalue()


def test_close_ends_a_live_line(clock):
    out = Terminal()
    bar = ProgressBar(10, stream=out)
    bar.update(1)
    bar.close()
    assert out.getvalue().endswith("\n")
    plain = io.StringIO()
    bar = ProgressBar(10, stream=plain)
    bar.update(1)
    bar.close()
    assert plain.getvalue() == ""


def test_no_steps(clock):
    out = io.StringIO()
    ProgressBar(0, stream=out).update(0, finalize=True)
    assert out.getvalue() == "0/0 0us\n"


def test_stream_without_the_characters():
    class Ascii(Terminal):
        encoding = "ascii"

    out = Ascii()
    ProgressBar(2, stream=out, width=4).update(1)
    out.getvalue().encode("ascii")
    assert "==.." in out.getvalue()


def test_live_can_be_switched_off():
    out = Terminal()
    ProgressBar(1, stream=out, live=False).update(1, [("loss", 1.0)])
    assert "\r" not in out.getvalue()


def test_a_real_terminal():
    leader, follower = pty.openpty()
    try:
        with os.fdopen(follower, "w", encoding="utf-8") as stream:
            bar = ProgressBar(2, stream=stream, title="Epoch 1/1")
            bar.update(1, [("loss", 1.0)])
            bar.update(2, [("loss", 0.5)])
            text = ""
            while not text.endswith("\n"):  # a terminal may hand it over in pieces
                text += os.read(leader, 4096).decode()
    finally:
        os.close(leader)
    assert re.fullmatch(r"\rEpoch 1/1 1/2 .*\rEpoch 1/1 2/2 .*loss: 0\.5000\s*\r\n", text, re.S)


def test_bad_target():
    with pytest.raises(ValueError, match="at least 0, got -1"):
        ProgressBar(-1)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0.0000"), (0.5, "0.5000"), (5e-4, "5.0000e-04"), (-2, "-2.0000")],
)
def test_values(value, text):
    assert format_value(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(7500, "2h05m"), (65, "1m05s"), (12.4, "12s"), (3.44, "3.4s"), (0.0123, "12ms"), (0, "0us")],
)
def test_durations(seconds, text):
    assert format_seconds(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [(870, "870"), (12345, "12.3k"), (999_900, "1M"), (1.45e6, "1.45M"), (2e9, "2G")],
)
def test_counts(count, text):
    assert format_count(count) == text


def test_progbar_averages_over_steps(capsys):
    bar = Progbar(6, verbose=2, stateful_metrics=["rate"], unit_name="row")
    bar.update(4, [("loss", 1.0), ("rate", 0.1)])
    assert capsys.readouterr().out == ""
    bar.add(2, [("loss", 4.0), ("rate", 0.2)])
    line = capsys.readouterr().out
    assert line.endswith("/row - loss: 2.0000 - rate: 0.2000\n")
    assert line.startswith("6/6 ")
    bar.add(1, [("loss", 9.0)])  # ended
    assert capsys.readouterr().out == ""


def test_progbar_without_target_ends_when_told(capsys):
    bar = Progbar(None, verbose=2, stateless_metrics=["loss"])
    bar.add(1, [("loss", 1.0), ("rate", 1.0)])
    bar.add(1, [("loss", np.float32(2.0)), ("rate", 3.0)])
    assert capsys.readouterr().out == ""
    bar.update(2, finalize=True)
    assert capsys.readouterr().out.endswith("/step - loss: 1.5000 - rate: 3.0000\n")
    told = Progbar(None, verbose=2)
    told.add(1, [("loss", 1.0)])
    told.update(1, [("loss", 7.0)], finalize=True)  # as it comes
    assert "loss: 7.0000" in capsys.readouterr().out


def test_progbar_on_a_terminal_and_silent(monkeypatch, capsys):
    out = Terminal()
    monkeypatch.setattr("sys.stdout", out)
    bar = Progbar(2, width=4, interval=0)
    bar.add(1)
    bar.add(1)
    assert [line.split(" ")[0] for line in out.lines_drawn()] == ["1/2", "2/2"]
    monkeypatch.undo()
    Progbar(1, verbose=0).add(1, [("loss", 1.0)])
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"target": -1}, "target"),
        ({"target": 1, "verbose": 3}, "verbose"),
        ({"target": 1, "stateful_metrics": [], "stateless_metrics": []}, "both"),
    ],
)
def test_progbar_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        Progbar(**arguments)
