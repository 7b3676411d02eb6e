"""Every number of every sentence that a landscape report marks as firm, against sums, linear solves and
densities of another program, on finer grids of known functions."""
from __future__ import annotations

import re
from pathlib import Path

import numpy as np

import fpkit as fp

from ._referee_solver import Cells
from ._referee_surfaces import SURFACES, landscape
from .verdict import Table, ruled

CLAIM = ("A sentence of a landscape report that is marked as firm is true: each number in it is what "
         "independent sums, linear solves and densities give, on the samples and on finer grids of the "
         "function behind them, and the verdict above says nothing else.")
SOURCE = ("Landscapes of known functions (symmetric, tilted, skew, noisy, blown up, periodic, on lines and "
          "in boxes, with holes, plateaus, many equal wells, thinner than the samples, ...) and the real "
          "files beside the checkout, where there are any; the reference is SciPy on a chain of its own.")
CRITERION = ("Shares of probability within 0.015, depths within a tenth, times and rates within the factor "
             "that the sentence states (at least 1.1), means within 3 % of the spread or 4 standard errors, "
             "temperatures within their stated error, counts exactly but for a well at its limit.")

QUICK = ("line", "seven by five")
FILES = Path(__file__).resolve().parents[2] / "shared" / "landscapes"
SHARE, DEPTH, FACTOR, SIGMAS, COUNTED = 0.015, 0.1, 1.1, 4.0, 60_000
RAISED = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")
NUMBER = r"-?\d+(?:\.\d+)?(?:e[-+]?\d+)?(?: × 10[⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+)?"
SAID_SHARE = r"\d[\d.]* %|\d(?:\.\d+)?e-\d+|less than 1e-6|practically all"
TIME = rf"(?:t = )?({NUMBER}|10[⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+)(?: steps)?"


def value(text):
    """The number that a sentence writes."""
    if text in ("practically all", "less than 1e-6"):
        return float(text == "practically all")
    if text.endswith(" %"):
        return float(text[:-2]) / 100
    mantissa, times, power = text.partition(" × 10")
    if not times and re.fullmatch("10[⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+", text):
        mantissa, power = "1", text[2:]
    return float(mantissa) * 10.0 ** int(power.translate(RAISED) or 0)


