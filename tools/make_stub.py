#!/usr/bin/env python3
"""Write python/densa/_core.pyi from the built module, or check that it is up to date.

The engine's bindings carry their signatures in their docstrings; this reads them back, so that a
change of the public signatures shows in the diff of one file.

Usage: python tools/make_stub.py [--check]
"""

from __future__ import annotations

import argparse
import ast
import builtins
import difflib
import enum
import importlib
import inspect
import pkgutil
import re
import sys
import types
from pathlib import Path
from typing import Any

STUB = Path(__file__).resolve().parents[1] / "python" / "densa" / "_core.pyi"

HEADER = '''\
"""The engine. Rebuilt by tools/make_stub.py from the built module; not written by hand."""

import collections.abc
import typing
from typing import Any

import numpy
import numpy.typing
import typing_extensions
'''

# What pybind11 gives every class or enum, which says nothing about ours.
SKIPPED = {
    "__class__", "__dict__", "__doc__", "__entries", "__module__", "__new__", "__weakref__",
    "__getattribute__", "__setattr__", "__delattr__", "__dir__", "__init_subclass__",
    "__subclasshook__", "__reduce__", "__reduce_ex__", "__sizeof__", "__format__",
    "__annotations__", "__members__", "__static_attributes__", "__firstlineno__",
    "_pybind11_conduit_v1_",
}  # fmt: skip


# Names that annotations may use; make_stub adds the module's own classes.
KNOWN_NAMES = {*dir(builtins), "Any", "collections", "numpy", "typing", "typing_extensions"}


# Classes of the package's own modules that annotations of its properties use: name to module.
PACKAGE_NAMES: dict[str, str] = {}


def make_stub(module: types.ModuleType) -> str:
    """Return the text of the stub of a module made with pybind11."""
    KNOWN_NAMES.update(name for name, value in vars(module).items() if inspect.isclass(value))
    body = "\n".join(_members(module, indent=""))
    unused = [
        name
        for name in ("collections.abc", "typing", "numpy", "numpy.typing", "typing_extensions")
        if not re.search(rf"\b{re.escape(name)}\.(?!typing\b)", body)
    ]
    left_out = {f"import {name}" for name in unused}
    lines = [line for line in HEADER.splitlines() if line not in left_out]
    if not re.search(r"\bAny\b", body):
        lines.remove("from typing import Any")
    if PACKAGE_NAMES:
        lines += [
            "",
            *(f"from {PACKAGE_NAMES[name]} import {name}" for name in sorted(PACKAGE_NAMES)),
        ]
    return _tidy("\n".join(lines) + "\n\n" + body + "\n")


def _tidy(text: str) -> str:
    text = re.sub(r"[ \t]+$", "", text, flags=re.MULTILINE)
    return re.sub(r"\n{3,}", "\n\n", text)


def _members(owner: Any, indent: str) -> list[str]:
    lines: list[str] = []
    inherited = {} if isinstance(owner, types.ModuleType) else dict(inspect.getmembers(object))
    for name, value in sorted(vars(owner).items()):
        if name in SKIPPED or (isinstance(owner, types.ModuleType) and name.startswith("__")):
            continue
        if name in inherited and value is inherited[name]:
            continue
        lines += _member(name, value, indent, in_class=not isinstance(owner, types.ModuleType))
    return lines


def _member(name: str, value: Any, indent: str, *, in_class: bool) -> list[str]:
    if isinstance(value, types.ModuleType):
        inner = _submodule(value, indent + "    ")
        return [f"{indent}class {name}:", *(inner or [f"{indent}    ..."]), ""]
    if inspect.isclass(value):
        return _class(name, value, indent)
    if isinstance(value, property):
        return _property(name, value, indent)
    if isinstance(value, staticmethod):
        return _function(name, value.__func__, indent, ["@staticmethod"])
    if type(value).__name__ in {"pybind11_static_property"}:
        return [f"{indent}{name}: Any"]
    if value is None and name == "__hash__":
        return [f"{indent}__hash__: None  # type: ignore[assignment]"]
    if callable(value):
        return _function(name, value, indent, [])
    if in_class and isinstance(value, enum.Enum):
        return [f"{indent}{name} = {value.value!r}"]
    return [f"{indent}{name}: {_type_of(value)}"]


