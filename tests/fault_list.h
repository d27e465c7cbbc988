/*
 * Everything that goes wrong in test_faults and test_faults_mpi. Rank 1 is at fault, in one call of
 * hlq_all_reduce or in one of three under way; messages to rank 0 are those it damages.
 */
#ifndef HLQ_TEST_FAULT_LIST_H
#define HLQ_TEST_FAULT_LIST_H

#include "saboteur.h"

enum { GUILTY = 1, JOBS_MOST = 3 };

/* What the rank at fault calls. */
typedef enum conduct {
    CALLS, /* as the others do; its transport does the deed */
    NEVER_CALLS,
    CALLS_LATE, /* later than the timeout */
    HALTS_FIRST,
    LEAVES,        /* having destroyed its communicator */
    LEAVES_AMIDST, /* destroys it when the call has begun */
    HAS_NO_MEMORY,
    OTHER_COUNT,
    OTHER_DTYPE,
    OTHER_OP,
    OTHER_ALGORITHM,
    OTHER_BITS,
    OTHER_OPERATION,
    OTHER_OPTIONS, /* at creation */
} conduct;

typedef enum outcome {
    BREAKS,       /* all ranks get an error, now and from then on */
    REFUSED,      /* all ranks get an error; recv is untouched, the communicator works on */
    VICTIM_ALONE, /* all get the result but rank 0, which breaks the communicator; that is what the
                     others are told at their next call: nothing that comes last can be answered */
} outcome;

enum {
    LARGE = 1,
    SILENT = 2,
    AT_CREATION = 4,
    THREE_JOBS = 8,
    FIRST_CALL = 16,
    BOUND = 32,
    RING = 64,
    FLOWS = 128,
    RIDES = 256
};

typedef struct fault {
    const char *name;
    conduct conduct;
    deed deed;
    hlq_algorithm algorithm; /* of the one call */
    uint32_t number;         /* exchange of that call in which the deed is done: 0 compares terms */
    int at;                  /* byte of the message */
    outcome outcome;
    hlq_status status; /* what ranks get that did nothing wrong */
    const char *says;  /* a part of their sentence; another is "rank 1" */
    int flags;         /* LARGE: messages that MPI does not send at once. SILENT: only a timeout
                          tells. FIRST_CALL: there was no other on the communicator. BOUND: in bound
                          mode, whose exchanges 1 and 3 are of sizes.
                          FLOWS: in messages of two chunks: exchanges 1 and 2, then 3 and 4.
                          RIDES: the first messages are in the letters with the terms, from byte 272
                          on: exchange 1 is that of the next step. Others have none that ride.
                          RING: modq's topology, in which rank 1 sends to rank 2: that is damaged */
} fault;

#define START "at the start of hlq_all_reduce"
#define END "at the end of hlq_all_reduce"
#define STEP(n, name) "step " #n " of hlq_all_reduce, " #name
#define SOME_STEP "of hlq_all_reduce"
#define TWOSHOT HLQ_ALG_TWOSHOT
#define ONESHOT HLQ_ALG_ONESHOT
#define MODQ HLQ_ALG_MODQ
#define NATIVE HLQ_ALG_NATIVE
#define STOPS(when, algorithm, number, says, flags)                                                \
    CALLS, when, algorithm, number, 0, BREAKS, HLQ_E_TIMEOUT, says, SILENT | (flags)
#define DOES(deed, algorithm, number, at, status, says, flags)                                     \
    CALLS, deed, algorithm, number, at, BREAKS, status, says, flags
#define REFUSES(conduct, algorithm, status, says, flags)                                           \
    conduct, NO_DEED, algorithm, 0, 0, REFUSED, status, says, flags

