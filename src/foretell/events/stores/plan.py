"""Which model answers for which store."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from foretell.core.constraints import Whole, check_fields
from foretell.core.state import Described
from foretell.data.log import EventLog
from foretell.errors import DataError, ParameterError
from foretell.events.stores.similarity import Similarity, similar_groups
from foretell.nn.settings import TrainConfig

IntArray = npt.NDArray[np.int64]
Models = Literal["global", "store", "similar"]

MODELS: Final = ("global", "store", "similar")


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


def config_of_state(described: Described | None) -> StoreConfig | None:
    """Return the configuration that JSON describes."""
    if described is None:
        return None
    apart = {
        "similarity": Similarity(**described["similarity"]),
        "training": TrainConfig(**described["training"]),
    }
    return StoreConfig(**dict(described) | apart)


def checked_stores(stores: pl.DataFrame) -> pl.DataFrame:
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


def home_stores(log: EventLog) -> IntArray:
    """Return the store that each customer visits most, of equals the last visited; shape (n_customers,).

    Parameters
    ----------
    log : EventLog
        With groups.
    """
    if log.groups is None or log.group_names is None:
        raise DataError("the log has no stores; read it with read_events(…, group='store_id')")
    n_groups = len(log.group_names)
    pair = log.owner * n_groups + log.groups
    # Sorted by time within the customer, so the last of each pair is its latest visit.
    pairs, place, times = np.unique(pair[::-1], return_index=True, return_counts=True)
    latest = log.n_events - 1 - place
    customer, group = pairs // n_groups, pairs % n_groups
    order = np.lexsort([latest, times, customer])
    best = np.append(np.flatnonzero(np.diff(customer[order])), len(order) - 1)
    return np.asarray(group[order][best], dtype=np.int64)


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
        home = home_stores(log)
        assert log.group_names is not None  # noqa: S101  # home_stores has checked
        known = dict(self.stores.select("group", "model").iter_rows())
        by_group = np.array([known.get(name, 0) for name in log.group_names.to_list()], dtype=np.int64)
        return by_group[home]


def plan_stores(log: EventLog, models: Models, config: StoreConfig) -> StorePlan:
    """Decide which stores share a model, from the gaps of the customers whose home they are.

    Parameters
    ----------
    log : EventLog
        With groups.
    models : {"global", "store", "similar"}
        One model for all; one for each store; one for each group of similar stores.
    config : StoreConfig
    """
    home = home_stores(log)
    assert log.group_names is not None  # noqa: S101  # home_stores has checked
    n = len(log.group_names)
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
    stores = pl.DataFrame(
        {"group": log.group_names, "n_customers": customers, "n_events": visits, "model": number}
    )
    return StorePlan(stores)


def gaps_by_store(log: EventLog) -> list[IntArray]:
    """Return the gaps of each store: of the customers whose home it is, in ticks."""
    home = home_stores(log)
    assert log.group_names is not None  # noqa: S101  # home_stores has checked
    lengths, customers, _ = log.gaps()
    store = home[customers]
    order = np.argsort(store, kind="stable")
    edges = np.searchsorted(store[order], np.arange(len(log.group_names) + 1))
    return [lengths[order[low:high]] for low, high in itertools.pairwise(edges)]
