"""Local queues: a call is placed when it becomes ready, and waits for its instance there.

Read in this order: ``memory``, ``queues``, ``dispatch``.
"""
