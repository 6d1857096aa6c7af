"""Pages that stand alone: of a comparison for who builds models, of a shop for who runs it."""

from __future__ import annotations

from pathlib import Path

from foretell.core.paths import as_path
from foretell.errors import ParameterError
from foretell.evaluation.evaluation import Evaluation
from foretell.i18n import Translator
from foretell.report.comparison import report_html
from foretell.report.outlook import ShopModel
from foretell.report.pages import check_page, read_data, write_page
from foretell.report.shop import shop_html

__all__ = ["report_html", "write_report"]


def write_report(
    source: Evaluation | ShopModel,
    path: str | Path,
    *,
    language: str = "en",
    since: str | Path | None = None,
) -> Path:
    """Write a comparison, or what a model says of its shop, as one HTML file that needs nothing else.

    Of a comparison: the verdict, the leaderboard, pictures, who is overdue. Of a model of visits: what to
    expect, what changed since the last report, whom to write to, who is new, how good earlier forecasts
    were. No network is asked for anything.

    Parameters
    ----------
    source : Evaluation, EventForecaster or statistic of visits
        See `foretell.evaluate`; a model is fitted, and says how many visits to expect.
    path : str or Path
        Ends in ``.html``.
    language : {"en", "zh"}
        Of the page of a shop.
    since : str or Path, optional
        An earlier page of the shop, by default the one that stands at ``path``: what came since then is
        held against what it expected.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    ParameterError
        The name does not end in .html, the language is not known, or the model says no numbers of visits.
    StorageError
        The file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> import foretell as ft
    >>> panel = ft.Panel.from_arrays({"a": [1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 4]})
    >>> evaluation = ft.evaluate(panel, horizon=3, models=["naive", "drift"], season=3)
    >>> with tempfile.TemporaryDirectory() as place:
    ...     write_report(evaluation, f"{place}/report.html").name
    'report.html'
    """
    target, say = check_page(path), Translator(language)
    if isinstance(source, Evaluation):
        if language != "en" or since is not None:
            raise ParameterError(
                f"language={language!r}, since={since!r}; a comparison is written in English and for itself: "
                "expected neither"
            )
        return write_page(report_html(source), target)
    if not hasattr(source, "shortlist"):
        raise ParameterError(
            f"{type(source).__name__} has no page; expected an Evaluation, or a fitted model of visits"
        )
    earlier = read_data(target if since is None else as_path(since, "since"))
    return write_page(shop_html(source, say, earlier), target)
