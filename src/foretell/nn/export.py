"""A fitted forecaster as one program in a file, for where foretell is not installed: ONNX or StableHLO."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias

import jax
import jax.export
import numpy.typing as npt
from jax.extend.core import jaxpr_as_fun

from foretell.core.paths import as_path, writing
from foretell.errors import MissingDependencyError, ParameterError
from foretell.nn.backend import Array

Dimensions: TypeAlias = tuple[str | int, ...]
"""Of an array; those with a name are free."""

_PLATFORMS: Final = ("cpu", "cuda", "tpu")


@dataclasses.dataclass(frozen=True)
class Program:
    """A pure function of arrays, with all that was learned inside.

    Attributes
    ----------
    function : callable
        Arrays by name to arrays by name.
    inputs : dict
        Dimensions and type of each argument.
    about : dict
        What who runs it has to know, as JSON can hold it.
    """

    function: Callable[..., dict[str, Array]]
    inputs: Mapping[str, tuple[Dimensions, npt.DTypeLike]]
    about: Mapping[str, object]

    @property
    def arguments(self) -> dict[str, jax.ShapeDtypeStruct]:
        """Shapes and types of the arguments, in which free dimensions are symbols."""
        scope = jax.export.SymbolicScope()
        names = {size for shape, _ in self.inputs.values() for size in shape if isinstance(size, str)}
        symbols = {name: jax.export.symbolic_shape(name, scope=scope)[0] for name in sorted(names)}
        return {
            name: jax.ShapeDtypeStruct([symbols[n] if isinstance(n, str) else n for n in shape], kind)  # type: ignore[no-untyped-call]
            for name, (shape, kind) in self.inputs.items()
        }

    def write(self, path: str | Path) -> Path:
        """Write the program in the format that the file's ending names."""
        path = as_path(path)
        writers = {".onnx": self._onnx, ".stablehlo": self._stablehlo}
        if path.suffix not in writers:
            raise ParameterError(f"path={str(path)!r}; expected a file that ends in {' or '.join(writers)}")
        content = writers[path.suffix]()
        with writing(path):
            path.write_bytes(content)
        return path

    def _stablehlo(self) -> bytes:
        exported = jax.export.export(jax.jit(self.function), platforms=_PLATFORMS)(**self.arguments)
        try:
            return bytes(exported.serialize())
        except ImportError as error:
            raise _missing(error) from error

    def _onnx(self) -> bytes:
        try:
            import onnx  # noqa: PLC0415  # an extra
            from jax2onnx import to_onnx  # noqa: PLC0415
        except ImportError as error:
            raise _missing(error) from error
        given = self.arguments
        # Traced first: what jax2onnx reads is then primitives alone, in place of its own view of jax.numpy.
        traced, shapes = jax.make_jaxpr(
            lambda *arrays: self.function(**dict(zip(given, arrays, strict=True))), return_shape=True
        )(*given.values())
        with _quiet():
            try:
                model = to_onnx(
                    jaxpr_as_fun(traced),
                    list(given.values()),
                    model_name="foretell",
                    input_names=list(given),
                    output_names=sorted(shapes),
                )
            except Exception as error:  # whatever it stumbles over
                raise ParameterError(
                    f"jax2onnx cannot write this network as ONNX: {error!r:.300}; expected another cell, "
                    "or a path that ends in .stablehlo"
                ) from error
        _drop_unused(model.graph)
        onnx.helper.set_model_props(model, {"foretell": json.dumps(self.about)})
        return bytes(model.SerializeToString())


def _drop_unused(graph: Any) -> set[str]:
    """Drop constants of an ONNX graph that nothing reads, of which runtimes warn; return the names read."""
    inner = [attribute.g for node in graph.node for attribute in node.attribute if attribute.HasField("g")]
    read = {name for node in graph.node for name in node.input} | {output.name for output in graph.output}
    read = read.union(*(_drop_unused(part) for part in inner))
    kept = [constant for constant in graph.initializer if constant.name in read]
    del graph.initializer[:]
    graph.initializer.extend(kept)
    return read


def _missing(error: ImportError) -> MissingDependencyError:
    return MissingDependencyError(f"{error}; install what exports need: pip install 'foretell[onnx]'")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep a library's remarks on its own workings from the root logger."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(level)
        root.handlers[:] = handlers
