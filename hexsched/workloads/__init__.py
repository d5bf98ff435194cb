"""Workloads: generators, importers, arrival processes and their descriptions."""
