"""Fast checks that say what must hold; the campaign of mutants runs them (``campaigns.mutation``)."""
