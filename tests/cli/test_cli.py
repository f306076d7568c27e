"""The command `densa`: what it prints, writes and refuses."""

import os
import re
import subprocess
import sys

import numpy as np
import pytest

import densa
from densa.cli import main


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def score(text):
    """Accuracy in the line that starts with `test:`."""
    return float(re.search(r"^test: .*accuracy (\d\.\d+)", text, re.MULTILINE).group(1))


def train(*arguments):
    return main(["train", "digits", "--hidden", "32", "--epochs", "3", *arguments])


def test_train_digits(capsys):
    assert main(["train", "digits", "--epochs", "5"]) == 0
    text = capsys.readouterr().out
    assert "64-300-100-10" in text
    assert len(re.findall(r"^Epoch \d/5.*val_accuracy", text, re.MULTILINE)) == 5
    # Five epochs reach about 0.86 on hands that the network has not seen.
    assert score(text) > 0.8
    assert "saved model.densa" in text
    model = densa.models.load_model("model.densa")
    (_, _), (x, y) = densa.datasets.digits.load_data()
    right = np.mean(np.argmax(np.asarray(model.predict(x, verbose=0)), axis=-1) == y)
    assert right == pytest.approx(score(text), abs=1e-4)


def test_same_seed_same_weights():
    weights = []
    for seed in ("1", "1", "2"):
        assert train("--seed", seed) == 0
        weights.append(densa.models.load_model("model.densa").get_weights())
    for first, second, other in zip(*weights, strict=True):
        np.testing.assert_array_equal(first, second)
        assert np.any(first != other)


@pytest.mark.parametrize("options", [["--optimizer", "adam"], ["--batch-size", "100"]])
def test_train_options(capsys, options):
    # Enough steps for any first weights: those of one seed differ from one NumPy to another.
    assert train(*options, "--epochs", "10") == 0
    assert score(capsys.readouterr().out) > 0.5


def test_no_hidden_layer(capsys):
    assert train("--hidden", "") == 0
    assert "network 64-10" in capsys.readouterr().out


def test_predict(capsys):
    assert train() == 0
    (_, _), (x, _) = densa.datasets.digits.load_data()
    np.save("x.npy", x)
    assert main(["predict", "model.densa", "x.npy", "-o", "y.npy"]) == 0
    assert "y.npy: float32 (360, 10)" in capsys.readouterr().out
    expected = densa.models.load_model("model.densa").predict(x, verbose=0)
    np.testing.assert_array_equal(np.load("y.npy"), np.asarray(expected))
    assert sorted(os.listdir()) == ["model.densa", "x.npy", "y.npy"]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # matplotlib's own, on new Pythons
def test_plot(capsys):
    pytest.importorskip("matplotlib", reason="needs the extra plot")
    assert train("--plot", "curves.png") == 0
    assert "saved curves.png" in capsys.readouterr().out
    with open("curves.png", "rb") as file:
        content = file.read()
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = (int.from_bytes(content[i : i + 4], "big") for i in (16, 20))
    assert width > 2 * height  # two panels: loss and accuracy


def test_plot_without_matplotlib_fails_before_training(monkeypatch, capsys):
    for name in [m for m in sys.modules if m.split(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert train("--plot", "curves.png") == 1
    captured = capsys.readouterr()
    assert 'pip install "densa[plot]"' in captured.err
    assert "Epoch" not in captured.out
    assert os.listdir() == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--output", "none/model.densa"], "there is no folder none"),
        (["--plot", "none/curves.png"], "there is no folder none"),
        (["--output", "."], "is a folder"),
        (["--output", ""], "the name of the file to write is empty"),
        (["--plot", ""], "the name of the file to write is empty"),
        (["--output", "model.h5"], "must end in .densa; received model.h5"),
        (["--plot", "curves.pgn"], "must end in .png; received curves.pgn"),
    ],
)
def test_bad_output_fails_before_training(capsys, options, message):
    assert train(*options) == 1
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.out == ""


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["bake"],
        ["train"],
        ["train", "cifar"],
        ["train", "digits", "--epochs", "0"],
        ["train", "digits", "--hidden", "300,x"],
        ["train", "digits", "--hidden", "300,-1"],
        ["train", "digits", "--learning-rate", "-1"],
        ["train", "digits", "--learning-rate", "nan"],
        ["predict", "model.densa", "x.npy"],
    ],
)
def test_wrong_command_line(capsys, arguments):
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    assert "usage: densa" in capsys.readouterr().err


