"""The training step of the pre-training: one interface, for JAX and for every other backend.

A learner holds a pool of images. `put` replaces some of them, `step` trains on some of them, each
changed at random (`tools.augment_ops`), and `average` is what the training is for: the weights as
they were on average over the last steps (Polyak and Juditsky, 1992), batch normalisation's among
them, which read better than the last ones.

On JAX the learners of several devices and processes are one: each device has a part of the pool and
of the batch, gradients are averaged over all devices, and so all have the same weights at any time.
It is what Keras offers for a training step of one's own: `stateless_call` and `stateless_apply`
inside of `jax.shard_map`. `keras.distribution` divides the batches of `fit`, which knows no pool.
"""

from __future__ import annotations

from collections import deque
from typing import Any, NamedTuple, Protocol

import keras
import numpy as np
from numpy.typing import NDArray

from tools.augment_ops import augment

AVERAGE = 0.999  # share of the old average that a step keeps
WEIGHT_DECAY = 0.03
CLIPNORM = 1.0
DEVICES = "devices"  # of all processes, as the axis over which the step averages

Arrays = list[NDArray[Any]]


class Vote(NamedTuple):
    """What each process says at a step. All go by the mean, since they must do the same.

    Attributes:
        rate: Learning rate by its clock.
        ending: 1 if it wants to end, else 0.
        chunks: That it has put into its pool.
    """

    rate: float
    ending: float
    chunks: float


