"""The quantizer on a CUDA device against itself on the host: cases for gpu_job.py.

Each case is a pair: whether it holds, and what it is.
"""

from collections.abc import Callable, Iterator

import torch
from hlqtorch.lattices import D4, E8, Lattice, Zd
from hlqtorch.nn import QLinear, QuantConfig
from hlqtorch.quant import functional
from hlqtorch.quant.lut import build_one_sided_LUT
from torch import Tensor

Case = tuple[bool, str]
LATTICES = [E8(), D4(), Zd(1), Zd(2), Zd(4), Zd(8)]
CODES = [(4, 2), (3, 3), (2, 5), (256, 1), (257, 1)]
VECTORS = 1001
SETTINGS = {
    "plain": {},
    "ramp": {"max_retries": 5, "track_T": True},
    "centred": {"centred": True},
}


def _numbers(lattice: Lattice, q: int, M: int) -> tuple[Tensor, Tensor]:
    """Vectors of which some overload; a dither for each."""
    generator = torch.Generator().manual_seed(q * 100 + M)
    x = torch.randn(VECTORS, lattice.d, generator=generator) * q**M / 8
    x[::10] *= 8
    return x, torch.randn(VECTORS, lattice.d, generator=generator)


def _same(results: tuple[Tensor, ...], on_host: tuple[Tensor, ...], device: torch.device) -> bool:
    return all(
        result.device == device and torch.equal(result.cpu(), expected)
        for result, expected in zip(results, on_host, strict=True)
    )


def _codes(
    x: Tensor, z: Tensor, lattice: Lattice, q: int, M: int, setting: str
) -> tuple[Tensor, ...]:
    """All that is computed of vectors, and of their digits."""
    options = dict(SETTINGS[setting])
    if setting == "centred":
        options["dither"] = z
    encoded = functional.encode(x, lattice, q, M, beta=0.7, **options)
    T = encoded.T if setting == "ramp" else None
    options.pop("track_T", None)
    quantized = functional.quantize(x, lattice, q, M, beta=0.7, **options)
    options.pop("max_retries", None)
    decoded = [
        functional.decode(encoded.b, lattice, q, M, beta=0.7, T=T, layers=layers, **options)
        for layers in range(1, M + 1)
    ]
    total = functional.digits_add(encoded.b, encoded.b.flip(0), lattice, q, M)
    modular = functional.add_modq(encoded.b, encoded.b.flip(0), q)
    flat = functional.digits_to_flat(encoded.b, lattice, q, M)
    back = functional.flat_to_digits(flat, lattice, q, M)
    packed = functional.pack_digits(encoded.b, q)
    unpacked = functional.unpack_digits(packed, q, encoded.b.shape)
    codes = (*encoded, *quantized, *decoded, *total, modular, flat, back, packed, unpacked)
    return (*codes, lattice.Q(x.clamp(-1e6, 1e6)))


def results_are_the_hosts(device: torch.device) -> Iterator[Case]:
    """Every lattice, with digits of one byte and of two."""
    for lattice in LATTICES:
        for q, M in CODES:
            x, z = _numbers(lattice, q, M)
            for setting in SETTINGS:
                if setting == "centred" and q**lattice.d > 2**24:
                    continue
                on_host = _codes(x, z, lattice, q, M, setting)
                results = _codes(x.to(device), z.to(device), lattice, q, M, setting)
                yield _same(results, on_host, device), f"{lattice}, q {q}, M {M}, {setting}"


TABLES = [  # lattice, q, depths of both sides, centred: entries of every type
    (D4(), 4, 2, 2, False),
    (D4(), 3, 4, 2, True),
    (E8(), 2, 3, 4, False),
    (Zd(1), 361, 1, 1, False),
    (Zd(2), 16, 2, 3, True),
    (Zd(4), 5, 3, 1, False),
]


