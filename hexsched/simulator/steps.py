"""What a policy in plain Python can make the engine do and work out."""

from __future__ import annotations

from hexsched.engine.actions import admit, has_room, start_prefill
from hexsched.engine.kernel import entry, kernel
from hexsched.policies.planning.hexagent import best_decode, best_pair
from hexsched.policies.planning.paces import find_first_decodes, forget_paces
from hexsched.policies.planning.prefills import find_first_prefills
from hexsched.policies.planning.projection import forget_projections

START, ADMIT, PROJECT = range(3)


@kernel
def admit_if_room(actions, c, j):
    """Admit call ``c`` to instance ``j`` if it has room; whether it had."""
    if not has_room(actions, c, j):
        return False
    admit(actions, c, j)
    return True


@kernel
def project(seen, memory, settings, c):
    """The pair on which waiting call ``c`` is projected to complete first, and that in seconds from now."""
    forget_projections(memory)  # calls may have been started and admitted since
    forget_paces(seen, memory)
    if seen.calls[c].prefill_instance >= 0:
        i = seen.calls[c].prefill_instance
        j, seconds = best_decode(seen, memory, settings, c)
    else:
        for k in range(seen.prefills.shape[0]):
            wait = memory.queues.prefills[k].seconds
            if seen.prefills[k].running >= 0:
                wait += seen.prefills[k].busy_until - seen.clock[0].now
            memory.planner.prefills[k].wait = wait
        find_first_prefills(seen, memory)
        find_first_decodes(seen, memory)
        i, j, seconds = best_pair(seen, memory, settings, c)
    forget_projections(memory)
    return i, j, seconds


@entry
def take_steps(actions, memory, settings, request, seconds):
    """A step each time it is asked for the next one: a generator, so that the arrays are handed over once.

    ``request`` says what, of which call, and on which instance. Afterwards its last number is 1 where a call was
    admitted; of a projection the last two are the pair, and ``seconds`` the time from now.
    """
    while True:
        if request[0] == START:
            start_prefill(actions, request[1], request[2])
        elif request[0] == ADMIT:
            request[2] = admit_if_room(actions, request[1], request[2])
        else:
            request[1], request[2], seconds[0] = project(actions.seen, memory, settings[0], request[1])
        yield True
