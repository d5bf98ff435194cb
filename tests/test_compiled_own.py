"""Compiled orders from outside: the engine is compiled with them, and they do as their twins in plain Python."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from extension import recipe
from instances import corner_instance
from msgspec.structs import replace
from numba.core.errors import NumbaError

import hexsched as hx
from hexsched.engine.compiler.digest import digest
from hexsched.engine.kernel import entry, kernel
from hexsched.errors import InputError
from hexsched.policies import as_policy, policies, read_policy
from hexsched.policies.decide import epochs_of
from hexsched.policies.parts.order import Order
from hexsched.policies.uncompiled import not_compiled

INSTANCES = [corner_instance(np.random.default_rng(seed), workflows=(6, 8), calls=(2, 5)) for seed in range(8)]


def longest(seen, memory, settings, c, stage):
    """The longest prompt first."""
    return -settings.slope * seen.calls[c].n


def plainly(call, now, *, slope=1.0):
    return -slope * call.prompt_tokens


def widest() -> Order:
    """The order of docs/extending.md, as a notebook would have it."""
    names: dict[str, object] = {}
    exec(compile(recipe("An order"), "<notebook>", "exec"), names)
    order = names["ORDER"]
    assert isinstance(order, Order)
    return order


def times(instance, policy, compiled=False):
    return replace(hx.simulate(instance, policy, compiled=compiled).schedule, policy="")


@pytest.mark.quick
def test_a_compiled_order_does_as_its_twin_in_python():
    hx.order("longest", compiled=True, options={"slope": 1.0})(longest)
    hx.order("plainly")(plainly)
    assert read_policy("longest(slope=-1)@jsq").options == {"slope": -1.0}
    for name in ("{}", "{}(slope=-1)", "{}@jsq", "{}(slope=-1)@earliest-finish"):
        for instance in INSTANCES[:4]:
            assert times(instance, name.format("longest")) == times(instance, name.format("plainly"))
    assert any(times(i, "longest") != times(i, "longest(slope=-1)") for i in INSTANCES)
    with pytest.raises(InputError, match="option 'slope' of policy 'longest' must be a number"):
        read_policy("longest(slope=x)")


@pytest.mark.quick
def test_an_order_with_books_of_its_own():
    order = widest()
    for instance in INSTANCES[:3]:
        assert times(instance, order) == times(instance, order)
        assert times(instance, "fcfs") == times(instance, "fcfs")  # the shipped ones are as they were


@pytest.mark.campaign  # a minute of compiling; test_new_policy compiles an order of one's own at every change
def test_machine_code_of_two_orders_does_not_mix():
    """One is compiled, which takes long; that the folders of its code are its own is known without."""
    order = widest()
    hx.order("longest", compiled=True, options={"slope": 1.0})(longest)
    assert "longest" in [one.name for one in policies()]
    entries = [epochs_of(as_policy(one)) for one in (order, "longest", "fcfs")]
    assert len({digest(one.py_func) for one in entries}) == 3
    for instance in INSTANCES:
        for policy in (order, "fcfs"):
            assert times(instance, policy, compiled=True) == times(instance, policy)


@pytest.mark.parametrize(
    ("body", "what"),
    [("settings.slop * 2", "there is no field 'slop'"), ("c.prompt", "Unknown attribute 'prompt' of type int64")],
)
def test_an_order_that_does_not_compile_is_told_with_its_line(tmp_path, body, what):
    file = tmp_path / "mine.py"
    file.write_text(f"def mine(seen, memory, settings, c, stage):\n    half = 0.5\n    return half * {body}\n")
    names: dict[str, Any] = {}
    exec(compile(file.read_text(), str(file), "exec"), names)
    order = Order(name="mine", summary="", source="", key=kernel(names["mine"]))
    key, settings = order.key, np.zeros(1, [("slope", "f8")]).view(np.recarray)

    @entry
    def caller(settings):
        return key(0, 0, settings[0], 1, 0)

    with pytest.raises((NumbaError, KeyError)) as caught:
        caller(settings)
    assert str(not_compiled(order, caught.value)) == f"{file}:3: order 'mine' does not compile: {what}"
