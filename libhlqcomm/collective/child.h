/*
 * A walk within a walk: algorithms that are put together from others (exempt.c, hierarchical.c)
 * drive these step by step, each step's exchange becoming one of their own.
 */
#ifndef HLQ_COLLECTIVE_CHILD_H
#define HLQ_COLLECTIVE_CHILD_H

#include "walk.h"

typedef struct hlq_child {
    hlq_walk walk; /* with an out and in of its own if it has members */
    const hlq_algorithm_entry *entry;
} hlq_child;

/* A walk like the parent's, for `size` ranks of which this is number `rank`; what to send and
   receive, how, and the arena are the caller's to set. */
hlq_walk hlq_child_walk(const hlq_walk *parent, int rank, int size);

/* One step. *done: the child has ended; else its exchange is the parent's next, or its flow. */
hlq_status hlq_child_step(hlq_walk *parent, hlq_child *child, int *done);

/* A piece of the parent's arena as an arena of its own. */
hlq_arena hlq_child_arena(hlq_arena *arena, size_t bytes);

#endif
