"""Functions that call functions: part of `densa.ops`.

Loops are Python's: while a model is recorded they are written out step by step, so that a native
step, a frozen network and an exported file hold them where the number of rounds does not depend on
values.
"""

from __future__ import annotations

import functools
import re
import reprlib
from collections.abc import Callable
from typing import Any

import numpy as np

from densa import _core
from densa._numbers import array_of, check_callable, is_numeric, whole_number
from densa._symbolic import KerasTensor
from densa.device import beside
from densa.ops._public import apply, floating, known_shape, known_size, place, reshaped, tensor
from densa.ops.shapes import concatenate, flip, stack
from densa.utils import tree


def cond(pred: Any, true_fn: Callable[[], Any], false_fn: Callable[[], Any]) -> Any:
    """Return `true_fn()` where pred is true, else `false_fn()`.

    Where pred has a value, only that function is called. While a model is recorded it may have
    none: then both are, and pred picks.

    Args:
        pred: a boolean, or a Tensor of one element.
        true_fn: takes nothing.
        false_fn: takes nothing; gives the same structure, shapes and types.

    Raises:
        TypeError: if pred is no single boolean or number, or a function cannot be called.
        ValueError: if pred is recorded and the functions give different structures.

    Example:
        >>> float(densa.ops.cond(True, lambda: densa.ops.array(1.0), lambda: densa.ops.array(2.0)))
        1.0
    """
    check_callable("cond: `true_fn`", true_fn)
    check_callable("cond: `false_fn`", false_fn)
    if not isinstance(pred, (_core.Tensor, _core.Variable)):
        if not isinstance(pred, KerasTensor):
            _check_one("cond: `pred` must be one boolean", pred)
        return true_fn() if pred else false_fn()
    pred = tensor(pred)
    if not pred.is_symbolic:
        _check_one("cond: `pred` must be one boolean", pred)
    if not pred.is_symbolic:
        return true_fn() if bool(pred.numpy()) else false_fn()
    yes, no = true_fn(), false_fn()
    pairs = list(zip(tree.flatten(yes), tree.flatten(no), strict=False))
    if len(pairs) != len(tree.flatten(yes)) or len(pairs) != len(tree.flatten(no)):
        raise ValueError("cond: true_fn and false_fn must give the same structure.")
    pred = apply("cast", reshaped(pred, []), dtype="bool")
    return tree.pack_like(yes, [a if a is None else apply("where", pred, a, b) for a, b in pairs])


def _check_one(rule: str, x: Any) -> None:
    """Raise TypeError unless x is one number or boolean."""
    if not is_numeric(x) or np.size(x) != 1:
        raise TypeError(f"{rule}; received {reprlib.repr(x)}.")


def _array(name: str, x: Any) -> Any:
    return tensor(array_of(name, x) if isinstance(x, (list, tuple)) else x)


def _same(x: Any) -> Any:
    return x


def switch(index: Any, branches: Any, *operands: Any) -> Any:
    """Return `branches[index](*operands)`; an index outside is the nearest one inside.

    Args:
        index: a whole number, or a Tensor of one element.
        branches: functions that take the operands; while index is recorded, all are called.
        *operands: what they take.

    Raises:
        TypeError: if index is no single number, or branches are no list of functions.
        ValueError: if there is no branch.

    Example:
        >>> float(densa.ops.switch(1, [densa.ops.negative, densa.ops.square], 3.0))
        9.0
    """
    if not isinstance(branches, (list, tuple)):
        raise TypeError(
            f"switch: `branches` must be a list of functions; received {reprlib.repr(branches)}."
        )
    for branch in branches:
        check_callable("switch: each of `branches`", branch)
    if not branches:
        raise ValueError("switch: at least one branch is needed.")
    if isinstance(index, (_core.Tensor, _core.Variable)):
        place = tensor(index)
        if place.is_symbolic:
            outs = [branch(*operands) for branch in branches]
            out = outs.pop()
            while outs:
                out = cond(
                    apply("less_equal", place, len(outs) - 1),
                    functools.partial(_same, outs.pop()),
                    functools.partial(_same, out),
                )
            return out
        index = place.numpy()
    _check_one("switch: `index` must be one whole number", index)
    return branches[min(max(int(index), 0), len(branches) - 1)](*operands)