class Learner(Protocol):
    """What the loop of `tools.pretrain` needs."""

    parts: int  # devices of this process: what is put and stepped on must be multiples of it

    def put(self, place: int, images: NDArray[np.uint8], labels: NDArray[np.int32]) -> None:
        """Put images into the pool, from `place` on."""

    def step(self, rows: NDArray[np.int32], vote: Vote, number: int) -> tuple[float, Vote]:
        """Train on these rows of the pool.

        Returns:
            The loss and the mean vote of all processes, of this step or of one shortly before.
        """

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
        pool: Images that this process keeps.
        length: Characters of the longest label.
        seed: Seed of the augmentation.
        strength: Strength of the augmentation.

    Returns:
        The learner.
    """
    kind = JaxLearner if keras.backend.backend() == "jax" else KerasLearner
    return kind(model, pool, length, seed, strength)


def make_optimizer() -> keras.optimizers.Optimizer:
    """AdamW with the numbers of the pre-training; the rate is set at each step."""
    optimizer = keras.optimizers.AdamW(
        1e-3, weight_decay=WEIGHT_DECAY, beta_2=0.98, global_clipnorm=CLIPNORM
    )
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer


def _kept(number: int) -> float:
    """Share of the old average to keep: less at first, or it would long remember the beginning."""
    return min(AVERAGE, (1 + number) / (10 + number))


def _seed_state(seed: int, number: int, device: int = 0) -> NDArray[np.uint32]:
    """What a `keras.random.SeedGenerator` of a device is set to before step `number`."""
    state = int(np.random.SeedSequence([seed, number, device]).generate_state(1)[0]) & 0x7FFFFFFF
    return np.array([state, 0], np.uint32)


class KerasLearner:
    """The pool in memory, and ``train_on_batch``."""

    parts = 1

    def __init__(
        self, model: keras.Model, pool: int, length: int, seed: int, strength: float
    ) -> None:
        _, *size = model.input_shape
        self.model, self.seed, self.strength = model, seed, strength
        self.images = np.zeros((pool, *size), np.uint8)
        self.labels = np.zeros((pool, length), np.int32)
        self.generator = keras.random.SeedGenerator(0)
        model.compile(optimizer=make_optimizer(), loss=keras.losses.CTC(), jit_compile=False)
        self._average = model.get_weights()

    def put(self, place: int, images: NDArray[np.uint8], labels: NDArray[np.int32]) -> None:
        """Put images into the pool."""
        self.images[place : place + len(images)] = images
        self.labels[place : place + len(images)] = labels

    def step(self, rows: NDArray[np.int32], vote: Vote, number: int) -> tuple[float, Vote]:
        """Train on some rows of the pool."""
        self.generator.state.assign(_seed_state(self.seed, number))
        images = augment(self.images[rows], self.generator, strength=self.strength)
        self.model.optimizer.learning_rate = vote.rate
        loss = self.model.train_on_batch(images, self.labels[rows])
        kept = _kept(number)
        for old, new in zip(self._average, self.model.get_weights(), strict=True):
            old[...] += (1 - kept) * (new - old)
        return float(loss), vote

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
    """Pools on all devices, and one compiled step: look up, change, train, average.

    Batch normalisation goes by the images of each device; its moving averages are averaged.
    """

    def __init__(
        self, model: keras.Model, pool: int, length: int, seed: int, strength: float
    ) -> None:
        import jax
        import jax.numpy as jnp
        from jax.experimental.multihost_utils import broadcast_one_to_all

        _, *self.size = model.input_shape
        self.seed, self._losses = seed, deque[Any]()
        self.devices, self._places = jax.local_devices(), _Places()
        self.parts = len(self.devices)
        rows = pool // self.parts
        # Four bytes to a number: with fewer than 2**31 numbers, indices need not be 64 bits wide.
        pixels = int(np.prod(self.size)) // 4
        self.images = [jnp.zeros((rows, pixels), "uint32", device=one) for one in self.devices]
        self.labels = [jnp.zeros((rows, length), "int32", device=one) for one in self.devices]
        optimizer = make_optimizer()
        optimizer.build(model.trainable_variables)
        trainable, fixed = model.trainable_variables, model.non_trainable_variables
        state = trainable, fixed, optimizer.variables, trainable, fixed
        state = broadcast_one_to_all(tuple([np.array(one.value) for one in part] for part in state))
        self.state = tuple([self._places.everywhere(one) for one in part] for part in state)
        self._step = jax.jit(
            self._places.on_each_device(_jax_step(model, optimizer, self.size, strength)),
            donate_argnums=0,
        )
        self._put = jax.jit(jax.lax.dynamic_update_slice_in_dim, static_argnums=3, donate_argnums=0)
        self._logits = jax.jit(
            lambda *weights_and_images: model.stateless_call(*weights_and_images, training=False)[0]
        )
        # get_weights() goes layer by layer; the lists here have what is trained first.
        place = {id(variable): number for number, variable in enumerate([*trainable, *fixed])}
        self._order = [place[id(variable)] for variable in model.weights]

    def put(self, place: int, images: NDArray[np.uint8], labels: NDArray[np.int32]) -> None:
        """Put images into the pool, as many on each device."""
        import jax.numpy as jnp

        packed = np.ascontiguousarray(images).reshape(len(images), -1).view(np.uint32)
        for number, device in enumerate(self.devices):
            for pool, new in ((self.images, packed), (self.labels, labels)):
                # A copy: it must not share memory with what it came from.
                part = jnp.array(np.split(new, self.parts)[number], device=device)
                pool[number] = self._put(pool[number], part, place // self.parts, 0)

    def step(self, rows: NDArray[np.int32], vote: Vote, number: int) -> tuple[float, Vote]:
        """Train on some rows of the pool; what is returned is of the step before last."""
        together = self._places.together
        rows = rows.reshape(self.parts, -1) // self.parts
        seeds = [_seed_state(self.seed, number, one.id) for one in self.devices]
        batch = (
            together(self.images),
            together(self.labels),
            together([row[None] for row in rows]),
            together([seed[None] for seed in seeds]),
            together([np.array([vote], np.float32)] * self.parts),
        )
        self.state, said = self._step(self.state, batch, np.float32(_kept(number)))
        self._losses.append(said)  # to wait for it would leave the device idle
        loss, mean = self._losses.popleft() if len(self._losses) > 2 else self._losses[0]
        return float(loss), Vote(*np.asarray(mean).tolist())

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


class _Places:
    """Where arrays lie: the same on every device of every process, or a part on each."""

    def __init__(self) -> None:
        import jax
        from jax.sharding import Mesh, NamedSharding, PartitionSpec

        self.mesh = Mesh(np.array(jax.devices()), (DEVICES,))
        self.same, self.part = PartitionSpec(), PartitionSpec(DEVICES)
        self._same, self._part = (NamedSharding(self.mesh, one) for one in (self.same, self.part))

    def everywhere(self, value: Any) -> Any:
        """Copy an array to every device."""
        import jax

        return jax.make_array_from_process_local_data(self._same, np.array(value))

    def together(self, parts: list[Any]) -> Any:
        """See the parts that all devices have, here those of this process, as one array."""
        import jax

        rows, *others = parts[0].shape
        local = list(map(jax.device_put, parts, jax.local_devices()))
        size = (rows * self.mesh.size, *others)
        return jax.make_array_from_single_device_arrays(size, self._part, local)

    def on_each_device(self, step: Any) -> Any:
        """Let every device compute a step of `_jax_step`, on its part of the batch."""
        import jax

        # check_vma would have JAX add up the gradients by itself, before they are averaged.
        return jax.shard_map(
            step,
            mesh=self.mesh,
            in_specs=(self.same, self.part, self.same),
            out_specs=self.same,
            check_vma=False,
        )


def _jax_step(
    model: keras.Model, optimizer: keras.optimizers.Optimizer, size: list[int], strength: float
) -> Any:
    """Write the training step as a function of everything that it changes."""
    import jax
    from jax.flatten_util import ravel_pytree

    loss_of = keras.losses.CTC()
    generator = keras.random.SeedGenerator(0)
    rate_at = [variable.path for variable in optimizer.variables].index(
        next(v.path for v in optimizer.variables if v.path.endswith("learning_rate"))
    )

    def loss_and_fixed(trainable: Any, fixed: Any, images: Any, labels: Any) -> Any:
        logits, fixed = model.stateless_call(trainable, fixed, images, training=True)
        return loss_of(labels, logits), fixed

    def step(state: Any, batch: Any, kept: Any) -> Any:
        trainable, fixed, moments, *average = state
        pool, labels, (rows,), (seed,), (vote,) = batch
        images = jax.lax.bitcast_convert_type(pool[rows], "uint8").reshape(len(rows), *size)
        with keras.StatelessScope([(generator.state, seed)]):
            images = augment(images, generator, strength=strength)
        gradient = jax.value_and_grad(loss_and_fixed, has_aux=True)
        (loss, fixed), changes = gradient(trainable, fixed, images, labels[rows])
        together, apart = ravel_pytree((changes, fixed, loss, vote))
        changes, fixed, loss, vote = apart(jax.lax.pmean(together, DEVICES))
        rate = vote[Vote._fields.index("rate")]
        moments = [*moments[:rate_at], rate, *moments[rate_at + 1 :]]
        trainable, moments = optimizer.stateless_apply(moments, changes, trainable)
        average = [
            [kept * old + (1 - kept) * new for old, new in zip(olds, news, strict=True)]
            for olds, news in zip(average, (trainable, fixed), strict=True)
        ]
        return (trainable, fixed, moments, *average), (loss, vote)

    return step
