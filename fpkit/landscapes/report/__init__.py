"""The report: findings in sentences with their trust, the page, and the numbers as JSON.

A finding is firm only if each number in it is resolved.
E. R. Tufte, The Visual Display of Quantitative Information (1983).
"""
from ...core.lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(__name__, {
    "findings": "Finding",
    "report": "save save_comparison",
})
