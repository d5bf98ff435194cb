"""The offline problem: ``offline`` (an instance as arrays), ``objective``, ``ticks``, ``certificate``, ``result``."""
