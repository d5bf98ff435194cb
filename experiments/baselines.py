"""The policies that the paper compares HexAGenT with."""

BASELINES = ("fcfs", "workflow-fcfs", "workflow-llf", "atlas")
