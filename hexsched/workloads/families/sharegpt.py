"""ShareGPT: people's conversations with a chat model, each turn carrying the whole history."""

from __future__ import annotations

from hexsched.workloads.families.parts.chain import ChainFamily


class ShareGPT(ChainFamily):
    """Chains of chat turns; think time is unknown and taken as 0."""

    name = "sharegpt"
    rank = 0
    summary = "chat: a chain of turns, each prompt the whole history (history split upstream at about 2,048 tokens)"
    source = "1,000 ShareGPT conversations (Marugannwg/ShareGPT92k, MIT), token counts only"
    kind = "chat_turn"
    class_limits = (1, 2, 3, 5, 8)


FAMILY = ShareGPT()
