"""Text and bytes with something in them changed: for what people type, and where a file does not parse any more."""

from __future__ import annotations

import re
from random import Random

from campaigns.fuzz.values import NUMBERS, RAW_NUMBERS, TEXTS

_NUMBER = re.compile(r"[-+]?[0-9]+(?:\.[0-9]*)?(?:[eE][-+]?[0-9]+)?")
_NUMBER_OF_BYTES = re.compile(_NUMBER.pattern.encode())
PUNCTUATION = "()[]{}=,:;@*+-_.\"'|/\\#&%<>!?~^$ \t\n"
LONGEST = 150_000  # bytes of an input that a repetition makes


def bend(text: str, rng: Random, words: list[str]) -> str:
    """A text with one thing changed."""
    kind = rng.randrange(12)
    at = rng.randrange(len(text) + 1)
    end = min(len(text), at + rng.choice((1, 1, 2, 4, 16)))
    if kind < 2:
        return text[:at] + rng.choice(words or TEXTS) + text[at if rng.random() < 0.5 else end :]
    if kind == 2:
        return text[:at] + rng.choice(TEXTS) + text[at:]
    if kind == 3:
        return text[:at] + text[end:]
    if kind == 4:
        return text[:end] + text[at:]
    if kind < 7:
        found = list(_NUMBER.finditer(text))
        if found:
            one = rng.choice(found)
            number = str(rng.choice(NUMBERS)) if rng.random() < 0.8 else rng.choice(RAW_NUMBERS)
            return text[: one.start()] + number + text[one.end() :]
        return text[:at] + str(rng.choice(NUMBERS)) + text[at:]
    if kind == 7:
        return text[:at] + rng.choice(PUNCTUATION) + text[at:]
    if kind == 8:
        parts = re.split(r"([,:=@()])", text)
        one, other = rng.randrange(len(parts)), rng.randrange(len(parts))
        parts[one], parts[other] = parts[other], parts[one]
        return "".join(parts)
    if kind == 9:
        return rng.choice((text.upper(), text.swapcase(), f" {text} ", text[::-1], f"{text},{text}", text.strip()))
    if kind == 10:
        return rng.choice(words or TEXTS)
    return text[:at] + chr(rng.choice((rng.randrange(128), rng.randrange(0x3000), rng.randrange(0x11000)))) + text[end:]


def spec(data: bytes, donor: bytes, rng: Random, words: list[str]) -> bytes:
    """A text of the command line, changed at some places."""
    text = data.decode("utf-8", "surrogateescape")
    if rng.random() < 0.1:
        other = donor.decode("utf-8", "surrogateescape")
        text = text[: rng.randrange(len(text) + 1)] + other[rng.randrange(len(other) + 1) :]
    for _ in range(rng.choice((1, 1, 2, 3, 6))):
        text = bend(text, rng, words)
    if rng.random() < 0.002:
        at, end = sorted((rng.randrange(len(text) + 1), rng.randrange(len(text) + 1)))
        text = text[:at] + text[at:end] * (LONGEST // max(1, 4 * (end - at))) + text[end:]
    return text.encode("utf-8", "surrogatepass")


def bend_bytes(data: bytes, donor: bytes, rng: Random, words: list[str]) -> bytes:
    """Bytes with a few things changed."""
    made = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4))):
        kind = rng.randrange(10)
        at = rng.randrange(len(made) + 1)
        end = min(len(made), at + rng.choice((1, 1, 2, 8, 64)))
        if kind == 0 and made:
            made[at % len(made)] ^= 1 << rng.randrange(8)
        elif kind == 1 and made:
            made[at % len(made)] = rng.randrange(256)
        elif kind == 2:
            made[at:at] = rng.choice(words or TEXTS).encode("utf-8", "surrogatepass")
        elif kind == 3:
            del made[at:end]
        elif kind == 4:
            made[at:at] = made[at:end] * rng.choice((1, 2, 30))
        elif kind == 5:
            start = rng.randrange(len(donor) + 1)
            made[at:end] = donor[start : start + rng.choice((4, 16, 64, 512))]
        elif kind == 6:
            found = list(_NUMBER_OF_BYTES.finditer(made[at : at + 200]))
            if found:
                one = rng.choice(found)
                number = str(rng.choice(NUMBERS)) if rng.random() < 0.8 else rng.choice(RAW_NUMBERS)
                made[at + one.start() : at + one.end()] = number.encode()
        elif kind == 7:
            made[at:at] = rng.choice(TEXTS).encode("utf-8", "surrogatepass")
        elif kind == 8:
            made[at:end] = rng.choice(
                (b"\0", b"\xff", b"\xef\xbb\xbf", b"\r\n", b"\n\n", b"\xed\xa0\x80", b"\x85", b"\t")
            )
        elif rng.random() < 0.5:
            del made[at:]
        else:
            del made[:at]
    return bytes(made)


def repeated(data: bytes, rng: Random) -> bytes:
    """A stretch of it again and again, so that work of the square of its length shows."""
    at = rng.randrange(len(data) + 1)
    end = min(len(data), at + rng.choice((1, 2, 4, 16, 64, 256)))
    return data[:at] + data[at:end] * (LONGEST // max(1, end - at)) + data[end:]
