"""The minibatch of one walker at one step: a function of (seed, walker, step) and of nothing else."""
import numba
import numpy as np
from numba import types

from ...core.compilation import integer, integers_1d, kernel
from ...core.compilation.special import options
from ...langevin.dynamics.noise_kernels import words_of

MINIBATCH = 12                              # the purpose of these words, beside those of noise_kernels


@numba.njit(**options)
def draw(chosen, n, size, walker, step, seed):
    """Permute `chosen` (n numbers) so that its first `size` are a subset without repetition: Fisher and
    Yates, as far as needed."""
    for j in range(size):
        word = words_of(walker, MINIBATCH, j // 4, step, seed)
        k = j + np.int64((word[j % 4] * np.uint64(n - j)) >> np.uint64(32))
        chosen[j], chosen[k] = chosen[k], chosen[j]


@numba.njit(**options)
def draw_minibatches(weights, sizes, members, counts, chosen, ids, step, seed, n_members):
    """The weights of this step in the lower half of `weights` (2 rows, lanes): of each lane's `members`
    `sizes` of them, n/size times their own weight, or all where the size is 0."""
    rows = weights.shape[0] // 2
    for lane in range(weights.shape[1]):
        if sizes[lane] == 0:
            for q in range(n_members):
                weights[rows + q, lane] = weights[q, lane]
            continue
        n, factor = counts[lane], counts[lane] / sizes[lane]
        for q in range(n_members):
            weights[rows + q, lane] = 0.0
            chosen[q] = members[q, lane]
        draw(chosen, n, sizes[lane], ids[lane], step, seed)
        for j in range(sizes[lane]):
            weights[rows + chosen[j], lane] = weights[chosen[j], lane] * factor


@kernel(types.void(integers_1d, integer, integer, integer, integer))
def minibatch(chosen, size, walker, step, seed):
    """`draw` for one walker of any problem."""
    draw(chosen, chosen.size, size, walker, step, np.uint64(seed))
