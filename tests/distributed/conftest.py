"""One local cluster of two workers, and visits in partitions, for all tests of this room."""

from __future__ import annotations

import pytest
from tests.conftest import SMALL_CUTOFF, small_events

from foretell import distributed

READING = {"id": "unique_id", "time": "ds", "marks": ["amount"], "group": "shop", "as_of": SMALL_CUTOFF}


@pytest.fixture(scope="session")
def cluster():
    two = distributed.Cluster(workers=2)
    with two.connected():
        yield two


@pytest.fixture(scope="session")
def visits(tmp_path_factory):
    """The small log up to its cut-off, in four partitions."""
    place = tmp_path_factory.mktemp("visits")
    return distributed.partition(small_events(), place, partitions=4, **READING)
