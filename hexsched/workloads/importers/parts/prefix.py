"""Cached prefix tokens from the block hashes of a trace."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence

from hexsched.errors import InputError
from hexsched.model.workload import MAX_TOKENS
from hexsched.workloads.importers.parts.trace import Trace

USUAL_BLOCKS = tuple(2**k for k in range(3, 14))  # tokens a hash stands for in published traces: 8 to 8,192


class PrefixStore:
    """A shared prefix store that never evicts.

    It is an upper bound on what any real store would hit: memory is unlimited, and the KV of a request counts as
    present for every later one in the trace, even if it arrives while the first is still being prefilled. Requests
    are to be admitted in the order in which they arrived, whatever that of the file is.

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


class PieceStore:
    """As ``PrefixStore``, for pieces that are named after their content alone, whatever stands before them."""

    def __init__(self) -> None:
        self._longer: dict[tuple[int, Hashable], int] = {}  # from a beginning of prompts and a piece to both together

    def admit(self, prompt_tokens: int, pieces: Iterable[tuple[Hashable, int | None]]) -> int:
        """Cached tokens h of a prompt, whose pieces are remembered from now on.

        Parameters
        ----------
        prompt_tokens : int
        pieces : iterable of (name, tokens)
            In the order of the prompt; where the tokens of one are None nothing from it on counts.

        Returns
        -------
        int
            Tokens of the longest beginning that an earlier prompt has too, but for one at least.
        """
        beginning, shared, is_known = 0, 0, True
        for name, tokens in pieces:
            step = (beginning, name)
            is_known = is_known and tokens is not None and step in self._longer
            if is_known and tokens is not None:
                shared += tokens
            beginning = self._longer.setdefault(step, len(self._longer) + 1)
        return min(shared, max(prompt_tokens - 1, 0))


class BlockSize:
    """How many tokens a hash stands for, as told by the requests: a prompt of n tokens has ⌈n / b⌉ or ⌊n / b⌋ hashes.

    Some traces hash the last block, which may not be full, and others do not.

    Parameters
    ----------
    tokens : int
        What is believed until a request contradicts it.
    partial : bool
        Whether only the beginning of a prompt may be hashed, so that fewer hashes contradict nothing.
    """

    def __init__(self, tokens: int, partial: bool = False) -> None:
        self.tokens = tokens
        self._partial = partial
        self._least, self._most = 1, MAX_TOKENS  # sizes that all requests agree with, the last block hashed
        self._wrong: tuple[str, int, int] | None = None

    def see(self, prompt_tokens: int, hashes: int, where: str) -> None:
        """Take a request into account; one without hashes says nothing."""
        if not hashes:
            return
        self._least = max(self._least, -(-prompt_tokens // hashes))
        if hashes > 1:
            self._most = min(self._most, -(-prompt_tokens // (hashes - 1)) - 1)
        least = 0 if self._partial else prompt_tokens // self.tokens
        if self._wrong is None and not least <= hashes <= -(-prompt_tokens // self.tokens):
            self._wrong = (where, prompt_tokens, hashes)

    def settle(self, trace: Trace, given: bool) -> int:
        """The size to reckon with: the believed one, or where requests contradict it the one usual size that fits.

        Parameters
        ----------
        trace : Trace
            Where it is noted that the size was inferred.
        given : bool
            Whether the user or the trace gave the size, so that nothing is inferred.

        Raises
        ------
        InputError
            Naming the line of the first contradiction and the option.
        """
        if self._wrong is None:
            return self.tokens
        where, prompt, hashes = self._wrong
        fitting = [size for size in USUAL_BLOCKS if self._least <= size <= self._most]
        if given or len(fitting) != 1:
            hint = f"; sizes from {self._least} to {self._most} would fit" if self._least <= self._most else ""
            raise InputError(
                f"hash_ids: {prompt} prompt tokens in blocks of {self.tokens} have {-(-prompt // self.tokens)} hashes, "
                f"not {hashes}: give the option block_tokens{hint}, or prefix_cache=false to do without them",
                where,
            )
        trace.note(
            f"hash_ids stand for {fitting[0]} tokens each, not {self.tokens}: inferred from their numbers, "
            "as no other usual size fits; block_tokens says otherwise"
        )
        return fitting[0]
