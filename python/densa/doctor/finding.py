"""`Finding`: one thing that is wrong, in numbers, and the change that mends it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

# What is wrong, for people; one line for each rule.
MEANINGS = {
    "head_and_loss": "The activation of the output does not go with the loss or the targets.",
    "unscaled_targets": "The targets are far from size one, which is what a fresh network gives.",
    "non_finite": "There is a NaN or an infinity where a number should be.",
    "dead_units": "ReLU units give 0 for every row, so that they learn nothing any more.",
    "saturation": "Units lie on the flat ends of sigmoid or tanh, where no gradient comes through.",
    "vanishing_gradients": "Hardly any gradient reaches the first layers: they do not learn.",
    "exploding_gradients": "Values, and with them gradients, grow from layer to layer.",
    "clipped_too_often": "Clipping acts in nearly every step, so that it sets the pace.",
    "update_ratio": "A step should change weights by a hundredth to a thousandth of their size.",
    "unscaled_inputs": "Features far from size one make the steps of some weights too large.",
    "l2_with_adam": "Adam and its kin rescale an l2 penalty: it is no even weight decay.",
    "selu_setup": "SELU keeps its outputs normalized under its own conditions alone.",
    "dropout_on_output": "Dropout takes answers away, in place of hidden units.",
    "rate_after_unfreezing": "A rate made for new layers destroys what freed ones have learned.",
    "batch_norm_of_tiny_batches": "Means and variances of a few rows say little.",
    "divergence": "The loss blew up, or is far above that of a constant: the steps are too large.",
    "oscillation": "The loss dances up and down: the steps are a little too large.",
    "plateau": "The loss does not change any more.",
    "overfitting": "The network learns its training rows by heart.",
    "underfitting": "The network cannot even fit its training rows.",
}


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
    def meaning(self) -> str:
        """What is wrong, as one sentence."""
        return MEANINGS.get(self.id, "")

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

    @property
    def numbers(self) -> str:
        """The evidence as text."""
        return ", ".join(f"{name} {value:.3g}" for name, value in self.evidence.items())

    def __str__(self) -> str:
        where = f" in {self.layer}" if self.layer else ""
        return f"{self.id}{where}: {self.numbers} ({self.handbook}). {self.change}"


def table(findings: list[Finding]) -> str:
    """Findings as lines of text for a terminal; one line where there are none."""
    if not findings:
        return "doctor: nothing found"
    lines = ["doctor:"]
    for finding in findings:
        where = f" in {finding.layer}" if finding.layer else ""
        lines += [
            f"  {finding.id}{where} ({finding.handbook}): {finding.meaning}",
            f"    seen: {finding.numbers}",
            f"    do:   {finding.change}",
        ]
    if any(finding.can_apply or finding.fit for finding in findings):
        lines.append(
            "  history.findings has them: `finding.apply(model)` gives a copy with the change, to "
            "be trained by `fit(..., **finding.fit)`."
        )
    return "\n".join(lines)
