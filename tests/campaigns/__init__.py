"""What explores for long: each is a program, ``../.venv/bin/python -m campaigns.NAME`` in ``tests``."""
