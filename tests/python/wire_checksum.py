"""XXH64, after its specification, for wire_decoder.py: section 10 of docs/wire-format.md."""

U64 = (1 << 64) - 1
P1, P2, P3 = 0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9
P4, P5 = 0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5


def _rotate(x: int, by: int) -> int:
    return (x << by | x >> (64 - by)) & U64


def _round(accumulator: int, lane: int) -> int:
    return _rotate((accumulator + lane * P2) & U64, 31) * P1 & U64


def word(data: bytes, at: int, size: int) -> int:
    return int.from_bytes(data[at : at + size], "little")


def xxh64(data: bytes, seed: int = 0) -> int:
    at, h = 0, (seed + P5) & U64
    if len(data) >= 32:
        lanes = [(seed + P1 + P2) & U64, (seed + P2) & U64, seed, (seed - P1) & U64]
        while at + 32 <= len(data):
            lanes = [_round(lane, word(data, at + 8 * i, 8)) for i, lane in enumerate(lanes)]
            at += 32
        h = sum(_rotate(lane, by) for lane, by in zip(lanes, (1, 7, 12, 18), strict=True)) & U64
        for lane in lanes:
            h = ((h ^ _round(0, lane)) * P1 + P4) & U64
    h = (h + len(data)) & U64
    while at + 8 <= len(data):
        h = (_rotate(h ^ _round(0, word(data, at, 8)), 27) * P1 + P4) & U64
        at += 8
    if at + 4 <= len(data):
        h = (_rotate(h ^ (word(data, at, 4) * P1 & U64), 23) * P2 + P3) & U64
        at += 4
    for byte in data[at:]:
        h = _rotate(h ^ (byte * P5 & U64), 11) * P1 & U64
    h = (h ^ h >> 33) * P2 & U64
    h = (h ^ h >> 29) * P3 & U64
    return h ^ h >> 32
