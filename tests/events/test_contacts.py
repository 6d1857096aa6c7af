"""Each customer compared with itself: formulas against plain loops, and the truth of simulated mailings."""

import numpy as np
import polars as pl
import pytest
from benchmarks.contacts import DAYS, START, mailed
from scipy import optimize

import foretell as ft
from foretell.data.contacts import read_contacts
from foretell.events import contacts as room
from foretell.events.contacts import ContactEffects

WITHIN = 5


@pytest.fixture(scope="module")
def two_kinds():
    rng = np.random.default_rng(0)
    who, day = rng.integers(0, 40, 900), rng.integers(0, 200, 900)
    date = pl.lit("2024-01-01").str.to_date() + pl.duration(days="day")
    visits = pl.DataFrame({"unique_id": who, "day": day}).with_columns(ds=date)
    sent = pl.DataFrame(
        {
            "unique_id": rng.integers(20, 50, 80),
            "day": rng.integers(0, 200, 80),
            "kind": rng.choice(["mail", "coupon"], 80),
        }
    )
    return ft.read_events(visits), read_contacts(sent.with_columns(ds=date), kind="kind")


def by_loops(log, contacts, days, *, before):
    """Day by day of each customer: bits of contacts, clock, visits, of the days about contacts."""
    place, cells = contacts.of(log), {}
    clock = room.DayClock.fit(
        np.concatenate([log.times[a + 1 : b] for a, b in zip(log.offsets, log.offsets[1:], strict=False)]),
        log.first,
        log.as_of,
    )
    for i in range(log.n_customers):
        own = [(int(d), int(k)) for p, d, k in zip(place, contacts.day, contacts.kind, strict=True) if p == i]
        times = log.times[log.offsets[i] : log.offsets[i + 1]]
        for day in range(int(times[0]) + 1, log.as_of + 1):
            after = 0
            for d, k in own:
                after |= (0 < day - d <= days) << k
            about = [(day - d, k) for d, k in own]
            if before:
                inside = any(-days <= x <= 0 or days < x <= 4 * days for x, _ in about)
                bits = 0
                for x, k in about:
                    bits |= (-days <= x <= 0) << k
            else:
                inside, bits = any(0 < x <= 4 * days for x, _ in about), after
            if inside:
                exposure, visits = cells.get((i, bits), (0.0, 0))
                speed = clock.speed(np.array([day]))[0]
                cells[i, bits] = exposure + speed, visits + int((times[1:] == day).sum())
    return cells


@pytest.mark.parametrize("before", [False, True])
def test_days_are_put_together_as_plain_loops_do(two_kinds, before, monkeypatch):
    monkeypatch.setattr(room, "_BLOCK", 7)
    log, contacts = two_kinds
    seen = room._Seen.of(log, contacts, WITHIN)
    offsets = range(1, 4 * WITHIN + 1)
    if before:
        offsets = (*range(-WITHIN, 1), *range(WITHIN + 1, 4 * WITHIN + 1))
    strata = seen.strata(offsets, before=before)
    found = {(c, p): (e, v) for c, p, e, v in zip(*strata, strict=True)}
    cells = by_loops(log, contacts, WITHIN, before=before)
    for customer in range(log.n_customers):
        own = {key: cell for key, cell in cells.items() if key[0] == customer}
        told = len(own) > 1 and sum(visits for _, visits in own.values()) > 0
        for key, (exposure, visits) in own.items():
            if told:
                assert found.pop(key) == (pytest.approx(exposure), visits)
    assert not found


def test_factors_are_the_most_likely_ones_given_each_customers_visits(two_kinds):
    log, contacts = two_kinds
    strata = room._Seen.of(log, contacts, WITHIN).strata(range(1, 4 * WITHIN + 1))

    def loss(weights):
        total = 0.5 * (weights**2).sum() / room._USUAL**2
        for customer in np.unique(strata.customer):
            own = strata.customer == customer
            eta = sum(weights[k] * ((strata.pattern[own] >> k) & 1) for k in range(2))
            due = strata.exposure[own] * np.exp(eta)
            total -= (strata.visits[own] * np.log(due / due.sum())).sum()
        return total

    best = optimize.minimize(loss, np.zeros(2)).x
    effects = ContactEffects.fit(log, contacts, WITHIN)
    np.testing.assert_allclose(effects.after[0], best, atol=1e-4)
    assert (effects.after[1] > 0).all()


@pytest.mark.parametrize(("who", "times"), [("a random half", 1.5), ("the silent", 1.0), ("at a visit", 1.5)])
def test_simulated_mailings_are_found_whomever_they_go_to(who, times):
    drawn = mailed(np.random.default_rng(5), who, times, n=1_200)
    log = ft.read_events(drawn.visits, start=str(START), as_of=str(START + DAYS - 1))
    effects = ContactEffects.fit(log, read_contacts(drawn.mailings), 7)
    low, found, high = effects.times(98)[:, 0]
    assert low < times < high
    assert found == pytest.approx(times, rel=0.08)
    before = effects.times(80, before=True)[1, 0]
    assert {"a random half": 0.9 < before < 1.1, "the silent": before < 0.3, "at a visit": before > 1.5}[who]


def test_few_contacts_say_little(two_kinds):
    log, _ = two_kinds
    sent = pl.DataFrame({"unique_id": [3, 5], "ds": ["2024-03-01"] * 2})
    low, found, high = ContactEffects.fit(log, read_contacts(sent), WITHIN).times(80)[:, 0]
    assert low < 1 < high
    assert 0.6 < found < 1.6
    assert high / low > 2


@pytest.mark.parametrize(
    "sent", [{"unique_id": ["x"], "ds": ["2024-03-01"]}, {"unique_id": [3], "ds": ["2031-03-01"]}]
)
def test_contacts_that_tell_nothing_are_refused_with_the_reason(two_kinds, sent):
    log, _ = two_kinds
    if sent["unique_id"] == ["x"]:
        log = ft.read_events(log.to_polars().with_columns(pl.col("unique_id").cast(pl.String)))
    with pytest.raises(ft.errors.DataError, match="nobody in common who was contacted and came back"):
        ContactEffects.fit(log, read_contacts(pl.DataFrame(sent)), WITHIN)
