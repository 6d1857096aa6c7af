"""Ways to harm the bytes of a file."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Harm = Callable[[np.random.Generator, bytes], bytes]


def flip(rng: np.random.Generator, content: bytes) -> bytes:
    """Flip up to three bits."""
    harmed = bytearray(content)
    for _ in range(int(rng.integers(1, 4))):
        harmed[int(rng.integers(len(content)))] ^= 1 << int(rng.integers(8))
    return bytes(harmed)


def cut(rng: np.random.Generator, content: bytes) -> bytes:
    """Cut it anywhere."""
    return content[: int(rng.integers(len(content)))]


def lengthen(rng: np.random.Generator, content: bytes) -> bytes:
    """Repeat its beginning in its middle."""
    where, length = int(rng.integers(len(content))), int(rng.integers(1, 200))
    return content[:where] + content[:length] + content[where:]


def overwrite(rng: np.random.Generator, content: bytes) -> bytes:
    """Write random bytes over a part."""
    harmed = bytearray(content)
    where, length = int(rng.integers(len(content))), int(rng.integers(1, 200))
    harmed[where : where + length] = rng.bytes(len(content[where : where + length]))
    return bytes(harmed)


def drop(rng: np.random.Generator, content: bytes) -> bytes:
    """Leave out a few bytes."""
    where = int(rng.integers(len(content)))
    return content[:where] + content[where + int(rng.integers(1, 20)) :]


_SIGNS = (
    b'"',
    b"\n",
    b"\r",
    b",",
    b";",
    b"\x00",
    b"\xff",
    b"{",
    b"}",
    b"\\",
    b"\xef\xbb\xbf",
    b"9" * 30,
    b"-",
)


def insert(rng: np.random.Generator, content: bytes) -> bytes:
    """Insert a sign that means something."""
    where = int(rng.integers(len(content) + 1))
    return content[:where] + _SIGNS[int(rng.integers(len(_SIGNS)))] + content[where:]


HARMS: tuple[Harm, ...] = (flip, cut, lengthen, overwrite, drop, insert)


def harmed(rng: np.random.Generator, content: bytes) -> bytes:
    """Return a content harmed in one of these ways."""
    return HARMS[int(rng.integers(len(HARMS)))](rng, content) if content else content
