"""What is taken where nobody says otherwise."""

OBJECTIVE = "req(0.95)"