def test_predict_of_a_frozen_model(capsys):
    model = densa.Sequential([densa.Input((4,)), densa.layers.Dense(3)])
    predictor = model.freeze()
    predictor.save("net.densa")
    x = np.random.default_rng(0).normal(size=(300, 4))
    np.save("x.npy", x)
    assert main(["predict", "net.densa", "x.npy", "-o", "y.npy"]) == 0
    np.testing.assert_array_equal(np.load("y.npy"), predictor(x.astype("float32")))
    np.save("x.npy", np.array(["a"]))
    assert main(["predict", "net.densa", "x.npy", "-o", "z.npy"]) == 1
    assert "x.npy: is <U1; net.densa takes float32" in capsys.readouterr().err
    assert not os.path.exists("z.npy")


def test_predict_errors(capsys):
    np.save("x.npy", np.zeros((3, 8, 8), "uint8"))
    assert main(["predict", "none.densa", "x.npy", "-o", "y.npy"]) == 1
    assert "none.densa" in capsys.readouterr().err

    assert train() == 0
    np.save("flat.npy", np.zeros((3, 7), "float32"))
    np.savez("many.npz", a=np.zeros(3))
    for name, content in (("empty.npy", b""), ("broken.npz", b"PK\x03\x04 and no more")):
        with open(name, "wb") as file:
            file.write(content)
    np.save("objects.npy", np.array([{}], dtype=object), allow_pickle=True)
    for name, message in [
        ("flat.npy", "7"),
        ("many.npz", "archive"),
        ("objects.npy", "allow_pickle"),
        ("empty.npy", "empty.npy: empty or damaged"),
        ("broken.npz", "broken.npz: empty or damaged"),
        ("none.npy", "none.npy"),
    ]:
        assert main(["predict", "model.densa", name, "-o", "y.npy"]) == 1
        assert message in capsys.readouterr().err
        assert not os.path.exists("y.npy")


@pytest.mark.parametrize("output", ["model.densa", "./x.npy", "link.npy"])
def test_predictions_never_replace_what_they_are_made_from(capsys, output):
    # No model and no array: whoever read them first would complain about that.
    for name in ("model.densa", "x.npy"):
        with open(name, "w") as file:
            file.write("precious")
    os.symlink("x.npy", "link.npy")
    assert main(["predict", "model.densa", "x.npy", "-o", output]) == 1
    captured = capsys.readouterr()
    what = "the model" if output == "model.densa" else "the input"
    assert f"{output}: is {what}, which the predictions would replace" in captured.err
    assert captured.out == ""
    for name in ("model.densa", "x.npy"):
        with open(name) as file:
            assert file.read() == "precious"


def test_a_network_beyond_the_memory_is_one_line(capsys):
    assert train("--hidden", "99999999999") == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("densa train: error: ")
    # 64 inputs times that many units of 4 bytes.
    assert "25599999999744 bytes" in lines[0]
    assert os.listdir() == []


def test_an_error_without_words_is_named(monkeypatch, capsys):
    def no_memory(*args, **kwargs):
        raise MemoryError

    monkeypatch.setattr(densa.Sequential, "fit", no_memory)
    assert train() == 1
    assert capsys.readouterr().err == "densa train: error: MemoryError\n"


def test_interrupt(monkeypatch, capsys):
    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(densa.Sequential, "fit", interrupted)
    assert train() == 130
    assert "stopped" in capsys.readouterr().err


def test_info(capfd):
    assert main(["info"]) == 0
    text = capfd.readouterr().out
    assert densa.__version__ in text


def test_as_a_program():
    for command in ([sys.executable, "-m", "densa"], ["densa"]):
        if command == ["densa"]:
            program = os.path.join(os.path.dirname(sys.executable), "densa")
            if not os.path.exists(program):
                continue
            command = [program]
        run = subprocess.run([*command, "--version"], check=True, capture_output=True, text=True)
        assert run.stdout == f"densa {densa.__version__}\n"