def _products(
    bx: Tensor, by: Tensor, y: Tensor, T: Tensor, code: tuple[Lattice, int, int, int, bool]
) -> tuple[Tensor, ...]:
    """Inner products from two-sided and one-sided tables, and the one-sided ones."""
    lattice, q, M, M_y, centred = code
    dot, options = functional.inner_product_lut, {"beta": 0.3, "centred": centred}
    table = build_one_sided_LUT(y, lattice, q, centred=centred)
    return (
        dot(bx, by, lattice, q, M, M_y=M_y, **options),
        dot(bx, by, lattice, q, M, M_y=M_y, T=T, T_y=T, **options),
        table,
        functional.inner_product_one_sided_lut(table, bx, lattice, q, M, T=T, **options),
    )


def products_are_the_hosts(device: torch.device) -> Iterator[Case]:
    """From tables of all types, on both sides any digits and T."""
    for code in TABLES:
        lattice, q, M, M_y, _ = code
        generator = torch.Generator().manual_seed(q)
        dtype = torch.uint8 if q <= 256 else torch.int16
        bx, by = (
            torch.randint(q, (5, 333, depth, lattice.d), generator=generator, dtype=dtype)
            for depth in (M, M_y)
        )
        y = torch.randn(5, 333 * lattice.d, generator=generator)
        T = torch.randint(5, (5, 333), generator=generator, dtype=torch.uint8)
        on_host = _products(bx, by, y, T, code)
        results = _products(*(tensor.to(device) for tensor in (bx, by, y, T)), code)
        yield _same(results, on_host, device), f"inner products, {lattice}, q {q}, M {M}, {M_y}"


def views_are_worked_on(device: torch.device) -> Iterator[Case]:
    """Digits that start anywhere, numbers that are not contiguous, types that are not float32."""
    digits = torch.arange(41, dtype=torch.uint8).remainder(3)
    expected = functional.decode(digits[1:].view(-1, 1, 1), Zd(1), 3, 1)
    result = functional.decode(digits.to(device)[1:].view(-1, 1, 1), Zd(1), 3, 1)
    yield torch.equal(result.cpu(), expected), "digits that are not aligned"
    packed = functional.pack_digits(digits, 3).to(device)
    moved = torch.cat((packed[:1], packed))[1:]
    unpacked = functional.unpack_digits(moved, 3, digits.shape)
    yield torch.equal(unpacked.cpu(), digits), "words that are not aligned"
    x = torch.randn(8, 33).half()
    expected = functional.quantize(x.T, E8(), 4, 2, beta=0.3).x
    result = functional.quantize(x.to(device).T, E8(), 4, 2, beta=0.3).x
    yield torch.equal(result.cpu(), expected), "float16, transposed"
    for tensor in (x[:0], x[:0].to(device)):
        yield functional.encode(tensor.T.reshape(0, 8), E8(), 4, 2).b.shape == (0, 2, 8), "nothing"


