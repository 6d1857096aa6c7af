"""What the days of a calendar bring: in a table, and in words."""

import numpy as np
import pytest
from tests.events.calendars import MORE, N, days_of, drawn

from foretell.events.calendar import CalendarEffect
from foretell.events.calendar_words import effect_table, effect_words


@pytest.fixture(scope="module")
def effect():
    rng = np.random.default_rng(2)
    promotion = (np.arange(N + MORE) % 45 < 7) * 1.0
    words = np.where(rng.random(N + MORE) < 0.05, "fair", "")
    calendar = days_of({"promotion": promotion, "moon": rng.random(N + MORE), "day": words})
    log_factor = 0.7 * promotion + 0.5 * (words == "fair")
    before = np.stack([np.concatenate([np.zeros(k), promotion[: N + MORE - k]]) for k in range(1, 8)])
    return CalendarEffect.fit(calendar, drawn(log_factor - 0.4 * before.mean(axis=0), rng))


def test_the_table_holds_values_against_others(effect):
    table = effect_table(effect, [80, 95])
    assert table["column"].to_list() == ["promotion", "moon", "day"]
    assert table["value"].to_list()[::2] == ["1", "fair"]
    assert table["against"].to_list()[::2] == ["0", ""]
    np.testing.assert_allclose(table["times"].log().to_numpy()[::2], [0.7, 0.5], atol=0.08)
    # A week of promotions takes e^-0.4 from the week after it, a day the seventh part of it.
    assert table["week_after"][0] ** 7 == pytest.approx(np.exp(-0.4), abs=0.06)
    assert table["second_week"][0] ** 7 == pytest.approx(1.0, abs=0.06)
    for level in (80, 95):
        assert (table[f"times-lo-{level}"] < table["times"]).all()
        assert (table["times"] < table[f"times-hi-{level}"]).all()
    assert (table["times-hi-95"] > table["times-hi-80"]).all()


def test_words_are_those_of_the_table_and_none_of_what_does_not_show(effect):
    said = effect_words(effect)
    assert said[0].startswith("promotion 1 brings 2.0")
    assert said[-1].startswith("day fair brings 1.5")
    assert said[-1].endswith("for each such day 1.00 in the week after, 1.00 in the next")
    assert effect_words(None) == []
    empty = effect_table(None, [80])
    assert empty.height == 0
    assert empty.columns == effect_table(effect, [80]).columns