def _submodule(module: types.ModuleType, indent: str) -> list[str]:
    """A submodule is written as a class of static functions: one stub file shows it all."""
    lines: list[str] = []
    for name, value in sorted(vars(module).items()):
        if name.startswith("__"):
            continue
        if inspect.isclass(value):
            lines += _class(name, value, indent)
        elif callable(value):
            lines += _function(name, value, indent, ["@staticmethod"])
        else:
            lines.append(f"{indent}{name}: {_type_of(value)}")
    return lines


def _class(name: str, value: type, indent: str) -> list[str]:
    bases = [b.__name__ for b in value.__bases__ if b.__module__ == value.__module__]
    if issubclass(value, BaseException):
        bases = [b.__name__ for b in value.__bases__]
    entries = getattr(value, "__members__", None)
    lines = [
        "",
        f"{indent}class {name}({', '.join(bases)}):" if bases else f"{indent}class {name}:",
    ]
    known = list(entries or ())
    body = [f"{indent}    {entry}: typing.ClassVar[{name}]" for entry in known]
    for line_name, member in sorted(vars(value).items()):
        if line_name in SKIPPED or line_name in known:
            continue
        if line_name == "__hash__" and getattr(value, "__eq__", None) is object.__eq__:
            continue
        body += _member(line_name, member, indent + "    ", in_class=True)
    return lines + (body or [f"{indent}    ..."]) + [""]


def _property(name: str, value: property, indent: str) -> list[str]:
    if isinstance(value.fget, types.FunctionType):
        result = _package_type(value.fget)
    else:
        result = _result(getattr(value.fget, "__doc__", None) or "")
    lines = [f"{indent}@property", f"{indent}def {name}(self) -> {result}: ..."]
    if value.fset is not None:
        match = re.search(r"\(self: [^,]+, \w+: (.*)\) -> None", value.fset.__doc__ or "")
        argument = _clean(match.group(1)) if match else "Any"
        lines += [
            f"{indent}@{name}.setter",
            f"{indent}def {name}(self, value: {argument}) -> None: ...",
        ]
    return lines


def _package_type(function: types.FunctionType) -> str:
    """What a function of the package returns, by its annotation."""
    annotation = function.__annotations__.get("return", "Any")
    node = ast.parse(annotation, mode="eval").body
    for name in {part.id for part in ast.walk(node) if isinstance(part, ast.Name)} - KNOWN_NAMES:
        found = function.__globals__.get(name)
        if inspect.isclass(found) and found.__module__.startswith("densa."):
            PACKAGE_NAMES[name] = found.__module__
            KNOWN_NAMES.add(name)
    return ast.unparse(_annotation(node))


def _result(doc: str) -> str:
    match = re.search(r"-> (.+)$", doc.strip().splitlines()[0]) if doc.strip() else None
    return _clean(match.group(1)) if match else "Any"


def _function(name: str, value: Any, indent: str, decorators: list[str]) -> list[str]:
    doc = (getattr(value, "__doc__", None) or "").strip()
    if isinstance(value, types.FunctionType):  # added by the package
        doc = ""
    head = doc.splitlines()[0] if doc else ""
    if "Overloaded function" in doc[:200]:
        heads = re.findall(rf"^\d+\. ({re.escape(name)}\(.*)$", doc, re.MULTILINE)
        decorators = [*decorators, "@typing.overload"] if len(heads) > 1 else decorators
    else:
        heads = (
            [head] if head.startswith(f"{name}(") else [_text_signature(name, value, decorators)]
        )
    lines = []
    for one in heads:
        lines += [f"{indent}{decorator}" for decorator in decorators]
        lines.append(f"{indent}{_definition(name, one)}")
    return lines


def _text_signature(name: str, value: Any, decorators: list[str]) -> str:
    """A plain C function has no types; its names come from `__text_signature__`, if any."""
    if name == "__init__" and not isinstance(value, types.FunctionType):
        return "__init__(self, *args: Any, **kwargs: Any) -> None"
    try:
        parameters = str(inspect.signature(value))
    except (TypeError, ValueError):
        parameters = "(*args: Any, **kwargs: Any)"
        if type(value).__name__ in {"method_descriptor", "wrapper_descriptor"}:
            parameters = "(self, *args: Any, **kwargs: Any)"
    return f"{name}{parameters} -> Any" if "->" not in parameters else f"{name}{parameters}"


