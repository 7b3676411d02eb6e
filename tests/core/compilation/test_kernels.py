"""Kernels load when first called; the cache is never stale, never needed, and shared by processes."""
import os
import pickle
import stat
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import numpy as np
import pytest
from numba import config, prange, types

from fpkit.core import compilation
from fpkit.core.compilation import (
    FUNCTION,
    SIGNATURES,
    DiskCache,
    Kernel,
    cache_folder,
    helper,
    integer,
    kernel,
    load,
    number,
    numbers_1d,
    numbers_2d,
)
from fpkit.langevin.dynamics import noise_kernels

ROOT = Path(__file__).resolve().parents[3]
needs_compiler = pytest.mark.skipif(bool(config.DISABLE_JIT), reason="the cache holds compiled code")
TEXT = ("def value(X, p, out):\n    for j in range(X.shape[1]):\n"
        "        store(out, (j,), exp(load(X, (0, j), 0, 2)) + p[0], 1, 2)\n")


@helper
def doubled(x):
    return 2.0 * x


@kernel(types.void(numbers_2d, FUNCTION["value"], numbers_1d, numbers_1d))
def shifted(X, value, p, out):
    value(X, p, out)
    for j in range(out.size):
        out[j] += doubled(1.0)


@kernel(number(number, integer))
def tower(x, n):
    for _ in range(n):
        x = doubled(x)
    return x


@kernel(number(number))
def outer(x):
    return tower(x, 2) + 1.0


@kernel(types.void(numbers_1d), parallel=True)
def filled(a):
    for j in prange(a.size):
        a[j] = j


def run(code, **environment):
    """Output of a fresh process in the checkout."""
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], cwd=ROOT,
                          env={**os.environ, **environment}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.strip()


def test_a_kernel_takes_the_block_function_as_an_argument():
    X, out = np.array([[0.0, 1.0]]), np.empty(2)
    shifted(X, load("value", TEXT), np.array([0.5]), out)
    assert out == pytest.approx([3.5, np.e + 2.5])


def test_a_kernel_may_call_another_one():
    assert outer(1.0) == 5.0


@needs_compiler
def test_a_kernel_is_built_at_its_first_call_only():
    late = Kernel(tower.py_func, tower.signature, tower.options)
    assert late._built is None
    assert late(3.0, 1) == 6.0 and late._built is not None


def test_a_kernel_is_pickled_by_its_name():
    assert pickle.loads(pickle.dumps(tower)) is tower


def test_parallel_kernels_may_be_called_from_several_threads():
    arrays = [np.zeros(1000) for _ in range(4)]
    threads = [threading.Thread(target=filled, args=(a,)) for a in arrays]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert all(np.array_equal(a, np.arange(1000)) for a in arrays)


def test_without_the_compiler_the_python_body_runs_with_the_same_result():
    code = f"""
        import numpy as np
        from fpkit.core.compilation import load
        out = np.empty(2)
        load("value", {TEXT!r})(np.array([[0.3, 1000.0]]), np.ones(1), out)
        print(repr(out.tolist()))
    """
    plain, compiled = run(code, NUMBA_DISABLE_JIT="1"), run(code, NUMBA_DISABLE_JIT="0")
    assert eval(plain, {"inf": np.inf}) == pytest.approx(eval(compiled, {"inf": np.inf}), rel=1e-15)


def test_the_key_of_a_kernel_holds_the_text_of_every_module_it_uses():
    text = compilation.source_text(noise_kernels.__name__)
    for name in ("langevin.dynamics.noise_kernels", "core.compilation.special", "core.compilation.lanes",
                 "core.compilation.kernels"):
        assert f"fpkit.{name}\0" in text


def test_the_key_does_not_depend_on_the_hash_seed_or_on_what_else_is_imported():
    code = ("{}\nimport hashlib, fpkit.langevin.dynamics.noise_kernels as k\n"
            "from fpkit.core.compilation.kernels import source_text, _options_text\n"
            "text = source_text(k.__name__) + _options_text(k.seed_states.options)\n"
            "print(hashlib.sha256(text.encode()).hexdigest())")
    more = code.format("import fpkit.potentials.grid_potential, fpkit.core.grid")
    assert run(code.format(""), PYTHONHASHSEED="1") == run(more, PYTHONHASHSEED="2")


