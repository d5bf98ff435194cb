"""Policies side by side on one instance."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hexsched.baselines import BASELINES, HEXAGENT
from hexsched.display import MOST_ROWS, Summary, displayed
from hexsched.metrics import METRICS
from hexsched.model.instance import Instance, as_instance
from hexsched.plotting import Accessor
from hexsched.policies.lists import read_policies
from hexsched.progress import Progress, Wanted
from hexsched.registry import suggest
from hexsched.simulator.run import Run, simulate
from hexsched.verifier import Report
from hexsched.verifier import verify as check

if TYPE_CHECKING:
    import pandas as pd


@displayed
class Comparison(Mapping[str, Run]):
    """Runs of one instance by the name of their policy.

    Parameters
    ----------
    instance : Instance
    runs : iterable of Run
        In the order in which they are shown.
    reports : mapping of str to Report
        The verifier's, by policy; empty where nothing was verified.
    """

    def __init__(self, instance: Instance, runs: Iterable[Run], reports: Mapping[str, Report] | None = None) -> None:
        self.instance = instance
        self.reports = dict(reports or {})
        self._runs = {run.policy: run for run in runs}

    def __getitem__(self, policy: str) -> Run:
        if policy not in self._runs:
            raise KeyError(f"no run of {policy!r}{suggest(str(policy), self._runs)}")
        return self._runs[policy]

    def __iter__(self) -> Iterator[str]:
        return iter(self._runs)

    def __len__(self) -> int:
        return len(self._runs)

    @property
    def plot(self) -> Accessor:
        """The plots of a comparison: ``comparison.plot()``, ``comparison.plot.attainment(ax=None)``."""
        return Accessor(self)

    def to_frame(self, slo: str | None = None) -> pd.DataFrame:
        """A row a policy: every metric, how long a decision took (seconds of wall clock), whether it is verified.

        Parameters
        ----------
        slo : str, optional
            Thresholds such as ``"ttft=2s,tpot=50ms,ratio=4"``: adds the shares within them (see ``Run.goodput``).
        """
        import pandas as pd

        rows = []
        for policy, run in self.items():
            within = {} if slo is None else run.goodput(slo)
            verified = self.reports[policy].ok if policy in self.reports else None
            timing = {"decision_latency": run.decision_latency}
            rows.append({"policy": policy, **run.metrics, **timing, **within, "verified": verified})
        return pd.DataFrame(rows)

    def workflows_to_frame(self) -> pd.DataFrame:
        """A row a policy and workflow: the policy, then the columns of ``Run.to_frame``."""
        import pandas as pd

        frames = [run.to_frame().assign(policy=policy) for policy, run in self.items()]
        frame = pd.concat(frames, ignore_index=True)
        return frame[["policy", *frame.columns.drop("policy")]]

    def _summary(self) -> Summary:
        headings = {name: metric.label for name, metric in METRICS.items() if not (metric.size or metric.detail)}
        rows = []
        for policy, run in list(self.items())[:MOST_ROWS]:
            row: dict[str, object] = {"policy": policy}
            row |= {label: run.metrics[name] for name, label in headings.items()}
            row["decision us"] = run.decision_latency * 1e6
            if self.reports:
                row["verified"] = self.reports[policy].ok
            rows.append(row)
        size = {"workflows": len(self.instance.workflows), "calls": self.instance.call_count}
        return Summary(facts={"policies": len(self), **size}, rows=rows, total=len(self), text=True)


def compare(
    instance: Instance | str | Path,
    policies: Any = (HEXAGENT, *BASELINES),
    *,
    estimator: str = "exact",
    seed: int = 0,
    verify: bool = True,
    progress: Wanted = None,
) -> Comparison:
    """Run policies on one instance, and set them side by side.

    Parameters
    ----------
    instance : Instance, str or Path
        An instance, or the path of its file.
    policies : str, Policy, function, class or object, or iterable of these, or mapping to these
        Names as on the command line (one text may have several, with commas between them; ``"all"`` is every one), or
        policies themselves, your own as ``hexsched.policies.as_policy`` takes them. By default HexAGenT and the
        baselines of its paper.
    estimator : str
        How policies know output lengths: ``exact``, ``noise(SIGMA)``, ``class_mean``.
    seed : int
        Of random placements, of the estimator and of noisy hints.
    verify : bool
        Whether every schedule goes through the independent verifier.
    progress : bool or callable, optional
        False for no line that says how far it is; a function is called in its place with (policies done, policies).

    Returns
    -------
    Comparison

    Raises
    ------
    InputError
        For an unknown policy or estimator, and for a policy that leaves calls unserved.

    Examples
    --------
    >>> import hexsched as hx
    >>> runs = hx.compare(hx.instance("demo", "bfcl", workflows=5), "hexagent,fcfs@jsq")
    >>> list(runs)
    ['hexagent', 'fcfs@jsq']
    >>> runs["hexagent"].metrics.workflows
    5
    """
    problem = as_instance(instance)
    chosen = read_policies(policies)
    runs: list[Run] = []
    reports: dict[str, Report] = {}
    with Progress("comparing", "policies", progress) as report:
        for done, policy in enumerate(chosen):

            def tell(served: int, calls: int, done: int = done, name: str = policy.name) -> None:
                report(done + served / calls, len(chosen), f"{name} ({done + 1} of {len(chosen)})")

            run = simulate(problem, policy, estimator=estimator, seed=seed, progress=tell)
            runs.append(run)
            if verify:
                reports[run.policy] = check(problem, run)
        report(len(chosen), len(chosen), "done")
    return Comparison(problem, runs, reports)
