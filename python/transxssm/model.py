"""Models, caches and training over NumPy arrays."""

import json
import os
from typing import NamedTuple

import numpy as np

from . import _runtime


def _as_array(values, name):
    """NumPy array of anything array-like, through DLPack where that avoids a copy."""
    if not isinstance(values, np.ndarray) and hasattr(values, "__dlpack__"):
        return np.from_dlpack(values)
    try:
        return np.asarray(values)
    except ValueError as error:
        raise ValueError(f"{name}: expected an array of integers: {error}") from None


class _Checker:
    """Checks the arguments of calls against a package and converts them."""

    def __init__(self, package):
        self.package = package

    def tokens(self, values, name="ids", ignore=None, shape=None):
        """C-contiguous int32 [B, T]; every value a token, or `ignore`."""
        array = _as_array(values, name)
        if array.dtype.kind not in "iu":
            raise ValueError(f"{name}: expected integers, got {array.dtype}")
        if array.ndim != 2 or 0 in array.shape:
            raise ValueError(f"{name}: expected shape [batch, tokens], got {list(array.shape)}")
        if shape is not None and array.shape != shape:
            raise ValueError(f"{name}: expected shape {list(shape)}, got {list(array.shape)}")
        self.sizes(*array.shape, name)
        wrong = (array < 0) | (array >= self.package.vocab_size)
        if ignore is not None:
            wrong &= array != ignore
        if wrong.any():
            row, column = np.argwhere(wrong)[0]
            also = "" if ignore is None else f"{ignore} or "
            raise ValueError(
                f"{name}[{row}, {column}]: expected {also}a token in "
                f"[0, {self.package.vocab_size}), got {array[row, column]}"
            )
        return np.ascontiguousarray(array, dtype=np.int32)

    def labels(self, values, shape):
        """C-contiguous int32: tokens [B, T], or classes [B] of a sequence classifier."""
        classes = self.package.num_labels
        if not classes:
            return self.tokens(values, "labels", ignore=-100, shape=shape)
        array = _as_array(values, "labels")
        if array.dtype.kind not in "iu" or array.shape != shape[:1]:
            raise ValueError(
                f"labels: expected integers of shape {list(shape[:1])}, got {array.dtype} of "
                f"shape {list(array.shape)}"
            )
        wrong = ((array < 0) | (array >= classes)) & (array != -100)
        if wrong.any():
            row = int(np.argmax(wrong))
            raise ValueError(
                f"labels[{row}]: expected -100 or a class in [0, {classes}), got {array[row]}"
            )
        return np.ascontiguousarray(array, dtype=np.int32)

    def sizes(self, batch, tokens, name):
        package = self.package
        if batch > package.max_batch:
            raise ValueError(
                f"{name}: batch {batch} exceeds the package's maximum {package.max_batch}; "
                f"compile with max_batch={batch}"
            )
        if tokens > package.max_seq_len:
            raise ValueError(
                f"{name}: {tokens} tokens exceed the package's maximum {package.max_seq_len}; "
                f"compile with max_seq_len={tokens}"
            )

    def mask(self, values, shape):
        """C-contiguous float32 of 0 and 1, or None."""
        if values is None:
            return None
        array = _as_array(values, "attention_mask")
        if array.shape != shape:
            raise ValueError(
                f"attention_mask: expected shape {list(shape)}, got {list(array.shape)}"
            )
        wrong = (array != 0) & (array != 1)
        if wrong.any():
            row, column = np.argwhere(wrong)[0]
            raise ValueError(
                f"attention_mask[{row}, {column}]: expected 0 or 1, got {array[row, column]}"
            )
        return np.ascontiguousarray(array, dtype=np.float32)


class Cache:
    """What a sequence of calls remembers; made by Model.new_cache."""

    def __init__(self, handle):
        self._handle = handle

    @property
    def batch(self):
        """Number of sequences."""
        return self._handle.batch

    @property
    def capacity(self):
        """How many tokens fit."""
        return self._handle.capacity

    @property
    def length(self):
        """Tokens seen so far, the same for every sequence."""
        return self._handle.length

    def clone(self):
        """An independent copy."""
        return Cache(self._handle.clone())

    def reset(self):
        """Forgets everything."""
        self._handle.reset()

    def state_names(self):
        """Names of the states, as the package has them."""
        return self._handle.state_names()

    def state(self, name):
        """Copy of a state by its name ("key_cache.7", ...), float32."""
        out = np.empty(self._handle.state_shape(name), np.float32)
        self._handle.copy_state(name, out)
        return out

    def ssd_state(self, layer):
        """Copy of the scan state of SSD layer `layer`: float32 [B, H, P, N].

        Raises ValueError where that layer is an attention layer or does not exist.
        """
        name = f"ssd_state.{int(layer)}"
        if name not in self.state_names():
            raise ValueError(f"layer {layer} has no scan state, expected an SSD layer")
        return self.state(name)


