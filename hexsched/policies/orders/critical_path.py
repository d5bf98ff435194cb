"""Critical path first (Graham 1966; the upward rank of HEFT, Topcuoglu et al. 2002), as far as it can be known online.

Offline, the call with the longest path to the end of its workflow goes first. Online nothing after a ready call is
revealed, so the path that ends with it takes that place: the call whose workflow has run longest standalone goes first.
"""

from __future__ import annotations

from hexsched.engine.kernel import kernel


@kernel
def critical_path_key(board, settings, c, stage):
    """Minus the longest standalone path that ends with the call."""
    return -board.calls[c].path
