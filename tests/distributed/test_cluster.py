"""Without Ray it is said how to install it."""

import sys

import pytest

from foretell.distributed import Cluster
from foretell.errors import MissingDependencyError, ParameterError


def test_without_ray_it_is_said_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'foretell\[ray\]'"), Cluster().connected():
        pass


def test_no_workers_are_refused():
    with pytest.raises(ParameterError, match="workers=0"):
        Cluster(workers=0)
