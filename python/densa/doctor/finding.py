"""`Finding`: one thing that is wrong, in numbers, and the change that mends it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong with a training.

    Attributes:
        id: Name of the rule, such as `"dead_units"`.
        evidence: The numbers that the rule has judged by.
        handbook: The item of the handbook that the rule comes from, such as `"A5-04"`.
        change: What to do, as one sentence.
        layer: Name of the layer, `""` where it is the model.
        fit: Arguments for the next `fit` that belong to the change: callbacks, `batch_size`.
    """

    id: str
    evidence: dict[str, float]
    handbook: str
    change: str
    layer: str = ""
    fit: dict[str, Any] = field(default_factory=dict, compare=False)
    remedy: Callable[[Any], Any] | None = field(default=None, repr=False, compare=False)

    @property
    def can_apply(self) -> bool:
        """Whether `apply` can make the change."""
        return self.remedy is not None

    def apply(self, model: Any) -> Any:
        """Makes the change in a copy of the model; the model itself stays as it is.

        The activations of the layers that give the outputs stay, too.

        Args:
            model: The compiled model that was diagnosed, a copy that another finding has changed,
                or one built like it.

        Returns:
            A compiled model to train, with what `fit` says. Its weights are fresh, drawn from the
            initializers, except where the training is to go on (`rate_after_unfreezing`); what no
            training changes is kept: statistics of `adapt`, and weights of frozen layers.

        Raises:
            ValueError: The change lies outside of the model (in the data, say), the layer is gone,
                or a copy cannot be made (of a subclass, layers cannot be exchanged); it says what
                to change by hand.
        """
        if self.remedy is None:
            raise ValueError(f"Finding {self.id!r} cannot be applied to a model: {self.change}")
        if not getattr(model, "compiled", False):
            raise ValueError(
                f"Finding {self.id!r} needs a compiled model; call `model.compile(...)` first."
            )
        try:
            return self.remedy(model)
        except (AttributeError, NotImplementedError, TypeError, ValueError) as error:
            reason = str(error).rstrip(".")
            raise ValueError(
                f"Finding {self.id!r} cannot be applied to model '{model.name}': {reason}. Make "
                f"the change by hand: {self.change}"
            ) from error

    def __str__(self) -> str:
        where = f" in {self.layer}" if self.layer else ""
        numbers = ", ".join(f"{name} {value:.3g}" for name, value in self.evidence.items())
        return f"{self.id}{where}: {numbers} ({self.handbook}). {self.change}"


def table(findings: list[Finding]) -> str:
    """Findings as lines of text for a terminal; one line where there are none."""
    if not findings:
        return "doctor: nothing found"
    return "\n".join(["doctor:", *(f"  {finding}" for finding in findings)])
