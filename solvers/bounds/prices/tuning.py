"""How prices are looked for. None of it changes what is proved, only how soon and how much."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Tuning:
    """Numbers that steer the search for prices.

    Attributes
    ----------
    intervals : int
        Of prices; more follow the load closer, fewer are steadier and found sooner.
    cells : int
        Of slack, at first; the fewer, the more passes there is time for.
    cells_of_large, large : int
        The same for instances of so many calls or more.
    ranges : int
        Of ends of decodes, for means: their cost is not convex in the end of a decode.
    reach, reach_of_small : float
        For means: how far beyond its end in a known schedule a workflow is looked at, over its share of what the mean
        is above the least. What comes later counts as being that late, and uses nothing. The second for fewer
        calls than ``small``: the further, the more there is to prove and the longer it takes.
    small : int
    memory : float
        Of the average of past prices that is kept, a pass.
    sharpness : tuple[float, float, float]
        Of the soft maximum, over the largest load: at first, growth a pass, at last.
    passes_a_check : tuple[int, int]
        Passes between two proofs: at least, at most.
    least_seconds : float
        What a pass is thought to take at the least.
    share_of_checks : float
        Of the time, for proofs, as far as ``passes_a_check`` allows.
    share_of_last_steps : float
        Of the time, for getting the most out of the best prices.
    firmness : float
        Of the joins: larger follows them sooner, and unsettles prices more.
    regrids : tuple[int, ...]
        Passes after which intervals are laid out anew.
    evenly : float
        Share of the intervals that lie evenly over time; the others go where prices are.
    finer : int
        Cells of a proof, over those of the search for prices.
    proof_token_prices : int
        Prices of a token at which proofs look at decodes.
    sharper : int
        Prices of tokens and ranges of the last proofs, over those before, where cells are as short as they get.
    last_proofs : float
        Proofs for which there should be time then.
    schedules : int
        Schedules remembered of each workflow.
    exchanges : int
        Rounds of exchange a pass.
    finest : int
        Cells of a proof, at most.
    passes_before : int
        Passes before cells are halved.
    passes_after : int
        Passes for which there must be time then, proofs included.
    slower : float
        How much longer a pass takes then, about.
    patience : int
        Checks without news before cells are halved.
    last_patience : int
        The same with the shortest cells, before the search ends.
    settled : int
        Passes after which prices are as sharp as they get.
    longest_step : float
        From a scale to the next, a factor.
    last_step : float
        Relative: how far beyond a bound to look.
    fine_step : float
        The same where cells are short.
    steepness : tuple[float, float, float]
        What is paid falls with a power of the scale: at least, where it is unknown, at most.
    unsettled : float
        Share of the largest load that settled prices pay.
    until_settled : int
        Checks without news, after which prices are believed.
    largest_change : float
        Of a target for a mean, a check, a factor.
    least_gain : float
        Relative: less is no news.
    """

    intervals: int = 60
    cells: int = 64
    cells_of_large: int = 32
    large: int = 5000
    ranges: int = 4
    reach: float = 1.0
    reach_of_small: float = 2.0
    small: int = 100
    memory: float = 0.8
    sharpness: tuple[float, float, float] = (30.0, 1.03, 150.0)
    passes_a_check: tuple[int, int] = (6, 30)
    least_seconds: float = 1e-6
    share_of_checks: float = 0.25
    share_of_last_steps: float = 0.1
    firmness: float = 0.3
    regrids: tuple[int, ...] = (6, 12, 24)
    evenly: float = 0.3
    finer: int = 2
    proof_token_prices: int = 48
    sharper: int = 2
    last_proofs: float = 1.5
    schedules: int = 12
    exchanges: int = 10
    finest: int = 512
    passes_before: int = 12
    passes_after: int = 60
    slower: float = 3.0
    patience: int = 6
    last_patience: int = 60
    settled: int = 100
    longest_step: float = 1.25
    last_step: float = 1e-3
    fine_step: float = 5e-4
    steepness: tuple[float, float, float] = (0.8, 3.0, 40.0)
    unsettled: float = 0.95
    until_settled: int = 4
    largest_change: float = 1.3
    least_gain: float = 1e-4


TUNING = Tuning()
