"""Options of policies: what may stand after ``option=`` in a policy's name."""

from __future__ import annotations

import math
from dataclasses import dataclass

from hexsched.errors import InputError
from hexsched.policies.parts.sigma import MOST_SIGMA, read_sigma

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
        For text; none for any text.
    in_settings : bool
        Whether compiled code reads it, under its name: "on" as 1, "off" as 0, other choices as their place, from 0.
    least : float, optional
        The least number; 1 for whole numbers and 0 for others where it is not given.
    between : (float, float), optional
        A number must lie between these two and be neither.
    is_flag : bool
        Whether plain Python is given True for "on" and False for "off".
    with_sigma : str
        What may have a spread behind it, ``hint(0.3)``; one of ``choices`` where it may stand alone, too. In the
        settings it comes after all of ``choices``.
    """

    default: Value
    choices: tuple[str, ...] = ("on", "off")
    in_settings: bool = True
    least: float | None = None
    between: tuple[float, float] | None = None
    is_flag: bool = False
    with_sigma: str = ""

    @property
    def plain(self) -> Value:
        """The default as plain Python has it."""
        return self.for_plain(self.default)

    def for_plain(self, value: Value) -> Value:
        """A value as plain Python is given it."""
        return value == "on" if self.is_flag else value

    def of_plain(self, value: Value) -> Value:
        """The other way round."""
        return ("on" if value else "off") if self.is_flag else value

    @property
    def values(self) -> str:
        """What it may be, for people."""
        if isinstance(self.default, str):
            forms = [*self.choices, *([f"{self.with_sigma}(SIGMA)"] if self.with_sigma else [])]
            return " or ".join(forms) or "a text"
        if self.between is not None:
            return f"between {self.between[0]:g} and {self.between[1]:g}"
        kind, least = "whole numbers" if self.is_whole else "numbers", self._least
        return kind if least == -MOST else f"{kind} from {least:g}"

    @property
    def _least(self) -> float:
        return self.least if self.least is not None else 1 if self.is_whole else 0

    @property
    def is_whole(self) -> bool:
        """Whether it is a whole number in the settings."""
        return not isinstance(self.default, float)

    def number(self, value: Value) -> float:
        """The value as compiled code reads it."""
        if not isinstance(value, str):
            return value
        if self.choices == ("on", "off"):
            return float(value == "on")
        return self.choices.index(value) if value in self.choices else len(self.choices)

    def read(self, text: str, where: str) -> Value:
        """The value that a text says; ``where`` begins the message of the ``InputError`` that a wrong one raises."""
        if isinstance(self.default, str):
            if self.choices and text not in self.choices:
                return self._read_noisy(text, where)
            return text
        try:
            number = type(self.default)(text)
        except ValueError:
            kind = "a whole number" if self.is_whole else "a number"
            raise InputError(f"{where} must be {kind}, got {text!r}") from None
        if self.between is not None and not self.between[0] < number < self.between[1]:
            raise InputError(f"{where} must be between {self.between[0]:g} and {self.between[1]:g}, got {text}")
        least = self._least
        if not (least <= number <= MOST):
            limits = f"from {least:.10g} to {MOST:.0e}".replace("e+09", "e9").replace("-1000000000", "-1e9")
            raise InputError(f"{where} must be {limits}, got {text}")
        return number

    def _read_noisy(self, text: str, where: str) -> str:
        """``NAME(SIGMA)``, the number written one way."""
        sigma = read_sigma(text, self.with_sigma) if self.with_sigma else None
        if sigma is None or math.isnan(sigma):
            limits = f", SIGMA a number from 0 to {MOST_SIGMA:g}" if self.with_sigma else ""
            raise InputError(f"{where} must be {self.values}{limits}, got {text!r}")
        return f"{self.with_sigma}({repr(sigma).removesuffix('.0')})"
