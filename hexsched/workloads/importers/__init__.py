"""Importers of public trace formats, one module a format, behind one registry."""

from hexsched.workloads.importers.base import Importer, ImportOptions, ImportResult
from hexsched.workloads.importers.registry import import_trace, importer, importers, read_trace, sniff_format

__all__ = [
    "ImportOptions",
    "ImportResult",
    "Importer",
    "import_trace",
    "importer",
    "importers",
    "read_trace",
    "sniff_format",
]
