/*
 * One arena holds all memory of a call. An algorithm lays its space out by taking pieces in order;
 * the same walk over an arena without memory counts how much is needed.
 *
 *   base ┌────────┬──────────┬─────┬───────────────┐
 *        │ codes  │ received │ acc │     free      │
 *        └────────┴──────────┴─────┴───────────────┘
 *                            used ─┘      capacity ─┘     pieces start at multiples of 64 bytes
 */
#ifndef HLQ_COLLECTIVE_WORKSPACE_H
#define HLQ_COLLECTIVE_WORKSPACE_H

#include <hlqcomm/hlqcomm.h>

typedef struct hlq_arena {
    uint8_t *base;
    size_t used, capacity;
} hlq_arena;

/* The next piece; NULL if the arena has no memory yet, and then only counted. */
void *hlq_arena_take(hlq_arena *arena, size_t bytes);

/* Makes room for bytes in all and empties the arena. Only grows. */
hlq_status hlq_arena_reserve(hlq_arena *arena, size_t bytes);

void hlq_arena_free(hlq_arena *arena);

#endif
