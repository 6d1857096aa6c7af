"""Where the next visit goes: which store, category or kind, by a network that reads the sequence."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Collection, Sequence
from typing import Any, ClassVar, Final, NamedTuple, Self, TypeAlias

import numpy as np
import numpy.typing as npt
import polars as pl

from foretell.core import FloatArray, IntArray
from foretell.core.constraints import Constraint, Instance, Maybe, Whole
from foretell.core.estimator import Estimator
from foretell.core.progress import Watch, watch_training
from foretell.data.log import EventLog, training_log
from foretell.data.tables import asked_customers
from foretell.errors import DataError, EmptyLogError
from foretell.nn.arrays import to_device
from foretell.nn.backend import Array, Model, Variable, jax, jnp, keras, side_by_side
from foretell.nn.samplers import Bucket, RunSampler, bucket_lengths, bucketed, cut_runs, filled
from foretell.nn.settings import EVENTS, TrainConfig
from foretell.nn.training import Progress, Trainer, reporter
from foretell.spend.amounts import discounted

__all__ = ["NextGroup"]

Float32Array: TypeAlias = npt.NDArray[np.float32]

_MOST: Final = 100  # groups with a chance of their own; the rarer ones share what is left
_LONGEST: Final = 128  # visits that are read at once
_DEFAULTS: Final = dataclasses.replace(
    EVENTS, training=dataclasses.replace(EVENTS.training, learning_rate=3e-3, patience=4)
)
_STEPS: Final = 32  # of an epoch at the least
_FORGETS: Final = 10.0  # visits, after which one counts for 1 / e in a customer's own shares


class Visits(NamedTuple):
    """What the network reads of each visit, and which group the customer's next one has."""

    features: Array  # (n_events, n_features)
    following: Array  # (n_events,), -1 of the last one


class _Learner:
    """The network and its loss, as the compiled loop takes them."""

    def __init__(self, n_groups: int, units: int, seed: int) -> None:
        self.shape = (n_groups, units)
        self.model = _built(n_groups, units, seed)
        self.fixed = [variable.value for variable in self.model.non_trainable_variables]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Learner) and self.shape == other.shape

    def __hash__(self) -> int:
        return hash((type(self), self.shape))

    @property
    def variables(self) -> list[Variable]:
        """Trainable variables."""
        return self.model.trainable_variables

    def loss(
        self, weights: Any, data: Visits, runs: Sequence[Bucket], lengths: tuple[int, ...], noise: Any
    ) -> Array:
        """Return the summed loss of runs: minus the log of the chance of what followed."""
        del noise
        total: Array = jnp.float32(0.0)
        for bucket, length in zip(runs, lengths, strict=True):
            rows = bucket.starts[:, None] + jnp.arange(length)
            inside = jnp.arange(length) < bucket.lengths[:, None]
            rows = jnp.minimum(rows, len(data.following) - 1)
            logs = self.log_chances(weights, data.features[rows])
            following = data.following[rows]
            picked = jnp.take_along_axis(logs, jnp.maximum(following, 0)[..., None], axis=-1)[..., 0]
            total -= jnp.sum(jnp.where(inside & (following >= 0), picked, 0.0))
        return total

    def log_chances(self, weights: Any, features: Array) -> Array:
        """Return logarithms of chances after each visit: (n_runs, length, n_groups)."""
        outputs: Array
        outputs, _ = self.model.stateless_call(weights, self.fixed, features, training=False)
        logs: Array = jax.nn.log_softmax(outputs, axis=-1)
        return logs


def _built(n_groups: int, units: int, seed: int) -> Model:
    """Return a network whose last layer sees the features, too: an LSTM adds to what shares say."""
    drawn = {name: keras.initializers.GlorotUniform(seed + k) for k, name in enumerate(("kernel", "last"))}
    given = keras.Input((None, 2 * n_groups + 2))
    state = keras.layers.LSTM(
        units,
        return_sequences=True,
        kernel_initializer=drawn["kernel"],
        recurrent_initializer=keras.initializers.Orthogonal(seed=seed + 2),
    )(given)
    both = keras.layers.Concatenate()([state, given])
    model: Model = keras.Model(given, keras.layers.Dense(n_groups, kernel_initializer=drawn["last"])(both))
    return model


