"""hexsched: schedulers for agentic LLM workflows, and how far each is from the best possible."""

__version__ = "0.1.0"