FRESH = """
    import fpkit as fp
    from fpkit.core import compilation
    print(fp.Potential("exp(x)*a + y**3", a=2.0)([0.0, 2.0]))
"""


@pytest.fixture
def empty_cache(tmp_path, monkeypatch):
    """An empty folder, and the names under which compiled functions are written to it."""
    monkeypatch.setenv("FPKIT_CACHE_DIR", str(tmp_path))
    written, save = [], DiskCache.save_overload
    def noted(self, *arguments):
        written.append(self._name)
        save(self, *arguments)
    monkeypatch.setattr(DiskCache, "save_overload", noted)
    return tmp_path, written


def value_at_zero():
    """exp(0) + 1 by a block function that this process has to compile or to read anew."""
    for name in [name for name in sys.modules if name.startswith("_fpkit_")]:
        del sys.modules[name]
    out = np.empty(1)
    load("value", TEXT)(np.zeros((1, 1)), np.ones(1), out)
    return out[0]


@needs_compiler
def test_what_was_compiled_once_is_read_afterwards(empty_cache):
    _, written = empty_cache
    assert [value_at_zero() for _ in range(3)] == [2.0] * 3 and written == ["value"]


@needs_compiler
def test_a_damaged_cache_recovers(empty_cache):
    folder, written = empty_cache
    value_at_zero()
    (path,) = folder.rglob("*.fpk")
    whole = path.read_bytes()
    for n, damage in enumerate((b"", b"rubbish", whole[:-100], whole[:200] + b"\xff" * 50 + whole[250:]), 2):
        path.write_bytes(damage)
        assert value_at_zero() == 2.0
        assert len(path.read_bytes()) > 1000 and len(written) == n                 # compiled and written anew
    assert value_at_zero() == 2.0 and len(written) == n


@needs_compiler
def test_processes_that_start_together_on_an_empty_cache_leave_it_whole(empty_cache):
    folder, written = empty_cache
    jobs = [subprocess.Popen([sys.executable, "-c", textwrap.dedent(FRESH)], cwd=ROOT, stdout=subprocess.PIPE,
                             text=True) for _ in range(2)]
    assert [job.communicate()[0].strip() for job in jobs] == ["10.0"] * 2
    import fpkit as fp
    assert fp.Potential("exp(x)*a + y**3", a=2.0)([0.0, 2.0]) == 10.0
    assert not written and not list(folder.rglob("*.tmp"))


def test_without_a_cache_folder_everything_works(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    place = dict.fromkeys(("FPKIT_CACHE_DIR", "XDG_CACHE_HOME", "TMPDIR"), str(blocked))
    code = (f"import tempfile; tempfile.tempdir = {str(blocked)!r}\n" + textwrap.dedent(FRESH)
            + "print(compilation.cache_folder())")
    assert run(code, **place).split() == ["10.0", "None"]


@pytest.mark.skipif(os.name != "posix", reason="owners and modes of folders are those of POSIX")
def test_a_folder_that_others_may_write_to_is_not_used(tmp_path, monkeypatch):
    monkeypatch.setenv("FPKIT_CACHE_DIR", str(tmp_path))
    folder = cache_folder()
    assert folder.startswith(str(tmp_path)) and stat.S_IMODE(os.stat(folder).st_mode) & 0o022 == 0
    os.chmod(folder, 0o777)
    assert not (cache_folder() or "").startswith(str(tmp_path))
    os.chmod(folder, 0o700)
    monkeypatch.setattr(os, "getuid", lambda: 123456789)
    assert not (cache_folder() or "").startswith(str(tmp_path))


def test_files_of_two_texts_never_meet(tmp_path):
    class Codegen:
        def magic_tuple(self): return ("cpu",)
    paths = {DiskCache(str(tmp_path), name, key)._path(signature, Codegen()) for name in ("f", "g")
             for key in ("one", "two")
             for signature in SIGNATURES.values()}
    assert len(paths) == 4 * len(SIGNATURES)

