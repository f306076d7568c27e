"""Calls everything public of a module with arguments of wrong kinds; prints what answers badly.

`python wrong_arguments.py MODULE`: lines of what raised neither ValueError nor TypeError, or raised
one that does not tell what came. A crash ends the process.
"""

import functools
import importlib
import inspect
import os
import re
import sys
import tempfile
import warnings

import numpy as np

import densa

WRONG = {
    "None": None,
    "text": "nonsense",
    "negative": -3,
    "nan": float("nan"),
    "object": object(),
    "empty": np.zeros((0, 3), "f4"),
    "objects": np.array([object(), None]),
    "ragged": [[1, 2], [3]],
    "cube": np.zeros((2, 3, 4), "f4"),
    "dict": {"a": 1},
}
# What Python, NumPy and pybind11 say by themselves.
RAW = re.compile(
    "object is not|has no attribute|truth value|must be a string or|not supported between|"
    "unsupported operand|could not convert|invalid literal|inhomogeneous|incompatible function|"
    "has no len|index out of range|no signature found|expected str, bytes|a bytes-like object|"
    "only integer scalar|only 0-dimensional|can only concatenate|Cannot interpret|no loop matching"
)
X = np.ones((4, 3), "f4")
SANE = {"shape": (2, 3), "axis": 0, "learning_rate": 0.1, "units": 3, "name": "some", "rate": 0.5}
# Functions that `densa.ops` calls: with their arguments, so that the other arguments are judged.
SANE |= {
    "cond": lambda *values: False,
    "body": lambda *values: values,
    "f": lambda *values: values[0],
    "function": lambda value: value,
    "pyfunc": lambda value: value,
    "body_fun": lambda i, value: value,
    "true_fn": lambda: X,
    "false_fn": lambda: X,
    "branches": [lambda: X],
    "pred": True,
    "index": 0,
    "lower": 0,
    "upper": 2,
}
SANE_OF = {("scan", "f"): lambda carry, value: (carry, value), ("get_item", "key"): 0}
# They change what all else depends on, wait for more, or start a process or a download.
LEFT_OUT = {"load_data", "set_device", "set_num_threads", "enable_unsafe_deserialization", "asgi"}
TELLS = ("eceived", "got ", "Got ", "expected")


def judge(what, call):
    try:
        call()
    except (ImportError, OSError, NotImplementedError):
        return
    except IndexError as error:  # as in NumPy, of an index or an id that is named
        if not re.search(r"(index|id) -?\d+|a Tensor is indexed by|the Tensor has", str(error)):
            print(f"{what}: IndexError: {str(error)[:150]!r}")
    except (TypeError, ValueError) as error:
        if RAW.search(str(error)) and not any(word in str(error) for word in TELLS):
            print(f"{what}: {type(error).__name__}: {str(error)[:150]!r}")
    except Exception as error:
        print(f"{what}: {type(error).__name__}: {str(error)[:150]!r}")


def sweep(module):
    found = importlib.import_module(f"densa.{module}")
    for name in sorted(getattr(found, "__all__", [])):
        function = getattr(found, name)
        if not callable(function) or name in LEFT_OUT:
            continue
        try:
            parameters = list(inspect.signature(function).parameters.values())
        except (TypeError, ValueError):
            continue
        parameters = [p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
        needed = {
            p.name: SANE_OF.get((name, p.name), SANE.get(p.name, X))
            for p in parameters
            if p.default is p.empty
        }
        for p in parameters:
            for kind, value in WRONG.items():
                if isinstance(value, np.ndarray) and takes_a_word(p):
                    continue
                call = functools.partial(function, **{**needed, p.name: value})
                judge(f"{name}({p.name}={kind})", call)
        if inspect.isclass(function):
            call_of(name, function, module)


def takes_a_word(parameter):
    """Tell whether an argument is a flag, a name or a choice: there NumPy speaks of truth values.

    Nobody passes arrays there by mistake, and hundreds of tests of each would not be read.
    """
    words = isinstance(parameter.default, (bool, str))
    return words or parameter.name in (
        *("name", "mode", "reduction", "custom_objects", "verbose"),
        *("sparse", "ragged"),
    )


def call_of(name, kind, module):
    try:
        kind()
    except Exception:
        return
    for wrong, value in WRONG.items():
        if module == "layers" and name not in ("Layer", "InputSpec", "Lambda"):
            judge(f"{name}()({wrong})", lambda value=value: kind()(value))
        if module in ("losses", "metrics") and name not in ("Loss", "Metric"):
            for place in range(3):
                args = [X, X, None]
                args[place] = value
                judge(f"{name}()({wrong} at {place})", lambda args=args: kind()(*args))


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    os.chdir(tempfile.mkdtemp())
    before = X.copy(), densa.config.floatx(), densa.config.epsilon()
    sweep(sys.argv[1])
    np.testing.assert_array_equal(X, before[0])
    print("done", densa.config.floatx() == before[1])
