"""`StoreForecaster`: one model for all stores, one for each, or one for each group of similar stores."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final, Literal, Self

import numpy as np
import polars as pl

from foretell.core import IntArray
from foretell.core.constraints import Constraint, Instance, Maybe, OneOf, Whole, check_fields
from foretell.core.contracts import Described, State
from foretell.data.log import EventLog
from foretell.errors import DataError, ParameterError, StorageError
from foretell.events.forecaster import EventForecaster
from foretell.events.heads import HeadConfig, as_head
from foretell.events.similarity import Similarity, similar_groups
from foretell.events.state import of_today, settings
from foretell.events.states import GapModel, States
from foretell.events.store_networks import encode_stores, fit_stores
from foretell.nn.settings import EVENTS, STORES, Defaults, NetworkConfig, TrainConfig

if TYPE_CHECKING:
    from foretell.nn.export import Program

Models = Literal["global", "store", "similar"]

_NAMES: Final = {"global": "one model", "store": "one a store", "similar": "similar stores"}


@dataclasses.dataclass(frozen=True)
class StoreConfig:
    """Which stores get a model of their own, and how it is trained.

    Parameters
    ----------
    min_customers, min_visits : int
        A store with fewer customers, or fewer visits by them, is answered by the global model.
    similarity : Similarity
        When stores are alike enough to share a model.
    training : TrainConfig
        How a store's model is trained on, from the global one. ``validation_fraction`` is the part of each
        store's customers that says when to stop: where training on does not help them, the store keeps the
        global model's answers.
    """

    min_customers: int = 20
    min_visits: int = 200
    similarity: Similarity = dataclasses.field(default_factory=Similarity)
    training: TrainConfig = dataclasses.field(default_factory=TrainConfig)

    def __post_init__(self) -> None:
        check_fields(self, {"min_customers": Whole(), "min_visits": Whole()})
        for name, kind in (("similarity", Similarity), ("training", TrainConfig)):
            if not isinstance(getattr(self, name), kind):
                raise ParameterError(f"{name}={getattr(self, name)!r}; expected a {kind.__name__}(…)")

    @classmethod
    def from_description(cls, described: Described) -> Self:
        """Return the configuration that JSON describes."""
        similarity = Similarity(**described["similarity"])
        training = TrainConfig(**described["training"])
        return cls(**{**described, "similarity": similarity, "training": training})


class StoreForecaster(EventForecaster):
    """Forecast when next for customers of many stores, with models of the stores' own.

    A customer belongs to the store that it visits most. A global model learns from all customers; those of
    the stores start from it and are trained on, all together in one compiled program, as long as held-out
    customers of the store gain. The global model also answers for stores with too few customers or visits,
    and for customers whom the log does not know: everybody gets an answer.

    Parameters
    ----------
    models : {"global", "store", "similar"}
        One model for all; one for each store; one for each group of stores whose gaps have similar
        distributions.
    stores : StoreConfig, optional
        Thresholds, similarity, training of the stores' models.
    ensemble, seed, training, head
        Of the global model, see `EventForecaster`. Every member has its model of each store.
    network : NetworkConfig, optional
        By default a small one, of 8 units.

    Attributes
    ----------
    stores_ : polars.DataFrame
        One row per store: ``group``, ``n_customers``, ``n_events``, ``model`` (0: the global one), and
        ``gain``: by how much training on raised the mean log-likelihood of a held-out customer's run of
        visits, 0 where it did not (or where none is held out).
    log_, model_, states_
        As in `EventForecaster`.

    Examples
    --------
    >>> import foretell as ft
    >>> log = ft.read_events(
    ...     ft.datasets.load_complete_journey(), id="household_id", time="timestamp", group="store_id"
    ... )
    >>> models = [ft.StoreForecaster(models=kind) for kind in ("global", "store", "similar")]
    >>> board = ft.evaluate(log, "2017-09-30", "91d", models=models)  # doctest: +SKIP
    """

    saved_as = "stores-network"
    starts_warm = False
    defaults = Defaults(STORES.network, EVENTS.training)
    _constraints: ClassVar[Mapping[str, Constraint]] = {
        **EventForecaster._constraints,  # noqa: SLF001  # the parent's
        "models": OneOf(tuple(_NAMES)),
        "stores": Maybe(Instance(StoreConfig)),
    }
    _configurations: ClassVar[Mapping[str, type]] = {
        **EventForecaster._configurations,  # noqa: SLF001
        "stores": StoreConfig,
    }

    def __init__(
        self,
        *,
        models: Models = "similar",
        stores: StoreConfig | None = None,
        ensemble: int = 3,
        seed: int = 0,
        network: NetworkConfig | None = None,
        training: TrainConfig | None = None,
        head: str | HeadConfig = "mixture",
    ) -> None:
        super().__init__(
            ensemble=ensemble, seed=seed, network=network, training=training, head=head, model="network"
        )
        self.models = models
        self.stores = stores

    @property
    def name(self) -> str:
        """The model's name in tables."""
        return f"foretell, {_NAMES[self.models]}"

    def _check_parameters(self) -> None:
        super()._check_parameters()
        if as_head(self.head).kind != "mixture":
            raise ParameterError(f"head={self.head!r}; expected 'mixture': stores have no other head")

    def _training_data(self, data: EventLog, as_of: object) -> EventLog:
        log = super()._training_data(data, as_of)
        home_stores(log)  # a log without stores is refused before training
        return log

    def _tuned(self, model: GapModel, data: EventLog) -> GapModel:
        """Train the stores' models on from the global one."""
        config = self.stores or StoreConfig()
        plan = plan_stores(data, self.models, config)
        training = STORES.complete_training(config.training)
        tuned, trained = fit_stores(model, data, plan.numbers(data), plan.n_models, training, int(self.seed))
        gain = np.zeros(1 + plan.n_models)
        if trained:
            gain[1:] = np.mean([result.before - result.after for result in trained], axis=0)
        number = plan.stores["model"].to_numpy()
        self.stores_ = plan.stores.with_columns(gain=pl.Series(gain[number]))
        return tuned

    @property
    def _plan(self) -> StorePlan:
        return StorePlan(self.stores_)

    def state(self) -> State:
        """Return what was learned, the stores, and the log, as plain values."""
        state = super().state()
        stores = None if self.stores is None else dataclasses.asdict(self.stores)
        return dataclasses.replace(
            state, described={**state.described, "stores": stores}, tables={"stores": self.stores_}
        )

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Return the fitted forecaster that `state` described."""
        state = of_today(state)
        stores = state.described["stores"]
        config = None if stores is None else StoreConfig.from_description(stores)
        model = cls(**settings(state.described), stores=config)
        model.stores_ = _checked(state.tables["stores"])
        return model._restored(state, 1 + model._plan.n_models)

    def save_keras(self, path: str | Path, *, data: bool = True) -> Path:  # noqa: ARG002  # the parent's
        """Refuse: use `save`."""
        raise StorageError(
            f"cannot write {path} as Keras files: they hold one network, and a StoreForecaster has one for "
            "each store; use save"
        )

    def _program(self, levels: Sequence[float], horizons: Sequence[str | int]) -> Program:
        del levels, horizons
        raise ParameterError(
            "a StoreForecaster cannot be exported: it has a network for each store; expected an "
            "EventForecaster"
        )

    def _encode(self, log: EventLog) -> States:
        return encode_stores(self.model_, log, self._plan.numbers(log))

    def _aligned(self, merged: EventLog, seen: IntArray) -> States:
        states = super()._aligned(merged, seen)
        anew = seen == 0
        # Who has come to be known, or is read anew, goes to the store of now; all others keep their model.
        states.memory[-1][:, anew, 0] = self._plan.numbers(merged)[anew]
        return states


@dataclasses.dataclass(frozen=True)
class StorePlan:
    """Which model answers for which store.

    Attributes
    ----------
    stores : polars.DataFrame
        One row per store: ``group``, ``n_customers`` and ``n_events`` of those whose home it is, and
        ``model``: 0 the global one, then 1, 2, ….
    """

    stores: pl.DataFrame

    @property
    def n_models(self) -> int:
        """Models besides the global one."""
        return int(self.stores["model"].to_numpy().max(initial=0))

    def numbers(self, log: EventLog) -> IntArray:
        """Return the model of each customer of a log; unknown stores have the global one."""
        numbers = dict(self.stores.select("group", "model").iter_rows())
        names = _visited(log)[1].to_list()
        return np.array([numbers.get(name, 0) for name in names], dtype=np.int64)[home_stores(log)]


def plan_stores(log: EventLog, models: Models, config: StoreConfig) -> StorePlan:
    """Decide which stores share a model, from the gaps of the customers whose home they are."""
    home, names = home_stores(log), _visited(log)[1]
    n = len(names)
    customers = np.bincount(home, minlength=n)
    visits = np.bincount(home, weights=log.counts, minlength=n).astype(np.int64)
    gaps = gaps_by_store(log)
    enough = (customers >= config.min_customers) & (visits >= config.min_visits)
    enough &= np.array([len(part) > 1 for part in gaps])
    chosen = np.flatnonzero(enough) if models != "global" else np.zeros(0, dtype=np.int64)
    number = np.zeros(n, dtype=np.int64)
    if models == "similar" and len(chosen):
        number[chosen] = 1 + similar_groups([gaps[k] for k in chosen], config.similarity)
    else:
        number[chosen] = 1 + np.arange(len(chosen))
    return StorePlan(
        pl.DataFrame({"group": names, "n_customers": customers, "n_events": visits, "model": number})
    )


def _visited(log: EventLog) -> tuple[IntArray, pl.Series]:
    """Return the store of each event, and the names of the stores."""
    if log.groups is None or log.group_names is None:
        raise DataError("the log has no stores; read it with read_events(…, group='store_id')")
    return log.groups, log.group_names


def home_stores(log: EventLog) -> IntArray:
    """Return the store that each customer visits most, of equals the last visited; shape (n_customers,)."""
    groups, names = _visited(log)
    pair = log.owner * len(names) + groups
    # Sorted by time within the customer, so the last of each pair is its latest visit.
    pairs, place, times = np.unique(pair[::-1], return_index=True, return_counts=True)
    latest = log.n_events - 1 - place
    customer, group = pairs // len(names), pairs % len(names)
    order = np.lexsort([latest, times, customer])
    best = np.append(np.flatnonzero(np.diff(customer[order])), len(order) - 1)
    return np.asarray(group[order][best], dtype=np.int64)


def gaps_by_store(log: EventLog) -> list[IntArray]:
    """Return the gaps of each store: of the customers whose home it is, in ticks."""
    lengths, customers, _ = log.gaps()
    store = home_stores(log)[customers]
    order = np.argsort(store, kind="stable")
    edges = np.searchsorted(store[order], np.arange(len(_visited(log)[1]) + 1))
    return [lengths[order[low:high]] for low, high in itertools.pairwise(edges)]


def _checked(stores: pl.DataFrame) -> pl.DataFrame:
    """Return a table of stores, their models, and what these have gained; refuse what is none."""
    numbers = stores.select("n_customers", "n_events", "model", "gain").cast(pl.Float64).to_numpy()
    whole = stores["model"].dtype.is_integer() and stores["model"].max() is not None
    if (
        not whole
        or not np.isfinite(numbers).all()
        or (numbers[:, :3] < 0).any()
        or stores["group"].null_count()
    ):
        raise DataError("the table of stores has no number of customers, events, model and gain for each")
    return stores
