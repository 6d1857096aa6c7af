"""Public holidays by country, and a shop that is closed on them."""

import numpy as np
import polars as pl
import pytest

import foretell as ft
from foretell.core.holidays import public_holidays
from foretell.events.clock import OperationalClock


@pytest.mark.parametrize("place", ["XX", "DE-XX"])
def test_a_place_without_holidays_is_refused(place):
    with pytest.raises(ft.errors.ParameterError, match=f"holidays='{place}'"):
        ft.read_events(
            pl.DataFrame({"unique_id": ["a", "b"], "ds": ["2024-01-01", "2024-02-02"]}), holidays=place
        )


def test_a_shop_that_is_closed_on_holidays_has_no_visits_on_those_to_come(tmp_path):
    rng, begin = np.random.default_rng(0), int(np.datetime64("2021-01-01").astype(int))
    days = np.arange(begin, begin + 800)
    open_ = ~np.isin(days, public_holidays("DE", begin, begin + 800))
    owner, when = np.nonzero((rng.random((60, 800)) < 0.2) & open_)
    frame = pl.DataFrame({"unique_id": owner, "ds": days[when].astype("datetime64[D]")})
    log = ft.read_events(frame, holidays="DE", as_of="2023-04-06")  # Good Friday and Easter Monday follow
    week = ft.EventForecaster(model="prior").fit(log)
    by_day = week.predict_cohort("7d", "1d")["foretell"].to_list()
    assert by_day[0] == by_day[3] == 0 < min(by_day[1], by_day[4])
    clock = OperationalClock.fit(log)
    assert clock.speed([log.as_of + 1])[0] < 0.001 < clock.speed([log.as_of + 2])[0]
    week.save(tmp_path / "model")
    assert ft.load(tmp_path / "model").predict_cohort("7d", "1d")["foretell"].to_list() == by_day
    never_closed = ft.read_events(frame, holidays="US", as_of="2023-04-06")
    assert OperationalClock.fit(never_closed).days is None
