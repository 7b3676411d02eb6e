"""The parameters of a network as one vector and back."""
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, eq=False)
class Layout:
    """How a vector splits into the tensors of a network.

    Integer tensors (counters such as BatchNorm's num_batches_tracked) and 0-d tensors are no directions of a
    weight space: they are not in the vector, and `tensors` hands them back unchanged.

    Attributes
    ----------
    names : tuple of str
    shapes : tuple of tuple
    dtypes : tuple of dtype
    fixed : dict of ndarray
        The tensors left out, by their place in the list.
    filter_axis : int
        Axis that counts the outputs of a dense or convolutional tensor: 0 for PyTorch, -1 for scikit-learn,
        Keras and JAX.
    """
    names: tuple
    shapes: tuple
    dtypes: tuple
    fixed: dict
    filter_axis: int = 0

    @property
    def n_params(self) -> int:
        """Length of the vector."""
        return sum(int(np.prod(s)) for k, s in enumerate(self.shapes) if k not in self.fixed)

    def slices(self) -> Iterator[tuple[int, slice]]:
        """(place in the list, slice of the vector) of every tensor that is in the vector."""
        start = 0
        for k, shape in enumerate(self.shapes):
            if k not in self.fixed:
                stop = start + int(np.prod(shape))
                yield k, slice(start, stop)
                start = stop

    def tensors(self, vector: np.ndarray) -> list[np.ndarray]:
        """List of the tensors, in their own types, with the entries of `vector`, shape (n_params,)."""
        vector = np.asarray(vector)
        if vector.shape != (self.n_params,):
            raise ValueError(f"the vector has shape {vector.shape}, expected ({self.n_params},) as the "
                             "tensors hold.")
        found = [self.fixed.get(k) for k in range(len(self.shapes))]
        for k, part in self.slices():
            found[k] = vector[part].reshape(self.shapes[k]).astype(self.dtypes[k])
        return found


def flatten(tensors: Any, filter_axis: int = 0) -> tuple[np.ndarray, Layout]:
    """One float64 vector of all float tensors, and the `Layout` that leads back.

    Parameters
    ----------
    tensors : list or dict of array
        In the network's own order.
    filter_axis : int
        See `Layout`.

    Returns
    -------
    vector : ndarray, shape (n_params,)
    layout : Layout

    Examples
    --------
    >>> vector, layout = flatten([np.ones((2, 3)), np.zeros(3), np.array(7)])       # the counter stays out
    >>> vector.shape, [t.shape for t in layout.tensors(2 * vector)], int(layout.tensors(vector)[2])
    ((9,), [(2, 3), (3,), ()], 7)
    """
    items = list(tensors.items()) if hasattr(tensors, "items") else [(str(k), t) for k,
                                                                     t in enumerate(tensors)]
    arrays = [as_array(t) for _, t in items]
    for (name, _), a in zip(items, arrays):
        if a.dtype.kind not in "fiub":
            raise TypeError(f"the tensor {name} has type {a.dtype}, expected real numbers.")
    fixed = {k: a for k, a in enumerate(arrays) if a.dtype.kind != "f" or a.ndim == 0}
    layout = Layout(tuple(str(name) for name, _ in items), tuple(a.shape for a in arrays),
                    tuple(a.dtype for a in arrays), fixed, filter_axis)
    parts = [a.ravel().astype(np.float64) for k, a in enumerate(arrays) if k not in fixed]
    if not parts:
        raise ValueError("there is no float tensor with at least one axis among the parameters.")
    return np.concatenate(parts), layout


def as_array(tensor) -> np.ndarray:
    """A tensor of NumPy, or of torch wherever it lies and whether or not it has a gradient; half precisions
    become single."""
    if hasattr(tensor, "detach"):
        tensor = tensor.detach().cpu()
        if str(tensor.dtype) in ("torch.bfloat16", "torch.float16"):
            tensor = tensor.float()
        return np.asarray(tensor.numpy())
    return np.asarray(tensor)


def is_list_of_tensors(values):
    """True for a dict, or a list of arrays; False for one flat vector."""
    return hasattr(values, "items") or (isinstance(values, (list, tuple)) and len(values) > 0
                                        and all(hasattr(v, "shape") for v in values))


# ---- normalisation of a random direction against the weights ----

NORMALISATIONS = ("filter", "layer", "weight", "dfilter", "dlayer", "none")


def normalise(direction: np.ndarray, weights: np.ndarray, layout: Layout, normalisation: str = "filter",
              one_dimensional: str = "zero") -> np.ndarray:
    """`direction` scaled tensor by tensor against the weights, a new vector.

    Parameters
    ----------
    direction, weights : ndarray, shape (n_params,)
    layout : Layout
    normalisation : str
        "filter": every filter (the weights of one output) gets the norm of the weights' filter [1]_; "layer":
        every tensor gets the norm of the weights' tensor; "weight": entries are multiplied by the weights;
        "dfilter", "dlayer": filters or tensors get norm one; "none".
    one_dimensional : {"zero", "copy", "random"}
        What 1-D tensors (biases, BatchNorm's scales) become: zero; equal to the weights, as tomgoldstein's
        program does unless told ignore=biasbn; or random with the norm of the weights' tensor ("none",
        "weight" and the d-forms as for the others).

    References
    ----------
    .. [1] H. Li, Z. Xu, G. Taylor, C. Studer, T. Goldstein, "Visualizing the loss landscape of neural nets",
    NeurIPS 2018, section 4.
    """
    result = np.array(direction, float)
    for k, part in layout.slices():
        d, w = result[part].reshape(layout.shapes[k]), weights[part].reshape(layout.shapes[k])
        if d.ndim == 1 and one_dimensional != "random":
            d[...] = 0.0 if one_dimensional == "zero" else w
        elif normalisation == "weight":
            d *= w
        elif normalisation != "none":
            by_filter = normalisation in ("filter", "dfilter") and d.ndim > 1
            axes = tuple(a for a in range(d.ndim) if a != layout.filter_axis % d.ndim) if by_filter else None
            length = np.sqrt((d * d).sum(axis=axes, keepdims=True))
            wanted = np.sqrt((w * w).sum(axis=axes,
                                         keepdims=True)) if normalisation in ("filter", "layer") else 1.0
            d *= np.where(length > 0, wanted / np.where(length > 0, length, 1.0), 0.0)
    return result
