"""Many stores: who belongs where, who answers for whom, and that nobody is dropped."""

import copy

import numpy as np
import polars as pl
import pytest

import foretell as ft
from foretell.core.contracts import EventModel
from foretell.errors import DataError, ParameterError, StorageError
from foretell.events.similarity import Similarity
from foretell.events.states import encode
from foretell.events.store_networks import StoreNetwork
from foretell.events.stores import gaps_by_store, home_stores, plan_stores

TUNING = ft.TrainConfig(epochs=3, batch_size=8, learning_rate=0.02, validation_fraction=0.0, max_steps=4)


def forecaster(small, **params):
    plain = small.forecaster()
    defaults = {
        "models": "store",
        "network": plain.network,
        "training": plain.training,
        "head": ft.HeadConfig(paths=2),
    }
    return ft.StoreForecaster(**{"ensemble": 1} | defaults | params)


@pytest.fixture(scope="module")
def train(small_log, small):
    return small_log.until(small.cutoff)


@pytest.fixture(scope="module")
def config(train):
    """Thresholds that the smallest of the three stores does not reach."""
    middle = int(np.sort(np.bincount(home_stores(train)))[1])
    return ft.StoreConfig(min_customers=middle, min_visits=1, training=TUNING)


@pytest.fixture(scope="module")
def stores(small, train, config):
    return forecaster(small, stores=config).fit(train)


def test_a_customer_is_at_home_where_most_visits_are_and_of_equals_where_the_last_was(train):
    home = home_stores(train)
    for k in range(train.n_customers):
        visited = train.groups[train.owner == k]
        times = np.bincount(visited, minlength=len(train.group_names))
        best = np.flatnonzero(times == times.max())
        assert home[k] == [store for store in visited if store in best][-1]


def test_the_gaps_of_a_store_are_those_of_the_customers_at_home_there(train):
    home, gaps = home_stores(train), gaps_by_store(train)
    for store in range(len(train.group_names)):
        mine = np.concatenate([np.diff(train.times[train.owner == k]) for k in np.flatnonzero(home == store)])
        assert gaps[store].tolist() == mine.tolist()


def test_stores_below_the_thresholds_are_answered_by_the_global_model_and_stay_in_the_table(train, config):
    plan = plan_stores(train, "store", config)
    assert plan.stores["group"].to_list() == train.group_names.to_list()
    assert plan.stores["n_customers"].sum() == train.n_customers
    assert plan.stores["n_events"].sum() == train.n_events
    enough = plan.stores["n_customers"] >= config.min_customers
    assert (plan.stores["model"] > 0).to_list() == enough.to_list()
    assert plan.n_models == enough.sum()
    none = plan_stores(train, "store", ft.StoreConfig(min_visits=10**6))
    assert none.n_models == 0
    assert (none.numbers(train) == 0).all()


def test_similar_stores_share_a_model_and_one_model_answers_for_all(train):
    wide = ft.StoreConfig(min_customers=2, min_visits=2, similarity=Similarity(1.0, 1e9, 1e9, 2.0))
    assert plan_stores(train, "similar", wide).stores["model"].to_list() == [1, 1, 1]
    assert plan_stores(train, "global", wide).stores["model"].to_list() == [0, 0, 0]
    narrow = ft.StoreConfig(min_customers=2, min_visits=2, similarity=Similarity(0.0, 1.0, 0.0, 0.0))
    assert sorted(plan_stores(train, "similar", narrow).stores["model"].to_list()) == [1, 2, 3]


def test_a_store_that_opens_later_is_answered_by_the_global_model(train, config):
    plan = plan_stores(train, "store", config)
    names = pl.Series([f"new {name}" for name in train.group_names])
    later = copy.copy(train)
    object.__setattr__(later, "group_names", names)
    assert (plan.numbers(later) == 0).all()


def test_every_customer_is_read_by_the_weights_of_its_own_store(stores, train):
    numbers = stores._plan.numbers(train)
    assert set(numbers) == {0, 1, 2}
    inner = stores.model_.network.inner
    for number in np.unique(numbers):
        members = tuple([weight[number] for weight in weights] for weights in stores.model_.members)
        alone = copy.copy(stores.model_)
        object.__setattr__(alone, "network", inner)
        object.__setattr__(alone, "members", members)
        packed = np.asarray(encode(alone, train).packed)[:, numbers == number]
        assert np.allclose(stores.states_.packed[:, numbers == number], packed, atol=1e-5)


