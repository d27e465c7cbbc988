"""docs/wire-format.md says all that is needed, and says it right.

A decoder and an encoder that were written from the page alone agree, bit for bit, with what the
library wrote into golden/.
"""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import wire_decoder as wire
import wire_encoder as encoder
import wire_segments as segments
from wire_checksum import xxh64
from wire_decoder import LATTICES, U64, Floats, f32
from wire_segments import BOUND, HEADER_BYTES, RAMP, Expected, Refused

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "golden"
PAGE = (ROOT / "docs" / "wire-format.md").read_text(encoding="utf-8")

# As in test_golden.c.
ELEMS, BLOCKS, SEED, CALL = 1357, 6, 42, 0x01020304
MODULAR_BITS, SPREAD = 5, 12

HASHES = dict(line.split() for line in (GOLDEN / "hashes").read_text().splitlines())
KINDS = ("3bits", "4.5bits", "4.5bits.dithered")
PLANNED = [f"{lattice}.{kind}.segment" for lattice in LATTICES for kind in KINDS]
BOUND_ONES, ALLOWED = [f"{lattice}.bound.segment" for lattice in LATTICES], 0.03125


def fnv1a(data: bytes) -> str:
    h = 0xCBF29CE484222325
    for byte in data:
        h = (h ^ byte) * 0x100000001B3 & U64
    return f"{h:016x}"


def lattice_of(name: str) -> int:
    return LATTICES[name.split(".")[0]]


def message_of(name: str) -> bytes:
    return (GOLDEN / name).read_bytes()


def dither_of(name: str) -> wire.Dither | None:
    return wire.Dither(sender=5, leg=1) if "dithered" in name else None


def expected(name: str) -> Expected:
    form = BOUND if name in BOUND_ONES else RAMP
    return Expected(
        form=form, lattice=lattice_of(name), call=CALL, blocks=BLOCKS, dither=dither_of(name)
    )