def _definition(name: str, head: str) -> str:
    text = f"def {_clean(head)}: ..."
    try:
        tree = ast.parse(text).body[0]
    except SyntaxError:
        return f"def {name}(*args: Any, **kwargs: Any) -> Any: ..."
    assert isinstance(tree, ast.FunctionDef)
    arguments = tree.args
    every = [*arguments.posonlyargs, *arguments.args]
    if every and every[0].arg == "self":
        every[0].annotation = None
    literals = [
        default if _is_literal(default) else ast.Constant(...) for default in arguments.defaults
    ]
    arguments.defaults = literals
    arguments.kw_defaults = [
        d if d is None or _is_literal(d) else ast.Constant(...) for d in arguments.kw_defaults
    ]
    for argument in [*every, *arguments.kwonlyargs]:
        if argument.annotation is None and argument.arg != "self":
            argument.annotation = ast.Name("Any")
    for star in (arguments.vararg, arguments.kwarg):
        if star is not None and star.annotation is None:
            star.annotation = ast.Name("Any")
    tree.returns = _annotation(tree.returns)
    stars = [star for star in (arguments.vararg, arguments.kwarg) if star is not None]
    for argument in [*every, *arguments.kwonlyargs, *stars]:
        if argument.annotation is not None:
            argument.annotation = _annotation(argument.annotation)
    return ast.unparse(tree).replace(":\n    ...", ": ...")


def _annotation(node: ast.expr | None) -> ast.expr:
    """The annotation, out of its quotes; Any where it uses names that the stub does not know."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        node = ast.parse(node.value, mode="eval").body
    if node is None:
        return ast.Name("Any")
    names = {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
    return node if names <= KNOWN_NAMES else ast.Name("Any")


def _is_literal(node: ast.expr) -> bool:
    try:
        ast.literal_eval(node)
    except ValueError:
        return False
    return True


def _clean(text: str) -> str:
    """Turn pybind11's spelling of types and defaults into Python that a type checker reads."""
    text = text.strip().rstrip(":")
    text = re.sub(r"<[^<>]*>", "...", text)  # defaults that have no literal
    text = re.sub(r"\b(?:\w+::)+\w+(?:<.*?>)?", "Any", text)  # C++ types nobody registered
    text = re.sub(r"\bdensa\._core\.", "", text)
    text = re.sub(
        r"\b(?:numpy\.ndarray|numpy\.typing\.(?:NDArray|ArrayLike))\[[^\]]*\]", "Any", text
    )
    text = re.sub(r"(?<![\w.])(?:object|handle)(?!\w)", "Any", text)
    text = re.sub(r"(?<![\w.])capsule(?!\w)", "Any", text)
    text = re.sub(r"(?<![\w.])(dict|list|tuple)(?![\w\[])", lambda m: _generic(m.group(1)), text)
    text = re.sub(r"\bnumpy\.ndarray\b", "numpy.typing.NDArray[Any]", text)
    text = re.sub(r"\b(collections\.abc\.(?:Sequence|Iterable|Iterator))(?!\[)\b", r"\1[Any]", text)
    return re.sub(r"\b(?:collections\.abc\.)?(Callable)(?!\[)\b", "typing.Callable[..., Any]", text)


def _generic(name: str) -> str:
    return {"dict": "dict[Any, Any]", "list": "list[Any]", "tuple": "tuple[Any, ...]"}[name]


def _type_of(value: Any) -> str:
    name = type(value).__name__
    if isinstance(value, (dict, list, tuple)):
        return _generic(name) if name in {"dict", "list", "tuple"} else "Any"
    return name if isinstance(value, (bool, int, float, str, bytes)) else "Any"


def load_core() -> types.ModuleType:
    """Load the built module with all that the package adds to its classes."""
    import densa

    for module in pkgutil.walk_packages(densa.__path__, "densa."):
        # The latter needs a library that may not be there, and adds nothing.
        if not module.name.endswith("__main__") and not module.name.startswith("densa.sklearn."):
            importlib.import_module(module.name)
    return importlib.import_module("densa._core")


def main() -> int:
    """Write or check the stub; 1 if the check fails."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="change nothing, fail on a difference")
    options = parser.parse_args()
    built = make_stub(load_core())
    if not options.check:
        STUB.write_text(built, encoding="utf-8")
        print(f"wrote {STUB}")
        return 0
    golden = STUB.read_text(encoding="utf-8") if STUB.exists() else ""
    difference = list(
        difflib.unified_diff(
            golden.splitlines(), built.splitlines(), "_core.pyi", "the built module", lineterm=""
        )
    )
    if difference:
        print("\n".join(difference))
        print("_core.pyi is not that of the built module; rebuild it: python tools/make_stub.py")
        return 1
    print("_core.pyi is up to date")
    return 0


if __name__ == "__main__":
    sys.exit(main())
