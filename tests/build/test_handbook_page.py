"""docs/handbook.md: every id of the handbook, and names, files and tests that exist."""

from __future__ import annotations

import ast
import functools
import importlib.util
import inspect
import re
from pathlib import Path

import densa

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "handbook.md").read_text("utf-8")
ROWS = [
    [cell.strip() for cell in line.strip("|\n ").split(" | ")]
    for line in PAGE.splitlines()
    if re.match(r"\| (A\d|G|E)", line)
]
# How many items each chapter has; A18 has no numbers, A19 and A21 have letters of their own.
ITEMS = {
    **dict(zip((f"A{i}-" for i in range(1, 18)),
               (14, 21, 15, 7, 18, 20, 21, 15, 15, 10, 7, 9, 10, 11, 8, 5, 8), strict=True)),
    "G": 31,
    "A20-": 6,
    "E": 20,
}  # fmt: skip


def test_every_item_has_a_row():
    expected = [f"{chapter}{i:02}" for chapter, count in ITEMS.items() for i in range(1, count + 1)]
    assert [row[0] for row in ROWS] == expected
    assert {len(row) for row in ROWS} == {4}


# Names in the page that are none of the package: rules of the doctor, a variable, functions of others.
RULES = re.findall(r"^\| `(\w+)` \(", (ROOT / "docs/doctor.md").read_text("utf-8"), re.MULTILINE)
WORDS = {"partial", "add", "beta", *RULES}
SPANS = sorted({span for row in ROWS for span in re.findall(r"`([^`]+)`", row[2])} - WORDS)


def missing_in(span):
    """What a span of the third column names and densa has not; None if all is there."""
    node = ast.parse(span, mode="eval").body
    call = node if isinstance(node, ast.Call) else None
    found = densa
    for name in ast.unparse(call.func if call else node).split("."):
        found = getattr(found, name, None)
        if found is None:
            return name
    for argument in call.keywords if call else ():
        if argument.arg in inspect.signature(found).parameters:
            continue
        if not issubclass(found, densa.Optimizer):
            return argument.arg
        # Optimizers share these by **options and refuse what they do not know.
        found(**{argument.arg: ast.literal_eval(argument.value)})
    return None


def test_names_exist_and_take_these_arguments():
    assert len(SPANS) > 180
    if not importlib.util.find_spec("sklearn"):
        spans = [span for span in SPANS if not span.startswith("sklearn.")]
    else:
        spans = SPANS
    missing = {span: name for span in spans if (name := missing_in(span))}
    assert not missing


def test_files_and_tests_exist():
    missing = []
    for row in ROWS:
        assert re.sub(r"`[^`]*`", "", "".join(row[1:3])).strip()
        for place in row[3].split(", "):
            path, _, name = place.partition("::")
            file = ROOT / path
            if not file.is_file() or (name and f"\ndef {name}(" not in text_of(file)):
                missing.append((row[0], place))
    assert not missing


@functools.cache
def text_of(file):
    return file.read_text("utf-8")
