"""Keras on JAX: chosen before Keras is first imported, and typed here, for Keras itself says no types.

Both take seconds to import, and small requests need neither (`foretell.nn.plain`): ``jax``, ``jnp`` and
``keras`` of this module are imported when something of them is first used. Compiled programs are kept in the
user's cache folder: the next process finds them instead of compiling.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import os
import platform
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, ParamSpec, Protocol, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from foretell.errors import BackendError

if TYPE_CHECKING:
    import jax as jax  # noqa: PLC0414  # typed for those who import it from here
    import jax.numpy

    jnp = jax.numpy

    Array: TypeAlias = jax.Array
else:
    Array = Any
Tensor: TypeAlias = Array  # or, while a model is built, its symbol, with the same operations
Weights: TypeAlias = Sequence[Array | npt.NDArray[np.float32]]
Tree: TypeAlias = Any  # nested tuples, lists and dictionaries of arrays, as JAX takes them
Shape: TypeAlias = tuple[int | None, ...]
Config: TypeAlias = dict[str, object]  # what JSON keeps of a layer


class Named(Protocol):
    """An input of a `keras.Model`."""

    name: str
    shape: tuple[int | None, ...]


class Weight(Protocol):
    """A trainable weight: what `Variable` and `foretell.nn.plain.PlainWeight` have in common."""

    @property
    def name(self) -> str: ...

    @property
    def path(self) -> str: ...

    @property
    def shape(self) -> tuple[int, ...]: ...


class Variable(Protocol):
    """A `keras.Variable`."""

    name: str
    path: str
    shape: tuple[int, ...]
    dtype: str
    value: Array

    def assign(self, value: npt.ArrayLike) -> None: ...


class Layer(Protocol):
    """A `keras.layers.Layer`."""

    name: str

    def __call__(
        self, inputs: Tensor | Sequence[Tensor], *, initial_state: Sequence[Tensor] | None = None
    ) -> Tensor: ...


class Model(Protocol):
    """A `keras.Model` of one output."""

    inputs: list[Named]
    outputs: list[Tensor]
    output_shape: tuple[int | None, ...]
    trainable_variables: list[Variable]
    non_trainable_variables: list[Variable]

    @property
    def input(self) -> Tensor | list[Tensor] | dict[str, Tensor]: ...

    def __call__(
        self, inputs: npt.ArrayLike | Sequence[Tensor] | Mapping[str, Tensor], *, training: bool = False
    ) -> Tensor: ...

    def stateless_call(
        self, weights: Weights, fixed: Sequence[Array], inputs: Array | Sequence[Array], *, training: bool
    ) -> tuple[Tree, list[Array]]: ...

    def to_json(self, *, indent: int) -> str: ...

    def save_weights(self, path: Path) -> None: ...

    def load_weights(self, path: Path) -> None: ...


class Cell(Protocol):
    """A recurrent cell of Keras: one step of a layer."""

    units: int
    state_size: int | list[int] | tuple[int, ...]

    def __call__(self, inputs: Tensor, states: Sequence[Tensor]) -> tuple[Tensor, Tensor | list[Tensor]]: ...


class KerasOptimizer(Protocol):
    """A `keras.optimizers.Optimizer`."""

    variables: list[Variable]

    def build(self, variables: Sequence[Variable]) -> None: ...

    def stateless_apply(
        self, slots: Sequence[Array], gradients: Sequence[Array], weights: Sequence[Array]
    ) -> tuple[list[Array], list[Array]]: ...


Initializer: TypeAlias = Callable[..., npt.NDArray[np.float32]]


def _import_keras() -> Any:
    _import_jax()
    keras = importlib.import_module("keras")
    if keras.config.backend() != "jax":
        raise BackendError(
            f"Keras is already loaded on the {keras.config.backend()!r} backend; foretell needs 'jax'. "
            "Set KERAS_BACKEND=jax in the environment, or import foretell's forecasters before Keras."
        )
    return keras


@functools.cache
def _import_jax() -> Any:
    keep_programs()
    return importlib.import_module("jax")


class _Late:
    """A module that is imported when something of it is first used."""

    def __init__(self, load: Callable[[], Any]) -> None:
        self._load = load

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._load(), name)
        setattr(self, name, value)
        return value


if not TYPE_CHECKING:
    jax, jnp = _Late(_import_jax), _Late(lambda: _import_jax().numpy)
keras: Any = _Late(_import_keras)

Result = TypeVar("Result")
Arguments = ParamSpec("Arguments")


# XLA's newer emitters of fused loops take twice as long to compile on a CPU, for code that is no faster.
_COMPILER_OPTIONS: Final = {"xla_cpu_use_fusion_emitters": False}


def jitted(
    *static: int, donate: Sequence[int] = ()
) -> Callable[[Callable[Arguments, Result]], Callable[Arguments, Result]]:
    """Return a decorator: JAX compiles the function when it is first called.

    Some arguments are static; the memory of donated ones is the result's.
    """

    def decorate(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
        @functools.cache
        def program() -> Callable[Arguments, Result]:
            compiled: Callable[Arguments, Result] = jax.jit(
                function, static_argnums=static, donate_argnums=donate, compiler_options=_COMPILER_OPTIONS
            )
            return compiled

        @functools.wraps(function)
        def call(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
            return program()(*args, **kwargs)

        vars(call)["program"] = program
        return call

    return decorate


def side_by_side(jobs: Sequence[Callable[[], Result]]) -> list[Result]:
    """Run the members' jobs in threads, one a core: compiled programs let go of Python's lock.

    Fewer where ``OMP_NUM_THREADS`` says so, as it does where several workers share a machine.
    """
    told = os.environ.get("OMP_NUM_THREADS", "")
    cores = int(told) if told.isdecimal() else os.cpu_count() or 1
    with ThreadPoolExecutor(max_workers=max(1, min(cores, len(jobs)))) as pool:
        return [future.result() for future in [pool.submit(job) for job in jobs]]


def is_layer(value: object) -> bool:
    """Return whether something is a layer or a model of Keras, which is not imported to find out."""
    return "keras" in sys.modules and isinstance(value, keras.layers.Layer)


def make_model(inputs: Tensor | Sequence[Tensor], outputs: Tensor | Sequence[Tensor], name: str) -> Model:
    """Return the `keras.Model` from some symbols to others."""
    model: Model = keras.Model(inputs, outputs, name=name)
    return model


Kind = TypeVar("Kind", bound=type)


def register(kind: Kind) -> Kind:
    """Let Keras know a class of ours by its name."""
    registered: Kind = keras.saving.register_keras_serializable("foretell")(kind)
    return registered


FOLDER_VARIABLE: Final = "FORETELL_CACHE"
"""Environment variable: another folder, or ``off``."""

# The least recently used programs are deleted beyond this; a fit and its forecasts take some 10 MB.
_MOST_BYTES = 512 * 2**20


def keep_programs() -> Path | None:
    """Let JAX keep what it compiles, unless a folder is set for it already; return the folder, if any.

    Processes share the folder under a lock. Where it cannot be written, nothing is kept.
    """
    config = importlib.import_module("jax").config
    if config.jax_compilation_cache_dir is not None:
        return None
    folder = programs_folder()
    if folder is None:
        return None
    config.update("jax_compilation_cache_max_size", _MOST_BYTES)
    config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    config.update("jax_compilation_cache_dir", str(folder))
    return folder


def programs_folder() -> Path | None:
    """Return the folder of this machine's programs; None where it is switched off or cannot be written."""
    import platformdirs  # noqa: PLC0415  # only who compiles needs it

    chosen = os.environ.get(FOLDER_VARIABLE, "").strip()
    if chosen.lower() in {"off", "0", "false", "no"}:
        return None
    folder = Path(chosen or platformdirs.user_cache_dir("foretell")) / f"programs-{_processor()}"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        return None
    return folder if os.access(folder, os.R_OK | os.W_OK | os.X_OK) else None


def _processor() -> str:
    """Return a name for what programs are compiled for: processors may differ that share a home folder."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = [platform.processor()]
    features = next((line for line in lines if line.startswith(("flags", "Features"))), lines[0])
    return f"{platform.machine()}-{hashlib.sha256(features.encode()).hexdigest()[:12]}"


if "keras" in sys.modules:
    _import_keras()  # says at once that it is on another backend
else:
    os.environ["KERAS_BACKEND"] = "jax"
