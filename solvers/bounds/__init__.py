"""Lower bounds on the offline problem, a module each; ``registry`` lists them, ``portfolio`` takes the best."""
