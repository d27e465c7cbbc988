"""A decoder of messages, written from docs/wire-format.md alone; section numbers are that page's.

The blocks in them are wire_decoder.py's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from wire_checksum import U64, word, xxh64
from wire_decoder import (
    NONFINITE,
    ZERO,
    Dither,
    Floats,
    codes_from_planes,
    coordinates,
    decode_block,
    dither_vectors,
    f32,
    flips,
    lane_scales,
    plan,
    point_from_codes,
    ramp_scales,
    reduce,
)

RAMP, MODULAR, EXPONENTS, SUMS, FAILED, BOUND = range(6)
HEADER_BYTES = 40
PIECE = 1024
WHOLE = 32


class Refused(ValueError):
    """A message that must not be decoded."""


# Segments: section 10 -----------------------------------------------------------------------------


@dataclass
class Expected:
    """What a reader knows of a message before it reads it."""

    form: int
    lattice: int
    call: int
    blocks: int
    first: int = 0
    stride: int = 1
    spread: int = 0
    base_limit: int = 160
    dither: Dither | None = None


def head_of_long(form: int, blocks: int) -> int | None:
    """Bytes of its head, if the message is long."""
    if form != RAMP or blocks <= PIECE:
        return None
    return HEADER_BYTES + (blocks + 3) // 4 * 4


def before_side_words(blocks: int) -> int:
    """The checksum and wide bits of a piece."""
    return 8 + ((blocks + 7) // 8 + 3) // 4 * 4


def overhead(form: int, blocks: int) -> int:
    """Bytes of RAMP and BOUND that are neither side words nor planes nor zeros at the end."""
    head = head_of_long(form, blocks)
    if head is not None:
        pieces = [min(PIECE, blocks - at) for at in range(0, blocks, PIECE)]
        return head + sum(before_side_words(piece) for piece in pieces)
    bits = (blocks + 1) // 2 if form == BOUND else 0
    return HEADER_BYTES + (blocks + (blocks + 7) // 8 + bits + 3) // 4 * 4


def bits_of_bound(message: bytes, codes: bytes) -> list[int]:
    at = HEADER_BYTES + len(codes) + (len(codes) + 7) // 8
    bits = [message[at + (i >> 1)] >> i % 2 * 4 & 15 for i in range(len(codes))]
    for c, k in zip(codes, bits, strict=True):
        if k in (1, 13, 14) or (k and c in (ZERO, NONFINITE)):
            raise Refused(f"{k} bits for a block of code {c}")
    bits = [WHOLE if k == 15 else k for k in bits]
    length = overhead(BOUND, len(codes)) + sum(8 + 32 * k for k in bits if k)
    if length != len(message):
        raise Refused(f"{len(message)} bytes where blocks take {length}")
    return bits


def checksum(message: bytes, end: int | None = None) -> int:
    return xxh64(message[HEADER_BYTES:end], xxh64(message[:32]))


def open_segment(message: bytes, expected: Expected) -> int:
    """Its base, or Refused."""
    if len(message) < HEADER_BYTES:
        raise Refused("shorter than a header")
    if expected.form in (RAMP, BOUND) and len(message) < overhead(expected.form, expected.blocks):
        raise Refused("shorter than its codes")
    fields = {
        "magic": (message[:4], b"HLQC"),
        "version": (message[4], 2),
        "form": (message[5], expected.form),
        "lattice": (message[6], expected.lattice),
        "dither": (message[7], int(expected.dither is not None)),
        "spread": (int.from_bytes(message[10:12], "little", signed=True), expected.spread),
        "call": (word(message, 12, 4), expected.call),
        "first": (word(message, 16, 8), expected.first),
        "blocks": (word(message, 24, 8), expected.blocks),
    }
    for name, (found, wanted) in fields.items():
        if found != wanted:
            raise Refused(f"{name} is {found}, not {wanted}")
    base = int.from_bytes(message[8:10], "little", signed=True)
    if abs(base) > expected.base_limit:
        raise Refused(f"base is {base}")
    head = head_of_long(expected.form, expected.blocks)
    if word(message, 32, 8) != checksum(message, head):
        raise Refused("the checksum is wrong")
    return base


@dataclass
class Block:
    """A block of a RAMP or BOUND message, as far as it is read."""

    position: int
    code: int
    bits: int
    eighths: int
    wide: bool
    side: bytes
    planes: bytes


def blocks_between(
    message: bytes,
    expected: Expected,
    base: int,
    bits: list[int],
    which: range,
    wide: int,
    side: int,
) -> tuple[list[Block], int]:
    """Blocks whose wide bits and side words begin there, and where their planes end."""
    at = side + 8 * sum(bits[i] > 0 for i in which)
    blocks = []
    for n, i in enumerate(which):
        c, k = message[HEADER_BYTES + i], bits[i]
        blocks.append(
            Block(
                position=expected.first + i * expected.stride,
                code=c,
                bits=k,
                eighths=c - 254 + 8 * base,
                wide=bool(message[wide + (n >> 3)] >> n % 8 & 1),
                side=message[side : side + 8],
                planes=message[at : at + 32 * k],
            )
        )
        side += 8 * (k > 0)
        at += 32 * k
    return blocks, at


def read_ramp(message: bytes, expected: Expected) -> list[Block]:
    base = open_segment(message, expected)
    n = expected.blocks
    codes = message[HEADER_BYTES : HEADER_BYTES + n]
    before = overhead(expected.form, n)
    if expected.form == BOUND:
        bits = bits_of_bound(message, codes)
    else:
        bits = plan(codes, 8, len(message) - before, 2 if expected.dither else 0)
    at = head_of_long(expected.form, n)
    if at is None:
        return blocks_between(message, expected, base, bits, range(n), HEADER_BYTES + n, before)[0]
    blocks = []
    for number, start in enumerate(range(0, n, PIECE)):
        which = range(start, min(start + PIECE, n))
        side = at + before_side_words(len(which))
        more, end = blocks_between(message, expected, base, bits, which, at + 8, side)
        end = len(message) if which.stop == n else end
        seed = (word(message, 32, 8) + number) % (U64 + 1)
        if word(message, at, 8) != xxh64(message[at + 8 : end], seed):
            raise Refused(f"the checksum of piece {number} is wrong")
        blocks += more
        at = end
    return blocks


def coordinates_of(block: Block, expected: Expected, seed: int) -> Floats:
    lattice, dither = expected.lattice, expected.dither
    if block.bits == WHOLE:
        return np.frombuffer(block.planes, "<f4").reshape(8, 32) * f32(1 / 512)
    z = codes_from_planes(block.planes, block.bits)
    point = reduce(lattice, block.bits, point_from_codes(lattice, z))
    steps = ramp_scales(lattice, block.bits, dither is not None)
    scale = lane_scales(steps, block.side, block.wide)
    if not dither:
        return coordinates(point, scale)
    u = dither_vectors(lattice, dither.key(seed, expected.call), block.position)
    return coordinates(point, scale, u)


def decode_ramp(
    message: bytes, expected: Expected, seed: int, elems: int, factor: float = 1
) -> Floats:
    """The tensor, float32, of a message that holds all of it."""
    out = np.zeros((expected.blocks, 256), np.float32)
    for block, x in zip(read_ramp(message, expected), out, strict=True):
        if block.code == NONFINITE:
            x[:] = np.nan
        if not block.bits:
            continue
        y = coordinates_of(block, expected, seed)
        x[:] = decode_block(y, block.eighths, factor, flips(seed, block.position))
    return out.reshape(-1)[:elems]
