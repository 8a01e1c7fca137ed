"""The training step of the pre-training: one interface, for JAX and for every other backend.

A learner holds a pool of images. `put` replaces some of them, `step` trains on some of them, each
changed at random (`tools.augment_ops`), and `average` is what the training is for: the weights as
they were on average over the last steps (Polyak and Juditsky, 1992), batch normalisation's among
them, which read better than the last ones.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Protocol

import keras
import numpy as np
from numpy.typing import NDArray

from tools.augment_ops import augment

AVERAGE = 0.999  # share of the old average that a step keeps
WEIGHT_DECAY = 0.03
CLIPNORM = 1.0

Arrays = list[NDArray[Any]]


class Learner(Protocol):
    """What the loop of `tools.pretrain` needs."""

    def put(self, place: int, images: NDArray[np.uint8], labels: NDArray[np.int32]) -> None:
        """Put images into the pool, from `place` on."""

    def step(self, rows: NDArray[np.int32], rate: float, number: int) -> float:
        """Train on these rows of the pool; return the loss, or that of a step shortly before."""

    def average(self) -> Arrays:
        """Return the averaged weights in the order of ``model.get_weights()``."""

    def logits(self, weights: Arrays, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Read images with such weights."""


def make_learner(
    model: keras.Model, *, pool: int, length: int, seed: int, strength: float
) -> Learner:
    """Choose the learner for Keras' backend.

    Args:
        model: A model in colour that ends in CTC logits.
        pool: Images that are kept.
        length: Characters of the longest label.
        seed: Seed of the augmentation.
        strength: Strength of the augmentation.

    Returns:
        The learner.
    """
    kind = JaxLearner if keras.backend.backend() == "jax" else KerasLearner
    return kind(model, pool, length, seed, strength)


def _optimizer() -> keras.optimizers.Optimizer:
    optimizer = keras.optimizers.AdamW(
        1e-3, weight_decay=WEIGHT_DECAY, beta_2=0.98, global_clipnorm=CLIPNORM
    )
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer


def _kept(number: int) -> float:
    """Share of the old average to keep: less at first, or it would long remember the beginning."""
    return min(AVERAGE, (1 + number) / (10 + number))


def _seed_state(seed: int, number: int) -> NDArray[np.uint32]:
    """What a `keras.random.SeedGenerator` is set to before step `number`."""
    state = int(np.random.SeedSequence([seed, number]).generate_state(1)[0]) & 0x7FFFFFFF
    return np.array([state, 0], np.uint32)


