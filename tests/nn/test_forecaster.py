"""What forecasters with networks share: the order of a fit, warm starts, settings as they are resolved."""

import copy
import dataclasses

import pytest
from tests.contract.cases import fitted, panel_of, values, waves

import foretell as ft
from foretell.errors import ParameterError


@pytest.fixture(scope="module")
def panel():
    return panel_of(waves())


@pytest.fixture(scope="module")
def earlier():
    return fitted(("series", "direct"))


def test_a_fit_as_of_a_date_after_the_data_is_refused(panel):
    with pytest.raises(ParameterError, match="lies after the end of the panel, 2024-02-29"):
        values().fit(panel, as_of="2024-03-01")


def test_the_summary_shows_the_settings_of_the_task_where_none_is_set(earlier, small_model):
    assert "cell='lstm', layers=1, units=4" in earlier.summary()
    assert "dense_activation='relu', dropout=0.1" in earlier.summary()
    assert "epochs=1, batch_size=None, learning_rate=0.004" in earlier.summary()
    assert "dense_activation='tanh', dropout=0.0" in small_model.summary()


def test_a_warm_start_goes_by_what_is_set_not_by_how_it_is_spelled(panel, earlier):
    spelled = dataclasses.replace(earlier.network, cell="lstm", dropout=0.1)
    assert values(network=spelled).fit(panel, warm_start=earlier).panel_ is panel


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"network": ft.NetworkConfig(layers=1, units=4, dense=4, dropout=0.2)}, "network"),
        ({"window": dataclasses.replace(values().window, log=True)}, "window"),
        ({"ensemble": 2, "horizon": 2}, "horizon, ensemble"),
    ],
)
def test_a_warm_start_from_other_settings_is_refused(changed, named, panel, earlier):
    with pytest.raises(ParameterError, match=f"warm_start differs in {named};"):
        values().set_params(**changed).fit(panel, warm_start=earlier)


def test_a_warm_start_from_a_model_of_another_kind_is_refused(panel, small_model):
    with pytest.raises(ParameterError, match="expected a fitted SeriesForecaster for a SeriesForecaster"):
        values().fit(panel, warm_start=small_model)


def test_a_fit_that_fails_leaves_the_forecaster_as_it_was(panel, earlier):
    model = copy.copy(earlier)
    with pytest.raises(ft.errors.DataError):
        model.fit(ft.Panel.from_arrays([[1.0], [2.0]]))
    assert model.predict().equals(earlier.predict())


class TestAQuietTime:
    def test_moves_the_as_of_date_of_everybody(self, small_model):
        quiet = copy.copy(small_model).update(as_of="2023-07-31")
        assert str(quiet.log_.date(quiet.log_.as_of)) == "2023-07-31"
        assert quiet.log_.n_events == small_model.log_.n_events
        before, after = (model.predict(horizons=["30d"]) for model in (small_model, quiet))
        assert (after["p_active"] <= before["p_active"] + 1e-9).all()
        assert after["p_active"].mean() < before["p_active"].mean()

    def test_is_said_by_new_events_or_by_a_date(self, small_model, small_log):
        for given in ({}, {"new_events": small_log, "as_of": "2023-12-31"}):
            with pytest.raises(ParameterError, match="expected one of them"):
                copy.copy(small_model).update(**given)
