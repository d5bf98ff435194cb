"""Critical path first (Graham 1966; the upward rank of HEFT, Topcuoglu et al. 2002), as far as it can be known online.

Offline, the call with the longest path to the end of its workflow goes first. Online nothing after a ready call is
revealed, so the path that ends with it takes that place: the call whose workflow has run longest standalone goes first.
"""

from __future__ import annotations

from hexsched.engine.kernel import kernel
from hexsched.policies.parts.order import KEY_STAYS, Order


@kernel
def critical_path_key(seen, memory, settings, c, stage):
    """Minus the longest standalone path that ends with the call, seconds."""
    return -seen.calls[c].path


ORDER = Order(
    name="critical-path",
    summary="longest revealed critical path that ends with the call",
    source="Graham 1966; HEFT, Topcuoglu et al. 2002",
    key=critical_path_key,
    key_changes=KEY_STAYS,
    rank=9,
)
