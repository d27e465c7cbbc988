/*
 * The arena of workspace.h.
 */
#include "workspace.h"

#include <stdlib.h>

enum { ALIGNMENT = 64 };

void *hlq_arena_take(hlq_arena *arena, size_t bytes)
{
    size_t at = arena->used;
    arena->used = at + (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    return arena->base ? arena->base + at : NULL;
}

hlq_status hlq_arena_reserve(hlq_arena *arena, size_t bytes)
{
    arena->used = 0;
    if (bytes <= arena->capacity) return HLQ_OK;
    hlq_arena_free(arena);
    size_t capacity = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    arena->base = aligned_alloc(ALIGNMENT, capacity);
    if (!arena->base) return HLQ_E_NOMEM;
    arena->capacity = capacity;
    return HLQ_OK;
}

void hlq_arena_free(hlq_arena *arena)
{
    free(arena->base);
    *arena = (hlq_arena){NULL, 0, 0};
}
