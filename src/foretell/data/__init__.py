"""The way in: files, databases and frames become validated ragged arrays, and these a network's windows."""
