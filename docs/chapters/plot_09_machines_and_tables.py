"""
Many machines, long runs, other tools
=====================================

Every ensemble, sweep and table takes ``executor=`` (any ``concurrent.futures.Executor``: threads, processes,
mpi4py.futures, a dask cluster) and every long one ``checkpoint=``. The bits are those of one process, and a
lost worker takes nothing with it. From the shell: ``--scheduler tcp://host:8786``.
"""
import os
import tempfile
from concurrent.futures import ThreadPoolExecutor

import fpkit as fp

V = fp.Potential("(x**2 - 1)**2")
file = os.path.join(tempfile.mkdtemp(), "run.h5")
with ThreadPoolExecutor(2) as executor:
    shared = fp.sample(V, 0.3, [-1.0], 0.05, 3000, 200, executor=executor, checkpoint=file)
alone = fp.sample(V, 0.3, [-1.0], 0.05, 3000, 200)
print(shared.energy.value == alone.energy.value)

# %%
# Results are tables (``to_dataframe``, ``to_xarray``, ``to_csv``), and views in a notebook.
print(fp.FokkerPlanck(V, 0.3, fp.Grid([(-2, 2)], 60)).spectrum(4).to_csv())

# %%
# The words of other books are understood: ``kT=``, ``beta=``, ``D=``, ``gamma=``. Quantities with units
# (pint) are brought to one unit.
print(fp.FokkerPlanck(V, kT=0.3, D=0.6, grid=fp.Grid([(-2, 2)], 60)))
