"""Options of policies: what may stand after ``option=`` in a policy's name."""

from __future__ import annotations

from dataclasses import dataclass

from hexsched.errors import InputError

Value = str | int | float

MOST = 1e9  # of a number


@dataclass(frozen=True)
class Option:
    """An option.

    Attributes
    ----------
    default : str, int or float
        It says what values are: whole numbers from 1, numbers from 0, or one of ``choices``.
    choices : tuple of str
        For text.
    in_settings : bool
        Whether compiled code reads it, under its name: "on" as 1, "off" as 0.
    """

    default: Value
    choices: tuple[str, ...] = ("on", "off")
    in_settings: bool = True

    @property
    def is_whole(self) -> bool:
        """Whether it is a whole number in the settings."""
        return not isinstance(self.default, float)

    def number(self, value: Value) -> float:
        """The value as compiled code reads it."""
        return float(value == "on") if isinstance(value, str) else value

    def read(self, text: str, where: str) -> Value:
        """The value that a text says; ``where`` begins the message of the ``InputError`` that a wrong one raises."""
        if isinstance(self.default, str):
            if text not in self.choices:
                raise InputError(f"{where} must be {' or '.join(self.choices)}, got {text!r}")
            return text
        try:
            number = type(self.default)(text)
        except ValueError:
            kind = "a whole number" if self.is_whole else "a number"
            raise InputError(f"{where} must be {kind}, got {text!r}") from None
        least = 1 if self.is_whole else 0
        if not (least <= number <= MOST):
            raise InputError(f"{where} must be from {least} to {MOST:.0e}".replace("e+09", "e9") + f", got {text}")
        return number
