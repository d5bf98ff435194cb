"""Cached prefix tokens from the block hashes of a trace."""

from __future__ import annotations

from collections.abc import Sequence


class PrefixStore:
    """A shared prefix store that never evicts.

    It is an upper bound on what any real store would hit: memory is unlimited, and the KV of a request counts as
    present for every later one in the trace, even if it arrives while the first is still being prefilled.

    Parameters
    ----------
    block_tokens : int
        Tokens a hash stands for.
    """

    def __init__(self, block_tokens: int) -> None:
        self._block_tokens = block_tokens
        self._seen: set[int | str] = set()

    def admit(self, prompt_tokens: int, hash_ids: Sequence[int | str]) -> int:
        """Cached tokens h of a prompt, whose blocks are remembered from now on.

        h covers the longest leading run of blocks already seen; only full blocks count, and at least one token is
        left to prefill, as in the paged prefix caches of vLLM and SGLang.
        """
        run = 0
        for block in hash_ids:
            if block not in self._seen:
                break
            run += 1
        self._seen.update(hash_ids)
        return min(run, max(prompt_tokens - 1, 0) // self._block_tokens) * self._block_tokens
