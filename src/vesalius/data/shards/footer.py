"""The description at the end of a Parquet file (Thrift's compact protocol), read without the library, which ends the process at some that are damaged.

In: an open file. Out: plain values by field number, and a `Chunk` for each column of each row group. Numbers are as the format's parquet.thrift has them.
"""

from __future__ import annotations

import dataclasses
from typing import Any, BinaryIO

MAGIC = b"PAR1"
PLAIN = frozenset({0, 3, 4})  # PLAIN; RLE and BIT_PACKED for whether a cell is empty
_LONGEST, _DEEPEST, _MOST = 1 << 26, 16, 1 << 24  # bytes of a description; structures within one another; values in it
_TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _STRUCT = 1, 2, 3, 7, 8, 9, 10, 12
_INTEGERS = (4, 5, 6)


@dataclasses.dataclass(frozen=True)
class Chunk:
    """One column of one row group; `plain`: neither compressed nor with shared values, so that it holds as many bytes as it takes."""

    plain: bool
    bytes: int


@dataclasses.dataclass(frozen=True)
class Group:
    """One row group."""

    rows: int
    chunks: tuple[Chunk, ...]


def read(stream: BinaryIO) -> tuple[Group, ...]:
    """The row groups that a file says it has.

    Raises:
        ValueError: the file is no whole Parquet file.
    """
    size = stream.seek(0, 2)
    stream.seek(max(0, size - 8))
    tail = stream.read(8)
    length = int.from_bytes(tail[:4], "little")
    if size < 12 or tail[4:] != MAGIC or not 0 < length <= min(size - 12, _LONGEST):
        raise ValueError("its end is missing")
    stream.seek(size - 8 - length)
    try:
        held = _Compact(stream.read(length)).structure(0)
        return tuple(_group(group) for group in held.get(4, ()))
    except (IndexError, KeyError, TypeError, AttributeError) as error:
        raise ValueError("its description cannot be read") from error


def _group(held: dict[int, Any]) -> Group:
    return Group(_whole(held[3]), tuple(_chunk(chunk) for chunk in held[1]))


def _chunk(held: dict[int, Any]) -> Chunk:
    facts = held[3]
    size, stored = _whole(facts[6]), _whole(facts[7])
    plain = facts[4] == 0 and PLAIN.issuperset(facts[2]) and 11 not in facts and 1 not in held and size == stored
    return Chunk(plain, size)


def _whole(value: Any) -> int:  # noqa: ANN401
    if type(value) is not int or value < 0:
        raise TypeError("not a size")
    return value


class _Compact:
    """Values of the compact protocol; lists and structures within bounds."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at, self._left = data, 0, _MOST

    def structure(self, depth: int) -> dict[int, Any]:
        if depth > _DEEPEST:
            raise ValueError("its description is nested too deep")
        found: dict[int, Any] = {}
        field = 0
        while (head := self._byte()) != 0:
            step, kind = head >> 4, head & 15
            field = field + step if step else self._signed()
            found[field] = kind == _TRUE if kind in (_TRUE, _FALSE) else self._value(kind, depth)
        return found

    def _value(self, kind: int, depth: int) -> Any:  # noqa: ANN401
        self._left -= 1
        if self._left < 0:
            raise ValueError("its description has too many values")
        if kind in _INTEGERS:
            return self._signed()
        if kind == _BINARY:
            return self._take(self._unsigned())
        if kind in (_LIST, _SET):
            return self._several(depth)
        if kind == _STRUCT:
            return self.structure(depth + 1)
        if kind == _DOUBLE:
            return self._take(8)
        if kind in (_TRUE, _FALSE, _BYTE):  # one byte each in a list
            return self._byte()
        raise ValueError(f"its description has a value of kind {kind}")

    def _several(self, depth: int) -> list[Any]:
        head = self._byte()
        count = head >> 4 if head >> 4 != 15 else self._unsigned()
        return [self._value(head & 15, depth + 1) for _ in range(count)]

    def _byte(self) -> int:
        self._at += 1
        return self._data[self._at - 1]

    def _take(self, count: int) -> bytes:
        if count > len(self._data) - self._at:
            raise ValueError("its description ends too early")
        self._at += count
        return self._data[self._at - count : self._at]

    def _unsigned(self) -> int:
        found, shift = 0, 0
        while shift < 70:
            byte = self._byte()
            found |= (byte & 127) << shift
            if byte < 128:
                return found
            shift += 7
        raise ValueError("its description has a number without an end")

    def _signed(self) -> int:
        number = self._unsigned()
        return (number >> 1) ^ -(number & 1)
