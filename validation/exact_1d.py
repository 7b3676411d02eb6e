"""Answers in one dimension are exact to twelve digits, at any temperature and on any grid."""
from __future__ import annotations

import importlib.util
import math

import numpy as np

from .verdict import Table, ruled

CLAIM = ("In one dimension the spectrum, first-passage times and their variance, committors, exit rates and "
         "the diffusion on a ring are exact to twelve digits, from rates of 1e-1 to 1e-60 and, as "
         "logarithms, to 1e-10000, whatever the grid, and keep the error they state.")
SOURCE = ("Constants by mpmath with 200 digits and by three quadratures (NUMERICS constants of this "
          "project); closed forms: flat and linear f, Ornstein-Uhlenbeck, Lifson and Jackson (1962); the "
          "partner problem in -f; the package kramers (PyPI), where it is installed.")
CRITERION = ("Relative difference at most 1e-12 (1e-11 beyond 1e-200, where beta f itself is rounded; as "
             "many digits as a constant has), at most the stated error, and the stated error at most 1e-9 of "
             "the value.")

LIMIT, DEEP_LIMIT, IDLE = 1e-12, 1e-11, 1e-9
DEEP = -200.0                        # log10
QUARTIC = "(x**2 - 1)**2"
# theta, gap, MFPT(-1 -> 0), MFPT(-1 -> 1) on [-2.5, 2.5]; the times have 13 digits
CONSTANTS = ((0.1, 7.835709199892175e-05, 1.276267562715e4, 2.552709136429e4),
             (0.02, 3.446480296742441e-22, 2.901510857164e21, 5.803021714328e21),
             (0.01, 6.673162322638250e-44, 1.498539900052e43, 2.997079800105e43))
GAPS = (("(x**2 - 1)**2 + 0.3*x", 9.79451950793966809e-40),
        ("1.3*(x**2 - 1)**2 - 0.2*x", 1.05236809885492352e-60))
COMPARED = (("(x**2 - 1)**2 + 0.3*x", (-2.0, 1.0), -1.0), ("x**4/4 + 0.3*sin(5*x)", (-2.0, 1.5), -0.4),
            ("cos(3*x) + x**2/5", (-3.0, 2.0), -1.0), ("0.5*x**2", (-2.0, 1.3), 0.1),
            ("(x**2 - 1)**4 - 0.1*x", (-1.6, 1.1), -0.9), ("2*x", (0.0, 1.0), 0.3))


def diffusion(text, theta, low, high, n=30, periodic=False):
    import fpkit as fp

    return fp.FokkerPlanck(fp.Potential(text), theta=theta,
                           grid=fp.Grid([(low, high)], shape=n, periodic=periodic))


def row(what, potential, theta, estimate, truth, against, digits=LIMIT):
    """One comparison; `truth` is a number or, below the range of floats, a pair (None, its natural
    logarithm)."""
    log10 = estimate.log10
    if isinstance(truth, tuple):
        difference, stated = abs(math.expm1(log10 * math.log(10) - truth[1])), None
    else:
        difference, stated = abs(float(estimate) / truth - 1), estimate.error / abs(float(estimate))
    return {"what": what, "potential": potential, "theta": theta, "log10": log10, "difference": difference,
            "stated": stated, "against": against,
            "limit": digits if log10 > DEEP and log10 < -DEEP else DEEP_LIMIT}


def constants():
    import fpkit as fp

    for theta, gap, top, well in CONSTANTS:
        D = diffusion(QUARTIC, theta, -2.5, 2.5)
        yield row("gap", QUARTIC, theta, D.spectrum(2)[1], gap, "constant")
        for at, truth in ((0.0, top), (1.0, well)):
            yield row(f"MFPT(-1 -> {at:g})", QUARTIC, theta, D.mfpt(fp.HalfSpace([1], at)).at([-1.0]), truth,
                      "constant", 1.5e-12)
    for text, gap in GAPS:
        yield row("gap", text, 0.008, diffusion(text, 0.008, -1.5, 1.5).spectrum(2)[1], gap, "constant")


