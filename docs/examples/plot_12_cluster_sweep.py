"""
A sweep over many workers
=========================
One call, many cases, any executor, one table. Given ``checkpoint=``, a sweep that was killed goes on where
it ended. With a dask cluster: ``executor=Client(address).get_executor()``.
"""
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from matplotlib.figure import Figure

import fpkit as fp

V = fp.Potential("a*(x**2 - 1)**2", a=1.0)


def rate(potential, theta):
    return fp.eyring_kramers(potential, [-1], [0], theta)


cases = [(V.with_params(a=a), theta) for a in np.linspace(1, 3, 20) for theta in (0.1, 0.15, 0.2)]
with ThreadPoolExecutor(2) as executor:
    table = fp.sweep(rate, cases, executor=executor)
print(table)
made = Figure(figsize=(6, 4), layout="constrained")
axes = made.subplots()
axes.scatter(table["a"] / table["argument 1"], table["log10"], c=table["argument 1"])
axes.set(xlabel="barrier / temperature", ylabel="log10 of the rate")
