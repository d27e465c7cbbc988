/*
 * oneshot: everybody sends the code of its whole tensor to everybody, and all add what they decode.
 *
 *   rank 0   codes of all blocks ──▶ all        every rank: decode 0 + decode 1 + … in rank order
 *   rank 1   codes of all blocks ──▶ all
 *
 * One quantization and one hop: the choice for 2 ranks. The own contribution is decoded from its
 * codes too, so all ranks add the same numbers. With n ranks every code goes out n-1 times, so for
 * the wire budget to hold the code itself has 2/n of the bits: beyond 2 ranks twoshot is better.
 */
#include "legs.h"

#include <transport/transport_internal.h>

static hlq_status add_codes(hlq_walk *w, int i)
{
    hlq_part whole = hlq_part_to(w, w->rank);
    double begin = hlq_now();
    HLQ_TRY(hlq_drain_sums(w, i, &whole, NULL));
    w->stats->seconds_decode += hlq_now() - begin;
    return HLQ_OK;
}

static hlq_status send_code(hlq_walk *w)
{
    hlq_send_own(w, hlq_legs_begin(w), add_codes);
    return HLQ_OK;
}

static hlq_step *const steps[] = {send_code, hlq_account_coded_once, NULL};
const hlq_algorithm_entry hlq_oneshot = {hlq_bytes_of_own, hlq_legs_bytes, steps,
                                         hlq_legs_first_bytes};
