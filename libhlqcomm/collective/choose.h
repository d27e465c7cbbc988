/*
 * Which algorithm a call gets: its own wish, else the communicator's, else the best guess.
 */
#ifndef HLQ_COLLECTIVE_CHOOSE_H
#define HLQ_COLLECTIVE_CHOOSE_H

#include "walk.h"

/* What a code may cost: one of these is not 0. */
typedef struct hlq_price {
    double bits, target_nmse, max_error;
} hlq_price;

/* What the call names wins over what the communicator has. */
hlq_price hlq_price_of(const hlq_options *o, const hlq_call *call);

/* Whether an operation adds up; whether what is asked for can be done on codes. */
int hlq_is_sum(hlq_operation operation);
int hlq_is_codable(const hlq_walk *w);

/* Fills in what a call leaves open. */
void hlq_complete(hlq_walk *w, const hlq_call *call);

/* The algorithm that AUTO codes an all-reduce with. */
hlq_algorithm hlq_coded_default(const hlq_walk *w);

/* AUTO's choice once more, when the probe is done. */
void hlq_reconsider(hlq_walk *w);

/* What carries a walk's algorithm out. */
const hlq_algorithm_entry *hlq_entry_of(const hlq_walk *w);

#endif
