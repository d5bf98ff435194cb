"""Text-to-SQL traces of HexGen-Flow (github Relaxed-System-Lab/Text2SQL-Serving-System and Hexgen-Flow).

A JSON array with one object per query, whose only key is ``Text2SQLRequest`` or the id of the question, and whose value
lists the steps in order: ``{"step": ..., "input_length": ..., "output_length": ...}``. There are no arrival times.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from hexsched.errors import InputError
from hexsched.workloads.importers.parts.arrival import Arrival
from hexsched.workloads.importers.parts.graph import Draft, build_workflow
from hexsched.workloads.importers.parts.head import Signature
from hexsched.workloads.importers.parts.importer import Importer, ImportOptions
from hexsched.workloads.importers.parts.records import Tokens
from hexsched.workloads.importers.parts.sessions import AT_START
from hexsched.workloads.importers.parts.trace import Trace

GENERIC_KEY = "Text2SQLRequest"
PARALLEL_STEPS = ("generate_candidate", "evaluate")


class HexGenFlowOptions(ImportOptions, frozen=True, kw_only=True):
    """Options of the ``hexgen-flow`` format.

    Attributes
    ----------
    parallel : bool
        Neighbouring steps that generate candidates, and those that evaluate them, run side by side: CHESS issues them
        together. False chains all steps, as the released simulator replays them.
    """

    parallel: bool = True


class _Step(msgspec.Struct, frozen=True, kw_only=True):
    step: str
    input_length: Tokens
    output_length: Tokens


SAMPLE = """\
[
    {"82_schools": [
        {"step": "extract_keywords", "input_length": 300, "output_length": 5},
        {"step": "evaluate", "input_length": 300, "output_length": 5},
        {"step": "evaluate", "input_length": 300, "output_length": 5},
        {"step": "unit_tester", "input_length": 300, "output_length": 5}
    ]},
    {"Text2SQLRequest": [
        {"step": "extract_keywords", "input_length": 300, "output_length": 5},
        {"step": "revise", "input_length": 300, "output_length": 5}
    ]}
]
"""


class HexGenFlowImporter(Importer[HexGenFlowOptions]):
    """A query is a workflow, every one arriving at 0; steps without tokens are dropped and the chain closes."""

    name = "hexgen-flow"
    summary = "HexGen-Flow text-to-SQL trace, JSON: an array of {id: [{step, input_length, output_length}]}"
    options_type = HexGenFlowOptions
    rank = 6
    sample = SAMPLE

    signature = Signature((("step",), ("input_length",), ("output_length",)), deep=True)

    def arrivals(self, trace: Trace, options: HexGenFlowOptions) -> Iterator[Arrival]:
        used: set[str] = set()
        index = 0
        for path, queries in trace.documents(list[dict[str, list[_Step]]]):
            for place, query in enumerate(queries):
                where = f"{path}: query {place}"
                if len(query) != 1:
                    raise InputError(f"expected one key, the id of the question, got {len(query)}", where)
                (name, steps), *_ = query.items()
                workflow_id = f"q{index}" if name == GENERIC_KEY or name in used else name
                index += 1
                used.add(workflow_id)
                drafts = _drafts(steps, options.parallel, where)
                arrival = build_workflow(workflow_id, 0.0, drafts, trace) if drafts else None
                if arrival is not None:
                    trace.note(AT_START)
                    yield arrival


def _drafts(steps: list[_Step], parallel: bool, where: str) -> list[Draft]:
    drafts: list[Draft] = []
    stage: list[str] = []
    parents: list[str] = []
    for index, step in enumerate(steps):
        together = (
            parallel and index > 0 and step.step == steps[index - 1].step and step.step.startswith(PARALLEL_STEPS)
        )
        if not together:
            parents, stage = stage, []
        draft = Draft(
            call_id=f"c{index}",
            where=f"{where}, step {index}",
            prompt_tokens=step.input_length,
            output_tokens=step.output_length,
            parents=list(parents),
            kind=step.step,
        )
        stage.append(draft.call_id)
        drafts.append(draft)
    return drafts


IMPORTER = HexGenFlowImporter()
