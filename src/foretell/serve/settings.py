"""What a service is started with, and how much is asked of it at most."""

from __future__ import annotations

import dataclasses
import ipaddress
from pathlib import Path
from typing import Final

from foretell.core.constraints import Number, Whole, check_fields
from foretell.errors import ParameterError

LEAST_TOKEN: Final = 16  # characters


@dataclasses.dataclass(frozen=True)
class Limits:
    """How much is asked of a service at most.

    Attributes
    ----------
    body : int
        Bytes of a request, other than a file.
    upload, unpacked : int
        Bytes of a file as it comes, and unpacked.
    ids, rows : int
        Customers or series that are named in a request, and of an answer.
    days : int
        How far ahead it is asked.
    seconds : float
        After which an answer is given up.
    jobs : int
        Jobs that wait.
    """

    body: int = 2**20
    upload: int = 512 * 2**20
    unpacked: int = 4 * 2**30
    ids: int = 10_000
    rows: int = 100_000
    days: int = 3_653
    seconds: float = 60.0
    jobs: int = 50

    def __post_init__(self) -> None:
        whole = {field.name: Whole() for field in dataclasses.fields(self) if field.name != "seconds"}
        check_fields(self, {**whole, "seconds": Number(0.001, 86_400.0)})


@dataclasses.dataclass(frozen=True)
class ServeConfig:
    """What a service is started with.

    Attributes
    ----------
    models : tuple of Path
        Directories of models that are served, each by the name of its directory; updates are written to them.
    store : Path
        A folder of the service's own, for files that are sent, models that are fitted, and jobs.
    host, port : str, int
        Where it listens; port 0 takes one that is free.
    token : str, optional
        What requests have to carry; needed where it is not this machine alone that can reach it.
    workers : int
        Processes.
    limits : Limits
    """

    models: tuple[Path, ...] = ()
    store: Path = Path("foretell-store")
    host: str = "127.0.0.1"
    port: int = 8000
    token: str | None = None
    workers: int = 1
    limits: Limits = dataclasses.field(default_factory=Limits)

    def __post_init__(self) -> None:
        check_fields(self, {"port": Whole(0, 65_535), "workers": Whole(1, 64)})
        if self.token is None and not self.on_loopback:
            raise ParameterError(
                f"host={self.host!r} can be reached by others, and there is no token; set the environment's "
                "FORETELL_TOKEN or name a file with one by token_file=, or listen on 127.0.0.1"
            )
        if self.token is not None and len(self.token) < LEAST_TOKEN:
            raise ParameterError(
                f"the token has {len(self.token)} characters; expected at least {LEAST_TOKEN}, such as those "
                "of: python3 -c 'import secrets; print(secrets.token_urlsafe())'"
            )

    @property
    def on_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False
