"""Averages along paths, streamed: moments, histograms, regions, with errors from batch means.

Var(mean) = variance of batch averages / number of batches, the batch long beside the correlation time.
J. M. Flegal, G. L. Jones, Ann. Statist. 38, 1034 (2010).
"""
from ...core.lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(__name__, {"statistics": "Statistics Comparison"})
