"""Frames of other libraries that hold what a frame of polars holds."""

import polars as pl

KINDS_OF_FRAME = {
    "lazy": pl.DataFrame.lazy,
    "pyarrow": pl.DataFrame.to_arrow,
    "pandas": pl.DataFrame.to_pandas,
    "pandas on arrow": lambda frame: frame.to_pandas(use_pyarrow_extension_array=True),
}
