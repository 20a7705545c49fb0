"""Parser of numbers in text files: encodings, line ends, rows, and words that are no numbers."""

import codecs

import numpy as np

from ..errors import MeshError

MARKS = {codecs.BOM_UTF32_LE: "utf-32-le", codecs.BOM_UTF32_BE: "utf-32-be"}  # first: utf-32-le begins as utf-16-le
MARKS |= {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
ZEROS = {"*0*0": "utf-16-le", "0*0*": "utf-16-be", "*000": "utf-32-le", "000*": "utf-32-be"}  # of ASCII without a mark
EXACT = 2.0**53  # whole numbers below are exact in float64

END = 2  # class of the bytes that end a line
WHITE = np.zeros(256, np.uint8)  # [256] class of each byte: 0 of a word, 1 space, 2 end of a line
WHITE[list(b" \t\v\f")], WHITE[list(b"\n\r")] = 1, END


def decoded(data: bytes) -> bytes:
    """Decode a text to UTF-8: one byte for each ASCII character, no byte order marks, wherever they stand."""
    pattern = "".join("*" if byte else "0" for byte in data[:4])
    encoding = next((MARKS[mark] for mark in MARKS if data.startswith(mark)), ZEROS.get(pattern))
    if encoding:
        data = data.decode(encoding, "replace").encode()
    return data.replace(codecs.BOM_UTF8, b"")


def quoted(word: bytes) -> str:
    """Quote a piece of a damaged file for an error message: at most 40 bytes, escaped."""
    return "'" + word[:40].decode("ascii", "backslashreplace") + ("...'" if len(word) > 40 else "'")


def numbers(words: list[bytes]) -> np.ndarray:
    """Convert words to numbers. [N] float64. Errors: MeshError, which quotes the first word that is no number."""
    try:
        return _plain(words, b"".join(words))  # [N]
    except ValueError:
        values = _tolerant(words)  # [N]
        refuse_words(words, np.flatnonzero(np.isnan(values)))
        return values


def refuse_words(words: list[bytes], suspects: np.ndarray) -> None:
    """Raise MeshError for the first suspect that is no number. suspects [S]: indices of words that were read as NaN."""
    for index in suspects.tolist():
        if not _is_number(words[index]):
            comma = b"," in words[index] and _is_number(words[index].replace(b",", b"."))
            remedy = "with decimal points, not commas" if comma else "again"
            raise MeshError(f"{quoted(words[index])} stands where a number should. Export the mesh {remedy}.")


def whole(values: np.ndarray) -> np.ndarray:
    """Convert float64 values [...] to int64. Errors: MeshError where one is no whole number."""
    wrong = ~((values == np.floor(values)) & (np.abs(values) < EXACT))  # [...] NaN is wrong, too
    if wrong.any():
        raise MeshError(f"{values[wrong][0]:g} stands where a whole number should. Export the mesh again.")
    return values.astype(np.int64)


class Rows:
    """Numbers of a text, a row for each line that is not blank.

    values [N] float64, those of all rows one after the other; starts [R] and lengths [R] of the rows.
    """

    def __init__(self, text: bytes, prefix_of: bytes = b""):
        """Parse a text. prefix_of: a character; each word is cut off before its first occurrence."""
        self._text, self._prefix_of = text.rstrip(b"\0\x1a"), prefix_of  # what disks and MS-DOS leave at the end
        words = self._words()
        try:
            self.values = _plain(words, self._text)  # [N]
        except ValueError:  # an error only where the word is asked for: see `at`
            self.values = _tolerant(words)  # [N]
        kinds = WHITE[np.frombuffer(b"\n" + self._text + b"\n", np.uint8)]  # [B]
        begins = np.flatnonzero((kinds[1:] == 0) & (kinds[:-1] > 0))  # [N]
        lengths = np.diff(np.searchsorted(begins, np.flatnonzero(kinds[1:] == END)), prepend=0)  # [L]
        self.lengths = lengths[lengths > 0]  # [R]
        self.starts = np.cumsum(self.lengths) - self.lengths  # [R]

    def __len__(self) -> int:
        return len(self.lengths)

    def at(self, index: np.ndarray) -> np.ndarray:
        """Look up values by their indices [...]. [...] float64. Errors: MeshError where one is no number."""
        values = self.values[index]  # [...]
        if np.isnan(values).any():
            refuse_words(self._words(), index[np.isnan(values)])
        return values

    def quoted(self, row: int) -> str:
        """Quote a row for an error message."""
        start = self.starts[row]
        return quoted(b" ".join(self._words()[start : start + self.lengths[row]]))

    def _words(self) -> list[bytes]:
        words = self._text.split()
        if self._prefix_of and self._prefix_of in self._text:
            words = [word.partition(self._prefix_of)[0] for word in words]
        return words


def ranges(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Concatenate the indices start .. start + length - 1 of R ranges. [sum of lengths]"""
    before = np.cumsum(lengths) - lengths  # [R]
    return np.repeat(starts - before, lengths) + np.arange(lengths.sum())


def _plain(words: list[bytes], text: bytes) -> np.ndarray:
    """Convert the words of a text to numbers. [N] float64. Errors: ValueError where one is none."""
    if b"_" in text:  # 1_000 is a number in Python alone
        raise ValueError
    return np.array(words, dtype=np.float64)  # [N]


def _tolerant(words: list[bytes]) -> np.ndarray:
    return np.array([float(word) if _is_number(word) else np.nan for word in words])  # [N]


def _is_number(word: bytes) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return b"_" not in word
