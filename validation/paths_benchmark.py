"""Speed of the paths: three problems, each beside a hand-written C kernel and the NumPy loop that everybody
writes, in one run."""
import ctypes
import os
import subprocess
import tempfile
import time
from pathlib import Path
from shutil import which

import numpy as np

import fpkit as fp

from .verdict import Table, ruled

CLAIM = ("Euler-Maruyama steps of any potential cost at most 2 (double well) or 2.5 (Mueller-Brown, chain of "
         "ten) times a hand-written AVX2 kernel, at most a tenth of a NumPy loop, and half on two threads; "
         "the end points follow the Gibbs distribution.")
SOURCE = ("Yardstick: validation/yardstick.c (float32, xoshiro128++, Box-Muller), built when a C compiler is "
          "there. Problems S1, S2, S3: 10,240 paths, dt 1e-3, 10,000 steps.")
CRITERION = ("Kolmogorov-Smirnov distance to the exact marginal below 1.63/sqrt(n), the 1 % limit, "
             "for a fixed seed. Full form only: medians of interleaved runs, CPU seconds of one thread; two "
             "threads by the clock, the shortest of nine interleaved runs each (what else the machine does "
             "only lengthens a run), judged only when two cores stand idle.")

N_PATHS, DT = 10240, 1e-3
LIMIT = 1.63 / N_PATHS**0.5
TARGETS = {"S1": 2.0, "S2": 2.5, "S3": 2.5}
BROWN = np.array([[-200, -100, -170, 15], [-1, -1, -6.5, 0.7], [0, 0, 11, 0.6], [-10, -10, -6.5, 0.7],
                  [1, 0, -0.5, -1], [0, 0.5, 1.5, 1]])


def brown(x, y):
    return 0.05 * sum(A * np.exp(a * (x - u) ** 2 + b * (x - u) * (y - v) + c * (y - v) ** 2) for A, a, b, c,
                      u, v in BROWN.T)


def brown_gradient(X):
    gx = gy = 0.0
    for A, a, b, c, u, v in BROWN.T:
        dx, dy = X[0] - u, X[1] - v
        e = 0.05 * A * np.exp(a * dx * dx + b * dx * dy + c * dy * dy)
        gx, gy = gx + e * (2 * a * dx + b * dy), gy + e * (b * dx + 2 * c * dy)
    return np.stack([gx, gy])


def chain(x):
    return np.sum((x**2 - 1) ** 2) + 0.25 * np.sum((x[1:] - x[:-1]) ** 2)


def chain_gradient(X):
    g = 4 * X * (X * X - 1)
    step = 0.5 * (X[1:] - X[:-1])
    g[1:] += step
    g[:-1] -= step
    return g