def test_the_stores_models_move_away_from_the_global_one_and_from_each_other(stores):
    weights = stores.model_.members[0]
    assert all(len(weight) == 3 for weight in weights)
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert max(np.abs(w[one] - w[other]).max() for w in weights) > 1e-3


def test_everyone_gets_an_answer_also_whom_the_log_does_not_know(stores, train):
    table = stores.predict([])
    assert table["unique_id"].to_list() == train.ids.to_list()
    assert sum(table.null_count().row(0)) == 0
    asked = stores.predict([], ids=["nobody", train.ids[0]])
    assert asked["n_events"].to_list() == [0, train.counts[0]]
    assert np.isclose(asked["p_active"][1], table["p_active"][0], atol=1e-6)


def test_the_leaderboard_takes_it_as_a_model(small_log, small, config):
    asked: list[EventModel] = [forecaster(small, stores=config)]
    board = ft.evaluate(small_log, small.cutoff, "90d", [*asked, "bg/nbd"])
    assert set(board.names) == {"foretell, one a store", "BG/NBD"}
    assert (board.table()["rmse"] < 10.0).all(ignore_nulls=False)
    assert board.table()["brier_30d"].null_count() == 0
    assert forecaster(small, models="global").name == "foretell, one model"
    assert forecaster(small, models="similar").name == "foretell, similar stores"


def test_an_update_keeps_every_customer_with_the_model_of_its_store(small, stores, train):
    rows = small.events()
    later = rows.filter(pl.col("ds") > pl.lit(small.cutoff).str.to_date())
    moved = copy.copy(stores)
    moved.update(small.read(later))
    whole = moved.log_
    before = whole.ids.is_in(train.ids.implode()).to_numpy()
    number = np.asarray(moved.states_.memory[-1])[:, :, 0]
    assert (number[:, before] == stores._plan.numbers(train)).all()
    assert (number[:, ~before] == stores._plan.numbers(whole)[~before]).all()
    assert moved.predict([]).height == whole.n_customers


def test_a_saved_forecaster_of_stores_answers_and_updates_as_before(small, stores, tmp_path):
    loaded = ft.load(stores.save(tmp_path / "model"))
    assert repr(loaded.get_params()["stores"]) == repr(stores.stores)
    assert loaded.models == stores.models
    assert loaded.stores_.equals(stores.stores_)
    assert loaded.predict(["30d"]).equals(stores.predict(["30d"]))
    rows = small.events()
    later = rows.filter(pl.col("ds") > pl.lit(small.cutoff).str.to_date())
    before = copy.copy(stores)
    found = [one.update(small.read(later)).predict(["30d"]) for one in (before, loaded)]
    assert found[0].equals(found[1])


def test_keras_files_hold_one_network_and_are_refused_for_stores(stores, tmp_path):
    with pytest.raises(StorageError, match="they hold one network, and a StoreForecaster"):
        stores.save_keras(tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_networks_of_one_build_share_their_programs(stores):
    assert stores.model_.network == StoreNetwork(stores.model_.network.inner)
    assert stores.model_.network != stores.model_.network.inner
    assert hash(stores.model_.network) != hash(stores.model_.network.inner)


def test_wrong_use_is_named(small, train, sample):
    with pytest.raises(DataError, match=r"no stores; read it with read_events\(…, group='store_id'\)"):
        forecaster(small).fit(sample)
    with pytest.raises(ParameterError, match="models='each'; expected 'global', 'store' or 'similar'"):
        forecaster(small, models="each").fit(train)
    with pytest.raises(ParameterError, match=r"stores=3; expected a foretell\.StoreConfig"):
        forecaster(small, stores=3).fit(train)
    with pytest.raises(ParameterError, match="min_visits=0; expected a whole number of at least 1"):
        ft.StoreConfig(min_visits=0)
    with pytest.raises(ParameterError, match="similarity=None; expected a Similarity"):
        ft.StoreConfig(similarity=None)
