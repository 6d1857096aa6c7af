"""A service and a page on one port: models that answer, files that are fitted to (``foretell serve``)."""
