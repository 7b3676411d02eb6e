"""Spectrum and first passage on the chain of a diffusion."""
from __future__ import annotations


def answer(diffusion, question, arguments, refine=False):
    """One question about a diffusion on a grid: the chain's value with its error, or the extrapolation over finer grids."""
    raise NotImplementedError(f"{question} on the grid is being built")
