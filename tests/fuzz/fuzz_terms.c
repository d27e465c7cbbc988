/*
 * What other ranks say they were called with: any bytes are compared, or found damaged, and the
 * answer is a status with a sentence that ends, though theirs need not.
 *
 * Input: ranks, which one is asked, which of the terms are sealed; then the terms.
 */
#include "fuzz.h"

#include <collective/agree.h>
#include <hlqcomm/transport.h>

enum { RANKS_MAX = 6 };

/* The own terms are the own library's: their status is one that exists, their sentence ends. */
static void make_own(hlq_terms *mine)
{
    mine->wire_version = HLQ_TALK_VERSION;
    mine->status = mine->status & 1 ? HLQ_E_INVALID : HLQ_OK;
    mine->sentence[sizeof mine->sentence - 1] = 0;
    if (!*mine->sentence) *mine->sentence = '?';
    hlq_terms_seal(mine);
    MUST(hlq_terms_check(mine) == HLQ_OK);
}

static void check_damage(hlq_terms *terms, size_t at, int change)
{
    uint8_t *bytes = (uint8_t *)terms;
    hlq_status status = hlq_terms_check(terms);
    MUST(status == HLQ_OK || status == HLQ_E_WIRE);
    hlq_terms_seal(terms);
    bytes[at] ^= (uint8_t)change;
    MUST(hlq_terms_check(terms) == (change ? HLQ_E_WIRE : HLQ_OK));
    bytes[at] ^= (uint8_t)change;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    input in = {data, data + bytes};
    int size = 1 + input_below(&in, RANKS_MAX), rank = input_below(&in, size);
    size_t at = input_uint(&in, 1) % sizeof(hlq_terms);
    int change = (int)input_uint(&in, 1), is_same = input_below(&in, 2);
    hlq_terms *terms = exactly((size_t)size * sizeof *terms);
    char *error = exactly(HLQ_ERROR_BYTES);
    for (int p = 0; p < size; p++) {
        /* The same as rank 0's but for what follows: so that all comparisons are reached. */
        if (p && is_same) {
            terms[p] = terms[0];
            ((uint8_t *)&terms[p])[input_uint(&in, 1) % sizeof *terms] =
                (uint8_t)input_uint(&in, 1);
        } else {
            input_bytes(&in, &terms[p], sizeof *terms);
        }
        check_damage(&terms[p], at, change);
    }
    make_own(&terms[rank]);
    hlq_status status = hlq_terms_compare(terms, rank, size, error);
    MUST(status == HLQ_OK || status == HLQ_E_INVALID || status == HLQ_E_MISMATCH ||
         status == HLQ_E_REMOTE);
    MUST(status == HLQ_OK || is_sentence(error, HLQ_ERROR_BYTES));
    free(terms);
    free(error);
    return 0;
}