class Referee:
    """Checks of one report; `misses` are sentences, `n` numbers were held against the truth."""

    def __init__(self, report, cells, f=None, test=None):
        self.report, self.cells, self.test = report, cells, test
        self.is_exact = f is None                                        # only the samples are known
        self.misses, self.n, self.cache = [], 0, {}
        thetas = report.theta
        self.lows, self.depths, self.basin = cells.wells(max(3 * thetas[0], report.landscape.noise.depth))
        # own wells in the order of the report's
        near = lambda w: min(range(len(self.lows)), key=lambda k: np.abs(
            (cells.x[self.lows[k]] - w.x) / report.landscape.spacing).max())
        self.of = [near(w) for w in report.wells]
        self.is_matched = sorted(self.of) == list(range(len(self.lows)))
        self.step = report.clock.step if report.landscape.gram is not None and report.clock.step else 1.0

    def check(self, what, said, truth, ok):
        self.n += 1
        if not ok:
            self.misses.append(f"{what}: said {said}, found {truth:.6g}" if np.isscalar(truth)
                               else f"{what}: said {said}, found {truth}")

    def share(self, what, text, truth):
        self.check(what, text, truth, abs(value(text) - truth) <= SHARE)

    def factor(self, what, text, truth, factor):
        said = value(text) * self.step
        self.check(what, text, truth / self.step, 1 / factor <= said / truth <= factor)

    # ---- the truth ----

    def shares(self, theta):
        w = self.cells.weights(theta)
        return np.array([w[self.basin == k].sum() for k in self.of])

    def network(self, theta, wells):
        """(rates between the wells with these numbers, times from the start)."""
        key = ("network", theta, wells)
        if key not in self.cache:
            report = self.report
            least = 3 * theta
            lows, _, basin = self.cells.wells(least)
            order = [min(range(len(lows)), key=lambda k, x=report.wells[n - 1].x: np.abs(
                self.cells.x[lows[k]] - x).sum()) for n in wells]
            place = np.array([order.index(k) if k in order else -1 for k in range(len(lows))])
            basin = np.where(basin >= 0, place[basin], -1)
            start = int(np.argmin(np.where(self.cells.valid, ((self.cells.x - report.start) ** 2).sum(1),
                                           np.inf)))
            self.cache[key] = self.cells.network(theta, basin, [lows[k] for k in order], start)
        return self.cache[key]

    def slowest(self, theta):
        return self.cells.slowest(theta)

    def density(self, times):
        """Probabilities of the cells at times (log10 within 1e-9 the same are solved once)."""
        motion = self.report.dynamics
        times = sorted(times)
        found = self.cells.densities(motion.theta, self.report.start, times)
        return dict(zip(times, found))

    # ---- one topic each ----

    def of_noise(self, text, why):
        sigma = self.report.landscape.noise.sigma
        n = int(re.search(r"(\d+) of (\d+) samples are minima", text)[1])
        lows, _, _ = Cells(self.report.landscape.axes, self.report.landscape.loss).wells(-1)
        self.check("number of minima", n, len(lows), n == len(lows))
        self.check("noise", sigma, sigma, sigma > 0)

    def of_wells(self, text, why):
        r = self.report
        many = re.search(rf"There are (\d+) wells at theta = ({NUMBER}) \(depth above 3 theta\)(?: and (\d+) "
                         rf"at theta = ({NUMBER})(?:, where wells? ([\d, ]+))?)?", text)
        for n, theta in ([(many[1], r.theta[0])] + ([(many[3], r.theta[-1])] if many[3] else []) if many
                         else [("1", r.theta[0])]):
            count = len(self.cells.wells(max(3 * theta, r.landscape.noise.depth))[0])
            limit = len(re.findall(r"\d+", many[5])) if many and many[5] and theta == r.theta[-1] else 0
            self.check(f"wells at theta = {theta:.3g}", n, count, int(n) <= count <= int(n) + limit)
        at = np.array([float(v) for v in re.search(r"lies at \((.*?)\)", text)[1].split(",")])
        loss = float(re.search(rf"with a loss of ({NUMBER})", text)[1])
        low = self.lows[self.of[0]]
        far = np.abs((at - self.cells.x[low]) / r.landscape.spacing).max()
        self.check("place of the lowest", at.tolist(), self.cells.x[low].tolist(),
                   far <= 1.01 or "flat_floor" in r.wells[0].flags)
        finite = [d for d in self.depths if np.isfinite(d)]
        room = DEPTH * (max(finite) if finite else max(np.nanquantile(self.cells.f, 0.5)
                                                        - np.nanmin(self.cells.f), 1e-300))
        self.check("lowest loss", loss, self.cells.f[low], abs(loss - self.cells.f[low]) <= room)
        other = re.search(rf"well (\d+) at \((.*?)\), has a way out ({NUMBER}) above its loss of ({NUMBER})",
                          text)
        if other:
            k = self.of[int(other[1]) - 1]
            depth = self.depths[k] if np.isfinite(self.depths[k]) else max(finite)
            self.check("depth", other[3], depth, abs(float(other[3]) - depth) <= DEPTH * depth)
            self.check("loss of the other", other[4], self.cells.f[self.lows[k]],
                       abs(float(other[4]) - self.cells.f[self.lows[k]]) <= room)

    def of_occupation(self, text, why):
        r, cold, warm = self.report, self.shares(self.report.theta[0]), self.shares(self.report.theta[-1])
        if r.theta.size > 1:
            held = re.search(rf"({SAID_SHARE})(?: each)? at theta", text)[1]
            first = re.search(r"(?:In equilibrium|lies in) wells? ([\d, and]+?)(?: alike)? (?:hold|when)",
                              text)[1]
            for k in map(int, re.findall(r"\d+", first)):
                self.share(f"coldest share of well {k}", held, cold[k - 1])
                self.check(f"well {k} is the fullest", k, int(np.argmax(cold)) + 1,
                           cold[k - 1] >= cold.max() - 2 * SHARE)
        for k, said in re.findall(rf"well (\d+) ({SAID_SHARE})", text.replace("wells", "")):
            self.share(f"share of well {k}", said, warm[int(k) - 1])

    def of_crossover(self, text, why):
        a, b, root, error = re.search(rf"Wells (\d+) and (\d+) are .*? theta = ({NUMBER}) ± ({NUMBER})",
                                      text).groups()
        low, high = float(root) / 3, float(root) * 3
        gap = lambda t: np.subtract(*np.log(self.shares(t))[[int(a) - 1, int(b) - 1]])
        for _ in range(40):
            middle = np.sqrt(low * high)
            low, high = (middle, high) if gap(middle) > 0 else (low, middle)
        self.check("crossover", root, middle, abs(float(root) - middle) <= float(error))

    def of_rates(self, text, why):
        theta = float(re.search(rf"theta = ({NUMBER})", text)[1])
        r = self.report.rates_at(theta)
        self.check("temperature of the rates", theta, r.theta, abs(theta / r.theta - 1) < 0.01)
        rate, _ = self.network(r.theta, r.wells)
        factor = max(FACTOR, float(m[1]) if (m := re.search(rf"within a factor ({NUMBER})", why)) else FACTOR)
        for w, said in re.findall(rf"well (\d+) after {TIME}", text):
            self.factor(f"leaving well {w}", said, 1 / rate[r.wells.index(int(w))].sum(), factor)
        for w, goals in re.findall(r"well (\d+) after [^;(]*?, (?:mostly )?to wells? ([\d, and]+)", text):
            out = rate[r.wells.index(int(w))]
            for g in map(int, re.findall(r"\d+", goals)):
                self.check(f"way from {w}", g, out.tolist(), out[r.wells.index(g)] > 0.85 * out.max())
        slow = re.search(rf"slowest relaxation on the surface takes {TIME}", text)
        if slow:
            found, scale = self.slowest(r.theta)
            if found > 1e-11 * scale:
                self.factor("slowest relaxation", slow[1], 1 / found, factor)

    def of_start(self, text, why):
        r, motion = self.report, self.report.dynamics
        start = int(np.argmin(np.where(self.cells.valid, ((self.cells.x - r.start) ** 2).sum(1), np.inf)))
        home = self.of.index(self.basin[start]) + 1
        said = int(re.search(r"basin of well (\d+)", text)[1])
        finely = self.cells.f[start]
        self.check("basin of the start", said, home, home == said or self._is_ridge(start, finely))
        shares = self.shares(motion.theta)
        part = motion.equilibrium > 0
        shares = np.where(part, shares, 0) / shares[part].sum()
        for k, p in re.findall(rf"well (\d+) ({SAID_SHARE})", text):
            self.share(f"final share of well {k}", p, shares[int(k) - 1])
        arrived = re.search(rf"within 1 % .*? after {TIME}", text)
        if arrived:
            t = value(arrived[1]) * self.step
            reached = self.cells.weights(motion.theta)
            reached = np.where(np.isin(self.basin, [self.of[k] for k in np.flatnonzero(part)]), reached, 0)
            found = self.density([t / 4, t])
            early, late = (np.abs(found[s] - reached / reached.sum()).sum() / 2 for s in (t / 4, t))
            self.check("distance at arrival", "within 1 %", late, late < 0.02)
            self.check("distance at a quarter of that time", "above 1 %", early, early > 0.005)
        error = max(FACTOR, float(m[1]) if (m := re.search(rf"within a factor ({NUMBER})", why)) else 1.26)
        rates = r.rates_at(motion.theta)
        for w, said in re.findall(rf"of well (\d+) {TIME}", text.partition("mean time")[2]):
            _, times = self.network(rates.theta, rates.wells)
            self.factor(f"first passage to well {w}", said, times[rates.wells.index(int(w))], error)

    def _is_ridge(self, cell, f):
        """Whether the cells around one belong to several basins."""
        near = np.abs((self.cells.x - self.cells.x[cell]) / self.report.landscape.spacing).max(1) <= 1.01
        return len(set(self.basin[near & self.cells.valid])) > 1

    def of_paths(self, text, why):
        paths = self.report.dynamics.paths
        t = paths.times[-1]
        p = self.density([t])[t]
        shares = [p[self.basin == k].sum() for k in self.of]
        for k, said in re.findall(rf"well (\d+) \(({SAID_SHARE})\)", text):
            q = shares[int(k) - 1]
            error = SIGMAS * np.sqrt(max(q * (1 - q), 1 / paths.n_paths) / paths.n_paths)
            self.check(f"paths in well {k}", said, q, abs(value(said) - q) <= error + 0.005)
        mean = float((p * np.where(self.cells.valid, self.cells.f, 0)).sum())
        spread = np.sqrt((p * np.where(p > 0, self.cells.f - mean, 0) ** 2).sum())
        said = re.search(rf"mean loss is ({NUMBER})(?: ± ({NUMBER}))?, the density's ({NUMBER})", text)
        self.check("mean loss of the paths", said[1], mean, abs(float(said[1]) - mean)
                   <= SIGMAS * float(said[2] or 0) + 0.03 * spread + 1e-9 * abs(mean))
        self.check("mean loss of the density", said[3], mean, abs(float(said[3]) - mean)
                   <= 0.05 * spread + 1e-9 * abs(mean))

    def of_test_loss(self, text, why):
        r, cells = self.report, self.cells
        values = {"train": cells.f, "test": self.test}
        mean = lambda name, t: float((cells.weights(t) * np.where(cells.valid, values[name], 0)).sum())
        low, high = r.risk.theta[[0, -1]]
        number = rf"({NUMBER})"
        said = re.search(rf"test loss is {number} at theta = {number} and {number} at {number}; that of the "
                         rf"training loss {number} and {number}", text)
        room = 0.03 * (np.nanquantile(cells.f, 0.5) - np.nanmin(cells.f))
        for k, name, t in ((1, "test", low), (3, "test", high), (5, "train", low), (6, "train", high)):
            truth = mean(name, t)
            self.check(f"mean {name} loss", said[k], truth, abs(float(said[k]) - truth) <= room)

    def of_horizon(self, text, why):
        r = self.report
        t = r.clock.n_steps * r.clock.step
        p = self.density([t])[t]
        for k, said in re.findall(rf"well (\d+) with probability ({SAID_SHARE})", text):
            truth = p[self.basin == self.of[int(k) - 1]].sum()
            self.check(f"run in well {k}", said, truth, abs(value(said) - truth) <= 2 * SHARE)

    def run(self):
        found = self.report.findings()
        firm = [f for f in found if f.trust == "firm"]
        for f in firm:
            if not self.is_matched and f.topic != "noise":
                if f.topic == "wells":
                    self.misses.append(f"wells: {len(self.of)} said, {len(self.lows)} found")
                continue
            getattr(self, "of_" + f.topic.replace(" ", "_"))(f.sentence, f.why)
        said = self.report.verdict()
        if ("resolve all that is said" in said) != (len(firm) == len(found)):
            self.misses.append("the verdict and the marks differ")
        return len(firm), len(found)


