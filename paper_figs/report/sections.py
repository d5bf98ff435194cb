"""What the report says, a function a section; each gives Markdown, or nothing where the store has nothing for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pandas as pd

from experiments.pages import table
from hexsched import __version__
from paper_figs.drawing.cells import span
from paper_figs.drawing.style import label
from paper_figs.figures.summary import ours_text
from paper_figs.reading import paper_numbers as paper
from paper_figs.reading.claims import AGREES, DISAGREES, LARGER, NO_RUNS, NOT_TESTED, SMALLER, UNDECIDED, WITHIN
from paper_figs.reading.missing import missing_runs, not_everywhere
from paper_figs.reading.reductions import at_shared_seeds, load_choice, main_load, paper_cells, reductions, rule_of
from paper_figs.reading.selection import Selection
from paper_figs.reading.store import (
    CELL,
    EXACT,
    NoDataError,
    StorePath,
    fill,
    has_rows,
    ordered,
    read_runs,
    read_stored,
    shown_runs,
)
from paper_figs.report.assumed import assumptions
from paper_figs.report.relative import beside_hexagent, workloads_of_files
from paper_figs.report.settings import SETTING, by_group, by_load, every_policy, not_better, setting_by_setting
from paper_figs.report.short import in_short
from paper_figs.report.steps import ladder
from paper_figs.report.studies import decisions, errors_of_estimates, ingredients, optimum
from paper_figs.report.sweeps import as_it_grows

LISTED = 12  # settings with missing runs that are named

RULES = {
    "stress": "the highest fixed arrival rate at which the strongest baseline's Req95 is still at most the "
    "number; where "
    "even all workflows at once stay below it, they arrive at once",
    "saturation": "that share of the arrival rate at which the busiest stage of the cluster is used up",
    "rate": "that many workflows a second, at a fixed distance",
    "at-once": "all workflows arrive together",
    "recorded": "the arrival times of the workload itself",
}


@dataclass(frozen=True)
class Drawn:
    """A figure that was drawn.

    Attributes
    ----------
    name, caption : str
    pictures : list of str
        Its pages as PNG, relative to the report.
    notes : tuple of str
    """

    name: str
    caption: str
    pictures: list[str]
    notes: tuple[str, ...] = ()


def sections(store: StorePath, claims: pd.DataFrame, drawn: Sequence[Drawn], left_out: dict[str, str]) -> list[str]:
    """All sections in order, as Markdown."""
    runs = read_runs(store)
    selected = Selection.of(store)
    known = runs[runs["estimator"] == EXACT]
    exact = shown_runs(known, store) if len(known) else known
    found = reductions(exact, study=selected.study, rivals=selected.rivals)
    paired = at_shared_seeds(exact, selected.study, selected.rivals)
    less = found[found["load"] == main_load(exact)] if len(exact) else found
    in_paper = len(paper_cells(known)) > 0
    files = _optional(workloads_of_files, store)
    parts = [
        _about(store, runs),
        in_short(store),
        "" if in_paper else files,
        _verdicts(store, runs, claims),
        _assumptions(store, runs),
        setting_by_setting(less, load_choice(exact)),
        every_policy(exact, paired),
        by_group(less),
        not_better(paired, less),
        by_load(claims, exact),
        _optional(assumptions, store),
        _optional(as_it_grows, store),
        _optional(beside_hexagent, store),
        _optional(ingredients, store),
        _optional(errors_of_estimates, store),
        _optional(decisions, store),
        _optional(optimum, store),
        _optional(ladder, store),
        files if in_paper else "",
        _missing(store, claims, runs, left_out),
        _figures(drawn),
    ]
    return [part for part in parts if part]


def _optional(section: Callable[[StorePath], str], store: StorePath) -> str:
    try:
        return section(store)
    except NoDataError:
        return ""  # said under "What is missing"


def _about(store: StorePath, runs: pd.DataFrame) -> str:
    every = read_stored(store, "runs", "paper")
    rejected = int((~every["verified"].astype(bool)).sum())
    seeds = runs.groupby([*CELL, "policy"])["seed"].nunique()
    verified = f"All {len(every):,} schedules passed the independent verifier."
    if rejected:
        verified = (
            f"**{rejected} of {len(every):,} schedules were rejected by the verifier and are left out everywhere.**"
        )
    single = int((seeds == 1).sum())
    count = span(seeds)
    absent = missing_runs(runs)
    lacks = int((absent["of"] - absent["has"]).sum())
    incomplete = (
        f" **Missing runs: {lacks:,}**, at seeds that others of the setting have: see 'What is missing'."
        if lacks
        else ""
    )
    alone = (
        f" {single} of {len(seeds)} combinations of setting and policy have a single seed; they get no interval "
        "and no verdict."
        if single
        else ""
    )
    return (
        f"Generated by `hexsched report` (hexsched {__version__}) from {len(runs):,} stored runs: "
        f"{len(runs[SETTING].drop_duplicates())} settings (cluster, workload, number of workflows, load), "
        f"{runs['policy'].nunique()} policies, {count} seeds. {verified}{incomplete}{alone} "
        f"Beside them stand the numbers of {paper.CITATION}."
    )


def _verdicts(store: StorePath, runs: pd.DataFrame, claims: pd.DataFrame) -> str:
    main = claims[claims["main"]]
    counts = main["verdict"].value_counts()
    parts = "; ".join(f"{count} {verdict}" for verdict, count in counts.items())
    rows = [
        (row["text"], row["paper_text"], ours_text(row), row["n"], f"**{row['verdict']}**", row["note"])
        for row in main.to_dict("records")
    ]
    text = [
        "## The paper's claims, one by one",
        f"Of {len(main)} claims: {parts}.{_place(main)} **{_first_up(main['load_text'].iloc[0])}.** "
        f"{load_choice(paper_cells(runs[runs['estimator'] == EXACT]))}".rstrip(),
        table(("claim", "paper", "ours [95 % interval]", "seeds", "verdict", "caveat"), rows),
        f"*Verdicts* go by the interval alone: **{WITHIN}** when the paper's number is in it, it lies above 0 and "
        f"reaches at most half the paper's number to either side; **{UNDECIDED}** when it holds the paper's number and "
        f"0 too, or reaches farther; **{LARGER}** and **{SMALLER}** when it lies above 0 on one side of the paper's "
        f"number; **{DISAGREES}** when it lies below the paper's number and reaches 0 or less, so that no reduction is "
        f"shown; **{NOT_TESTED}** without two seeds. A range, or what is said in words, **{AGREES}** when all of the "
        "interval is in it.",
    ]
    inside = paper_cells(runs)
    inside = inside[(inside["estimator"] == EXACT) & (inside["load"] == main["load"].iloc[0])]
    if len(inside):
        sizes = ", ".join(map(str, sorted(set(inside["workflows"]))))
        text.append(
            f"They rest on {len(inside[SETTING].drop_duplicates())} settings: clusters "
            f"{', '.join(f'`{name}`' for name in sorted(set(inside['cluster'])))}; workloads "
            f"{', '.join(label(name) for name in ordered(inside['workload'], paper.WORKLOADS))}; {sizes} workflows."
        )
    else:
        text.append(
            "**The store has no runs in the paper's set-up** (its two models, four workloads, "
            f"{paper.WORKFLOWS[0]} to {paper.WORKFLOWS[1]} workflows): {fill('paper', store)} makes them."
        )
    return "\n\n".join(text)


def _place(main: pd.DataFrame) -> str:
    """Whose numbers are held against the paper's, where they are not HexAGenT's."""
    study = str(main["policy"].iloc[0])
    return "" if study == paper.HEXAGENT else f" {label(study)} is in HexAGenT's place."


def _first_up(text: object) -> str:
    return str(text)[:1].upper() + str(text)[1:]


def _assumptions(store: StorePath, runs: pd.DataFrame) -> str:
    rules = ordered({rule_of(load)[0] for load in runs["load"]}, RULES)
    lines = [
        "## What was assumed",
        "The paper publishes neither its GPU counts nor its arrival rates nor its service times, so absolute "
        "SLO scales do "
        "not compare; reductions are what is judged.",
        "- **Loads** follow a stated rule:",
        *(f"  - `{rule}`: {RULES.get(rule, 'a rule of its own')}." for rule in rules),
        "- **Clusters** are our choice of counts and tensor-parallel degrees for the pools that the paper names: "
        + ", ".join(f"`{name}`" for name in sorted(set(runs["cluster"])))
        + ".",
        "- **Service times** are ours: fits to sums of measured kernels, without framework overhead.",
        "- **Workloads** are generated by structural models fitted to public traces, or read from files.",
        "- **Baselines** place calls with the same planner as HexAGenT where their papers say nothing of "
        "placement (ATLAS "
        "binds early), since a poor placement would flatter HexAGenT.",
        "- **The strongest baseline** of a setting is the one with the least mean over the seeds, chosen for "
        "Req95 and Req99 "
        "apart; choosing it anew at each seed would hold HexAGenT against the luckiest of four runs.",
        "- **A reduction** is 1 − HexAGenT / baseline on the same instance; its interval is Student's t over "
        "seeds (95 %). "
        "Means over settings are taken at each seed first, since settings with the same seed share their workflows. "
        "Intervals say how much the random workload matters, not how much the choices above do.",
        "- **Output lengths** are known exactly except where an estimator is named.",
    ]
    loads = _rates(store)
    return "\n\n".join([lines[0], lines[1], "\n".join(lines[2:]), *([loads] if loads else [])])


def _rates(store: StorePath) -> str:
    if not has_rows(store, "loads"):
        return ""
    found = read_stored(store, "loads", "paper")
    found = found[found["rule"].str.startswith("stress")]
    if found.empty:
        return ""
    missed = found[~found["reached"].astype(bool)]
    text = f"The load search ran for {len(found)} combinations of setting and seed."
    if len(missed):
        text += (
            f" In {len(missed)} of them ({', '.join(sorted(set(missed['workload'])))}) even all workflows at "
            "once do not bring "
            "the strongest baseline to the Req95 asked for; they are less contended than the rule says."
        )
    return text


def _missing(store: StorePath, claims: pd.DataFrame, runs: pd.DataFrame, left_out: dict[str, str]) -> str:
    lines = []
    main = claims[claims["main"]]
    untested = main[main["verdict"] == NOT_TESTED]
    if set(main["load_text"]) == {NO_RUNS}:
        lines.append(f"- None of the {len(untested)} claims is tested: {NO_RUNS}.")
        untested = untested.head(0)
    for row in untested.to_dict("records"):
        why = (
            "a single seed"
            if row["n"] == 1
            else "no seeds that all its settings share"
            if row["ours"] == row["ours"]
            else "no runs"
        )
        lines.append(f"- Claim not tested: {row['text']} ({why}).")
    lines += _missing_runs(store, runs)
    for name, reason in left_out.items():
        lines.append(f"- Figure `{name}` not drawn: {reason.removeprefix(f'{store}: ')}.")
    absent = [f"`{w}`" for w in paper.WORKLOADS if w not in set(runs["workload"])]
    absent += [f"`{m}`" for m in paper.MODELS if m not in set(runs["model"])]
    if absent:
        lines.append(f"- Workloads and models of the paper without runs: {', '.join(absent)}.")
    if has_rows(store, "errors"):
        failed = read_stored(store, "errors", "paper")
        lines += [f"- Failed: {row['description']} ({row['error']})." for row in failed.to_dict("records")]
    return "\n\n".join(["## What is missing", "\n".join(lines) or "Nothing that this report knows of."])


def _missing_runs(store: StorePath, runs: pd.DataFrame) -> list[str]:
    """The runs that stored settings lack, and the policies and seeds that not all settings have."""
    lines = []
    absent = missing_runs(runs)
    settings = len(runs[CELL].drop_duplicates())
    if len(absent):
        count = int((absent["of"] - absent["has"]).sum())
        named = [
            f"{', '.join(str(value) for value in setting if value != EXACT)} ("
            + ", ".join(f"{label(row['policy'])} {row['has']} of {row['of']}" for row in rows.to_dict("records"))
            + ")"
            for setting, rows in absent.groupby(CELL, sort=True)
        ]
        more = f"; and {len(named) - LISTED} more settings" if len(named) > LISTED else ""
        lines.append(
            f"- Missing runs: {count:,} beside {len(runs):,} stored, in {len(named)} of {settings} settings, where a "
            f"policy has fewer seeds than others: {'; '.join(named[:LISTED])}{more}. "
            f"`hexsched grid run GRID --store {store}` computes what its grid lacks."
        )
    known = runs[runs["estimator"] == EXACT]
    total = len(known[CELL].drop_duplicates())
    for column, word, name in (("policy", "Policies", label), ("seed", "Seeds", str)):
        some = [f"{name(str(value))} in {count}" for value, count in not_everywhere(known, column).items()]
        if some:
            more = f", and {len(some) - LISTED} more" if len(some) > LISTED else ""
            lines.append(f"- {word} that not all {total} settings have: {', '.join(some[:LISTED])}{more}.")
    return lines


def _figures(drawn: Sequence[Drawn]) -> str:
    parts = ["## Figures", "Each is in `figures/` as PDF and PNG, with the data behind it as CSV."]
    for figure in drawn:
        parts += [f"### {figure.caption}", *(f"![{figure.caption}]({picture})" for picture in figure.pictures)]
        parts += [f"*{figure.name}: {note}.*" for note in figure.notes]
    return "\n\n".join(parts)