def marginals():
    """For each problem: (grid, exact distribution function of the tested coordinate, potential, gradient,
    theta, starts)."""
    rng = np.random.default_rng(20)
    g = np.linspace(-3, 3, 6001)
    double = np.exp(-((g * g - 1) ** 2) / 0.2)
    x, y = np.linspace(-1.7, 1.3, 1201), np.linspace(-0.5, 2.2, 1201)
    weight = np.exp(-(brown(x[:, None], y) - brown(x[:, None], y).min()))
    picked = rng.choice(weight.size, N_PATHS, p=weight.ravel() / weight.sum())
    start = np.stack([x[picked // y.size] + (rng.random(N_PATHS) - 0.5) * (x[1] - x[0]),
                      y[picked % y.size] + (rng.random(N_PATHS) - 0.5) * (y[1] - y[0])], axis=1)
    c = np.linspace(-2.6, 2.6, 1041)                             # chain: transfer from neighbour to neighbour
    own, link = np.exp(-((c * c - 1) ** 2) / 0.5), np.exp(-0.25 * (c[:, None] - c) ** 2 / 0.5)
    left = right = np.ones(c.size)
    for _ in range(4):
        left = link @ (own * left)
    for _ in range(5):
        right = link @ (own * right)
    return {"S1": (g, double, lambda x: (x**2 - 1) ** 2, lambda X: 4 * X * (X * X - 1), 0.2,
                   np.where(np.arange(N_PATHS) % 2, 1.0, -1.0)[:, None], 0),
            "S2": (x, weight.sum(1), brown, brown_gradient, 1.0, start, 0),
            "S3": (c, own * left * right, chain, chain_gradient, 0.5, np.zeros((N_PATHS, 10)), 4)}


def distance(values, grid, density):
    """Kolmogorov-Smirnov distance between values and a density tabulated on a grid."""
    cdf = np.concatenate([[0.0], np.cumsum((density[1:] + density[:-1]) / 2)])
    F = np.interp(np.sort(values), grid, cdf / cdf[-1])
    i = np.arange(values.size)
    return float(max((F - i / values.size).max(), ((i + 1) / values.size - F).max()))


def yardstick(folder):
    """The C kernels, or None without a compiler or without AVX2."""
    source, compiler = Path(__file__).with_name("yardstick.c"), which("gcc") or which("cc")
    if compiler is None or not source.exists():
        return None
    library = os.path.join(folder, "yardstick.so")
    done = subprocess.run([compiler, "-O3", "-march=native", "-ffast-math", "-fno-math-errno", "-shared",
                           "-fPIC", str(source), "-o", library, "-lm"], capture_output=True)
    return ctypes.CDLL(library) if done.returncode == 0 else None


def c_job(library, name, start, theta, n_steps):
    """A call of the C kernel on aligned float32 copies of the starts."""
    single, d = ctypes.c_float, start.shape[1]
    raw = np.empty(start.size + 8, np.float32)
    x = raw[(-raw.ctypes.data // 4) % 8:][:start.size]
    x[:] = start.T.ravel()
    extra = (single(0.5),) if d == 10 else ()
    kernel = getattr(library, name.lower() + "_bm_xo128")
    kernel.restype = None

    def job():
        kernel(ctypes.c_void_p(x.ctypes.data), ctypes.c_long(N_PATHS), ctypes.c_long(n_steps), single(DT),
               single(theta), *extra, ctypes.c_uint64(1))
        return raw                                               # keeps the memory alive
    return job


def numpy_job(start, gradient, theta, n_steps):
    rng, X, sigma = np.random.default_rng(1), np.ascontiguousarray(start.T), (2 * theta * DT) ** 0.5

    def job():
        for _ in range(n_steps):
            X[:] += sigma * rng.standard_normal(X.shape) - DT * gradient(X)
    return job


def rates(jobs, repeats, clock, of=np.median):
    """Particle-steps per second of each job, from the median (or `of`) of the seconds of interleaved runs;
    jobs: name -> (call, steps)."""
    seconds = {name: [] for name in jobs}
    for _ in range(repeats):
        for name, (job, n_steps) in jobs.items():
            began = clock()
            job()
            seconds[name].append((clock() - began) / n_steps)
    return {name: N_PATHS / float(of(s)) for name, s in seconds.items()}


def measure(quick=False):
    from fpkit.langevin.dynamics.ensemble import Ensemble
    rows, n_steps = [], {"S1": 10_000, "S2": 10_000, "S3": 10_000}
    cores = os.cpu_count() or 1  # two threads are judged only where two cores stand idle
    is_idle = cores > 1 and hasattr(os, "getloadavg") and os.getloadavg()[0] < cores - 1.5
    with tempfile.TemporaryDirectory() as folder:
        library = None if quick else yardstick(folder)
        for name, (grid, density, f, gradient, theta, start, axis) in marginals().items():
            V = fp.Potential(f, ndim=start.shape[1]) if name == "S3" else fp.Potential(f)
            run = fp.simulate(V, theta, start, DT, n_steps[name], seed=2024)
            row = {"problem": name, "drift": run.precision, "ks": distance(run.x[:, axis], grid, density),
                   "ks_limit": LIMIT}
            if not quick:
                one, two = (Ensemble(V, theta, start, DT, seed=1, n_threads=n) for n in (1, 2))
                other = Ensemble(V, theta, start, DT, seed=1, n_threads=1, precision="double")
                steps = {"S1": 1500, "S2": 400, "S3": 150}[name]
                jobs = {"fpkit": (lambda: one.advance(steps), steps),
                        "double": (lambda: other.advance(steps), steps),
                        "numpy": (numpy_job(start, gradient, theta, 12), 12)}
                if library is not None:
                    jobs["c"] = (c_job(library, name, start, theta, steps), steps)
                rates(jobs, 1, time.thread_time)
                found = rates(jobs, 9, time.thread_time)
                wall = rates({"one": (lambda: one.advance(5 * steps), 5 * steps),
                              "two": (lambda: two.advance(5 * steps), 5 * steps)}, 9,
                             time.perf_counter, np.min)
                cpu = rates({"one": (lambda: one.advance(2 * steps), 1),
                             "two": (lambda: two.advance(2 * steps), 1)}, 5, time.thread_time)
                row |= {"share": cpu["one"] / cpu["two"], "steps_per_cpu_second": found["fpkit"],
                        "over_c": found["c"] / found["fpkit"] if "c" in found else None,
                        "double_over_c": found["c"] / found["double"] if "c" in found else None,
                        "over_numpy": found["fpkit"] / found["numpy"],
                        "two_threads": wall["two"] / wall["one"], "is_idle": is_idle}
            rows.append(row)
    return rows


def judge(rows):
    misses = []
    for row in rows:
        name = row["problem"]
        if not row["ks"] < row["ks_limit"]:
            misses.append(f"{name} is {row['ks']:.4f} away from the Gibbs marginal, limit "
                          f"{row['ks_limit']:.4f}")
        if row.get("over_c") is not None and row["over_c"] > TARGETS[name]:
            misses.append(f"{name} takes {row['over_c']:.2f} times the C kernel, target {TARGETS[name]}")
        if row.get("over_numpy") is not None and row["over_numpy"] < 10:
            misses.append(f"{name} is only {row['over_numpy']:.1f} times as fast as NumPy")
        if row.get("two_threads") is not None and row.get("is_idle") and row["two_threads"] < 1.8:
            misses.append(f"{name} on two threads is only {row['two_threads']:.2f} times as fast as on one")
    columns = {"problem": "problem", "drift": "drift",
               "ks": "KS", "ks_limit": "1 % limit", "steps_per_cpu_second": "steps / CPU s",
               "over_c": "time / C", "double_over_c": "with float64 drift", "over_numpy": "NumPy time / ours",
               "two_threads": "2 threads / 1", "share": "caller's share of the CPU time on 2"}
    used = {k: v for k, v in columns.items() if any(row.get(k) is not None for row in rows)}
    worst = max(row["ks"] / row["ks_limit"] for row in rows)
    reason = f"largest KS distance {worst:.2f} of the limit" + ("" if "over_numpy" in used else "; speed is "
                                                                "judged in the full form only")
    return ruled(globals(), Table.of(rows, used), misses, reason, {"rows": rows})


def run(quick=False):
    return judge(measure(quick))


def contrary(rows):
    return [row | {"ks": 3 * row["ks_limit"]} for row in rows]


def figure(verdict):
    """Steps per CPU second of each problem beside the C kernel and the NumPy loop."""
    from fpkit.plotting import style
    fig, axes = style.figure(1, 1)
    ax = np.ravel(axes)[0]
    rows = [row for row in verdict.numbers["rows"] if row.get("steps_per_cpu_second")]
    if not rows:
        ax.bar([row["problem"] for row in verdict.numbers["rows"]],
               [row["ks"] / row["ks_limit"] for row in verdict.numbers["rows"]])
        ax.set_ylabel("KS distance / 1 % limit")
        return fig
    x = np.arange(len(rows))
    for k, (label,
            value) in enumerate((("C kernel", lambda r: r["steps_per_cpu_second"] * (r["over_c"] or np.nan)),
                                 ("fpkit", lambda r: r["steps_per_cpu_second"]),
                                 ("NumPy loop", lambda r: r["steps_per_cpu_second"] / r["over_numpy"]))):
        ax.bar(x + 0.27 * (k - 1), [value(r) for r in rows], 0.25, label=label)
    ax.set_xticks(x, [row["problem"] for row in rows])
    ax.set_yscale("log")
    ax.set_ylabel("path steps per CPU second")
    ax.legend()
    return fig
