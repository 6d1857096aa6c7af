"""What a service may be started with."""

import pytest

from foretell.errors import ParameterError
from foretell.serve.settings import Limits, ServeConfig


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.7", "::", "shop.example"])
def test_who_can_be_reached_by_others_needs_a_token(host):
    with pytest.raises(ParameterError, match="there is no token; set the environment's FORETELL_TOKEN"):
        ServeConfig(host=host)
    assert not ServeConfig(host=host, token="x" * 16).on_loopback


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.8.8.8"])
def test_this_machine_alone_needs_none(host):
    assert ServeConfig(host=host).on_loopback


def test_short_tokens_and_senseless_limits_are_refused():
    with pytest.raises(ParameterError, match="the token has 5 characters; expected at least 16"):
        ServeConfig(token="short")
    with pytest.raises(ParameterError, match="ids=0; expected a whole number of at least 1"):
        Limits(ids=0)
    with pytest.raises(ParameterError, match="port=70000"):
        ServeConfig(port=70_000)
