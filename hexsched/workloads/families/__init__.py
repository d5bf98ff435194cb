"""Workload families: structural generators fitted to real agent runs, behind one registry."""

from hexsched.workloads.families.family import Family, FittedFamily
from hexsched.workloads.families.registry import families, family, fitted_family, generate

__all__ = ["Family", "FittedFamily", "families", "family", "fitted_family", "generate"]
