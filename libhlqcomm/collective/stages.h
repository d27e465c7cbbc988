/*
 * The stages of a collective (request.h). progress.c calls hlq_stages_advance() whenever an
 * exchange is complete.
 */
#ifndef HLQ_COLLECTIVE_STAGES_H
#define HLQ_COLLECTIVE_STAGES_H

#include "check.h"
#include "request.h"

/* What this rank says of its call: what is wrong with it, or what has to be equal on all ranks.
   Then, for a call on host tensors; reserves the arena. */
hlq_terms hlq_terms_of(const hlq_walk *w, const hlq_fault *f);
hlq_terms hlq_stages_terms(hlq_request *r, const hlq_fault *f);

/* The first exchange: terms. */
void hlq_stages_begin(hlq_request *r, const hlq_terms *mine);

/* Reads what the last exchange brought, and does what comes before the next. */
void hlq_stages_advance(hlq_request *r);

/* The end, with the sentence that the walk has. */
void hlq_stages_end(hlq_request *r, hlq_status status);

#endif