def while_loop(
    cond: Callable[..., Any],
    body: Callable[..., Any],
    loop_vars: Any,
    maximum_iterations: int | None = None,
) -> Any:
    """Return what becomes of loop_vars by `body`, again and again while `cond` holds.

    The number of rounds depends on values: while a model is recorded, `cond` must not ask for
    those of recorded Tensors.

    Args:
        cond: takes the variables; gives a boolean.
        body: takes the variables; gives the next ones.
        loop_vars: a list or tuple of values, or one value.
        maximum_iterations: the most rounds; None for any number.

    Returns:
        The variables, structured like loop_vars.

    Raises:
        TypeError: if a function cannot be called, or the most rounds are no whole number.
        ValueError: if the most rounds are negative.

    Example:
        >>> i, s = densa.ops.while_loop(lambda i, s: i < 4, lambda i, s: (i + 1, s + i), (0, 0))
        >>> i, s
        (4, 6)
    """
    check_callable("while_loop: `cond`", cond)
    check_callable("while_loop: `body`", body)
    if maximum_iterations is not None:
        maximum_iterations = whole_number(
            "while_loop: `maximum_iterations`", maximum_iterations, least=0
        )
    several = isinstance(loop_vars, (list, tuple))
    state = tuple(loop_vars) if several else (loop_vars,)
    rounds = 0
    while (maximum_iterations is None or rounds < maximum_iterations) and bool(cond(*state)):
        following = body(*state)
        state = tuple(following) if isinstance(following, (list, tuple)) else (following,)
        rounds += 1
    if not several:
        return state[0]
    return type(loop_vars)(state) if type(loop_vars) in (list, tuple) else state


def fori_loop(lower: Any, upper: Any, body_fun: Callable[[Any, Any], Any], init_val: Any) -> Any:
    """Return what becomes of init_val by `body_fun(i, value)` for i from lower to upper - 1.

    Args:
        lower: the first i.
        upper: one more than the last i.
        body_fun: takes i and the value; gives the next value.
        init_val: the first value.

    Raises:
        TypeError: if lower or upper is no whole number, or the function cannot be called.

    Example:
        >>> densa.ops.fori_loop(0, 4, lambda i, s: s + i, 0)
        6
    """
    check_callable("fori_loop: `body_fun`", body_fun)
    begin, end = (
        whole_number(f"fori_loop: `{name}`", x, least=-(2**63))
        for name, x in (("lower", lower), ("upper", upper))
    )
    for i in range(begin, end):
        init_val = body_fun(i, init_val)
    return init_val


def _slices(name: str, xs: Any) -> list[Any]:
    """Return the structure of each slice along the first axes."""
    leaves = [_array(name, x) for x in tree.flatten(xs)]
    if not leaves or any(x.ndim < 1 for x in leaves):
        raise ValueError(f"{name}: expected arrays of at least one axis.")
    sizes = {known_size(x, 0, name) for x in leaves}
    if len(sizes) > 1:
        raise ValueError(f"{name}: first axes must be of one size; got {sorted(sizes)}.")
    return [tree.pack_like(xs, [x[i] for x in leaves]) for i in range(sizes.pop())]


def _stacked(parts: list[Any]) -> Any:
    leaves = zip(*(tree.flatten(part) for part in parts), strict=True)
    return tree.pack_like(parts[0], [None if p[0] is None else stack(list(p)) for p in leaves])


def map(f: Callable[[Any], Any], xs: Any) -> Any:
    """Return f of each slice along the first axis, stacked.

    Args:
        f: takes a slice, structured like xs; gives an array or a structure of them.
        xs: an array, or a structure of arrays whose first axes agree.

    Raises:
        TypeError: if f cannot be called.
        ValueError: if xs has no slice, or first axes differ.

    Example:
        >>> densa.ops.map(lambda x: x * x, [1.0, 2.0, 3.0]).numpy().tolist()
        [1.0, 4.0, 9.0]
    """
    check_callable("map: `f`", f)
    if isinstance(xs, list) and not any(hasattr(x, "shape") for x in tree.flatten(xs)):
        xs = _array("map", xs)
    slices = _slices("map", xs)
    if not slices:
        raise ValueError("map: there is no slice to call the function with; xs has 0 rows.")
    return _stacked([f(x) for x in slices])


def vectorized_map(function: Callable[[Any], Any], elements: Any) -> Any:
    """Return the function of each slice along the first axis, stacked: another name of `map`.

    Args:
        function: takes a slice; gives an array or a structure of them.
        elements: an array, or a structure of arrays whose first axes agree.

    Example:
        >>> densa.ops.vectorized_map(lambda x: x * x, [1.0, 2.0]).numpy().tolist()
        [1.0, 4.0]
    """
    check_callable("vectorized_map: `function`", function)
    return map(function, elements)


