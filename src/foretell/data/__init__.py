"""The way in: files, databases and frames become validated ragged arrays."""