def exact_numbers(stream: int, elems: int) -> Floats:
    """fill_exact of test_golden.c."""
    x, state = [], stream
    for i in range(elems):
        total = 0
        for _ in range(4):
            state = (state + wire.GOLDEN) & U64
            total += -500 + wire.mix(state) % 1001
        x.append(total * 2.0 ** (i // 256 * 7 % 24 - 12))
    return np.array(x, np.float32)


def golden_tensor() -> Floats:
    x = exact_numbers(1, ELEMS)
    x[256:768] = 0
    x[2 * 256 + 77] = -3
    x[3 * 256 + 5] = np.nan
    return x


# XXH64 --------------------------------------------------------------------------------------------


def test_checksum_is_xxh64() -> None:
    data = bytes((i * 7 + 3) % 256 for i in range(101))
    known = [(0, 0, 0xEF46DB3751D8E999), (1, 0, 0x1F25C8D0BC1F4BB6), (14, 0, 0xC7F1D4D0ACFA5A14)]
    known += [(31, 1, 0xAACA4E41FFCAE21C), (32, 1, 0x7421B79A02B42132)]
    known += [(101, 0x9E3779B185EBCA8D, 0x3D09C9E61BB4C3C5)]
    for length, seed, checksum in known:
        assert xxh64(data[:length], seed) == checksum
    assert xxh64(b"abc") == 0x44BC2CF5AD770999


# Golden bytes -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PLANNED + BOUND_ONES)
def test_decoded_tensors_are_those_of_the_library(name: str) -> None:
    x = segments.decode_ramp(message_of(name), expected(name), SEED, ELEMS)
    assert fnv1a(x.tobytes()) == HASHES[f"{name}.float32"]
    half = segments.decode_ramp(message_of(name), expected(name), SEED, ELEMS, factor=0.5)
    assert fnv1a(wire.bfloat16(half).tobytes()) == HASHES[f"{name}.bfloat16"]


@pytest.mark.parametrize("name", PLANNED)
def test_encoded_messages_are_those_of_the_library(name: str) -> None:
    message, lattice, dither = message_of(name), lattice_of(name), dither_of(name)
    encoded = encoder.encode_ramp(golden_tensor(), lattice, SEED, CALL, len(message), dither)
    assert encoded == message


@pytest.mark.parametrize("name", BOUND_ONES)
def test_messages_within_an_error_are_those_of_the_library(name: str) -> None:
    made = encoder.encode_bound(golden_tensor(), lattice_of(name), SEED, CALL, ALLOWED)
    assert made == message_of(name)
    assert [b.bits for b in segments.read_ramp(made, expected(name))][-1] == segments.WHOLE


def long_message() -> tuple[bytes, Expected, int]:
    """check_long of test_golden.c: a message of two pieces, and the elements it is of."""
    blocks = segments.PIECE + 5
    elems = blocks * 256 - 100
    x = np.zeros(elems, np.float32)
    state, each = 3, 4 * 256  # fill_exact draws four words for every number
    for b in range(blocks):
        here = min(256, elems - 256 * b)
        if b % 64 == 0 or b == blocks - 1:
            numbers = exact_numbers((state + each * b * wire.GOLDEN) & U64, here)
            x[256 * b : 256 * b + here] = numbers * f32(2.0 ** (12 + b * 7 % 24 - 12))
    message = encoder.encode_ramp(x, wire.E8, SEED, CALL, 4000)
    return message, Expected(form=RAMP, lattice=wire.E8, call=CALL, blocks=blocks), elems


def test_long_messages_are_those_of_the_library() -> None:
    message, wanted, elems = long_message()
    assert fnv1a(message) == HASHES["E8.long.segment"]
    decoded = segments.decode_ramp(message, wanted, SEED, elems)
    assert fnv1a(decoded.tobytes()) == HASHES["E8.long.segment.float32"]


def test_damage_to_a_piece_is_refused() -> None:
    message, wanted, _ = long_message()
    head = segments.head_of_long(RAMP, wanted.blocks)
    assert head is not None
    for at, what in ((8, "base|checksum is"), (head, "piece 0"), (-1, "piece 1")):
        damaged = bytearray(message)
        damaged[at] ^= 1
        with pytest.raises(Refused, match=what):
            segments.read_ramp(bytes(damaged), wanted)


def test_bits_that_cannot_be_are_refused() -> None:
    name = BOUND_ONES[0]
    for half in (1, 13, 14):
        message = bytearray(message_of(name))
        message[HEADER_BYTES + 7] = half  # of the first block; the second is zero
        message[32:40] = segments.checksum(bytes(message)).to_bytes(8, "little")
        with pytest.raises(Refused, match="bits for a block"):
            segments.read_ramp(bytes(message), expected(name))
    longer = message_of(name) + bytes(4)
    longer = longer[:32] + segments.checksum(longer).to_bytes(8, "little") + longer[40:]
    with pytest.raises(Refused, match="where blocks take"):
        segments.read_ramp(longer, expected(name))


def test_plan_spends_its_budget_to_the_byte() -> None:
    codes = bytes([200, 0, 200, 255])
    assert wire.plan(codes, 8, 104 + 104) == [3, 0, 3, 0]
    assert wire.plan(codes, 8, 136 + 104 - 1) == [3, 0, 3, 0]
    assert wire.plan(codes, 8, 136 + 104) == [4, 0, 3, 0]
    assert wire.plan(bytes([200, 0, 1, 255]), 8, 72 + 136, least=2) == [4, 0, 2, 0]
    assert wire.plan(bytes([200, 0, 1, 255]), 8, 72 + 71, least=2) == [4, 0, 0, 0]


def check_word(points: np.ndarray) -> int:
    """Section 10, over the 256 coordinates of a block."""

    def top(i: int) -> int:
        a = wire.mix((i + 2049) * wire.GOLDEN & U64) >> 48
        return a - (1 << 16) if a >> 15 else a

    weights = ((top(i) | 1) + (top(i + 256) << 16) for i in range(256))
    return sum(w * int(x) for w, x in zip(weights, points.reshape(-1), strict=True)) % (1 << 32)


@pytest.mark.parametrize("name", LATTICES)
def test_modular_sums_are_those_of_the_library(name: str) -> None:
    lattice = LATTICES[name]
    tensors = [encoder.blocks_of(x) for x in (golden_tensor(), exact_numbers(2, ELEMS))]
    exponents = [[encoder.exponent(block) for block in x] for x in tensors]
    larger = [max(e for e in pair if e is not None) for pair in zip(*exponents, strict=True)]
    larger[3] = np.nan  # max does not tell
    base, codes = encoder.base_and_codes(larger)

    coded = [b for b, c in enumerate(codes) if c not in (0, 255)]
    scale = wire.modular_scale(lattice, MODULAR_BITS, SPREAD)
    points = {
        (rank, b): encoder.quantize(
            lattice, encoder.rotated(x[b], codes[b] - 254 + 8 * base, SEED, b), scale
        )
        for rank, x in enumerate(tensors)
        for b in coded
    }

    def words(ranks: list[int]) -> bytes:
        sums = {b: sum(points[rank, b] for rank in ranks) for b in coded}
        checks = np.zeros(BLOCKS, "<u4")
        checks[: len(coded)] = [check_word(sums[b]) for b in coded]
        planes = b"".join(
            encoder.planes_from_codes(
                encoder.codes_from_point(lattice, MODULAR_BITS, s), MODULAR_BITS
            )
            for s in sums.values()
        )
        return (checks.tobytes() + planes).ljust(BLOCKS * (4 + 32 * MODULAR_BITS), b"\0")

    assert words([0]) == message_of(f"{name}.5bits.modular")
    both = words([0, 1])
    assert fnv1a(both) == HASHES[f"{name}.5bits.modular-sum"]

    out = np.zeros((BLOCKS, 256), np.float32)
    out[3] = np.nan
    for at, b in enumerate(coded):
        start = 4 * BLOCKS + 32 * MODULAR_BITS * at
        z = wire.codes_from_planes(both[start:], MODULAR_BITS)
        point = wire.reduce(lattice, MODULAR_BITS, wire.point_from_codes(lattice, z))
        assert (point == points[0, b] + points[1, b]).all()  # all these sums fit
        flip = wire.flips(SEED, b)
        out[b] = wire.decode_block(
            wire.coordinates(point, scale), codes[b] - 254 + 8 * base, 1, flip
        )
    tensor = out.reshape(-1)[:ELEMS]
    assert fnv1a(tensor.tobytes()) == HASHES[f"{name}.5bits.modular-sum.float32"]


# The worked example -------------------------------------------------------------------------------


def example_of_the_page() -> bytes:
    lines = re.findall(r"^    [0-9a-f]{4}  ((?:[0-9a-f]{2} ?)+)$", PAGE, re.MULTILINE)
    return bytes.fromhex("".join(lines))


def test_wide_blocks_are_those_of_the_library() -> None:
    message, what = message_of("wide.segment"), Expected(
        form=RAMP, lattice=wire.E8, call=1, blocks=1
    )
    tensor = np.where(wire.flips(SEED, 0), f32(-1), f32(1))  # one coordinate is all, rotated
    assert segments.read_ramp(message, what)[0].wide
    assert encoder.encode_ramp(tensor, wire.E8, SEED, 1, len(message)) == message
    result = segments.decode_ramp(message, what, SEED, 256)
    assert fnv1a(result.tobytes()) == HASHES["wide.segment.float32"]


def test_example_of_the_page_is_what_the_library_writes() -> None:
    assert example_of_the_page() == message_of("example.segment")
    tensor = np.arange(256, dtype=np.float32)
    assert encoder.encode_ramp(tensor, wire.E8, SEED, 1, 148) == example_of_the_page()


def test_example_of_the_page_decodes_as_told() -> None:
    message, what = example_of_the_page(), Expected(form=RAMP, lattice=wire.E8, call=1, blocks=1)
    steps = PAGE[PAGE.index("## 15.") :]
    checksums = [xxh64(message[:32]), segments.checksum(message)]
    assert all(f"{checksum:x}" in steps for checksum in checksums)

    block = segments.read_ramp(message, what)[0]
    assert (block.code, block.eighths, block.bits, block.wide) == (248, 58, 3, False)
    x0 = wire.point_from_codes(wire.E8, wire.codes_from_planes(block.planes, 3))
    told = {
        name: [
            int(x)
            for x in re.search(rf"^    {re.escape(name)} +((?:-?\d+ +){{7}}-?\d+)", steps, re.M)[
                1
            ].split()
        ]
        for name in ("x = 2 G z", "n", "d", "x - 8 halves")
    }
    assert told["x = 2 G z"] == x0[:, 0].tolist()
    assert [16 * n + d for n, d in zip(told["n"], told["d"], strict=True)] == x0[:, 0].tolist()
    assert told["x - 8 halves"] == wire.reduce(wire.E8, 3, x0)[:, 0].tolist()

    result = segments.decode_ramp(message, what, SEED, 256)
    begin = re.search(r"begins with\n\n    (.*)\n", steps)[1].split(",")
    assert [np.float32(x) for x in begin] == result[:8].tolist()
    assert fnv1a(result.tobytes()) == HASHES["example.segment.float32"]
    assert HASHES["example.segment.float32"] in steps


# What must be refused -----------------------------------------------------------------------------


def refused(message: bytes, what: Expected) -> bool:
    try:
        segments.decode_ramp(message, what, SEED, ELEMS)
    except Refused:
        return True
    return False


@pytest.mark.parametrize("name", [PLANNED[0], BOUND_ONES[0]])
def test_damage_is_refused(name: str) -> None:
    message = message_of(name)
    for at in range(0, len(message), 3):
        for change in (1, 0x80):
            damaged = bytearray(message)
            damaged[at] ^= change
            assert refused(bytes(damaged), expected(name)), f"byte {at}"
    for length in (0, 39, 40, 47, len(message) - 4):
        assert refused(message[:length], expected(name))
    assert refused(message + bytes(4), expected(name))


def test_dithered_messages_are_for_those_who_expect_them() -> None:
    name = "E8.4.5bits.dithered.segment"
    what = expected(name)
    what.dither = None
    assert refused(message_of(name), what)
    plain = PLANNED[0]
    what = expected(plain)
    what.dither = wire.Dither(sender=5, leg=1)
    assert refused(message_of(plain), what)


@pytest.mark.parametrize("name", [PLANNED[0], BOUND_ONES[0]])
def test_messages_of_another_call_are_refused(name: str) -> None:
    for field, value in {"call": 7, "first": 1, "blocks": 5, "lattice": 1, "form": 2}.items():
        what = expected(name)
        setattr(what, field, value)
        assert refused(message_of(name), what), field


def test_the_header_table_has_no_gaps() -> None:
    table = PAGE[PAGE.index("| offset | bytes |") :]
    rows = [(int(a), int(b)) for a, b in re.findall(r"^\| (\d+) \| (\d+) \|", table, re.MULTILINE)]
    assert all(at + size == following for (at, size), (following, _) in pairwise(rows))
    assert sum(rows[-1]) == segments.HEADER_BYTES