def invalid_stays_invalid(device: torch.device) -> Iterator[Case]:
    """What the host refuses."""
    x = torch.ones(3, 4, device=device)
    x[1, 2] = torch.nan
    is_bad = torch.tensor([False, True, False])
    quantized = functional.quantize(x, D4(), 4, 2)
    yield torch.equal(quantized.overload.cpu(), is_bad), "NaN is overload"
    yield torch.equal(quantized.x.isnan().all(-1).cpu(), is_bad), "NaN is NaN when quantized"
    yield torch.equal(quantized.x[0], x[0]), "and its neighbour is not"
    yield functional.encode(x, D4(), 4, 2).overload.tolist() == is_bad.tolist(), "when encoded"

    b = torch.zeros(3, 2, 4, dtype=torch.uint8, device=device)
    b[1, 1, 3] = 4
    decoded = functional.decode(b, D4(), 4, 2)
    yield torch.equal(decoded.isnan().all(-1).cpu(), is_bad), "a wrong digit decodes to NaN"
    total = functional.digits_add(b, torch.zeros_like(b), D4(), 4, 2)
    yield torch.equal(total.overload.cpu(), is_bad), "overloads a sum"
    yield torch.equal((total.b == 255).all(-1).all(-1).cpu(), is_bad), "which has no digits then"
    flat = functional.digits_to_flat(b, D4(), 4, 2)
    yield torch.equal((flat == -1).all(-1).cpu(), is_bad), "has no flat code"
    back = functional.flat_to_digits(flat, D4(), 4, 2)
    yield torch.equal((back == 255).all(-1).all(-1).cpu(), is_bad), "which has no digits"
    modular = functional.add_modq(b, torch.zeros_like(b), 4)
    yield torch.equal(modular == 255, b == 4), "and no sum modulo q"
    dots = functional.inner_product_lut(b[:, None], b[:, None], D4(), 4, 2)
    yield torch.equal(dots.isnan().cpu(), is_bad), "its inner products are NaN"
    refused = _refused(lambda: functional.pack_digits(b, 4), "outside 0 ... 3, in 1 packed words")
    yield refused, "it is not packed"
    words = torch.full((24,), 255, dtype=torch.uint8, device=device)
    words[:8] = 0
    unpacked = functional.unpack_digits(words, 3, (3, 40))[:, 0]
    yield unpacked.tolist() == [0, 255, 255], "words that are none have no digits"
    yield bool(D4().Q(2.0**20 * x).isnan().all()), "what is too large has no nearest point"
    table = build_one_sided_LUT(x, D4(), 4)
    yield torch.equal(table.isnan().all(-1).flatten().cpu(), is_bad), "nor NaN a table"
    T = torch.zeros(3, dtype=torch.uint8, device=device)
    T[1] = 255
    ramp = functional.decode(torch.zeros_like(b), D4(), 4, 2, T=T, alpha=1.0)
    yield torch.equal(ramp.isnan().all(-1).cpu(), is_bad), "a wrong T decodes to NaN"


def _refused(call: Callable[[], object], part: str) -> bool:
    try:
        call()
    except ValueError as error:
        return part in str(error)
    return False


def devices_are_not_mixed(device: torch.device) -> Iterator[Case]:
    """One device at a time."""
    x = torch.ones(3, 4, device=device)
    b = functional.encode(x, D4(), 4, 2).b
    mixed = _refused(lambda: functional.encode(x, D4(), 4, 2, dither=torch.ones(4)), "dither")
    yield mixed, "a dither of the host is refused"
    yield _refused(lambda: functional.add_modq(b, b.cpu(), 4), "b2"), "so are digits"
    dot = functional.inner_product_lut
    yield _refused(lambda: dot(b, b.cpu(), D4(), 4, 2), "by of shape"), "in products, too"


def calls_are_captured(device: torch.device) -> Iterator[Case]:
    """Work goes onto the current stream, and into a graph."""
    x = torch.randn(VECTORS, 8, device=device)
    expected = functional.quantize(x.cpu(), E8(), 4, 2, beta=0.3)
    functional.quantize(x, E8(), 4, 2, beta=0.3)  # so that torch has its memory
    torch.cuda.synchronize(device)
    graph = torch.cuda.CUDAGraph()
    given = torch.zeros_like(x)
    with torch.cuda.graph(graph):
        result = functional.quantize(given, E8(), 4, 2, beta=0.3)
    given.copy_(x)
    graph.replay()
    torch.cuda.synchronize(device)
    yield _same(result, expected, device), "a captured call"
    b = functional.encode(x, E8(), 2, 3, beta=0.3).b
    dots = functional.inner_product_lut(b, b, E8(), 2, 3)  # so that the table is there
    with torch.cuda.graph(graph := torch.cuda.CUDAGraph()):
        result = functional.inner_product_lut(b, b, E8(), 2, 3)
    graph.replay()
    torch.cuda.synchronize(device)
    yield torch.equal(result, dots), "captured inner products"
    stream = torch.cuda.Stream(device)
    with torch.cuda.stream(stream):
        torch.cuda._sleep(10_000_000)
        late = x + 1
        result = functional.quantize(late, E8(), 4, 2, beta=0.3)
    stream.synchronize()
    expected = functional.quantize(late.cpu(), E8(), 4, 2, beta=0.3)
    yield _same(result, expected, device), "a call on a stream that is late"


