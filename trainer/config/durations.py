"""Durations as text: updates, epochs or a percentage of the run."""

import dataclasses
import re

from trainer.errors import UserError

_PATTERN = re.compile(r"(\d+(?:\.\d+)?)\s*(steps?|epochs?|%)?")


@dataclasses.dataclass(frozen=True)
class Duration:
    """A length of training.

    Attributes:
      amount: at least 0; whole for steps, at most 100 for a percentage.
      unit: steps, epochs or %.
    """

    amount: float
    unit: str

    def updates(self, total_updates: int, updates_per_epoch: float | None) -> int:
        """The duration in updates, rounded to the nearest.

        Args:
          total_updates: length of the run, of which percentages are taken.
          updates_per_epoch: None for an agent.

        Raises:
          UserError: if the duration is in epochs and there are none.
        """
        if self.unit == "steps":
            return int(self.amount)
        if self.unit == "%":
            return round(total_updates * self.amount / 100)
        if updates_per_epoch is None:
            raise UserError(
                "an agent has no epochs; give the duration in steps or as a percentage of the "
                f"run. Received: '{self.amount:g} epochs'"
            )
        return round(self.amount * updates_per_epoch)


def parse_duration(text: str, name: str = "duration") -> Duration:
    """The duration that a text means.

    Args:
      text: `500` or `500 steps`, `5 epochs`, `10 %`; the space is optional.
      name: of the field, for the error.

    Raises:
      UserError: if the text is no duration.
    """
    match = _PATTERN.fullmatch(text.strip())
    if match:
        amount, unit = float(match[1]), match[2] or "steps"
        unit = unit if unit == "%" else unit.removesuffix("s") + "s"
        fits = {"steps": amount.is_integer(), "epochs": True, "%": amount <= 100}
        if fits[unit]:
            return Duration(amount, unit)
    raise UserError(
        f"{name} must be a duration such as '500' or '500 steps' (whole), '5 epochs' or '10 %' "
        f"(at most 100). Received: {text!r}"
    )
