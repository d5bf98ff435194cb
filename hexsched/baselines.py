"""The policy that all this is about, and those that the paper compares it with."""

HEXAGENT = "hexagent"
BASELINES = ("fcfs", "workflow-fcfs", "workflow-llf", "atlas")
ALL = "all"  # in lists of policies: every registered one
