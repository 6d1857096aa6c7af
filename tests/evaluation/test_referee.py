"""The referee: which model to use, and how sure that is."""

import numpy as np
import pytest

from foretell.evaluation.referee import judge

OURS = ["foretell"]


@pytest.fixture
def hard():
    return np.random.default_rng(1).gamma(2.0, 1.0, 400)


def test_a_better_network_is_named_with_its_gain_and_interval(hard):
    noise = np.random.default_rng(2).normal(0.94, 0.2, 400)
    result = judge({"foretell": hard * noise, "Pareto/NBD": hard, "mean gap": 2 * hard}, OURS, root=False)
    assert result.use == "foretell"
    assert result.rival == "Pareto/NBD"
    assert 0 < result.low_pct < result.gain_pct < result.high_pct < 12
    assert "% better than Pareto/NBD (95 % interval" in str(result)


def test_a_network_that_is_no_better_than_a_rule_is_not_recommended(hard):
    noise = np.random.default_rng(3).normal(0.999, 0.5, 400)
    result = judge({"foretell": hard * noise, "mean gap": hard}, OURS, root=False)
    assert result.use == "mean gap"
    assert str(result).startswith("the network is no better than the customers' own mean gap")
    assert str(result).endswith("use that")


def test_a_worse_network_is_called_worse(hard):
    result = judge({"foretell": 1.2 * hard, "seasonal naive": hard}, OURS, root=False)
    assert (result.use, round(result.gain_pct)) == ("seasonal naive", -20)
    assert "20 % worse than the value one season before" in str(result)


def test_roots_are_compared_where_asked(hard):
    assert judge({"foretell": 0.81 * hard, "naive": hard}, OURS, root=True).gain_pct == pytest.approx(10)


def test_the_interval_holds_the_true_gain_in_most_samples():
    rng, held_out = np.random.default_rng(4), 0
    for _ in range(60):
        hard = rng.gamma(1.0, 1.0, 200)
        own = hard * rng.gamma(4.0, 0.9 / 4.0, 200)  # 10 % better on average
        result = judge({"foretell": own, "naive": hard}, OURS, root=False)
        held_out += result.low_pct <= 10 <= result.high_pct
    assert held_out >= 53


def test_many_customers_in_groups_give_the_same_interval_as_one_by_one(hard, monkeypatch):
    rng = np.random.default_rng(5)
    many = rng.gamma(2.0, 1.0, 4_000)
    losses = {"foretell": many * rng.normal(0.95, 0.5, 4_000), "naive": many}
    grouped = judge(losses, OURS, root=True)
    monkeypatch.setattr("foretell.evaluation.referee._GROUPS", 10_000)
    single = judge(losses, OURS, root=True)
    assert grouped.low_pct == pytest.approx(single.low_pct, abs=0.2)
    assert grouped.high_pct == pytest.approx(single.high_pct, abs=0.2)


@pytest.mark.parametrize("names", [["foretell"], ["naive", "drift"], []])
def test_one_side_alone_is_nothing_to_compare(names):
    result = judge({name: np.ones(20) for name in names}, OURS, root=False)
    assert result.use is None
    assert "nothing to compare" in str(result)


def test_customers_without_a_loss_are_left_out_of_both():
    own, rule = np.ones(50), np.full(50, 2.0)
    own[:5], rule[:5] = np.nan, 1e9
    assert judge({"foretell": own, "naive": rule}, OURS, root=False).gain_pct == 50


def test_too_few_to_tell_is_said():
    result = judge({"foretell": [1.0, 1.0], "naive": [2.0, 2.0]}, OURS, root=False)
    assert result.use == "naive"
    assert "too few" in str(result)
