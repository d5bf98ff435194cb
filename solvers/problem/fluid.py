"""The offline problem of either decode model, with identical instances together."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from msgspec.structs import replace as changed

from hexsched.engine.horizon import horizons
from hexsched.model import DecodeInstance, Instance
from solvers.problem.offline import Problem, fixed_problem

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class FluidProblem:
    """An instance in the ``fluid`` or ``fixed`` decode model, seen by GPU types.

    A type holds instances that can be swapped without changing anything: equal coefficients, equal room, equal links.
    There are K types of prefill and L types of decode instances.

    Attributes
    ----------
    alone : Problem
        The same calls on the same instances, each decoding as if it were alone in its batch. In ``fluid`` no call is
        faster than that, and a reservation is never shorter, so what bounds ``alone`` bounds the instance; in ``fixed``
        it is the instance. Heads, tails and horizons are here.
    fluid : bool
        Whether batches slow each other down.
    prompt, output : (N,) float arrays
        n_c and m_c.
    prefill_type, decode_type : (I,), (J,) int arrays
        Type of each instance.
    prefill_count, decode_count : (K,), (L,) int arrays
        Instances of each type.
    machines : tuple of DecodeInstance
        One of each decode type.
    """

    alone: Problem
    fluid: bool
    prompt: Array
    output: Array
    prefill_type: Array
    decode_type: Array
    prefill_count: Array
    decode_count: Array
    machines: tuple[DecodeInstance, ...]

    @property
    def calls(self) -> int:
        """N."""
        return self.alone.calls

    @property
    def workflows(self) -> int:
        """W."""
        return self.alone.workflows

    @cached_property
    def prefill(self) -> Array:
        """(N, K) seconds: P of each call."""
        return self.alone.prefill[:, self._first_prefill]

    @cached_property
    def transfer(self) -> Array:
        """(N, K, L) seconds: T of each call."""
        return self.alone.transfer[:, self._first_prefill][:, :, self._first_decode]

    @cached_property
    def decode(self) -> Array:
        """(N, L) seconds that each call decodes at the least; inf where it can never fit."""
        return self.alone.decode[:, self._first_decode]

    @cached_property
    def kv_capacity(self) -> Array:
        """(L,) tokens."""
        return self.alone.capacity[self._first_decode]

    @cached_property
    def max_batch(self) -> Array:
        """(L,) calls."""
        return self.alone.max_batch[self._first_decode]

    @cached_property
    def _first_prefill(self) -> Array:
        return np.unique(self.prefill_type, return_index=True)[1]

    @cached_property
    def _first_decode(self) -> Array:
        return np.unique(self.decode_type, return_index=True)[1]


def fluid_problem(instance: Instance) -> FluidProblem:
    """The offline problem of an instance of either decode model."""
    calls = [call for workflow in instance.workflows for call in workflow.calls]
    fluid = instance.decode_model == "fluid"
    alone = fixed_problem(changed(instance, decode_model="fixed"))
    if fluid:
        known = horizons(instance)
        decode = np.array(
            [[j.alone_seconds(c.prompt_tokens, c.output_tokens, "fluid") for j in instance.decode] for c in calls]
        )
        alone = replace(
            alone,
            instance=instance,
            decode=np.where(np.isfinite(alone.decode), decode, np.inf),
            horizon=np.array([known[w.workflow_id] for w in instance.workflows]),
        )
    links = {(link.source, link.to): (link.latency, link.bandwidth) for link in instance.links}
    prefill_type, _ = _alike(
        [(i.prefill_coeffs, *(links[i.id, j.id] for j in instance.decode)) for i in instance.prefill]
    )
    decode_type, first = _alike(
        [(changed(j, id=" ", gpu=" "), *(links[i.id, j.id] for i in instance.prefill)) for j in instance.decode]
    )
    return FluidProblem(
        alone=alone,
        fluid=fluid,
        prompt=np.array([call.prompt_tokens for call in calls], dtype=float),
        output=np.array([call.output_tokens for call in calls], dtype=float),
        prefill_type=prefill_type,
        decode_type=decode_type,
        prefill_count=np.bincount(prefill_type),
        decode_count=np.bincount(decode_type),
        machines=tuple(instance.decode[j] for j in first),
    )


def _alike(keys: list[tuple[Any, ...]]) -> tuple[Array, list[int]]:
    """Number of the group of each key, groups in order of first appearance, and where each group first appears."""
    number: dict[tuple[Any, ...], int] = {}
    group = np.array([number.setdefault(key, len(number)) for key in keys])
    return group, [int(np.argmax(group == k)) for k in range(len(number))]