static const fault faults[] = {
    /* A rank that is stopped (over threads: sleeps) until the others have ended; with the argument
       "killed", killed. */
    {"halt-in-creation", STOPS(HALT_BEFORE, TWOSHOT, 0, "creating a communicator", AT_CREATION)},
    {"halt-before-call", HALTS_FIRST, NO_DEED, TWOSHOT, 0, 0, BREAKS, HLQ_E_TIMEOUT, START, SILENT},
    {"halt-in-terms", STOPS(HALT_AFTER, TWOSHOT, 0, SOME_STEP, 0)},
    {"halt-in-step-1", STOPS(HALT_BEFORE, TWOSHOT, 1, STEP(1, twoshot), 0)},
    {"halt-while-sending", STOPS(HALT_AFTER, TWOSHOT, 1, SOME_STEP, LARGE)},
    {"halt-midway", STOPS(HALT_MIDWAY, TWOSHOT, 1, STEP(1, twoshot), 0)},
    {"halt-in-step-2", STOPS(HALT_BEFORE, TWOSHOT, 2, STEP(2, twoshot), LARGE)},
    {"halt-before-verdict", STOPS(HALT_BEFORE, TWOSHOT, 3, END, 0)},
    {"halt-in-oneshot", STOPS(HALT_BEFORE, ONESHOT, 1, STEP(1, oneshot), LARGE)},
    {"halt-before-sum", STOPS(HALT_BEFORE, NATIVE, 1, STEP(1, native), 0)},
    {"halt-in-sum", STOPS(HALT_AFTER, NATIVE, 1, SOME_STEP, LARGE)},
    {"halt-in-a-flow", STOPS(HALT_BEFORE, TWOSHOT, 2, STEP(1, twoshot), FLOWS)},
    {"halt-in-second-flow", STOPS(HALT_BEFORE, TWOSHOT, 4, STEP(2, twoshot), FLOWS)},
    {"halt-in-modq", STOPS(HALT_BEFORE, MODQ, 1, STEP(1, modq), 0)},
    {"halt-in-modq-codes", STOPS(HALT_BEFORE, MODQ, 3, STEP(3, modq), LARGE)},
    {"halt-in-modq-extension", STOPS(HALT_BEFORE, MODQ, 5, "of hlq_all_reduce, modq", LARGE)},
    {"halt-in-sizes", STOPS(HALT_BEFORE, TWOSHOT, 3, "sizes in step 2", BOUND)},
    {"halt-in-modq-ring", STOPS(HALT_BEFORE, MODQ, 4, "of hlq_all_reduce, modq", LARGE | RING)},
    {"halt-among-three", STOPS(HALT_BEFORE, MODQ, 2, SOME_STEP, THREE_JOBS)},

    /* A rank that does not take part. */
    {"never-calls", NEVER_CALLS, NO_DEED, TWOSHOT, 0, 0, BREAKS, HLQ_E_TIMEOUT, START, SILENT},
    {"calls-late", CALLS_LATE, NO_DEED, MODQ, 0, 0, BREAKS, HLQ_E_TIMEOUT, START, SILENT},
    {"calls-sum-late", CALLS_LATE, NO_DEED, NATIVE, 0, 0, BREAKS, HLQ_E_TIMEOUT, START, SILENT},
    {"leaves", LEAVES, NO_DEED, TWOSHOT, 0, 0, BREAKS, HLQ_E_TIMEOUT, START, SILENT},
    {"leaves-amidst", LEAVES_AMIDST, NO_DEED, MODQ, 0, 0, BREAKS, HLQ_E_TRANSPORT, "has left", 0},

    /* A flipped bit. */
    {"flip-in-terms", DOES(FLIP, TWOSHOT, 0, 20, HLQ_E_WIRE, START, 0)},
    {"flip-in-header", DOES(FLIP, TWOSHOT, 1, 5, HLQ_E_WIRE, STEP(2, twoshot), 0)},
    {"flip-in-checksum", DOES(FLIP, TWOSHOT, 1, 33, HLQ_E_WIRE, STEP(2, twoshot), 0)},
    {"flip-in-exponents", DOES(FLIP, ONESHOT, 1, 41, HLQ_E_WIRE, SOME_STEP, 0)},
    {"flip-in-planes", DOES(FLIP, TWOSHOT, 1, -100, HLQ_E_WIRE, STEP(2, twoshot), LARGE)},
    {"flip-in-head", DOES(FLIP, TWOSHOT, 1, 41, HLQ_E_WIRE, STEP(2, twoshot), FLOWS)},
    {"flip-in-first-piece", DOES(FLIP, ONESHOT, 1, -1, HLQ_E_WIRE, SOME_STEP, FLOWS)},
    {"flip-in-last-piece", DOES(FLIP, TWOSHOT, 2, -1, HLQ_E_WIRE, STEP(2, twoshot), FLOWS)},
    {"flip-in-a-sum's-piece", DOES(FLIP, TWOSHOT, 3, -9, HLQ_E_WIRE, SOME_STEP, FLOWS)},
    {"flip-in-result", DOES(FLIP, TWOSHOT, 2, -1, HLQ_E_WIRE, SOME_STEP, 0)},
    {"flip-in-verdict", CALLS, FLIP, TWOSHOT, 3, 7, VICTIM_ALONE, HLQ_E_WIRE, "verdict", 0},
    {"flip-in-modq-exponents", DOES(FLIP, MODQ, 1, 44, HLQ_E_WIRE, STEP(2, modq), 0)},
    {"flip-in-modq-agreed", DOES(FLIP, MODQ, 2, 44, HLQ_E_WIRE, STEP(3, modq), 0)},
    {"flip-in-modq-codes", DOES(FLIP, MODQ, 3, -50, HLQ_E_WIRE, STEP(4, modq), LARGE)},
    {"flip-in-modq-failures", DOES(FLIP, MODQ, 4, 40, HLQ_E_WIRE, STEP(5, modq), LARGE)},
    {"flip-in-modq-extension", DOES(FLIP, MODQ, 5, 9, HLQ_E_WIRE, "is damaged", LARGE)},
    {"flip-in-modq-answer", DOES(FLIP, MODQ, 6, 8, HLQ_E_WIRE, "is damaged", LARGE)},
    {"flip-in-size", DOES(FLIP, TWOSHOT, 1, 1, HLQ_E_WIRE, "sizes in step 1", BOUND)},
    {"flip-in-bits", DOES(FLIP, TWOSHOT, 2, 81, HLQ_E_WIRE, STEP(2, twoshot), BOUND)},
    {"flip-in-modq-ring", DOES(FLIP, MODQ, 4, -50, HLQ_E_WIRE, SOME_STEP, LARGE | RING)},
    {"flip-in-modq-ring-end", DOES(FLIP, MODQ, 5, 33, HLQ_E_WIRE, SOME_STEP, LARGE | RING)},
    {"flip-in-modq-ring-extension", DOES(FLIP, MODQ, 7, 9, HLQ_E_WIRE, "is damaged", LARGE | RING)},
    {"flip-among-three", DOES(FLIP, MODQ, 3, 60, HLQ_E_WIRE, SOME_STEP, THREE_JOBS)},

    /* Other damage. */
    {"skipped-message", DOES(WITHHOLD, TWOSHOT, 1, 0, HLQ_E_WIRE, SOME_STEP, 0)},
    {"skipped-size", DOES(WITHHOLD, TWOSHOT, 1, 0, HLQ_E_WIRE, SOME_STEP, BOUND)},
    {"other-size", DOES(CUT, TWOSHOT, 4, 0, HLQ_E_WIRE, SOME_STEP, BOUND)},
    {"skipped-terms", DOES(WITHHOLD, TWOSHOT, 0, 0, HLQ_E_WIRE, START, 0)},
    {"lost-verdict", CALLS, WITHHOLD, TWOSHOT, 3, 0, VICTIM_ALONE, HLQ_E_TIMEOUT, END, SILENT},
    {"short-message", DOES(CUT, TWOSHOT, 1, 0, HLQ_E_WIRE, STEP(1, twoshot), 0)},
    {"long-message", DOES(LENGTHEN, TWOSHOT, 1, 0, HLQ_E_WIRE, STEP(1, twoshot), 0)},
    {"long-large-message", DOES(LENGTHEN, TWOSHOT, 2, 0, HLQ_E_WIRE, SOME_STEP, LARGE)},
    {"short-chunk", DOES(CUT, TWOSHOT, 2, 0, HLQ_E_WIRE, STEP(1, twoshot), FLOWS)},
    {"skipped-chunk", DOES(WITHHOLD, TWOSHOT, 1, 0, HLQ_E_WIRE, SOME_STEP, FLOWS)},
    {"short-terms", DOES(CUT, TWOSHOT, 0, 0, HLQ_E_WIRE, START, 0)},
    {"another-rank's-message", DOES(MIX_UP, TWOSHOT, 1, 0, HLQ_E_WIRE, STEP(2, twoshot), LARGE)},
    {"the-last-call's-message", DOES(REPLAY, TWOSHOT, 1, 0, HLQ_E_WIRE, STEP(2, twoshot), 0)},
    {"failing-start", DOES(FAIL_START, TWOSHOT, 1, 0, HLQ_E_TRANSPORT, "the cable was cut", 0)},
    {"failing-start-in-a-flow",
     DOES(FAIL_START, TWOSHOT, 4, 0, HLQ_E_TRANSPORT, "the cable was cut", FLOWS)},
    {"failing-test", DOES(FAIL_TEST, MODQ, 2, 0, HLQ_E_TRANSPORT, "the cable was cut", LARGE)},

    /* Letters. */
    {"halt-in-letters", STOPS(HALT_AFTER, TWOSHOT, 0, SOME_STEP, RIDES)},
    {"halt-midway-in-letters", STOPS(HALT_MIDWAY, TWOSHOT, 0, SOME_STEP, RIDES)},
    {"halt-after-letters", STOPS(HALT_BEFORE, TWOSHOT, 1, STEP(2, twoshot), RIDES)},
    {"flip-in-letter's-terms", DOES(FLIP, TWOSHOT, 0, 20, HLQ_E_WIRE, START, RIDES)},
    {"flip-in-letter's-checksum", DOES(FLIP, TWOSHOT, 0, 266, HLQ_E_WIRE, "is damaged", RIDES)},
    {"flip-in-rider", DOES(FLIP, TWOSHOT, 0, -9, HLQ_E_WIRE, "a message is damaged", RIDES)},
    {"flip-in-last-rider", DOES(FLIP, ONESHOT, 0, 280, HLQ_E_WIRE, "a message is damaged", RIDES)},
    {"short-letter", DOES(CUT, TWOSHOT, 0, 0, HLQ_E_WIRE, "were expected", RIDES)},
    {"long-letter", DOES(LENGTHEN, ONESHOT, 0, 0, HLQ_E_WIRE, "were expected", RIDES)},
    {"skipped-letter", DOES(WITHHOLD, TWOSHOT, 0, 0, HLQ_E_WIRE, START, RIDES)},
    {"another-rank's-letter", DOES(MIX_UP, TWOSHOT, 0, 0, HLQ_E_WIRE, STEP(2, twoshot), RIDES)},
    {"the-last-call's-letter", DOES(REPLAY, TWOSHOT, 0, 0, HLQ_E_WIRE, "is damaged", RIDES)},

    /* A rank without memory. */
    {"no-memory-for-call", REFUSES(HAS_NO_MEMORY, TWOSHOT, HLQ_E_REMOTE, "workspace", FIRST_CALL)},
    {"no-memory-for-request", HAS_NO_MEMORY, NO_DEED, TWOSHOT, 0, 0, BREAKS, HLQ_E_NOMEM,
     "no memory for another collective", THREE_JOBS | FIRST_CALL},
    {"no-memory-for-messages",
     DOES(NO_MEMORY_BEFORE, MODQ, 0, 0, HLQ_E_NOMEM, "out of memory for", THREE_JOBS | FIRST_CALL)},
    {"no-memory-in-modq",
     DOES(NO_MEMORY_AFTER, MODQ, 4, 0, HLQ_E_NOMEM, "longer codes", LARGE | FIRST_CALL)},

    /* A rank that asks for something else. */
    {"other-version", CALLS, OTHER_VERSION, TWOSHOT, 0, 0, REFUSED, HLQ_E_MISMATCH, "version",
     AT_CREATION},
    {"other-options", REFUSES(OTHER_OPTIONS, TWOSHOT, HLQ_E_MISMATCH, "bits 7", AT_CREATION)},
    {"other-count", REFUSES(OTHER_COUNT, TWOSHOT, HLQ_E_MISMATCH, "count", 0)},
    {"other-dtype", REFUSES(OTHER_DTYPE, NATIVE, HLQ_E_MISMATCH, "dtype bfloat16", 0)},
    {"other-op", REFUSES(OTHER_OP, ONESHOT, HLQ_E_MISMATCH, "op", 0)},
    {"other-algorithm", REFUSES(OTHER_ALGORITHM, TWOSHOT, HLQ_E_MISMATCH, "algorithm native", 0)},
    {"other-bits", REFUSES(OTHER_BITS, MODQ, HLQ_E_MISMATCH, "bits 5", 0)},
    {"other-operation", REFUSES(OTHER_OPERATION, TWOSHOT, HLQ_E_MISMATCH, "hlq_all_gather", 0)},
    {"other-count-rides", REFUSES(OTHER_COUNT, ONESHOT, HLQ_E_MISMATCH, "count", RIDES)},
    {"other-bits-ride", REFUSES(OTHER_BITS, TWOSHOT, HLQ_E_MISMATCH, "bits 5", RIDES)},
    {"no-rider-elsewhere", REFUSES(OTHER_ALGORITHM, TWOSHOT, HLQ_E_MISMATCH, "native", RIDES)},
    {"other-operation-rides",
     REFUSES(OTHER_OPERATION, TWOSHOT, HLQ_E_MISMATCH, "hlq_all_gather", RIDES)},
};

enum { FAULTS = (int)(sizeof faults / sizeof *faults) };

#endif
