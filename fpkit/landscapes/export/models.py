"""Models of PyTorch and scikit-learn as losses of a parameter vector, with their data."""
from __future__ import annotations

import copy
import hashlib
import sys
import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from ...core import checks
from ...core.runs.identity import content_of
from ..adapters import sklearn_parameters, torch_parameters

__all__ = ["ModelLoss", "is_model"]

SLOPE_STEP = 1e-5                    # of the length of the parameters, for differences in double precision
MEANS, MOST_ALONE = 2e-3, 32         # relative difference that rounding leaves, of so many samples
LEAST_PROBABILITY = 1e-300           # of a class, so that the logarithm is finite


def _numbers(a):
    """A tensor as an array, whatever its kind."""
    a = sys.modules["torch"].as_tensor(a).detach().cpu()
    return (a.float() if a.dtype.itemsize == 2 and a.is_floating_point() else a).numpy()


def is_model(loss: Any) -> bool:
    """Whether an argument is a torch.nn.Module or a fitted estimator of scikit-learn."""
    return hasattr(loss, "named_parameters") or hasattr(loss, "predict")


class ModelLoss:
    """Training and test loss (and accuracy) of a model as a function of its parameter vector.

    Each thread and each process works on a copy of the model of its own, in evaluation mode (dropout off,
    BatchNorm with its running statistics); the model that was given is never changed.

    Parameters
    ----------
    model : torch.nn.Module (also in DataParallel, in half precision, with gradients), or fitted estimator of
        scikit-learn
    data, test_data : pair (inputs, targets), or for PyTorch a DataLoader or list of such pairs, or a function
        ``model -> number or dict``
        Batches are read once and kept, so that every point of the plane sees the same data.
    criterion : callable, optional
        ``criterion(outputs, targets)``, a mean over the batch. Default: cross entropy for targets of whole
        numbers, else the mean square. For scikit-learn ``criterion(targets, predictions)``; default the
        logarithmic loss of predict_proba, else the mean square.
    batchnorm : {"fixed", "interpolate"}
        See `fpkit.landscapes.adapters.torch_parameters`.
    """

    def __init__(self, model: Any, data: Any, test_data: Any = None, criterion: Callable | None = None,
                 batchnorm: str = "fixed") -> None:
        checks.choice("batchnorm", batchnorm, ("fixed", "interpolate"))
        self.is_torch = hasattr(model, "named_parameters")
        if data is None:
            raise TypeError("the loss is a model, so its data are missing: give data=(inputs, targets)"
                            + (", a DataLoader, or a function model -> loss; or a function of a vector, "
                               "through fpkit.landscapes.adapters.torch_parameters."
                               if self.is_torch else "."))
        if self.is_torch and type(model).__name__ in ("DataParallel", "DistributedDataParallel"):
            model = model.module
        self.model, self.criterion, self.batchnorm = model, criterion, batchnorm
        self.sets = {name: self._batches(given) for name, given in (("train", data), ("test", test_data))
                     if given is not None}
        self.local = threading.local()
        # of a copy: an adapter may bring numbers into the shape of arrays
        self.n_params = self._adapter(model if self.is_torch else copy.deepcopy(model))[0].size
        if self.is_torch:
            self._check_means()

    def __getstate__(self):
        return {k: v for k, v in self.__dict__.items() if k != "local"}

    def __setstate__(self, state):
        self.__dict__.update(state)
        self.local = threading.local()

    def _batches(self, data):
        if callable(data) and not hasattr(data, "__iter__"):
            return data
        if not self.is_torch:
            inputs, targets = data
            return [(np.asarray(inputs), np.asarray(targets))]
        if isinstance(data, tuple) and len(data) == 2 and hasattr(data[0], "shape"):
            data = [data]
        if getattr(data, "drop_last", False):
            raise ValueError("the DataLoader leaves samples out (drop_last=True), others at each pass where "
                             "it shuffles; make it with drop_last=False.")
        if getattr(getattr(data, "sampler", None), "replacement", False):
            raise ValueError("the DataLoader draws samples with replacement, others at each pass; make it "
                             "with a sampler that takes each sample once.")
        if getattr(self.criterion, "reduction", "mean") != "mean":
            raise ValueError(f"the criterion has reduction={self.criterion.reduction!r}; the loss of a "
                             "landscape is the mean over samples, reduction='mean'.")
        batches = [tuple(batch) for batch in data]
        if not batches or any(len(batch) != 2 for batch in batches):
            raise ValueError("data must be pairs (inputs, targets), got "
                             + ("nothing." if not batches else f"tuples of {len(batches[0])}."))
        if not all(len(targets) for _, targets in batches):
            raise ValueError("data holds a batch without samples.")
        return batches

    def _check_means(self):
        """Whether the loss of some samples is the mean of those of each alone."""
        for name, batches in self.sets.items():
            if callable(batches):
                continue
            ignored = getattr(self.criterion, "ignore_index", -100)
            labels = [t for t in (_numbers(targets) for _, targets in batches) if t.dtype.kind == "i"]
            n = sum(int((t == ignored).sum()) for t in labels)
            if n:
                raise ValueError(f"{n} targets are {ignored}, labels that the criterion leaves out: means "
                                 "over batches would count them. Leave these samples out of the data.")
            if labels and labels[0].ndim == 2 and labels[0].shape[1] == 1 and self.criterion is None:
                raise ValueError(f"the labels have shape {labels[0].shape}, expected one number a sample, "
                                 f"({len(labels[0])},): labels.squeeze(1).")
            inputs, targets = (a[:MOST_ALONE] for a in batches[0])
            alone = [(inputs[k:k + 1], targets[k:k + 1]) for k in range(len(targets))]
            whole, parts = (self._torch(name, some, self._own()[0])[f"{name}_loss"]
                            for some in ([(inputs, targets)], alone))
            if np.isfinite([whole, parts]).all() and abs(whole - parts) > MEANS * (abs(whole) + abs(parts)):
                raise ValueError(f"the criterion gives {whole:.6g} for {len(targets)} samples; alone they "
                                 f"have the mean {parts:.6g}: it is no mean over samples (a sum, class "
                                 "weights, labels left out, targets of another shape than the outputs?). "
                                 "Give data as a function of the model that returns the loss.")

    def fingerprint(self) -> str:
        """Digest of the samples, in whatever order they come; of data that are functions nothing is known."""
        total = 0
        for name, batches in sorted(self.sets.items()):
            for batch in [] if callable(batches) else batches:
                rows = [np.asarray(a) if not self.is_torch else _numbers(a) for a in batch]
                for row, target in zip(*rows):
                    told = hashlib.blake2b(name.encode() + row.tobytes() + target.tobytes(), digest_size=8)
                    total += int.from_bytes(told.digest(), "little")
        criterion = getattr(self.criterion, "__qualname__", "")
        if self.criterion is not None and not criterion:             # a module, a partial function, an object
            is_module = hasattr(self.criterion, "state_dict")
            criterion = repr(self.criterion) if is_module else content_of(self.criterion)[:16]
        return f"{total % 2**64:016x} {criterion}".strip()

    def _adapter(self, model):
        if self.is_torch:
            return torch_parameters(model, self.batchnorm)
        return sklearn_parameters(model)

    def _own(self):
        """The copy of the model that this thread works on, its layout, and what loads a vector into it."""
        if not hasattr(self.local, "copy"):
            model = copy.deepcopy(self.model)
            if self.is_torch:
                model.eval()
            self.local.copy = model, *self._adapter(model)[1:]
        return self.local.copy

    def __call__(self, vector: np.ndarray) -> dict[str, float]:
        model, _, load = self._own()
        load(vector)
        found = {}
        for name, batches in self.sets.items():
            if callable(batches):
                answer = batches(model)
                found |= dict(answer) if hasattr(answer, "items") else {f"{name}_loss": float(answer)}
            else:
                found |= self._torch(name, batches, model) if self.is_torch else self._sklearn(name, batches,
                                                                                               model)
        return found

    # ---- PyTorch ----

    def _torch(self, name, batches, model):
        torch = sys.modules["torch"]
        with torch.no_grad():
            return self._means(name, batches, model, lambda inputs: self._tensor(model(inputs))[None])[0]

    def _tensor(self, outputs):
        if not isinstance(outputs, sys.modules["torch"].Tensor):
            raise TypeError(f"the model returned {checks.shown(outputs)}, expected a tensor; give data as a "
                            "function of the model that returns the loss.")
        return outputs

    def _means(self, name, batches, model, outputs_of):
        """Mean loss and accuracy in per cent of each of several models over the batches; `outputs_of` leads
        from inputs to the outputs of all, (n_models, n, ...)."""
        torch = sys.modules["torch"]
        like = next(model.parameters())
        losses, right, n, is_label = 0.0, 0.0, 0, False
        for inputs, targets in batches:
            inputs, targets = torch.as_tensor(inputs), torch.as_tensor(targets).to(like.device)
            inputs = inputs.to(like.device, like.dtype) if inputs.is_floating_point() else inputs.to(
                like.device)
            outputs = outputs_of(inputs)
            if outputs.dtype in (torch.float16, torch.bfloat16):
                outputs = outputs.float()                    # the mean of many is not a half number
            is_label = not targets.is_floating_point() and outputs.ndim > 2
            criterion = self.criterion or (torch.nn.functional.cross_entropy if not
                                           targets.is_floating_point() else torch.nn.functional.mse_loss)
            if targets.is_floating_point():
                targets = targets.to(outputs.dtype)
            means = [criterion(out, targets) for out in outputs]
            if (size := int(np.prod(getattr(means[0], "shape", ())))) != 1:
                raise ValueError(f"the criterion returned {size} values for {len(targets)} samples, "
                                 "expected one, their mean (reduction='mean').")
            losses += len(targets) * np.array([float(mean) for mean in means])
            if is_label:
                right += np.array([float((out.argmax(1) == targets).float().mean()) for out in outputs]
                                  ) * len(targets)
            n += len(targets)
        return [{f"{name}_loss": loss / n} | ({f"{name}_acc": 100 * right[k] / n} if is_label else {})
                for k, loss in enumerate(losses)]

    def many(self, vectors: list[np.ndarray]) -> list[dict[str, float]]:
        """The same at several points by one pass of the data, through torch.func.vmap; one after the other
        where the model or a data function does not allow it."""
        torch = sys.modules.get("torch")
        if not self.is_torch or len(vectors) < 2 or any(callable(b) for b in self.sets.values()) or getattr(
                self.local, "is_single", False):
            return [self(v) for v in vectors]
        model, layout, _ = self._own()
        kept = dict(model.state_dict(keep_vars=True) if self.batchnorm == "interpolate"
                    else model.named_parameters())
        rows = [layout.tensors(v) for v in vectors]
        stacked = {name: torch.from_numpy(np.stack([row[k] for row in rows])).to(kept[name].device,
                                                                                 kept[name].dtype)
                   for k, name in enumerate(layout.names)}
        one = lambda tensors, inputs: torch.func.functional_call(model, tensors, (inputs,))
        every = torch.func.vmap(one, in_dims=(0, None))
        found = [{} for _ in vectors]
        try:
            with torch.no_grad():
                for name, batches in self.sets.items():
                    for kept_row, row in zip(found, self._means(name, batches, model,
                                                                lambda inputs: every(stacked, inputs))):
                        kept_row |= row
        except (RuntimeError, NotImplementedError):
            self.local.is_single = True                  # what vmap cannot do: control flow by data
            return [self(v) for v in vectors]
        return found

    # ---- slopes of single samples ----

    def check_slopes(self) -> None:
        """Whether `slopes` is known for this model and its data."""
        if callable(self.sets["train"]):
            raise ValueError("noise=True needs the samples, and data is a function; give (inputs, targets), "
                             "or noise=gradients.")
        if self.batchnorm == "interpolate":
            raise ValueError("noise=True wants batchnorm=\"fixed\": running statistics have no gradient.")
        if not self.is_torch and self.criterion is not None:
            raise ValueError("noise=True is for the default loss of an estimator; give noise=gradients.")

    def slopes(self, vector: np.ndarray, directions: np.ndarray) -> np.ndarray:
        """Derivatives (n, n_directions) of the loss of each training sample along directions (n_directions,
        n_params): by forward differentiation (torch.func.jvp), of scikit-learn by central differences."""
        if self.is_torch:
            return self._torch_slopes(vector, directions)
        model, _, load = self._own()
        (inputs, targets), = self.sets["train"]
        out = []
        for d in directions:
            h = SLOPE_STEP * max(1.0, float(np.linalg.norm(vector))) / float(np.linalg.norm(d))
            ends = []
            for sign in (1, -1):
                load(vector + sign * h * d)
                ends.append(self._sklearn_losses(inputs, targets, model))
            out.append((ends[0] - ends[1]) / (2 * h))
        load(vector)
        return np.stack(out, axis=1)

    def _torch_slopes(self, vector, directions):
        torch = sys.modules["torch"]
        model, layout, load = self._own()
        load(vector)
        here = {name: p.detach() for name, p in model.named_parameters()}
        rows = [{name: torch.from_numpy(np.asarray(t)).to(here[name].device, here[name].dtype)
                 for name, t in zip(layout.names, layout.tensors(d))} for d in directions]
        at = {name: here[name] for name in layout.names}
        parts = []
        for inputs, targets in self.sets["train"]:
            inputs, targets = torch.as_tensor(inputs), torch.as_tensor(targets)
            like = next(iter(here.values()))
            targets = targets.to(like.device)
            inputs = inputs.to(like.device, like.dtype) if inputs.is_floating_point() else inputs.to(
                like.device)
            losses = lambda tensors: self._torch_losses(
                torch.func.functional_call(model, tensors, (inputs,)), targets)
            with torch.no_grad():
                parts.append(np.stack([torch.func.jvp(losses, (at,), (row,))[1].double().cpu().numpy()
                                       for row in rows], axis=1))
        return np.concatenate(parts)

    def _torch_losses(self, outputs, targets):
        """Losses (n,) of single samples."""
        torch = sys.modules["torch"]
        if outputs.dtype in (torch.float16, torch.bfloat16):
            outputs = outputs.float()
        if targets.is_floating_point():
            targets = targets.to(outputs.dtype)
        if self.criterion is not None:
            one = lambda out, target: self.criterion(out[None], target[None])
            return torch.func.vmap(one)(outputs, targets)
        if targets.is_floating_point():
            losses = (outputs - targets) ** 2
        else:
            losses = torch.nn.functional.cross_entropy(outputs, targets, reduction="none")
        return losses.reshape(len(losses), -1).mean(1)

    # ---- scikit-learn ----

    def _sklearn_losses(self, inputs, targets, model):
        """Losses (n,) of single samples."""
        if hasattr(model, "predict_proba"):
            p = model.predict_proba(inputs)[np.arange(len(targets)), np.searchsorted(model.classes_, targets)]
            return -np.log(np.maximum(p, LEAST_PROBABILITY))
        wrong = (np.asarray(model.predict(inputs)) - targets) ** 2
        return wrong.reshape(len(wrong), -1).mean(1)

    def _sklearn(self, name, batches, model):
        (inputs, targets), = batches
        is_classifier = hasattr(model, "classes_")
        if self.criterion is not None:
            predictions = model.predict_proba(inputs) if hasattr(model, "predict_proba") else model.predict(
                inputs)
            loss = float(self.criterion(targets, predictions))
        elif hasattr(model, "predict_proba"):
            loss = float(self._sklearn_losses(inputs, targets, model).mean())
        elif is_classifier:
            raise TypeError(f"{type(model).__name__} gives no probabilities; give criterion(targets, "
                            "predictions).")
        else:
            loss = float(self._sklearn_losses(inputs, targets, model).mean())
        return {f"{name}_loss": loss} | ({f"{name}_acc": 100 * float(model.score(inputs, targets))}
                                         if is_classifier else {})
