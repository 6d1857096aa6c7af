"""A short part of the harness: python -m benchmarks.torture has the whole."""

import pytest
from benchmarks.torture.__main__ import PARTS
from benchmarks.torture.harness import Budget, torture

# tests/test_storage_damage.py has models and kills.
COUNTS = {"readers": 60, "commands": 40, "arguments": 150, "hardships": 10}


@pytest.mark.parametrize("part", COUNTS)
def test_no_trial_ends_in_a_fault(part):
    result = torture(part, PARTS[part], Budget(COUNTS[part], seed=7))
    assert not result.faults
    assert result.tried == COUNTS[part]
