"""The planner: calls are placed anew at every epoch, and bound when they start (model M22 to M24).

Read in this order: ``memory`` (what it remembers), ``commitment`` and ``projection`` (when a call would finish where),
``preference`` (what tells one planner from another), ``planner`` (the one planner), ``hexagent`` (its preference). What
makes it fast comes after: ``ready``, ``prefills``, ``paces`` (lines and tournaments), ``patience``, ``room`` (calls
that need no plan). docs/engine.md says what each of them keeps, and which test holds it.
"""