class Model:
    """A package bound to weights and a device; made by load().

    Token ids are integer arrays [B, T] of any integer type; anything with __dlpack__ on the
    CPU works as well. An attention_mask is [B, T] of 0 and 1, where 0 marks padding.
    Calls release the interpreter lock; calls on one model wait for each other.
    """

    def __init__(self, package, handle):
        self.package = package
        self.config = json.loads(package.config_text)
        self._handle = handle
        self._check = _Checker(package)

    def _needs(self, entry):
        if entry not in self.package.entries:
            has = ", ".join(self.package.entries) or "none"
            wanted = {"gradients": "train", "prefill": "decode"}.get(entry, entry)
            raise RuntimeError(
                f"{self.package.path}: package has no entry '{entry}'; it has: {has}; compile "
                f"with entries=('{wanted}',)"
            )

    def forward(self, ids, attention_mask=None):
        """Logits of every position: float32 [B, T, V]. Positions with mask 0 mean nothing.

        A sequence classifier gives float32 [B, num_labels].
        """
        self._needs("forward")
        ids = self._check.tokens(ids)
        mask = self._check.mask(attention_mask, ids.shape)
        classes = self.package.num_labels
        shape = (ids.shape[0], classes) if classes else (*ids.shape, self.package.vocab_size)
        logits = np.empty(shape, np.float32)
        self._handle.forward(ids, mask, logits)
        return logits

    def gradients(self, ids, labels, attention_mask=None):
        """Loss and gradients: (float, {parameter name: float32 array}).

        labels [B, T]: label t is the target of position t - 1 (pass ids to predict the next
        token); -100 is ignored. The loss is the mean over the others. A sequence classifier
        takes labels [B], one class for each sequence.
        """
        self._needs("gradients")
        ids = self._check.tokens(ids)
        labels = self._check.labels(labels, ids.shape)
        mask = self._check.mask(attention_mask, ids.shape)
        loss = self._handle.gradients(ids, labels, mask)
        return loss, {name: self._copy(name, "gradient") for name in self.parameter_names()}

    def new_cache(self, batch, capacity=None):
        """An empty Cache for `batch` sequences of up to `capacity` tokens (default: the
        package's longest)."""
        if batch < 1:
            raise ValueError(f"batch: expected at least 1, got {batch}")
        if capacity is not None and capacity < 1:
            raise ValueError(f"capacity: expected at least 1, got {capacity}")
        self._check.sizes(batch, capacity or 1, "cache")
        return Cache(self._handle.new_cache(int(batch), int(capacity or 0)))

    def _fits(self, cache, ids):
        if cache.batch != ids.shape[0]:
            raise ValueError(f"ids: expected batch {cache.batch} as in the cache, got {len(ids)}")
        if cache.length + ids.shape[1] > cache.capacity:
            raise ValueError(
                f"ids: {ids.shape[1]} tokens after {cache.length} exceed the cache's capacity "
                f"{cache.capacity}"
            )

    def prefill(self, ids, cache, attention_mask=None):
        """Appends T tokens to an empty or used cache; logits of the last: float32 [B, V]."""
        if "prefill" not in self.package.entries:
            self._needs("decode")
        ids = self._check.tokens(ids)
        mask = self._check.mask(attention_mask, ids.shape)
        self._fits(cache, ids)
        logits = np.empty((ids.shape[0], self.package.vocab_size), np.float32)
        self._handle.prefill(ids, mask, cache._handle, logits)
        return logits

    def decode(self, ids, cache):
        """Appends t >= 1 tokens to the cache; logits of each: float32 [B, t, V]."""
        self._needs("decode")
        ids = self._check.tokens(ids)
        self._fits(cache, ids)
        logits = np.empty((*ids.shape, self.package.vocab_size), np.float32)
        self._handle.decode(ids, cache._handle, logits)
        return logits

    def generate(
        self,
        ids,
        max_new_tokens,
        attention_mask=None,
        temperature=0.0,
        top_k=0,
        top_p=1.0,
        seed=0,
        on_tokens=None,
    ):
        """Continues each row of ids: int32 [B, max_new_tokens].

        temperature 0 takes the most likely token. A row's tokens depend on its ids, its
        number and the seed alone. Pad shorter prompts on the left and pass the mask.
        on_tokens, if given, is called after each step with a tuple of one new token for each
        row; when it returns False, the generation ends there, with as many columns.
        """
        self._needs("prefill")
        ids = self._check.tokens(ids)
        mask = self._check.mask(attention_mask, ids.shape)
        if max_new_tokens < 1:
            raise ValueError(f"max_new_tokens: expected at least 1, got {max_new_tokens}")
        needed = ids.shape[1] + max_new_tokens - 1
        if needed > self.package.max_seq_len:
            raise ValueError(
                f"{ids.shape[1]} tokens and {max_new_tokens} new ones need a cache for {needed}, "
                f"the package's maximum is {self.package.max_seq_len}; compile with "
                f"max_seq_len={needed}"
            )
        if seed < 0 or top_k < 0:
            raise ValueError(f"expected seed and top_k of at least 0, got {seed} and {top_k}")
        options = _runtime.SamplingOptions(float(temperature), int(top_k), float(top_p), int(seed))
        tokens = np.empty((ids.shape[0], int(max_new_tokens)), np.int32)
        steps = self._handle.generate(ids, mask, options, tokens, on_tokens)
        return np.ascontiguousarray(tokens[:, :steps])

    def parameter_names(self):
        """Names as in the checkpoint, in model order."""
        return self._handle.parameter_names()

    def _copy(self, name, what):
        out = np.empty(self._handle.parameter_shape(name), np.float32)
        getattr(self._handle, f"copy_{what}")(name, out)
        return out

    def parameter(self, name):
        """The parameter itself, float32, without a copy: what is written there takes effect.
        The array supports DLPack. A bfloat16 parameter raises ValueError: see state_dict.
        On a GPU it is a copy that cannot be written to: see load_state_dict."""
        return np.asarray(self._handle.share_parameter(name))

    def gradient(self, name):
        """Its gradient from the last call, without a copy; overwritten by the next call.
        On a GPU it is a copy."""
        return np.asarray(self._handle.share_gradient(name))

    def state_dict(self):
        """Copies of all parameters: {name: float32 array}."""
        return {name: self._copy(name, "parameter") for name in self.parameter_names()}

    def load_state_dict(self, state):
        """Overwrites the parameters that `state` names; shapes must agree."""
        for name, values in state.items():
            array = np.ascontiguousarray(_as_array(values, name), dtype=np.float32)
            shape = tuple(self._handle.parameter_shape(name))
            if array.shape != shape:
                raise ValueError(f"{name}: expected shape {list(shape)}, got {list(array.shape)}")
            self._handle.set_parameter(name, array)

    def save_pretrained(self, directory):
        """Writes config.json and model.safetensors."""
        self._handle.save(os.fspath(directory))


