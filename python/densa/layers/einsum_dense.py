"""`EinsumDense`: a dense layer over any axes."""

from __future__ import annotations

import re
from typing import Any

from densa import activations, constraints, initializers, ops, regularizers
from densa._numbers import whole_number
from densa.layers._helpers import as_float
from densa.layers.input_spec import InputSpec
from densa.layers.layer import Layer

_FORM = re.compile(r"(\.\.\.)?([a-zA-Z]+)(\.\.\.)?,([a-zA-Z]+)->(\.\.\.)?([a-zA-Z]+)(\.\.\.)?")


class EinsumDense(Layer):
    """y = activation(einsum(equation, x, kernel) + bias).

    Args:
        equation: `"X,W->Y"`, `"...X,W->...Y"` or `"X...,W->Y..."`, where the letters of X, W and Y
            name axes of the input, the kernel and the output: see `densa.ops.einsum`.
        output_shape: sizes of the output's axes but the first (the rows of the batch) and those
            that `...` stands for: an integer or several; None where the input tells it.
        activation: name, function or layer; None leaves the sum as it is.
        bias_axes: letters of Y that the bias has an axis for; None: there is no bias.
        kernel_initializer: first value of the kernel, of one axis for each letter of W. Where it
            scales by numbers of inputs and outputs, axes whose letters are in Y are outputs.
        bias_initializer: first value of the bias.
        kernel_regularizer: penalty on the kernel.
        bias_regularizer: penalty on the bias.
        kernel_constraint: what the kernel is put back to after each update.
        bias_constraint: the same for the bias.

    Raises:
        ValueError: for an equation of another form, letters and axes that do not fit, or a size of
            the kernel that is unknown.

    Example:
        >>> layer = densa.layers.EinsumDense("abc,cde->abde", (None, 4, 5), bias_axes="de")
        >>> layer(np.zeros((2, 7, 3), "float32")).shape
        (2, 7, 4, 5)
    """

    def __init__(
        self,
        equation: str,
        output_shape: Any,
        activation: Any = None,
        bias_axes: str | None = None,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        form = _FORM.fullmatch(equation.replace(" ", "")) if isinstance(equation, str) else None
        if form is None or form[1] != form[5] or form[3] != form[7] or (form[1] and form[3]):
            raise ValueError(
                f"Invalid einsum equation {equation!r}. Equations must be in the form 'X,W->Y', "
                "'...X,W->...Y' or 'X...,W->Y...', where X, W and Y are letters."
            )
        x, w, y = form[2], form[4], form[6]
        wrong = next((s for s in (x, w, y) if len(set(s)) < len(s)), "")
        wrong = wrong or "".join(c for c in w if c not in x + y)
        wrong = wrong or "".join(c for c in y if c not in x + w)
        wrong = wrong or "".join(c for c in bias_axes or "" if c not in y)
        if wrong:
            raise ValueError(
                f"EinsumDense: {wrong!r} does not fit. No operand may have a letter twice, each "
                "letter of the kernel and of the output must stand in another operand too, and "
                f"those of bias_axes in the output. Received: equation={equation!r}, "
                f"bias_axes={bias_axes!r}."
            )
        super().__init__(**kwargs)
        self.equation = equation
        given = list(output_shape) if isinstance(output_shape, (list, tuple)) else [output_shape]
        self.partial_output_shape = tuple(
            None if d is None else whole_number("EinsumDense: output_shape", d) for d in given
        )
        self.bias_axes = bias_axes
        self.activation = activations.get(activation)
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.bias_constraint = constraints.get(bias_constraint)
        self.kernel: Any = None
        self.bias: Any = None
        self._letters = x, w, y
        self._dots_before, self._dots_behind = bool(form[1]), bool(form[3])

    def _sizes(self, input_shape: Any) -> tuple[dict[str, Any], tuple[Any, ...], int]:
        """Return the size of each letter, the output's shape, and how many axes `...` is."""
        x, _, y = self._letters
        shape = tuple(input_shape)
        elided = len(shape) - len(x)
        if elided < 0 or (elided and not (self._dots_before or self._dots_behind)):
            raise ValueError(
                f"Layer '{self.name}': an input of shape {shape} has not the axes {x!r} of the "
                f"equation {self.equation!r}."
            )
        before = elided if self._dots_before else 0
        own = shape[before : before + len(x)]
        rows = () if before else (shape[0],)  # else they are among what the dots stand for
        named = (*rows, *self.partial_output_shape)
        if len(named) != len(y):
            raise ValueError(
                f"Layer '{self.name}': output_shape={self.partial_output_shape} must have "
                f"{len(y) - len(rows)} sizes for the axes {y!r} of the equation {self.equation!r} "
                f"and an input of shape {shape}."
            )
        sizes = dict(zip(x, own, strict=True))
        for letter, size in zip(y, named, strict=True):
            if sizes.get(letter) is None:
                sizes[letter] = size
            elif size is not None and size != sizes[letter]:
                raise ValueError(
                    f"Layer '{self.name}': axis {letter!r} of {self.equation!r} has size "
                    f"{sizes[letter]} in the input of shape {shape}, but {size} in "
                    f"output_shape={self.partial_output_shape}."
                )
        letters = tuple(sizes[letter] for letter in y)
        dots = shape[:before], shape[len(shape) - elided :] if elided and not before else ()
        return sizes, (*dots[0], *letters, *dots[1]), elided

    def build(self, input_shape: Any) -> None:
        sizes, _, elided = self._sizes(input_shape)
        _, w, y = self._letters
        first = min((y.index(c) for c in self.bias_axes or ""), default=len(y))
        unknown = [c for c in (*w, *(self.bias_axes or "")) if sizes[c] is None]
        if unknown:
            raise ValueError(
                f"Layer '{self.name}': the size of axis {unknown[0]!r} of {self.equation!r} must "
                f"be known. Received: input_shape={tuple(input_shape)}, "
                f"output_shape={self.partial_output_shape}."
            )
        self.kernel = self.add_weight(
            name="kernel",
            shape=tuple(sizes[c] for c in w),
            initializer=self._by_letters(self.kernel_initializer),
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        if self.bias_axes is not None:
            shape = [sizes[c] if c in self.bias_axes else 1 for c in y[first:]]
            self.bias = self.add_weight(
                name="bias",
                shape=(*shape, *[1] * (elided if self._dots_behind else 0)),
                initializer=self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )
        self.input_spec = InputSpec(ndim=len(input_shape))

    def _by_letters(self, initializer: Any) -> Any:
        """Return an initializer that knows which axes of the kernel are inputs and outputs."""
        if not isinstance(initializer, initializers.VarianceScaling) or initializer.input_axes:
            return initializer
        _, w, y = self._letters
        axes = {
            "input_axes": [i for i, c in enumerate(w) if c not in y],
            "output_axes": [i for i, c in enumerate(w) if c in y],
        }
        return type(initializer).from_config({**initializer.get_config(), **axes})

    def call(self, inputs: Any) -> Any:
        y = ops.einsum(self.equation, as_float(inputs, self.compute_dtype), self.kernel)
        return self.activation(y if self.bias is None else y + self.bias)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return self._sizes(input_shape)[1]

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "output_shape": self.partial_output_shape,
            "equation": self.equation,
            "activation": activations.serialize(self.activation),
            "bias_axes": self.bias_axes,
            "kernel_initializer": initializers.serialize(self.kernel_initializer),
            "bias_initializer": initializers.serialize(self.bias_initializer),
            "kernel_regularizer": regularizers.serialize(self.kernel_regularizer),
            "bias_regularizer": regularizers.serialize(self.bias_regularizer),
            "kernel_constraint": constraints.serialize(self.kernel_constraint),
            "bias_constraint": constraints.serialize(self.bias_constraint),
        }
