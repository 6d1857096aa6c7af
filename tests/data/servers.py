"""Database servers that tests may talk to."""

import os

import pytest


def server(variable):
    url = os.environ.get(variable)
    skipped = pytest.mark.skipif(not url, reason=f"{variable} names no server")
    return pytest.param(url, marks=[pytest.mark.server, skipped], id=variable)
