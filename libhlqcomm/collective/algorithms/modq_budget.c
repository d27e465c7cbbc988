/*
 * What modq's messages may take: of a part, of a whole walk; and how many planes a sum may need.
 */
#include "modq.h"

#include <math.h>

/* One block in this many is expected to need a further plane. */
enum { FAILING_ONE_IN = 8 };

/*
 * Planes beyond the first that let any sum fit. A sum's norm is at most 33 Σ rms (32 for a vector
 * with all energy of its block, and some for the exponent's rounding), plus 1 per contribution for
 * rounding to the lattice, in units of the scale; it must stay below 2^bits, for bits ≥ 2.
 */
int hlq_modq_most_extra(int n)
{
    double beyond_agreed = fmax(1, sqrt(n) / 2);
    for (int extra = 1; extra <= HLQ_BITS_MAX - 2; extra++) {
        double width = 3.6 * exp2(HLQ_MODQ_SPREAD / 8.0 + extra);
        double left = (1 - 33 * beyond_agreed / width) * exp2(2 + extra);
        if (left > n) return extra;
    }
    return -1;
}

size_t hlq_modq_part_budget(const hlq_walk *w, const hlq_part *part)
{
    size_t blocks = part->place.blocks;
    /* A reduce-scatter has both of the exponents' exchanges in its one leg. */
    int exponents = w->operation == HLQ_ALL_REDUCE ? 1 : 2;
    double spent = exponents * (double)hlq_segment_overhead(HLQ_FORM_EXPONENTS, blocks) +
                   (double)hlq_segment_overhead(HLQ_FORM_MODULAR, blocks) +
                   (double)hlq_segment_overhead(HLQ_FORM_FAILED, blocks) +
                   (double)(blocks * HLQ_PLANE_BYTES / FAILING_ONE_IN);
    double left = hlq_part_budget(w, part) - spent;
    size_t least_bits = (size_t)hlq_least_bits(w, part);
    size_t least = least_bits ? blocks * (4 + least_bits * HLQ_PLANE_BYTES) : 0;
    return left > (double)least ? (size_t)left : least;
}

/* Longest message of a part: exponents, or as many planes as the budget or 12 bits allow. */
static size_t longest_message_of(const hlq_walk *w, int p)
{
    hlq_part part = hlq_part_to(w, p);
    size_t blocks = part.place.blocks;
    size_t most = blocks * (4 + HLQ_BITS_MAX * HLQ_PLANE_BYTES);
    size_t budget = hlq_modq_part_budget(w, &part);
    size_t planes =
        hlq_segment_overhead(HLQ_FORM_MODULAR, blocks) + (budget < most ? budget : most);
    size_t exponents = hlq_segment_overhead(HLQ_FORM_EXPONENTS, blocks);
    return planes > exponents ? planes : exponents;
}

/* Parts differ by a block at most, and one less leaves more for planes. */
size_t hlq_modq_longest_message(const hlq_walk *w)
{
    size_t a = longest_message_of(w, 0), b = longest_message_of(w, w->size - 1);
    return a > b ? a : b;
}

uint64_t hlq_modq_wire_bytes(const hlq_walk *w)
{
    int n = w->size;
    uint64_t bytes = 0;
    for (int p = 0; p < n; p++) {
        hlq_part part = hlq_part_to(w, p);
        size_t blocks = part.place.blocks;
        if (!blocks) continue;
        uint64_t exponents = hlq_segment_overhead(HLQ_FORM_EXPONENTS, blocks);
        uint64_t codes =
            hlq_segment_overhead(HLQ_FORM_MODULAR, blocks) + hlq_modq_part_budget(w, &part);
        uint64_t answer = exponents + hlq_segment_overhead(HLQ_FORM_FAILED, blocks);
        int goes_round = hlq_modq_is_ring(w) && w->operation == HLQ_ALL_REDUCE;
        if (w->operation == HLQ_ALL_REDUCE && !goes_round) answer += codes;
        bytes += p == w->rank ? (uint64_t)(n - 1) * answer : exponents + codes;
        /* Of sums that go round, a rank passes all on but that of the rank it passes to. */
        if (goes_round && p != (w->rank + 1) % n) bytes += codes;
    }
    return bytes;
}
