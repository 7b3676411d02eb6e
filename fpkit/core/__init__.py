"""Floor 0: results, checks, the grid, special functions and compilation. Knows nothing of potentials."""
