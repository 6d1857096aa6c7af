"""What the library says besides its answers goes to the logger ``foretell``; nothing is printed.

A program that wants to read it asks for it::

    import logging
    logging.basicConfig(level=logging.INFO)

INFO: what was read and fitted. DEBUG: each epoch. WARNING: what is warned of, too.
"""

from __future__ import annotations

import logging
import warnings
from typing import Final

JOURNAL: Final = logging.getLogger("foretell")
JOURNAL.addHandler(logging.NullHandler())


def warn(message: str, category: type[Warning] = UserWarning, *, stacklevel: int = 2) -> None:
    """Warn, and write it down; the caller's caller is ``stacklevel=2``, as in ``warnings.warn``."""
    JOURNAL.warning(message)
    warnings.warn(message, category, stacklevel=stacklevel + 1)
