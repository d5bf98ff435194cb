"""Benchmarks: they measure, tests decide."""
