"""What the constraint-programming model is made of: ticks, variables, constraints, objective, energy."""
