"""What a stranger's tool finds out about the service from its description alone."""

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable


@pytest.fixture(scope="module")
def described(app):
    async def under_its_own_name(scope, receive, send):
        if scope["type"] == "lifespan":  # nobody does the jobs
            for word in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{word}.complete"})
            return
        headers = [(name, value) for name, value in scope.get("headers", ()) if name != b"host"]
        await app({**scope, "headers": [*headers, (b"host", b"localhost")]}, receive, send)

    return schemathesis.openapi.from_asgi("/openapi.json", under_its_own_name)


@pytest.mark.parametrize("mode", list(schemathesis.GenerationMode))
def test_no_request_breaks_what_the_description_says(described, mode):
    operations = [found.ok() for found in described.get_all_operations()]
    assert len(operations) > 15
    for operation in operations:

        @settings(
            max_examples=5,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(operation.as_strategy(generation_mode=mode), st.sampled_from(["shop", "stores"]))
        def holds(case, model):
            if mode is schemathesis.GenerationMode.POSITIVE and "model" in case.path_parameters:
                case.path_parameters["model"] = model  # chance would seldom name one that is there
            case.call_and_validate()

        try:
            holds()
        except Unsatisfiable:  # of what takes nothing there is nothing wrong to send
            assert mode is schemathesis.GenerationMode.NEGATIVE
