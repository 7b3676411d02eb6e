"""Figures of results. The only place that imports matplotlib; it knows results by what they carry, not by
their solvers."""


def plot(result, path=None, **options):
    """Figure of any result of the package.

    Parameters
    ----------
    result : Potential, Field, Evolution, Paths (of `simulate`), Statistics (of `sample`), RatesTable,
    TransitionPicture, Landscape,
        LandscapeReport, TrainingRun, Sweep, PassageTable or SgldRun
    path : str or path, optional
        Where to save it (.png, .svg, .pdf).
    **options
        Potential: ``bounds=[(low, high), ...]`` where it does not know its box. Field: ``title``. Paths:
        ``axis``, the coordinate.

    Returns
    -------
    figure : matplotlib.figure.Figure

    Raises
    ------
    TypeError
        For anything that has no figure.

    Examples
    --------
    >>> V = fp.catalogue.double_well()
    >>> D = fp.FokkerPlanck(V, theta=0.2, grid=fp.Grid([(-2, 2)], shape=(100,)))
    >>> figure = fp.plot(D.gibbs)
    >>> figure.axes[0].get_xlabel()
    'x'
    """
    import matplotlib

    from . import drawing
    from .style import RULES, save

    kind = type(result)
    for base in kind.__mro__:
        if base.__name__ in drawing.DRAWN:
            with matplotlib.rc_context(RULES):
                made = drawing.DRAWN[base.__name__](result, **options)
            break
    else:
        raise TypeError(f"there is no figure of {kind.__name__}; known are "
                        f"{', '.join(sorted(drawing.DRAWN))}.")
    if path is not None:
        save(made, path)
    return made