class KerasLearner:
    """The pool in memory, and ``train_on_batch``."""

    def __init__(
        self, model: keras.Model, pool: int, length: int, seed: int, strength: float
    ) -> None:
        _, *size = model.input_shape
        self.model, self.seed, self.strength = model, seed, strength
        self.images = np.zeros((pool, *size), np.uint8)
        self.labels = np.zeros((pool, length), np.int32)
        self.generator = keras.random.SeedGenerator(0)
        model.compile(optimizer=_optimizer(), loss=keras.losses.CTC(), jit_compile=False)
        self._average = model.get_weights()

    def put(self, place: int, images: NDArray[np.uint8], labels: NDArray[np.int32]) -> None:
        """Put images into the pool."""
        self.images[place : place + len(images)] = images
        self.labels[place : place + len(images)] = labels

    def step(self, rows: NDArray[np.int32], rate: float, number: int) -> float:
        """Train on some rows of the pool."""
        self.generator.state.assign(_seed_state(self.seed, number))
        images = augment(self.images[rows], self.generator, strength=self.strength)
        self.model.optimizer.learning_rate = rate
        loss = self.model.train_on_batch(images, self.labels[rows])
        kept = _kept(number)
        for old, new in zip(self._average, self.model.get_weights(), strict=True):
            old[...] += (1 - kept) * (new - old)
        return float(loss)

    def average(self) -> Arrays:
        """Return the averaged weights."""
        return [value.copy() for value in self._average]

    def logits(self, weights: Arrays, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Read images with other weights than those in training."""
        current = self.model.get_weights()
        self.model.set_weights(weights)
        logits: NDArray[np.float32] = self.model.predict(images, batch_size=128, verbose=0)
        self.model.set_weights(current)
        return logits


class JaxLearner:
    """The pool on the device, and one compiled step: look up, change, train, average."""

    def __init__(
        self, model: keras.Model, pool: int, length: int, seed: int, strength: float
    ) -> None:
        import jax
        import jax.numpy as jnp

        _, *self.size = model.input_shape
        self.seed, self._losses = seed, deque[Any]()
        self._array = jnp.array  # a copy: it must not share memory with what it came from
        # Four bytes to a number: with fewer than 2**31 numbers, indices need not be 64 bits wide.
        self.images = jnp.zeros((pool, int(np.prod(self.size)) // 4), "uint32")
        self.labels = jnp.zeros((pool, length), "int32")
        optimizer = _optimizer()
        optimizer.build(model.trainable_variables)
        trainable = [jnp.array(variable.value) for variable in model.trainable_variables]
        fixed = [jnp.array(variable.value) for variable in model.non_trainable_variables]
        moments = [jnp.array(variable.value) for variable in optimizer.variables]
        self.state = trainable, fixed, moments, *map(_copies, (trainable, fixed))
        self._step = jax.jit(_jax_step(model, optimizer, self.size, strength), donate_argnums=0)
        self._put = jax.jit(jax.lax.dynamic_update_slice_in_dim, static_argnums=3, donate_argnums=0)
        self._logits = jax.jit(
            lambda *weights_and_images: model.stateless_call(*weights_and_images, training=False)[0]
        )
        # get_weights() goes layer by layer; the lists here have what is trained first.
        variables = [*model.trainable_variables, *model.non_trainable_variables]
        place = {id(variable): number for number, variable in enumerate(variables)}
        self._order = [place[id(variable)] for variable in model.weights]

    def put(self, place: int, images: NDArray[np.uint8], labels: NDArray[np.int32]) -> None:
        """Put images into the pool."""
        packed = np.ascontiguousarray(images).reshape(len(images), -1).view(np.uint32)
        self.images = self._put(self.images, self._array(packed), place, 0)
        self.labels = self._put(self.labels, self._array(labels), place, 0)

    def step(self, rows: NDArray[np.int32], rate: float, number: int) -> float:
        """Train on some rows of the pool; the loss returned is that of the step before last."""
        state, loss = self._step(
            self.state,
            (self.images, self.labels, rows, _seed_state(self.seed, number)),
            np.float32(rate),
            np.float32(_kept(number)),
        )
        self.state = state
        self._losses.append(loss)  # to wait for it would leave the device idle
        return float(self._losses.popleft() if len(self._losses) > 2 else self._losses[0])

    def average(self) -> Arrays:
        """Return the averaged weights."""
        values = [np.asarray(value) for value in (*self.state[3], *self.state[4])]
        return [values[number] for number in self._order]

    def logits(self, weights: Arrays, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Read images with such weights, always 256 at a time."""
        values = [weights[number] for number in np.argsort(self._order)]
        trained = len(self.state[0])
        logits = []
        for start in range(0, len(images), 256):
            batch = images[start : start + 256]
            padded = np.zeros((256, *self.size), np.uint8)
            padded[: len(batch)] = batch
            found = self._logits(values[:trained], values[trained:], padded)
            logits.append(np.asarray(found)[: len(batch)])
        return np.concatenate(logits)


def _copies(arrays: list[Any]) -> list[Any]:
    """Copy arrays, so that each can be given away to the compiled step once."""
    return [array + 0 for array in arrays]


def _jax_step(
    model: keras.Model, optimizer: keras.optimizers.Optimizer, size: list[int], strength: float
) -> Any:
    """Write the training step as a function of everything that it changes."""
    import jax

    loss_of = keras.losses.CTC()
    generator = keras.random.SeedGenerator(0)
    rate_at = [variable.path for variable in optimizer.variables].index(
        next(v.path for v in optimizer.variables if v.path.endswith("learning_rate"))
    )

    def loss_and_fixed(trainable: Any, fixed: Any, images: Any, labels: Any) -> Any:
        logits, fixed = model.stateless_call(trainable, fixed, images, training=True)
        return loss_of(labels, logits), fixed

    def step(state: Any, batch: Any, rate: Any, kept: Any) -> Any:
        trainable, fixed, moments, *average = state
        pool, labels, rows, seed = batch
        images = jax.lax.bitcast_convert_type(pool[rows], "uint8").reshape(len(rows), *size)
        with keras.StatelessScope([(generator.state, seed)]):
            images = augment(images, generator, strength=strength)
        moments = [*moments[:rate_at], rate, *moments[rate_at + 1 :]]
        gradient = jax.value_and_grad(loss_and_fixed, has_aux=True)
        (loss, fixed), changes = gradient(trainable, fixed, images, labels[rows])
        trainable, moments = optimizer.stateless_apply(moments, changes, trainable)
        average = [
            [kept * old + (1 - kept) * new for old, new in zip(olds, news, strict=True)]
            for olds, news in zip(average, (trainable, fixed), strict=True)
        ]
        return (trainable, fixed, moments, *average), loss

    return step
