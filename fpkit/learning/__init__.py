"""Learning as diffusion: problems, learners, and the experiments behind the claims."""
