"""States of forecasters as files keep them."""

import dataclasses
import json

from foretell.core.contracts import State


def as_written(state: State) -> State:
    """Return a state whose values have been JSON, and whose arrays hold numbers alone."""
    assert all(array.dtype != object for array in state.arrays.values())
    return dataclasses.replace(
        state,
        described=json.loads(json.dumps(state.described)),
        data=None if state.data is None else as_written(state.data),
    )
