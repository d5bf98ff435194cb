"""Load rules: how many workflows arrive a second. The paper states no rates, so each is a rule that can be stated.

To add one: an entry in ``RULES``. Wherever there is a rate, workflows arrive at fixed distances, as in the paper,
unless an arrival process follows the rule: ``stress:5.6 poisson``, ``rate:2 gamma,cv=3``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING

from experiments.grid.sources import Json, Workload
from experiments.rates import FASTEST
from hexsched.baselines import BASELINES
from hexsched.errors import InputError
from hexsched.model.digits import written
from hexsched.registry import suggest

if TYPE_CHECKING:
    from hexsched.model import Instance, Workflow
    from hexsched.workloads.arrivals import ArrivalProcess

    Workflows = tuple[Workflow, ...]

FIXED = "fixed"  # the arrival process where none is named
ANY_RATE = 1.0  # workflows a second, of an instance whose arrival times do not matter


@dataclass(frozen=True)
class Rule:
    """A sort of load rule.

    Attributes
    ----------
    name, meaning : str
    least : float or None
        What the number after the colon must be above; None for a rule without a number.
    search : callable or None
        From what makes the instance of a rate, and the load rule, to the rate (workflows a second) and the columns
        ``req95``, ``baseline`` and ``reached`` of the table ``loads``; None where no search is needed.
    arrange : callable or None
        From the workload and its workflows to workflows with their arrivals; None where there is a rate.
    whole : bool
        Whether the number is a whole one.
    closed : bool
        Whether the number is of sessions, and arrivals follow from completions (model M39).
    placed : bool
        Whether ``@PLACEMENT`` may follow the number: how the policies of the search place calls.
    beyond : float or None
        The rate of a search that did not reach its number: workflows arrive as good as at once.
    inputs : dict
        What else the rate depends on.
    """

    name: str
    meaning: str
    least: float | None = None
    search: Callable[[Callable[[float], Instance], LoadRule], tuple[float, Json]] | None = None
    arrange: Callable[[Workload, Workflows], Workflows] | None = None
    whole: bool = False
    closed: bool = False
    placed: bool = False
    beyond: float | None = None
    inputs: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class LoadRule:
    """A load rule with its number, placement and arrival process; ``str()`` gives it back as text.

    The process is a spec without its rate, such as ``"gamma,cv=3"``; empty for fixed distances.
    """

    rule: Rule
    value: float | None = None
    placement: str = ""
    process: str = ""

    def arrivals(self, rate: float) -> ArrivalProcess:
        """The process by which so many workflows a second arrive."""
        from hexsched.workloads.arrivals import read_arrivals

        name, comma, options = (self.process or FIXED).partition(",")
        return read_arrivals(f"{name}:{rate!r}{comma}{options}")

    @property
    def number(self) -> float:
        """Its number, of a rule that has one."""
        assert self.value is not None
        return self.value

    @property
    def searched(self) -> bool:
        """Whether the rate is not known before a search on the cell's own workload and cluster."""
        return self.rule.search is not None

    @property
    def rate(self) -> float | None:
        """Workflows a second where the rule states it."""
        return None if self.searched or self.rule.closed else self.value

    def reached(self, rate: float | None) -> bool:
        """Whether a rate that was found is what the rule asks for; False where all at once is not enough for it."""
        return self.rule.beyond is None or rate is None or rate < self.rule.beyond

    @property
    def sessions(self) -> int | None:
        """Sessions of a closed loop; None where arrivals do not follow from completions."""
        return int(self.value) if self.rule.closed and self.value is not None else None

    def __str__(self) -> str:
        if self.value is None:
            return self.rule.name
        placed = f"@{self.placement}" if self.placement else ""
        return f"{self.rule.name}:{written(self.value)}{placed}" + (f" {self.process}" if self.process else "")