def closed_forms():
    from scipy.special import ive

    import fpkit as fp

    S = diffusion("0*x", 0.3, -1, 2).spectrum(9)
    yield from (row(f"eigenvalue {k}", "0*x", 0.3, S[k], (k * math.pi / 3) ** 2 * 0.3, "closed form")
                for k in (1, 4, 8))
    S = diffusion("0*x", 0.3, -1, 2, periodic=True).spectrum(8)
    yield from (row(f"eigenvalue {k}, ring", "0*x", 0.3, S[k], ((k + 1) // 2 * 2 * math.pi / 3) ** 2 * 0.3,
                    "closed form") for k in (1, 2, 7))
    for theta in (0.01, 1.0):
        w = 12 * math.sqrt(theta)
        S = diffusion("x**2/2", theta, -w, w).spectrum(7)
        yield from (row(f"eigenvalue {k}", "x**2/2", theta, S[k], float(k), "closed form") for k in (1, 6))
    for theta in (0.02, 1.0):
        D = diffusion("cos(x)", theta, 0, 2 * math.pi, periodic=True)
        yield row("effective diffusion", "cos(x)", theta, D.effective_diffusion()[0],
                  theta / (ive(0, 1 / theta) * math.exp(1 / theta)) ** 2, "closed form")
    for theta in (0.1, 0.01):
        s, right = 2 / theta, fp.HalfSpace([1], 1.0)
        D = diffusion("2*x", theta, 0, 1)
        yield row("MFPT(0 -> 1)", "2*x", theta, D.mfpt(right).at([0.0]), (math.expm1(s) / s - 1) / s / theta,
                  "closed form")
        yield row("committor at 1/2", "2*x", theta, D.committor(fp.HalfSpace([-1], 0.0), right).at([0.5]),
                  math.expm1(s / 2) / math.expm1(s), "closed form")


def identities():
    """Two routes to one number: the partner in -f, the half of an even potential, the time from the last
    exit, panels cut in two."""
    import fpkit as fp
    from fpkit.fokker_planck.one_dimension.pieces import lines
    from fpkit.fokker_planck.one_dimension.spectrum import Modes

    for text, w, thetas in (("(x**2 - 1)**2 + 0.2*x", 1.8, (10.0, 0.3, 0.05, 0.01)),
                            ("cos(3*x) + 0.1*x", 2.0, (0.2, 0.02))):
        for theta in thetas:
            D, walls = diffusion(text, theta, -w, w), fp.HalfSpace([1], w) | fp.HalfSpace([-1], w)
            gap = D.spectrum(2)[1]
            yield row("gap", text, theta, gap, float(diffusion(f"-({text})", theta, -w, w).exit_rate(walls)),
                      "exit rate of -f")
            A, B = fp.HalfSpace([-1], 0.9), fp.HalfSpace([1], 0.9)
            yield row("rate", text, theta, D.rate(A, B), 1 / float(D.mfpt(B).at([-0.9])),
                      "1 / MFPT from the last exit")
            S = D.spectrum(6)
            line = lines(D)[0]
            fine = Modes(line.panels.halved(np.ones(len(line.panels), bool), line.function), 6, False, True,
                         True, line.function)
            yield from (row(f"eigenvalue {k}", text, theta, S[k], float(fine.values[k]), "all panels halved")
                        for k in (1, 5))
    half = lambda theta: diffusion(QUARTIC, theta, 0, 1.3).exit_rate(fp.HalfSpace([-1], 0.0))
    for theta in (0.05, 1 / 2000, 1 / 23500):
        truth = half(theta)
        yield row("gap", QUARTIC, theta, diffusion(QUARTIC, theta, -1.3, 1.3).spectrum(2)[1],
                  float(truth) if truth > 0 else (None, truth.log10 * math.log(10)), "exit rate of one half")


def against_kramers(quick):
    """The same numbers from the package kramers, where it is installed."""
    if importlib.util.find_spec("kramers") is None:
        return
    import kramers

    import fpkit as fp

    for text, (low, high), x in COMPARED:
        for theta in (0.3,) if quick else (1.0, 0.3, 0.1, 0.03):
            V = fp.Potential(text)
            D, target = diffusion(text, theta, low, high), fp.HalfSpace([1], high)
            both = target | fp.HalfSpace([-1], -low)
            f = lambda y: V(np.asarray(y, float)[..., None]) / theta
            one, two = (kramers.FirstPassage1D(f, D=theta, domain=(low, high), left=left, right="absorbing")
                        for left in ("reflecting", "absorbing"))
            yield row(f"MFPT from {x:g}", text, theta, D.mfpt(target).at([x]), float(one.mean_time(x).value),
                      "kramers")
            yield row(f"variance from {x:g}", text, theta, D.mfpt_variance(target).at([x]),
                      float(one.variance(x).value), "kramers")
            yield row("exit rate", text, theta, D.exit_rate(target), float(one.decay_rate().value), "kramers")
            yield row(f"MFPT to both ends from {x:g}", text, theta, D.mfpt(both).at([x]),
                      float(two.mean_time(x).value), "kramers")
            yield row(f"splitting from {x:g}", text, theta,
                      D.committor(fp.HalfSpace([-1], -low), target).at([x]), float(two.splitting(x).value),
                      "kramers")


def measure(quick=False):
    return [*constants(), *closed_forms(), *identities(), *against_kramers(quick)]


def judge(rows):
    """Each row within its limit and its stated error."""
    misses = []
    for r in rows:
        where = f"{r['what']} of {r['potential']} at theta {r['theta']:g} against {r['against']}"
        if not r["difference"] <= r["limit"]:
            misses.append(f"{where}: off by {r['difference']:.1e}, allowed {r['limit']:.1e}")
        if r["stated"] is not None:
            # the last digit of the reference itself may be a rounding
            if not r["difference"] <= r["stated"] + (r["limit"] if r["against"] in ("constant", "kramers")
                                                     else 2e-14):
                misses.append(f"{where}: off by {r['difference']:.1e}, stated {r['stated']:.1e}")
            if not r["stated"] <= IDLE:
                misses.append(f"{where}: stated error {r['stated']:.1e} above {IDLE:.0e}")
    table = Table.of(rows, {"what": "quantity", "potential": "potential", "theta": "theta", "log10": "log10",
                            "difference": "relative difference",
                            "stated": "stated error", "against": "against"})
    kinds = sorted({r["against"] for r in rows})
    return ruled(globals(), table, misses, f"{len(rows)} comparisons against {', '.join(kinds)}: largest "
                 f"difference {max(r['difference'] for r in rows):.1e}", {"rows": rows})


def run(quick=False):
    return judge(measure(quick))


def contrary(rows):
    """Seven digits, as generic eigensolvers leave."""
    return [{**r, "difference": 1e-7} for r in rows]


def figure(verdict):
    """Relative difference against the size of the number."""
    from fpkit.plotting import style

    made, axes = style.figure(width=14, height=9)
    rows = verdict.numbers["rows"]
    for k, kind in enumerate(sorted({r["against"] for r in rows})):
        some = [r for r in rows if r["against"] == kind]
        axes.plot([max(abs(r["log10"]), 0.1) for r in some], [max(r["difference"], 1e-16) for r in some],
                  ls="", label=kind, color=style.COLOURS[k % len(style.COLOURS)],
                  marker=style.MARKERS[k % len(style.MARKERS)])
    axes.axhline(LIMIT, color=style.FAINT, lw=0.8)
    axes.set(xscale="log", yscale="log", xlim=(0.07, 3e4), ylim=(5e-17, 1e-10), xlabel="decades of "
             "the number (absolute value of log10; 0.1 stands for less)", ylabel="relative difference (1e-16 "
             "stands for less)", title="Answers in one dimension against independent routes")
    axes.legend(loc="upper right", ncols=3, fontsize="small", frameon=False, columnspacing=1.0,
                handletextpad=0.3)
    return made
