"""`StoreForecaster`: one model for all stores, one for each, or one for each group of similar stores."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt
import polars as pl

from foretell.core.state import State
from foretell.data.log import EventLog
from foretell.errors import ParameterError, StorageError
from foretell.events.forecaster import EventForecaster
from foretell.events.heads.config import HeadConfig, as_head
from foretell.events.state import of_today, settings
from foretell.events.states import GapModel, States
from foretell.events.stores.fitting import fit_stores
from foretell.events.stores.network import encode_stores
from foretell.events.stores.plan import (
    MODELS,
    Models,
    StoreConfig,
    StorePlan,
    checked_stores,
    config_of_state,
    home_stores,
    plan_stores,
)
from foretell.nn.settings import EVENTS, STORES, Defaults, NetworkConfig, TrainConfig
from foretell.nn.training import Progress

_NAMES = {"global": "one model", "store": "one a store", "similar": "similar stores"}


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
    _configurations: ClassVar[Mapping[str, type]] = {
        "network": NetworkConfig,
        "training": TrainConfig,
        "head": HeadConfig,
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
            ensemble=ensemble,
            seed=seed,
            network=network,
            training=training,
            head=head,
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
        if self.models not in MODELS:
            raise ParameterError(f"models={self.models!r}; expected one of {', '.join(map(repr, MODELS))}")
        if self.stores is not None and not isinstance(self.stores, StoreConfig):
            raise ParameterError(f"stores={self.stores!r}; expected a foretell.StoreConfig(…)")

    def _fit_model(
        self,
        data: EventLog,
        *,
        start: GapModel | None,
        train: bool,
        progress: Callable[[Progress], None] | None,
    ) -> GapModel:
        home_stores(data)  # a log without stores is refused before training
        config = self.stores or StoreConfig()
        shared = super()._fit_model(data, start=start, train=train, progress=progress)
        plan = plan_stores(data, self.models, config)
        training = STORES.complete_training(config.training)
        model, trained = fit_stores(shared, data, plan.numbers(data), plan.n_models, training, int(self.seed))
        gain = np.zeros(1 + plan.n_models)
        if trained:
            gain[1:] = np.mean([result.before - result.after for result in trained], axis=0)
        number = plan.stores["model"].to_numpy()
        self.stores_ = plan.stores.with_columns(gain=pl.Series(gain[number]))
        return model

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
        model = cls(**settings(state.described), stores=config_of_state(state.described["stores"]))
        model.stores_ = checked_stores(state.tables["stores"])
        return model._restored(state, 1 + model._plan.n_models)

    def save_keras(self, path: str | Path, *, data: bool = True) -> Path:  # noqa: ARG002  # the parent's
        """Refuse: use `save`."""
        raise StorageError(
            f"cannot write {path} as Keras files: they hold one network, and a StoreForecaster has one for "
            "each store; use save"
        )

    def _encode(self, log: EventLog) -> States:
        return encode_stores(self.model_, log, self._plan.numbers(log))

    def _aligned(self, merged: EventLog, seen: npt.NDArray[np.int64]) -> States:
        states = super()._aligned(merged, seen)
        anew = seen == 0
        # Who has come to be known, or is read anew, goes to the store of now; all others keep their model.
        states.memory[-1][:, anew, 0] = self._plan.numbers(merged)[anew]
        return states