@cache
def read_load(text: str) -> LoadRule:
    """Read a rule.

    Raises
    ------
    InputError
        For an unknown rule, placement or process, and a number that is missing, too many or out of range.
    """
    words = text.split(maxsplit=1)
    rest, at, placement = (words or [""])[0].partition("@")
    name, colon, number = rest.partition(":")
    if name not in RULES:
        raise InputError(f"unknown load rule {name!r}{suggest(name, RULES)}")
    rule = RULES[name]
    if len(words) > 1 and (rule.arrange is not None or rule.closed):
        raise InputError(f"load rule {name!r} takes no arrival process, got {text!r}")
    if at and not rule.placed:
        raise InputError(f"load rule {name!r} takes no placement, got {text!r}")
    if rule.least is None:
        if colon:
            raise InputError(f"load rule {name!r} takes no number, got {text!r}")
        return LoadRule(rule)
    try:
        value = float(number)
    except ValueError:
        value = math.nan
    if not (rule.least < value <= 1e6 and (value == int(value) or not rule.whole)):
        expected = f"{name}:NUMBER with a {'whole ' if rule.whole else ''}number above {rule.least:g} and at most 1e6"
        raise InputError(f"load rule {text!r}: expected {expected}")
    if at:
        _check_placement(placement, text)
    return LoadRule(rule, value, placement, _process("".join(words[1].split()), text) if len(words) > 1 else "")


def _process(spec: str, load: str) -> str:
    """A spec without its rate, numbers written one way; fixed distances are nothing."""
    from hexsched.workloads.arrivals import PROCESSES

    name, _, options = spec.partition(",")
    rated = [each for each in PROCESSES.values() if each.form.startswith(f"{each.name}:RATE")]
    if name not in {each.name for each in rated}:
        forms = " or ".join(each.form.replace(":RATE", "") for each in rated)
        raise InputError(f"load rule {load!r}: unknown arrival process {name!r}; expected {forms} after the rule")
    LoadRule(RULES["rate"], 1.0, process=spec).arrivals(1.0)  # says what is wrong with its options
    return ",".join([name, *map(_option, options.split(","))]) if options else "" if name == FIXED else name


def _option(text: str) -> str:
    name, _, number = text.partition("=")
    return f"{name}={written(float(number))}"


def _check_placement(name: str, load: str) -> None:
    from hexsched.policies.placements import PLACEMENTS

    if name not in PLACEMENTS:
        raise InputError(f"load rule {load!r}: unknown placement {name!r}{suggest(name, PLACEMENTS)}")


def _stress(instance_at: Callable[[float], Instance], load_rule: LoadRule) -> tuple[float, Json]:
    from experiments.load import find_stress

    at = f"@{load_rule.placement}" if load_rule.placement else ""
    load = find_stress(instance_at, [name + at for name in BASELINES], load_rule.number)
    return load.rate, {"req95": load.req95, "baseline": load.baseline, "reached": load.reached}


def _saturation(instance_at: Callable[[float], Instance], load_rule: LoadRule) -> tuple[float, Json]:
    from experiments.grid.saturation import saturation_rate

    rate = float(f"{load_rule.number * saturation_rate(instance_at(ANY_RATE)):.4g}")
    return rate, {"req95": None, "baseline": None, "reached": True}


def _at_once(workload: Workload, workflows: Workflows) -> Workflows:
    from hexsched.workloads.arrivals import at_once

    return at_once(workflows)


def _recorded(workload: Workload, workflows: Workflows) -> Workflows:
    if workload.data is None:
        raise InputError(f"family {workload.name} has no recorded arrivals; 'recorded' is for workload files")
    return workflows


RULES: dict[str, Rule] = {
    rule.name: rule
    for rule in (
        Rule("rate", "so many workflows a second", 0.0),
        Rule(
            "stress",
            "the highest rate found at which the strongest of the paper's baselines has a Req95 of at most so much "
            "(stress:5.6@jsq: placing calls by jsq)",
            1.0,
            _stress,
            placed=True,
            beyond=FASTEST,
            inputs={"baselines": BASELINES},
        ),
        Rule("saturation", "so many times the rate at which the busiest stage is exhausted", 0.0, _saturation),
        Rule("at-once", "all at time 0", arrange=_at_once),
        Rule(
            "closed-loop",
            "so many workflows under way, the next arrives when one is complete",
            0.0,
            arrange=_at_once,
            whole=True,
            closed=True,
        ),
        Rule("recorded", "the arrival times that stand in the workload file", arrange=_recorded),
    )
}
