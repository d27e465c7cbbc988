/*
 * Ranks compare what they were called with before anything depends on it. Each rank sends its terms
 * to all; then every rank knows, and says in the same words, who disagrees or cannot take part. So
 * a wrong argument on one rank is an error on all, not a hang.
 */
#ifndef HLQ_COLLECTIVE_AGREE_H
#define HLQ_COLLECTIVE_AGREE_H

#include <hlqcomm/hlqcomm.h>

/* Things that must be equal on all ranks. */
typedef enum hlq_term {
    HLQ_TERM_FUNCTION, /* HLQ_FUNCTION_CREATE, HLQ_FUNCTION_OF() */
    HLQ_TERM_COUNT,
    HLQ_TERM_DTYPE,
    HLQ_TERM_OP,
    HLQ_TERM_ALGORITHM,
    HLQ_TERM_BITS, /* this and the next two as the bits of a double */
    HLQ_TERM_TARGET,
    HLQ_TERM_MAX_ERROR,
    HLQ_TERM_EXEMPT, /* a checksum of the ranges */
    HLQ_TERM_LATTICE,
    HLQ_TERM_SEED,
    HLQ_TERM_MIN_BYTES,
    HLQ_TERM_PROBE,
    HLQ_TERM_TOPOLOGY,
    HLQ_TERM_DITHER,
    HLQ_TERMS,
} hlq_term;

/* What a rank called: creation, or an operation, with one count or one for each rank. */
enum { HLQ_FUNCTION_CREATE = 0 };
#define HLQ_FUNCTION_OF(operation, has_counts) (1 + 2 * (uint64_t)(operation) + (has_counts))

/* Of terms and letters (riders.h), as HLQ_WIRE_VERSION is of messages: what ranks say and when. */
enum { HLQ_TALK_VERSION = 4 };

typedef struct hlq_terms {
    uint32_t wire_version;
    int32_t status; /* HLQ_OK, or why this rank cannot take part */
    uint64_t value[HLQ_TERMS];
    uint64_t sent_to_you; /* elements; need not be equal: each rank is told its own */
    int64_t node;         /* at creation: an id of the rank's node */
    uint64_t can_probe;   /* the rank would measure first; all must */
    char sentence[104];
    uint64_t checksum; /* of all before it */
} hlq_terms;

uint64_t hlq_term_from_double(double x);

/* Ready to be sent, and as it came: HLQ_E_WIRE if it was damaged on the way. */
void hlq_terms_seal(hlq_terms *terms);
hlq_status hlq_terms_check(const hlq_terms *terms);

/*
 * Whether all ranks can take part and agree: terms has `size` entries, the own rank's with them.
 * Otherwise the own status, or HLQ_E_REMOTE if others cannot, or HLQ_E_MISMATCH, which is nobody's
 * alone, with the sentence in error (HLQ_ERROR_BYTES).
 */
hlq_status hlq_terms_compare(const hlq_terms *terms, int rank, int size, char *error);

#endif
