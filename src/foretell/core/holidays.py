"""Public holidays of a country, by the package ``holidays``."""

from __future__ import annotations

import numpy as np

from foretell.core import IntArray
from foretell.errors import MissingDependencyError, ParameterError


def public_holidays(place: str, begin: int, end: int) -> IntArray:
    """Return the public holidays from one day to before another, in days since 1970-01-01.

    Parameters
    ----------
    place : str
        A country by its ISO 3166 code, and a part of it: ``"DE"``, ``"US-CA"``.
    begin, end : int

    Examples
    --------
    >>> new_year = public_holidays("DE", 19_723, 19_724)  # 2024-01-01
    >>> new_year.tolist()
    [19723]
    """
    try:
        import holidays  # noqa: PLC0415  # optional
    except ImportError as error:
        raise MissingDependencyError(
            f"holidays={place!r} needs the package holidays: pip install 'foretell[holidays]'"
        ) from error
    country, _, part = str(place).partition("-")
    years = np.arange(begin, end + 1, 360).astype("datetime64[D]").astype("datetime64[Y]").astype(int) + 1970
    asked = sorted({int(year) for year in (*years, years[-1] + 1)})
    try:
        dates = holidays.country_holidays(country, subdiv=part or None, years=asked)
    except NotImplementedError as error:
        raise ParameterError(f"holidays={place!r}; expected a country such as 'DE' or 'US-CA'") from error
    days = np.array(sorted(dates), dtype="datetime64[D]").astype(np.int64)
    return days[(days >= begin) & (days < end)]