class NextGroup(Estimator):
    """Forecast the group (store, category, kind) of each customer's next visit.

    An ensemble of LSTMs reads the groups of a customer's visits, the gaps between them and the customer's
    own shares so far, and gives a chance to each group. It says where, not whether or when: given that the
    customer returns.

    Parameters
    ----------
    units : int
        Width of the recurrent layer.
    ensemble : int
        Networks whose chances are averaged.
    seed : int
    training : TrainConfig, optional

    Attributes
    ----------
    groups_ : polars.Series
        The groups that have a chance of their own, the most frequent first: 100 at the most.
    log_ : EventLog
        The log up to the as-of date.

    Examples
    --------
    >>> import foretell as ft
    >>> from foretell.next_group import NextGroup
    >>> days = pl.date_range(pl.date(2024, 1, 1), pl.date(2024, 1, 20), eager=True)
    >>> rows = pl.DataFrame({"unique_id": ["a", "b"] * 10, "ds": days, "store": ["north", "south"] * 10})
    >>> log = ft.read_events(rows, group="store")
    >>> model = NextGroup(units=4, ensemble=1, training=ft.TrainConfig(epochs=60)).fit(log)
    >>> model.predict(top=1)["group"].to_list()
    ['north', 'south']
    """

    _constraints: ClassVar[dict[str, Constraint]] = {
        "units": Whole(),
        "ensemble": Whole(),
        "seed": Whole(0),
        "training": Maybe(Instance(TrainConfig)),
    }
    _configurations: ClassVar[dict[str, type]] = {"training": TrainConfig}

    def __init__(
        self, *, units: int = 64, ensemble: int = 3, seed: int = 0, training: TrainConfig | None = None
    ) -> None:
        self.units = units
        self.ensemble = ensemble
        self.seed = seed
        self.training = training

    def fit(self, data: EventLog, *, as_of: object = None, progress: Watch[Progress] = None) -> Self:
        """Fit to the groups of a log, up to a date of it.

        Raises
        ------
        DataError
            The log has no groups.
        EmptyLogError
            Nobody came twice.
        """
        self._check_parameters()
        log = training_log(data, as_of)
        names = _names(log)
        counts = np.bincount(_groups(log), minlength=len(names))
        most = np.argsort(-counts, kind="stable")[:_MOST]
        self.groups_ = names.gather(most[counts[most] > 0])
        training = _DEFAULTS.complete_training(self.training)
        with watch_training(progress) as told:
            self._members = _trained(self, log, training, told)
        self.log_ = log
        return self

    def predict(self, top: int | None = 3, ids: Collection[object] | None = None) -> pl.DataFrame:
        """Return the likeliest groups of each customer's next visit.

        Parameters
        ----------
        top : int, optional
            So many for each customer; None gives all.
        ids : collection, optional
            Customers of the log, in this order; by default all.

        Returns
        -------
        polars.DataFrame
            ``unique_id``, ``group``, ``chance``: the likeliest first.
        """
        self._check_fitted("log_")
        customers = asked_customers(self.log_, ids)
        if (customers.places < 0).any():
            raise DataError("a customer whom the log has never seen has no sequence to go on from")
        chances = self.chances(self.log_)[self.log_.offsets[customers.places + 1] - 1]
        order = np.argsort(-chances, axis=1, kind="stable")[:, :top]
        return pl.DataFrame(
            {
                "unique_id": customers.ids.gather(np.repeat(np.arange(len(order)), order.shape[1])),
                "group": self.groups_.gather(order.ravel()),
                "chance": np.take_along_axis(chances, order, axis=1).ravel(),
            }
        )

    def chances(self, log: EventLog) -> FloatArray:
        """Return the chance of each group after each visit of a log, shape (n_events, n_groups)."""
        self._check_fitted("groups_")
        data, learner = _visits(log, self.groups_), _learner(len(self.groups_), self.units)
        starts, lengths = cut_runs(log.offsets, np.arange(log.n_customers), _LONGEST)
        chances = np.zeros((log.n_events, len(self.groups_)))
        padded = bucket_lengths(lengths)
        for (begin, size), length in zip(bucketed(starts, lengths, padded), padded, strict=True):
            for k in range(0, len(begin), 512):
                rows = np.minimum(begin[k : k + 512, None] + np.arange(length), log.n_events - 1)
                inside = np.arange(length) < size[k : k + 512, None]
                parts = [np.exp(learner.log_chances(w, data.features[rows])) for w in self._members]
                chances[rows[inside]] = np.mean(parts, axis=0)[inside]
        return chances

    def score(self, log: EventLog) -> dict[str, float]:
        """Return how well each visit of a log is foreseen from those before it.

        Returns
        -------
        dict
            ``accuracy``: how often the likeliest group came; ``majority``: how often the most frequent one
            did; ``log_loss``.
        """
        following = np.asarray(_visits(log, self.groups_).following)
        known = following >= 0
        chances, truth = self.chances(log)[known], following[known]
        picked = np.maximum(chances[np.arange(len(truth)), truth], 1e-12)
        return {
            "accuracy": float((chances.argmax(axis=1) == truth).mean()),
            "majority": float((truth == 0).mean()),
            "log_loss": float(-np.log(picked).mean()),
        }


