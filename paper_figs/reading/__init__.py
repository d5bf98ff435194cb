"""From stored results to tables of numbers: a module a question."""