D4_SPEC = ("D4", 4, 4, 2, 0.4, 1.0, 0, False)
LAYER_SPECS = [
    D4_SPEC,
    ("D4", 4, 4, 2, 0.4, 1.0, 0, True),
    ("E8", 8, 2, 4, 0.4, 1.0, 0, True),
    ("Z", 1, 16, 2, 0.02, 1.0, 0, False),
    ("Z", 8, 2, 5, 0.2, 1.0, 0, False),
]


def layers_are_the_hosts(device: torch.device) -> Iterator[Case]:
    """Rows quantized, layers packed, unpacked and multiplied with, one- and two-sided."""
    ops = torch.ops.hlq
    for spec in LAYER_SPECS:
        generator = torch.Generator().manual_seed(spec[1])
        weight = torch.randn(200, 1000, generator=generator)
        x = torch.randn(9, 1000, generator=generator)
        x[3], x[4] = 0, x[4] * 1e20
        there, x_there = weight.to(device), x.to(device)
        for fit in (False, True):
            on_host, results = (ops.rows_quantize(w, fit, *spec) for w in (weight, there))
            yield _same(results, on_host, device), f"rows, fit {fit}, {spec}"
        on_host, packed = ops.linear_pack(weight, *spec), ops.linear_pack(there, *spec)
        yield _same(packed, on_host, device), f"packed, {spec}"
        unpacked = [ops.linear_unpack(*layer[:2], 1000, *spec) for layer in (on_host, packed)]
        yield _same(unpacked[1:], unpacked[:1], device), f"unpacked, {spec}"
        for depth in (None, 1, spec[3]):
            given = (depth, 0.7, 16, *spec)
            expected = ops.linear_forward(x, *on_host[:2], *given)
            results = ops.linear_forward(x_there, *packed[:2], *given)
            yield _same(results, expected, device), f"product, activations {depth}, {spec}"


def layers_are_used(device: torch.device) -> Iterator[Case]:
    """Modules train and convert; many rows by a GEMM; NaN stays; calls are captured."""
    config = QuantConfig(quantize_activations=True, lut_rows=4)
    layer = QLinear(64, 32, device=device, config=config)
    x = torch.randn(16, 64, device=device)
    layer(x).sum().backward()
    yield layer.weight.grad is not None and bool(layer.weight.grad.isfinite().all()), "gradients"
    packed = layer.eval().convert()
    for rows in (4, 16):
        exact = layer(x[:rows])
        close = torch.allclose(packed(x[:rows]), exact, rtol=1e-4, atol=1e-4)
        yield close, f"a converted layer, {rows} rows"  # sums of fp32 in another order
    x[1, 3] = torch.nan
    is_bad = packed(x[:4]).isnan().all(-1)
    yield is_bad.tolist() == [False, True, False, False], "a row with NaN gives NaN"
    x[1, 3] = 0
    expected = packed(x[:4]).clone()
    graph, given = torch.cuda.CUDAGraph(), torch.zeros(4, 64, device=device)
    torch.cuda.synchronize(device)
    with torch.no_grad(), torch.cuda.graph(graph):
        result = packed(given)
    given.copy_(x[:4])
    graph.replay()
    torch.cuda.synchronize(device)
    yield torch.equal(result, expected), "a captured product"


def cases(device: torch.device) -> Iterator[Case]:
    """All of them, for a CUDA device."""
    yield from results_are_the_hosts(device)
    yield from products_are_the_hosts(device)
    yield from views_are_worked_on(device)
    yield from invalid_stays_invalid(device)
    yield from devices_are_not_mixed(device)
    yield from calls_are_captured(device)
    yield from layers_are_the_hosts(device)
    yield from layers_are_used(device)