def finer(land, f, test=None):
    """Cells of a function between the samples, in the same box."""
    k = {1: 8, 2: max(1, int(np.sqrt(27_000 / land.loss.size))), 3: 1}[land.ndim]
    axes = [e[0] + (e[-1] - e[0]) / (k * a.size) * (np.arange(k * a.size) + 0.5)
            for e, a in zip(land.edges, land.axes)]
    mesh = np.meshgrid(*axes[::-1], indexing="ij")[::-1]
    loss, valid = np.asarray(f(*mesh), float) + 0 * mesh[0], land.valid
    for axis in range(land.ndim):
        valid = np.repeat(valid, k, axis)
    cells = Cells(axes, np.where(valid, loss, np.nan), land.gram, land.periodic)
    return cells, None if test is None else np.where(valid, test(*mesh) + 0 * mesh[0], np.nan).ravel()


def checked(name, report, f=None, test=None):
    """One row: the report against the samples alone, and against the function between them."""
    land = report.landscape
    same = None if land.test_loss is None else land.test_loss.ravel()
    referees = [Referee(report, Cells(land.axes, land.loss, land.gram, land.periodic), None, same)]
    if f is not None and not land.noise.sigma:
        referees.append(Referee(report, *(lambda c: (c[0], f, c[1]))(finer(land, f, test))))
    n_firm, n_found = [r.run() for r in referees][0]
    misses = [m for r in referees for m in r.misses]
    return {"name": name, "firm": n_firm, "of": n_found, "checked": sum(r.n for r in referees),
            "misses": misses, "false": len(misses)}


def measure(quick=False):
    rows = []
    for name in QUICK if quick else SURFACES:
        f, options, asked = SURFACES[name]
        report = fp.analyse(landscape(name, f, **options), progress=False, **asked)
        rows.append(checked(name, report, f, options.get("test")))
    for path in () if quick or not FILES.is_dir() else sorted(FILES.glob("*.h5")):
        try:
            report = fp.analyse(path, progress=False)
        except fp.LandscapeFormatError:
            continue                                                     # refused: nothing is claimed
        rows.append(checked(path.stem, report))
    return rows


def judge(rows):
    misses = [f"{r['name']}: {m}" for r in rows for m in r["misses"]]
    columns = {"name": "landscape", "firm": "firm sentences", "of": "of", "checked": "numbers checked",
               "false": "false"}
    reason = (f"{sum(r['checked'] for r in rows)} numbers of {sum(r['firm'] for r in rows)} firm sentences "
              "are true")
    return ruled(globals(), Table.of(rows, columns), misses, reason, {"rows": rows})


def run(quick=False):
    return judge(measure(quick))


def contrary(rows):
    return [row | {"misses": ["depth: said 1, found 2"], "false": 1} for row in rows]
