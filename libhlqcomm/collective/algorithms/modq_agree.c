/*
 * One scale per block for all ranks. The owner of a block receives every rank's exponent of it and
 * answers with the exponent of the size that the sum may be expected to have:
 *
 *   Σ rms               if the contributions pull the same way, which no sum exceeds
 *   2.2 √(Σ rms²)       if they are independent, and there are many
 *
 * whichever is less. In integers, so that it is the same for any order of ranks. Zero stays zero,
 * and NaN or Inf on any rank wins.
 */
#include "modq.h"

#include <transport/transport_internal.h>

#include <math.h>
#include <string.h>

/* 2^(j/8) in units of 2^-32. */
static uint64_t fraction_of(int j)
{
    static const uint64_t fraction[8] = {4294967296, 4683695059, 5107605667, 5569883475,
                                         6074001001, 6623745058, 7223245205, 7877004752};
    return fraction[j];
}

/* 2^(eighths/8) in units of 2^-32, for eighths ≤ 0. */
static uint64_t power_of(int eighths)
{
    int octaves = -(eighths >> 3);
    return octaves < 34 ? fraction_of(eighths & 7) >> octaves : 0;
}

/* The least e with 2^(e/8) ≥ x, x in units of 2^-32. */
static int eighths_of(uint64_t x)
{
    int octave = 0;
    while (octave < 31 && x > fraction_of(0) << octave) octave++;
    int e = 8 * (octave - 1);
    for (int j = 0; j < 8; j++)
        e += x > (octave ? fraction_of(j) << (octave - 1) : fraction_of(j) / 2);
    return e;
}

static int16_t exponent_in(const hlq_run *run, size_t b)
{
    if (run->code[b] == HLQ_CODE_ZERO) return HLQ_EXPONENT_ZERO;
    if (run->code[b] == HLQ_CODE_NONFINITE) return HLQ_EXPONENT_NONFINITE;
    return (int16_t)(run->code[b] - HLQ_CODE_TOP + 8 * run->base);
}

/* Exponent of the expected size of a sum whose contributions have these exponents. */
static int16_t expected_size(const int16_t *exponent, int n)
{
    int16_t largest = HLQ_EXPONENT_ZERO;
    for (int p = 0; p < n; p++) {
        if (exponent[p] > largest) largest = exponent[p]; /* non-finite is the largest of all */
    }
    if (largest == HLQ_EXPONENT_ZERO || largest == HLQ_EXPONENT_NONFINITE) return largest;
    uint64_t sum = 0, squares = 0;
    for (int p = 0; p < n; p++) {
        if (exponent[p] == HLQ_EXPONENT_ZERO) continue;
        int below = exponent[p] - largest;
        sum += power_of(below);
        squares += power_of(2 * below);
    }
    /* 2.2 = 2^(9/8); the root halves the exponent of the squares */
    int aligned = eighths_of(sum), independent = 9 + (eighths_of(squares) + 1) / 2;
    return (int16_t)(largest + (aligned < independent ? aligned : independent));
}

static void write_exponents(modq_space *s, const hlq_frame *frame, uint8_t *segment)
{
    int base = hlq_base_of_exponents(frame->dtype, s->exponent, frame->place.blocks);
    hlq_segment_begin(frame, base, segment);
    hlq_codes_from_exponents(s->exponent, frame->place.blocks, base, segment + HLQ_HEADER_BYTES);
    hlq_segment_seal(frame, segment);
}

/* The owner's half. s->exponent holds its own exponents of its own part. */
static hlq_status merge_own_part(hlq_walk *w, modq_space *s)
{
    const hlq_frame *own = &s->part[w->rank].frame;
    if (!own->bytes) return HLQ_OK;
    hlq_run run[HLQ_MODQ_RANKS_MAX];
    int16_t exponent[HLQ_MODQ_RANKS_MAX];
    for (int p = 0; p < w->size; p++) {
        if (p != w->rank) HLQ_TRY(hlq_modq_from(w, p, own, s->part[p].in, &run[p]));
    }
    for (size_t b = 0; b < own->place.blocks; b++) {
        for (int p = 0; p < w->size; p++) {
            exponent[p] = p == w->rank ? s->exponent[b] : exponent_in(&run[p], b);
        }
        s->exponent[b] = expected_size(exponent, w->size);
    }
    write_exponents(s, own, s->sum);
    return HLQ_OK;
}

/* Codes of all parts relative to the largest base of any. */
hlq_status hlq_modq_read_exponents(hlq_walk *w, modq_space *s)
{
    int base = INT16_MIN;
    hlq_run run;
    for (int p = 0; p < w->size; p++) {
        modq_part *part = &s->part[p];
        if (!part->frame.bytes) continue;
        HLQ_TRY(hlq_modq_from(w, p, &part->frame, part->in, &run));
        part->base = run.base;
        memcpy(part->code, run.code, run.place.blocks);
        if (run.base > base) base = run.base;
    }
    for (int p = 0; p < w->size; p++) {
        modq_part *part = &s->part[p];
        int lower = 8 * (part->base - base);
        part->base = base;
        for (size_t b = 0; b < part->frame.place.blocks; b++) {
            int c = part->code[b];
            if (c == HLQ_CODE_ZERO || c == HLQ_CODE_NONFINITE) continue;
            part->code[b] = (uint8_t)(c + lower < 1 ? HLQ_CODE_ZERO : c + lower);
        }
    }
    return HLQ_OK;
}

hlq_status hlq_modq_send_exponents(hlq_walk *w, modq_space *s)
{
    double begin = hlq_now();
    for (int d = 1; d <= w->size; d++) {
        int p = (w->rank + d) % w->size; /* the own part last: its exponents stay */
        modq_part *part = &s->part[p];
        size_t blocks = part->frame.place.blocks;
        part->frame.form = HLQ_FORM_EXPONENTS;
        part->frame.bytes = blocks ? hlq_segment_overhead(HLQ_FORM_EXPONENTS, blocks) : 0;
        if (!blocks) continue;
        hlq_team_exponents(&w->comm->team, &part->frame.place, &part->source, s->exponent);
        if (p != w->rank) write_exponents(s, &part->frame, part->out);
    }
    w->stats->seconds_encode += hlq_now() - begin;
    hlq_modq_send_parts(w, s);
    return HLQ_OK;
}

hlq_status hlq_modq_merge_exponents(hlq_walk *w, modq_space *s)
{
    HLQ_TRY(merge_own_part(w, s));
    hlq_modq_gather_parts(w, s);
    return HLQ_OK;
}
