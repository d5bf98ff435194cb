"""How the search spends its effort. None of it changes what is a schedule, only which ones are found, and how soon."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Tuning:
    """Numbers that steer the search.

    Attributes
    ----------
    slo_scales : tuple of float
        SLO scales of the deadlines that starts take their priorities from.
    crowdings : tuple of float
        Weights of crowding among the starts.
    horizon_powers : tuple of float
        For means: powers of H_w that what is left of a workflow is multiplied by.
    rules : int
        Starts whose rules are tuned.
    trial : int
        Runs of each of them before only the best one goes on.
    share_of_rules : float
        Of time and evaluations, at most, for tuning rules.
    rule_patience : int
        Runs without a better rule after which there is none to be found.
    rule_changes : int
        Numbers of a rule that are changed at once, at most.
    loyal : float
        Loyalty of a rule from which on it keeps the workflows that its base drops.
    chains : int
        Chains of local search, whatever the number of workers, so that this does not change the result.
    round : int
        Evaluations of a chain between two comparisons of the chains.
    behind : float
        Relative: a chain this far behind the best goes on from that one's guide, unless it was stuck before.
    variety : int
        Starts of a chain: the first is where it sets out, the others are for when it is stuck.
    memory : int
        Steps after which a chain compares with what it had (late acceptance).
    patience : int
        Steps without a better guide after which a chain goes elsewhere.
    stray : float
        How far it may stray from its best guide when it goes back to that: a share of the energy.
    least_share : float
        Of its first frequency that a move keeps, however rarely it helps.
    trust : float
        Tries after which what a move achieved outweighs its first frequency.
    many : int
        Workflows or calls that a move changes at once, at most.
    spread : float
        Share of the workflows among which those near the threshold are picked, on average.
    softness : float
        Of the objective: ratios this close below a largest ratio count nearly as much as it does.
    miss_softness : float
        Of s: misses(s) counts a workflow this far beyond s as a bit more than one this far within.
    share_of_neighbourhoods : float
        Of time and evaluations, at the end, where all chains have been stuck.
    share_of_places : float
        Of that, for calls that change places one by one.
    memory_of_places : int
        As ``memory``, of that.
    anywhere : float
        Share of these changes that are of any call, and not of a workflow that decides the objective.
    runs_a_neighbourhood : int
        Of the simulator, that one counts as; it takes as long as some 35 to 140.
    neighbourhood_patience : int
        Neighbourhoods without a gain after which there is none to be found.
    free, fewest, most : float
        Free calls of the first neighbourhood, and of any.
    growth, shrinkage : float
        Of their number, where CP-SAT was through with a neighbourhood and where it was not.
    followers : float
        Calls after the free ones that are in the model, times as many.
    near : float
        Share of the workflows among which the one to look at is picked, on average.
    effort : float
        Of CP-SAT for a neighbourhood, in its deterministic seconds.
    ticks : int
        From the first start of a neighbourhood to its last end.
    room : float
        How long it may take, times as long as it did.
    weight, heaviest : int
        Of being late, for a workflow of mean H_w, and most.
    levels : tuple of (float, int)
        Shares of the largest ratio that counts, and what it costs to be beyond one, in addition to those before.
    look : float
        Seconds between two looks at what the chains have found.
    """

    slo_scales: tuple[float, ...] = (0.5, 1.0, 1.5, 1.75, 2.0, 2.5, 3.0, 4.0, 6.0, 12.0)
    crowdings: tuple[float, ...] = (0.1, 0.5)
    horizon_powers: tuple[float, ...] = (0.0, 1.0, 2.0, 3.0)
    rules: int = 3
    trial: int = 120
    share_of_rules: float = 0.5
    rule_patience: int = 400
    rule_changes: int = 3
    loyal: float = 5.0
    chains: int = 2
    round: int = 100
    behind: float = 0.01
    variety: int = 10
    memory: int = 10
    patience: int = 500
    stray: float = 0.1
    least_share: float = 0.2
    trust: float = 20.0
    many: int = 10
    spread: float = 0.02
    softness: float = 0.01
    miss_softness: float = 0.02
    share_of_neighbourhoods: float = 0.25
    share_of_places: float = 0.6
    memory_of_places: int = 50
    anywhere: float = 0.4
    runs_a_neighbourhood: int = 50
    neighbourhood_patience: int = 300
    free: float = 5.0
    fewest: float = 4.0
    most: float = 12.0
    growth: float = 1.05
    shrinkage: float = 0.85
    followers: float = 2.0
    near: float = 0.02
    effort: float = 0.02
    ticks: int = 10_000
    room: float = 1.2
    weight: int = 100
    heaviest: int = 10_000
    levels: tuple[tuple[float, int], ...] = ((0.95, 1), (0.98, 5), (0.99, 20), (1.0, 100))
    look: float = 0.1


TUNING = Tuning()
SMALL = replace(TUNING, share_of_neighbourhoods=0.8, share_of_places=0.8)  # where priorities soon lead nowhere