class StepResult(NamedTuple):
    """What a training step reports."""

    loss: float
    grad_norm: float  # before clipping
    step: int  # counts from one


class Trainer:
    """AdamW with decoupled weight decay (on tensors of rank two and more) and clipping of the
    global gradient norm, on the parameters of a model, in place. `lr` may be assigned between
    steps. With `keep_decay_negative`, each step ends with setting decays A of the SSD layers that
    are above -1e-4 to -1e-4: exp(A * sum of dt) stays below one, so states never grow with the
    sequence."""

    def __init__(
        self,
        model,
        lr=1e-3,
        betas=(0.9, 0.95),
        eps=1e-8,
        weight_decay=0.1,
        max_grad_norm=1.0,
        keep_decay_negative=False,
    ):
        model._needs("train")
        beta1, beta2 = betas
        for name, value in (("betas[0]", beta1), ("betas[1]", beta2)):
            if not 0 <= value < 1:
                raise ValueError(f"{name}: expected at least 0 and below 1, got {value}")
        for name, value in (("eps", eps), ("max_grad_norm", max_grad_norm)):
            if not value > 0:
                raise ValueError(f"{name}: expected a positive number, got {value}")
        for name, value in (("lr", lr), ("weight_decay", weight_decay)):
            if not value >= 0:
                raise ValueError(f"{name}: expected at least 0, got {value}")
        self.model = model
        self.lr = lr
        self.betas = (beta1, beta2)
        self.eps = eps
        self.weight_decay = weight_decay
        self.max_grad_norm = max_grad_norm
        self.keep_decay_negative = bool(keep_decay_negative)

    def step(self, ids, labels, attention_mask=None):
        """One update from ids and labels [B, T] (as in Model.gradients) -> StepResult."""
        model = self.model
        ids = model._check.tokens(ids)
        labels = model._check.labels(labels, ids.shape)
        mask = model._check.mask(attention_mask, ids.shape)
        settings = _runtime.Hyperparameters(
            self.lr,
            *self.betas,
            self.eps,
            self.weight_decay,
            self.max_grad_norm,
            self.keep_decay_negative,
        )
        return StepResult(*model._handle.train_step(ids, labels, mask, settings))

    def save(self, path):
        """Writes both moments and the number of steps as safetensors."""
        self.model._handle.save_optimizer(os.fspath(path))

    def load(self, path):
        """Reads what save() wrote: training goes on bit for bit."""
        self.model._handle.load_optimizer(os.fspath(path))


def load(package, weights=None, device="cpu", seed=0, threads=0):
    """Binds a package to weights -> Model.

    package   Package or path
    weights   directory, .safetensors file or index of shards; None draws random ones
    device    "cpu"; "cuda" or "cuda:1", an NVIDIA GPU; "sim", the simulator of one
    seed      for random weights and dropout
    threads   0 takes TRANSXSSM_NUM_THREADS, or all processors

    Raises ValueError naming the file and the tensor when something does not fit.
    """
    if not isinstance(package, _runtime.Package):
        package = _runtime.Package(os.fspath(package))
    if not 0 <= seed < 2**64:
        raise ValueError(f"seed: expected at least 0 and below 2**64, got {seed}")
    if not 0 <= threads <= 4096:
        raise ValueError(f"threads: expected 0 to 4096, got {threads}")
    text = "" if weights is None else os.fspath(weights)
    if weights is not None and not text:
        raise ValueError("weights: expected a path, or None for random ones, got an empty path")
    return Model(package, _runtime.Model(package, text, device, int(seed), int(threads)))
