"""Database servers that tests may talk to."""

import os
import uuid

import pytest


def own_table(holds):
    """Return a name that no other process uses, on a server that several may talk to at once."""
    return f"foretell_test_{holds}_{uuid.uuid4().hex[:8]}"


def server(variable):
    url = os.environ.get(variable)
    skipped = pytest.mark.skipif(not url, reason=f"{variable} names no server")
    return pytest.param(url, marks=[pytest.mark.server, skipped], id=variable)
