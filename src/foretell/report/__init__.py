"""Pages that stand alone: of a comparison for who built the models, of a shop for who runs it."""

from __future__ import annotations

from foretell.report.comparison import report_html, write_report
from foretell.report.shop import write_shop_report

__all__ = ["report_html", "write_report", "write_shop_report"]