def _trained(
    model: NextGroup, log: EventLog, training: TrainConfig, told: Callable[[Progress], None] | None
) -> list[list[Float32Array]]:
    """Return the weights of the members, each trained without some customers, who say when to stop."""
    data = _visits(log, model.groups_)
    back = np.flatnonzero(log.counts > 1)
    if not len(back):
        raise EmptyLogError("nobody came twice: there is nothing that follows anything")
    learner = _learner(len(model.groups_), int(model.units))
    lengths = bucket_lengths(cut_runs(log.offsets, back, _LONGEST)[1])
    n_held_out = len(back) // 10 if len(back) >= 20 else 0

    def runs(customers: IntArray) -> tuple[Bucket, ...]:
        some = bucketed(*cut_runs(log.offsets, np.sort(customers), _LONGEST), lengths)
        return filled(some, [len(begin) for begin, _ in some])

    def job(member: int) -> list[Float32Array]:
        seed = int(model.seed) + member
        order = np.random.default_rng(seed).permutation(back)
        held_out = (data, runs(order[:n_held_out])) if n_held_out else None
        batch = training.batch_size or int(np.clip(len(back) // _STEPS, 1, 64))
        trainer = Trainer(RunSampler(learner, lengths, len(back) - n_held_out, batch), training)
        network = _built(len(model.groups_), int(model.units), seed)
        initial = [np.asarray(variable.value) for variable in network.trainable_variables]
        report = reporter(told, member, training.epochs, max(n_held_out, 1))
        train = (data, runs(order[n_held_out:]))
        return list(trainer.train(initial, train, held_out, seed=seed, report=report).weights)

    return side_by_side([functools.partial(job, member) for member in range(int(model.ensemble))])


@functools.lru_cache(maxsize=4)
def _learner(n_groups: int, units: int) -> _Learner:
    return _Learner(n_groups, units, 0)


def _visits(log: EventLog, groups: pl.Series) -> Visits:
    """Return what the network reads of each visit: group, own shares, gap and number."""
    n, codes = len(groups), _codes(log, groups)
    own = np.zeros((log.n_events, n))
    own[np.arange(log.n_events), codes] = 1.0
    shares = discounted(own, log.offsets, _FORGETS)
    shares /= shares.sum(axis=1, keepdims=True)
    first = np.zeros(log.n_events, dtype=bool)
    first[log.offsets[:-1]] = True
    gaps = np.where(first, 0, np.diff(log.times, prepend=log.times[0]))
    number = np.arange(log.n_events) - log.offsets[log.owner]
    scaled = [np.log1p(gaps) / 3.0, np.log1p(number) / 3.0]
    features = np.column_stack([own, shares, *scaled]).astype(np.float32)
    following = np.append(codes[1:], -1)
    following[log.offsets[1:] - 1] = -1
    return Visits(to_device(features), to_device(following.astype(np.int32)))


def _codes(log: EventLog, groups: pl.Series) -> IntArray:
    """Return the place of each visit's group among the known; of the others, the last."""
    places = pl.DataFrame({"name": groups, "place": np.arange(len(groups))})
    found = pl.DataFrame({"name": _names(log)}).join(places, on="name", how="left", maintain_order="left")
    code: IntArray = found["place"].fill_null(len(groups) - 1).to_numpy()[_groups(log)]
    return code


def _names(log: EventLog) -> pl.Series:
    if log.group_names is None:
        raise DataError("the log has no groups; read it with read_events(…, group='store_id')")
    return log.group_names


def _groups(log: EventLog) -> IntArray:
    _names(log)
    assert log.groups is not None  # noqa: S101  # they come together
    return log.groups
