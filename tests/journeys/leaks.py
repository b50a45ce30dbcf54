"""Finds a planted word in whatever a network left behind, however it was encoded there.

A leak is rarely plain: a store pickles, a log escapes, a column is compressed, a header is base64. So each piece of
data is searched for the word in every form below, and then unpacked, layer by layer, and searched again.
"""

import base64
import json
import re
import sqlite3
import zlib
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

DEPTH = 4
"""Layers that are unpacked: base64 of a compressed pickle of a token is three."""

_UNPACKED = 4_000_000
"""Bytes of one compressed stream that are looked at."""

_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{20,}")
_HEX = re.compile(rb"(?:[0-9a-fA-F]{2}){12,}")
_PERCENT = re.compile(rb"%([0-9a-fA-F]{2})")
_UNICODE = re.compile(rb"\\+u00([0-9a-fA-F]{2})|\\+x([0-9a-fA-F]{2})|&#x0*([0-9a-fA-F]{2});")
_COMPRESSED = re.compile(rb"\x1f\x8b\x08|\x78[\x01\x5e\x9c\xda]")

_HEADER = re.compile(rb"eyJ(?:hbGciOi|0eXAiOi|raWQiOi|pc3MiOi|jdHkiOi)|eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}")
"""How a signed JWT begins: its header, or the payload after it, or the whole in its compact form."""

_HEAD = base64.urlsafe_b64encode(b'{"alg":"ES256","typ":"stead-audit-head"')
_OF_THE_AUDIT = re.compile(_HEAD + rb"[A-Za-z0-9_-]*\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
"""The signed head of an audit chain has the form of a JWT, names no person and is good for nothing else."""


@dataclass(frozen=True)
class Leak:
    """Where something was found, and how it stood there."""

    place: str
    how: str


class Search:
    """A search for words that must be nowhere, and for anything that looks like a signed JWT."""

    def __init__(self, *words: str) -> None:
        assert all(len(word) >= 16 and word.isascii() for word in words), "a short word is found by chance"
        self._forms = [(how, form) for word in words for how, form in _forms(word.encode())]

    def data(self, place: str, data: bytes) -> set[Leak]:
        """What is wrong with a piece of data."""
        return {Leak(place, how) for how in self._within(data, DEPTH)}

    def text(self, place: str, text: str) -> set[Leak]:
        """What is wrong with a text."""
        return self.data(place, text.encode())

    def folder(self, folder: Path) -> set[Leak]:
        """What is wrong with the files under a folder: as bytes, and databases value by value too."""
        found: set[Leak] = set()
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                place = str(path.relative_to(folder))
                found |= self.data(place, place.encode() + b"\n" + path.read_bytes())
                if path.read_bytes()[:15] == b"SQLite format 3":
                    found |= {leak for where, value in values(path) for leak in self.data(f"{place} {where}", value)}
        return found

    def _within(self, data: bytes, depth: int) -> Iterator[str]:
        yield from (how for how, form in self._forms if form in data)
        if _HEADER.search(_OF_THE_AUDIT.sub(b"", data)):
            yield "a JWT"
        if depth:
            for how, inner in _unpacked(data):
                yield from (f"{how} > {deeper}" for deeper in self._within(inner, depth - 1))


def values(database: Path) -> Iterator[tuple[str, bytes]]:
    """Every text and blob of a SQLite database, with what is still in its write-ahead log."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        connection.text_factory = bytes
        tables = [row[0].decode() for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            for row in connection.execute(f'SELECT * FROM "{table}"'):
                yield from ((table, value) for value in row if isinstance(value, bytes))


def _forms(word: bytes) -> Iterator[tuple[str, bytes]]:
    """The word as it may stand in the middle of something."""
    yield "plain", word
    yield "UTF-16", word.decode().encode("utf-16-le")
    yield "hex", word.hex().encode()
    yield "hex", word.hex().upper().encode()
    yield "percent", b"".join(b"%%%02X" % byte for byte in word)
    yield "percent", b"".join(b"%%%02x" % byte for byte in word)
    yield "JSON escapes", b"".join(b"\\u%04x" % byte for byte in word)
    yield "backslash escapes", b"".join(b"\\x%02x" % byte for byte in word)
    for before in range(3):
        inner = _middle(word, before)
        yield "base64", inner
        yield "base64url", inner.replace(b"+", b"-").replace(b"/", b"_")


def _middle(word: bytes, before: int) -> bytes:
    """The characters of base64 that stand for the word alone when it begins `before` bytes into a group of three."""
    encoded = base64.b64encode(b"\0" * before + word).rstrip(b"=")
    whole = (before + len(word)) % 3 == 0
    return encoded[(0, 2, 3)[before] : None if whole else -1]


def _unpacked(data: bytes) -> Iterator[tuple[str, bytes]]:
    """What a piece of data turns into when it is read as something encoded."""
    yield from (("compressed", inner) for inner in _inflated(data))
    yield from (("base64", inner) for inner in _from_base64(data))
    yield from (("hex", bytes.fromhex(run.decode())) for run in set(_HEX.findall(data)))
    if _PERCENT.search(data):
        yield "percent", _PERCENT.sub(lambda found: bytes.fromhex(found[1].decode()), data)
    if _UNICODE.search(data):
        yield "escapes", _UNICODE.sub(lambda found: bytes.fromhex(found[found.lastindex or 1].decode()), data)
    if b"e\0y\0J\0" in data:
        yield "UTF-16", data.replace(b"\0", b"")


def _inflated(data: bytes) -> Iterator[bytes]:
    for found in _COMPRESSED.finditer(data):
        stream = zlib.decompressobj(wbits=47)  # zlib or gzip, as its header says
        try:
            inner = stream.decompress(data[found.start() :], _UNPACKED)
        except zlib.error:
            continue
        if len(inner) > 8:
            yield inner


def _from_base64(data: bytes) -> Iterator[bytes]:
    """A run is read at each of its four alignments: in a database, it may be glued to what stands before it."""
    for run in set(_BASE64.findall(data)):
        plain = run.replace(b"-", b"+").replace(b"_", b"/")
        for start in range(4):
            piece = plain[start:]
            whole = piece[:-1] if len(piece) % 4 == 1 else piece
            yield base64.b64decode(whole + b"=" * (-len(whole) % 4))


def told(leaks: Iterable[Leak]) -> str:
    """The leaks, to be read in a failing test: places and forms, never what was found."""
    return json.dumps(sorted({f"{leak.place}: {leak.how}" for leak in leaks}), indent=1)
