"""An encoder of blocks, written from docs/wire-format.md alone (section 9), for float32 tensors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import wire_decoder as wire
import wire_segments as segments
from numpy.typing import NDArray
from wire_checksum import xxh64
from wire_decoder import D4, E8, NONFINITE, Floats, Ints, Z, f32
from wire_segments import HEADER_BYTES, RAMP

NO_BASE = -160


def blocks_of(tensor: Floats) -> Floats:
    padded = np.zeros((len(tensor) + 255) // 256 * 256, np.float32)
    padded[: len(tensor)] = tensor
    return padded.reshape(-1, 256)


# Exponents ----------------------------------------------------------------------------------------


def exponent(x: Floats) -> int | float | None:
    """E; NaN for a block that holds NaN or Inf, None for one that counts as zero."""
    if not np.isfinite(x).all():
        return np.nan
    largest = np.abs(x).max()
    if largest < 2.0**-126:
        return None
    octave = min(int(np.frexp(largest)[1]) - 1, 126)
    y = x.reshape(8, 32) * f32(2.0**-octave)
    sums = np.zeros(32, np.float32)
    for row in y:
        sums = sums + row * row
    while len(sums) > 1:
        half = len(sums) // 2
        sums = sums[:half] + sums[half:]
    mantissa, e = np.frexp(sums[0])
    above = sum(2 * mantissa > wire.FRACTIONS[j] for j in (0, 2, 4, 6))
    return 4 * (int(e) - 1) + int(above) - 32 + 8 * octave


def base_and_codes(exponents: list[int | float | None]) -> tuple[int, bytes]:
    finite = [e for e in exponents if e is not None and not np.isnan(e)]
    base = -(-max(finite) // 8) if finite else NO_BASE
    codes = bytearray()
    for e in exponents:
        c = 0 if e is None else NONFINITE if np.isnan(e) else e - 8 * base + 254
        codes.append(max(c, 0))
    return base, bytes(codes)


# Points -------------------------------------------------------------------------------------------


def rotated(x: Floats, eighths: int, seed: int, position: int) -> Floats:
    """Coordinates in units of 2^(E/8) / 512."""
    v = wire.scale_by(x, -eighths, f32(32))
    v = np.where(wire.flips(seed, position), -v, v)
    for bit in (5, 6, 7, 0, 1, 2, 3, 4):
        wire.butterfly(v, bit)
    return v[wire.ELEMENT]


def voronoi_norm(lattice: int, v: Ints) -> Ints:
    size = np.sort(np.abs(v), axis=0)
    if lattice == Z:
        return 2 * size[-1]
    if lattice == D4:
        return np.maximum(*(np.sort(np.abs(p), axis=0)[-2:].sum(axis=0) for p in (v[:4], v[4:])))
    odd = (v < 0).sum(axis=0) % 2
    return np.maximum(size[-2:].sum(axis=0), (size.sum(axis=0) - 2 * odd * size[0]) // 2)


def quantize(
    lattice: int,
    y: Floats,
    scale: Floats | np.float32,
    dither: Floats | np.float32 = wire.NO_DITHER,
) -> Ints:
    w = np.rint(y * (f32(16) / scale) + f32(4096) * dither).astype(np.int64) + 4096
    return wire.nearest(lattice, w >> 13, w % 8192 - 4096, 4096)


def codes_from_point(lattice: int, bits: int, x: Ints) -> Ints:
    if lattice == E8:
        tails = np.cumsum((x[6::-1] - x[7]) // 2, axis=0)[::-1]
        z = np.concatenate([tails, x[7:]])
        z[0] //= 2
    elif lattice == D4:
        vectors = []
        for v in (0, 4):
            y = x[v : v + 4] // 2
            sum3 = y[1] + y[2] + y[3]
            vectors += [-(y[0] + sum3) // 2, (y[0] - sum3) // 2, -(y[2] + y[3]), -y[3]]
        z = np.array(vectors)
    else:
        z = x // 2
    return z % (1 << bits)


def planes_from_codes(z: Ints, bits: int) -> bytes:
    words = [((z >> j & 1) << wire.LANES).sum(axis=1) for j in range(bits)]
    return np.array(words, "<u4").tobytes()


def fits(lattice: int, bits: int, point: Ints) -> NDArray[np.bool_]:
    if bits <= 3:
        return (wire.reduce(lattice, bits, point) == point).all(axis=0)
    return voronoi_norm(lattice, point) < 2 << bits


def on_ramp(lattice: int, bits: int, y: Floats) -> tuple[Ints, Ints, bool]:
    """Points, steps 0 … 3 of the lanes, and whether the block is wide."""
    steps = np.array(wire.ramp_scales(lattice, bits))
    margin = {2: 0, 3: 0.25}.get(bits, 0.5)
    limits = [int(f32(512) * s * f32((1 << bits) - margin)) for s in steps]
    norm = voronoi_norm(lattice, np.rint(y).astype(np.int64))
    wide = bool((norm > limits[3]).any())
    while True:
        start = 3 if wide else 0
        t = sum((norm > limit).astype(np.int64) for limit in limits[start : start + 3])
        while True:
            point = quantize(lattice, y, steps[t + start])
            outside = ~fits(lattice, bits, point)
            at_top = outside & (t == 3)
            if at_top.any() and not wide:
                break
            if not (outside & ~at_top).any():
                return point, t, wide
            t = t + (outside & ~at_top)
        wide = True


def dithered(lattice: int, bits: int, y: Floats, dither: Floats) -> tuple[Ints, Ints, bool]:
    steps = np.array(wire.ramp_scales(lattice, bits, is_dithered=True))
    limits = [int(f32(512) * s * f32((1 << bits) - 2 - 1 / 128)) - 3 for s in steps]
    norm = voronoi_norm(lattice, np.rint(y).astype(np.int64))
    wide = bool((norm > limits[3]).any())
    start = 3 if wide else 0
    t = sum((norm > limit).astype(np.int64) for limit in limits[start : start + 3])
    return quantize(lattice, y, steps[t + start], dither), t, wide


# Messages -----------------------------------------------------------------------------------------


def sealed(
    form: int, lattice: int, call: int, base: int, blocks: int, rest: bytes, dither: bool = False
) -> bytes:
    header = b"HLQC" + bytes([2, form, lattice, int(dither)])
    header += base.to_bytes(2, "little", signed=True) + bytes(2) + call.to_bytes(4, "little")
    header += bytes(8) + blocks.to_bytes(8, "little") + bytes(8)
    head = segments.head_of_long(form, blocks)
    checksum = segments.checksum(header + rest, head).to_bytes(8, "little")
    return header[: HEADER_BYTES - 8] + checksum + rest


def side_words(t: Ints) -> bytes:
    return np.array([((t >> j & 1) << wire.LANES).sum() for j in (0, 1)], "<u4").tobytes()


@dataclass
class Coded:
    """Blocks of a RAMP message that follow each other."""

    wide: bytearray
    side: bytes = b""
    planes: bytes = b""


def encode_blocks(
    x: Floats,
    exponents: list[int | float | None],
    bits: list[int],
    which: range,
    lattice: int,
    seed: int,
    call: int,
    dither: wire.Dither | None,
) -> Coded:
    coded = Coded(bytearray((len(which) + 7) // 8))
    for n, b in enumerate(which):
        k = bits[b]
        if not k:
            continue
        y = rotated(x[b], exponents[b], seed, b)
        if dither:
            u = wire.dither_vectors(lattice, dither.key(seed, call), b)
            point, t, is_wide = dithered(lattice, k, y, u)
        else:
            point, t, is_wide = on_ramp(lattice, k, y)
        coded.wide[n >> 3] |= is_wide << n % 8
        coded.side += side_words(t)
        coded.planes += planes_from_codes(codes_from_point(lattice, k, point), k)
    return coded


def in_pieces(head: bytes, pieces: list[bytes], length: int) -> bytes:
    """A long message of its head, sealed, and its pieces without their checksums."""
    message, left = head, length - len(head) - sum(8 + len(piece) for piece in pieces)
    first = int.from_bytes(head[HEADER_BYTES - 8 : HEADER_BYTES], "little")
    pieces = [*pieces[:-1], pieces[-1] + bytes(left)]
    for number, piece in enumerate(pieces):
        checksum = xxh64(piece, (first + number) % (wire.U64 + 1))
        message += checksum.to_bytes(8, "little") + piece
    return message


def encode_ramp(
    tensor: Floats,
    lattice: int,
    seed: int,
    call: int,
    length: int,
    dither: wire.Dither | None = None,
) -> bytes:
    x = blocks_of(tensor)
    n = len(x)
    exponents = [exponent(block) for block in x]
    base, codes = base_and_codes(exponents)
    before = segments.overhead(RAMP, n)
    bits = wire.plan(codes, 8, length - before, 2 if dither else 0)

    def some(which: range) -> Coded:
        return encode_blocks(x, exponents, bits, which, lattice, seed, call, dither)

    def seal(rest: bytes) -> bytes:
        return sealed(RAMP, lattice, call, base, n, rest, dither is not None)

    head = segments.head_of_long(RAMP, n)
    if head is None:
        all_of_it = some(range(n))
        rest = (codes + bytes(all_of_it.wide)).ljust(before - HEADER_BYTES, b"\0")
        rest += all_of_it.side + all_of_it.planes
        return seal(rest.ljust(length - HEADER_BYTES, b"\0"))
    pieces = []
    for start in range(0, n, segments.PIECE):
        which = range(start, min(start + segments.PIECE, n))
        piece = some(which)
        wide = bytes(piece.wide).ljust(segments.before_side_words(len(which)) - 8, b"\0")
        pieces.append(wide + piece.side + piece.planes)
    return in_pieces(seal(codes.ljust(head - HEADER_BYTES, b"\0")), pieces, length)


def within(
    lattice: int, y: Floats, allowed: float, eighths: int, flip: NDArray[np.bool_]
) -> tuple[int, bool, bytes, bytes]:
    """Bits of a block, whether it is wide, its side words and planes."""

    def largest(error: Floats) -> np.float32:
        return np.abs(wire.rotate_back(error, flip)).max()

    units = allowed * 8192 / float(wire.FRACTIONS[eighths & 7])
    limit = f32(min(np.ldexp(units, -(eighths >> 3)), 2.0**127))
    if largest(y) <= limit:
        return 0, False, b"", b""
    if limit / f32(8192) >= f32(1 / 2048):
        for k in range(2, 13):
            steps = np.array(wire.ramp_scales(lattice, k))
            if k < 12 and f32(0.7) * steps[0] > limit / f32(8192):
                continue
            point, t, wide = on_ramp(lattice, k, y)
            scale = steps[t + (3 if wide else 0)]
            sent = point.astype(np.float32) * (scale * f32(256))
            if largest(y - sent) <= limit:
                codes = codes_from_point(lattice, k, point)
                return k, wide, side_words(t), planes_from_codes(codes, k)
    return segments.WHOLE, False, bytes(8), y.astype("<f4").tobytes()


def encode_bound(tensor: Floats, lattice: int, seed: int, call: int, allowed: float) -> bytes:
    x = blocks_of(tensor)
    exponents = [exponent(block) for block in x]
    base, codes = base_and_codes(exponents)
    wide, halves = bytearray((len(x) + 7) // 8), bytearray((len(x) + 1) // 2)
    side, planes = b"", b""
    for b, c in enumerate(codes):
        if c in (wire.ZERO, wire.NONFINITE):
            continue
        y, flip = rotated(x[b], exponents[b], seed, b), wire.flips(seed, b)
        k, is_wide, words, content = within(lattice, y, allowed, exponents[b], flip)
        wide[b >> 3] |= is_wide << b % 8
        halves[b >> 1] |= min(k, 15) << b % 2 * 4
        side += words
        planes += content
    before = segments.overhead(segments.BOUND, len(x)) - HEADER_BYTES
    rest = (codes + bytes(wide + halves)).ljust(before, b"\0") + side + planes
    return sealed(segments.BOUND, lattice, call, base, len(x), rest)