def scan(
    f: Callable[[Any, Any], tuple[Any, Any]],
    init: Any,
    xs: Any = None,
    length: int | None = None,
    reverse: bool = False,
    unroll: Any = 1,
) -> tuple[Any, Any]:
    """Return the last carry and the stacked results of `carry, y = f(carry, x)` along the slices.

    Args:
        f: takes the carry and a slice of xs (None without xs); gives the next carry and a result.
        init: the first carry.
        xs: an array, or a structure of arrays whose first axes agree; None for `length` rounds.
        length: how many rounds; needed without xs.
        reverse: whether to begin with the last slice; results keep the order of the slices.
        unroll: accepted for Keras.

    Raises:
        TypeError: if f cannot be called, or length is no whole number.
        ValueError: without xs and length, or if length is not the number of slices.

    Example:
        >>> last, sums = densa.ops.scan(lambda c, x: (c + x, c + x), 0.0, np.float32([1, 2, 3]))
        >>> float(last), sums.numpy().tolist()
        (6.0, [1.0, 3.0, 6.0])
    """
    check_callable("scan: `f`", f)
    if length is not None:
        length = whole_number("scan: `length`", length, least=0)
    if xs is None and length is None:
        raise ValueError("scan: without xs, give the number of rounds, length.")
    slices = [None] * (length or 0) if xs is None else _slices("scan", xs)
    if length is not None and len(slices) != length:
        raise ValueError(f"scan: length is {length}, but xs has {len(slices)} slices.")
    carry, results = init, []
    for x in reversed(slices) if reverse else slices:
        carry, y = f(carry, x)
        results.append(y)
    if reverse:
        results.reverse()
    return carry, _stacked(results) if results else None


def associative_scan(
    f: Callable[[Any, Any], Any], elems: Any, reverse: bool = False, axis: int = 0
) -> Any:
    """Return f of all slices up to each one, itself among them, for an associative f.

    Each of about log₂(n) passes takes in twice as many slices.

    Args:
        f: takes two structures like elems, of any number of slices; combines them slice by slice.
        elems: an array, or a structure of arrays that agree along `axis`.
        reverse: whether to begin with the last slice.
        axis: the axis of the slices.

    Example:
        >>> densa.ops.associative_scan(densa.ops.add, np.float32([1, 2, 3])).numpy().tolist()
        [1.0, 3.0, 6.0]
    """
    check_callable("associative_scan: `f`", f)
    leaves = [_array("associative_scan", x) for x in tree.flatten(elems)]
    wheres = [place(axis, x.ndim, "associative_scan") for x in leaves]
    sizes = {known_size(x, i, "associative_scan") for x, i in zip(leaves, wheres, strict=True)}
    if len(sizes) != 1:
        raise ValueError(f"associative_scan: elems must agree along the axis; got {sorted(sizes)}.")

    def part(begin: int | None, end: int | None) -> list[Any]:
        return [
            x[(*(np.s_[:],) * i, slice(begin, end))] for x, i in zip(leaves, wheres, strict=True)
        ]

    def turned() -> list[Any]:
        return [flip(x, axis=i) for x, i in zip(leaves, wheres, strict=True)]

    if reverse:
        leaves = turned()
    size, step = sizes.pop(), 1
    while step < size:
        before = tree.pack_like(elems, part(None, size - step))
        found = tree.flatten(f(before, tree.pack_like(elems, part(step, None))))
        pairs = zip(part(None, step), found, wheres, strict=True)
        leaves = [concatenate([x, y], axis=i) for x, y, i in pairs]
        step *= 2
    return tree.pack_like(elems, turned() if reverse else leaves)


def vectorize(
    pyfunc: Callable[..., Any], *, excluded: Any = None, signature: str | None = None
) -> Callable[..., Any]:
    """Return a function that calls pyfunc for each element of its arguments, or each inner array.

    The axes in front of the inner arrays broadcast; pyfunc is called once for each place.

    Args:
        pyfunc: takes and gives numbers; with a signature, arrays of these axes.
        excluded: positions and names of arguments to hand on whole.
        signature: axes of inner arrays, such as "(n),(n)->()".

    Raises:
        TypeError: if pyfunc cannot be called, or signature is no text.
        ValueError: for a signature that cannot be read or does not fit the arguments.

    Example:
        >>> norm = densa.ops.vectorize(densa.ops.norm, signature="(n)->()")
        >>> norm([[3.0, 4.0], [0.0, 2.0]]).numpy().tolist()
        [5.0, 2.0]
    """
    check_callable("vectorize: `pyfunc`", pyfunc)
    excluded = () if excluded is None else excluded
    if not isinstance(excluded, (list, tuple, set, frozenset)):
        raise TypeError(
            "vectorize: `excluded` must be a set of positions and names; received "
            f"{reprlib.repr(excluded)}."
        )
    if signature is not None and not isinstance(signature, str):
        raise TypeError(f"vectorize: `signature` must be a text; received {signature!r}.")
    whole = set(excluded)
    ranks = None if signature is None else _inner_ranks(signature)

    def run(*args: Any, **kwargs: Any) -> Any:
        places = [i for i in range(len(args)) if i not in whole]
        names = [k for k in kwargs if k not in whole]
        given = [tensor(args[i]) for i in places] + [tensor(kwargs[k]) for k in names]
        inner = ranks or [0] * len(given)
        if len(inner) != len(given):
            raise ValueError(
                f"vectorize: the signature {signature!r} has {len(inner)} arguments; got "
                f"{len(given)}."
            )
        if any(x.ndim < r for x, r in zip(given, inner, strict=True)):
            shapes = [tuple(x.shape) for x in given]
            raise ValueError(f"vectorize: shapes {shapes} do not fit the signature {signature!r}.")
        shapes = [known_shape(x, "vectorize") for x in given]
        fronts = [s[: len(s) - r] for s, r in zip(shapes, inner, strict=True)]
        outer = np.broadcast_shapes(*fronts)
        wide = [
            apply("broadcast_to", x, shape=[*outer, *x.shape[len(front) :]])
            for x, front in zip(given, fronts, strict=True)
        ]
        results = []
        for at in np.ndindex(*outer):
            now = [x[at] if at else x for x in wide]
            full = list(args)
            for i, x in zip(places, now, strict=False):
                full[i] = x
            named = dict(zip(names, now[len(places) :], strict=True))
            results.append(tree.map_structure(tensor, pyfunc(*full, **{**kwargs, **named})))
        if not results:
            raise ValueError(f"vectorize: there is nothing to call the function with: {outer}.")
        joined = _stacked(results)
        return tree.map_structure(lambda x: reshaped(x, [*outer, *x.shape[1:]]), joined)

    return run


def _inner_ranks(signature: str) -> list[int]:
    found = re.fullmatch(r"\s*(\([^()]*\)(?:\s*,\s*\([^()]*\))*)\s*->.+", signature)
    if found is None:
        raise ValueError(f"vectorize: cannot read the signature {signature!r}; like '(n),(n)->()'.")
    inner = re.findall(r"\(([^()]*)\)", found[1])
    return [len([n for n in names.split(",") if n.strip()]) for names in inner]


def jvp(fun: Callable[..., Any], primals: Any, tangents: Any, has_aux: bool = False) -> Any:
    """Return fun's value and how it moves when its arguments move by the tangents: J·t.

    Args:
        fun: takes arrays, gives one array of floats; with `has_aux`, a pair of that and anything.
        primals: the arguments, a list or tuple.
        tangents: how each of them moves, in their shapes.
        has_aux: whether fun gives something beside its value.

    Returns:
        `(value, tangent)`; with `has_aux`, `(value, tangent, aux)`. Computed by the gradient of a
        gradient, so fun must be made of functions that have second derivatives.

    Raises:
        TypeError: if primals and tangents are no lists or tuples.
        ValueError: if they do not fit each other.

    Example:
        >>> value, tangent = densa.ops.jvp(lambda x: x * x, (3.0,), (1.0,))
        >>> float(value), float(tangent)
        (9.0, 6.0)
    """
    if not isinstance(primals, (list, tuple)) or not isinstance(tangents, (list, tuple)):
        raise TypeError("jvp: primals and tangents must be lists or tuples of arrays.")
    xs = [floating(p).detach() for p in primals]
    ts = [beside(floating(t).detach(), x) for t, x in zip(tangents, xs, strict=False)]
    if len(xs) != len(tangents) or any(a.shape != b.shape for a, b in zip(xs, ts, strict=True)):
        shapes = [tuple(tensor(t).shape) for t in tangents]
        raise ValueError(
            f"jvp: tangents must have the shapes of the primals, {[tuple(x.shape) for x in xs]}; "
            f"got {shapes}."
        )
    from densa.tensor import enable_grad

    with enable_grad():
        for x in xs:
            x.requires_grad = True
        found = fun(*xs)
        value, aux = found if has_aux else (found, None)
        value = tensor(value)
        weights = _core.full(list(value.shape), 1.0, value.dtype)
        weights = beside(weights, value)
        weights.requires_grad = True
        pulled = [None] * len(xs)
        if value.requires_grad:
            total = apply("sum", value * weights)
            pulled = _core.gradients([total], xs, create_graph=True)
        moving = [apply("sum", g * t) for g, t in zip(pulled, ts, strict=True) if g is not None]
        tangent = value.detach() * 0.0
        if moving:
            whole = moving[0]
            for part in moving[1:]:
                whole = whole + part
            if whole.requires_grad:
                (found_tangent,) = _core.gradients([whole], [weights])
                tangent = tangent if found_tangent is None else found_tangent
    value, tangent = value.detach(), tangent.detach()
    return (value, tangent, aux) if has_aux else (value, tangent)
