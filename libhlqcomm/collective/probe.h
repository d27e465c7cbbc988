/*
 * What AUTO knows of this machine and network: how long a sum takes plain and coded. Measured once
 * per communicator, within the first call that would like to know; all ranks then know the same.
 */
#ifndef HLQ_COLLECTIVE_PROBE_H
#define HLQ_COLLECTIVE_PROBE_H

#include <stddef.h>

struct hlq_algorithm_entry;

/* Seconds of an all-reduce of 16 KiB, 64 KiB, 256 KiB and 2 MiB of float32. Between two of these
   times grow evenly; below the first they are as there; beyond the last they grow as sizes do. */
enum { HLQ_PROBE_SIZES = 4 };
typedef struct hlq_curve {
    double seconds[HLQ_PROBE_SIZES];
} hlq_curve;

typedef struct hlq_probe {
    int is_wanted, is_done;
    hlq_curve plain, coded;
    size_t chunk_bytes; /* of each message in one exchange of a flow (walk.h) */
} hlq_probe;

/* Whether codes pay: they have to be faster by a margin, since plain numbers are exact. `width`:
   bytes of an element. Without a measurement they do. */
int hlq_probe_says_coded(const hlq_probe *probe, size_t elems, size_t width);

/* The walk that measures; sets the communicator's probe. */
extern const struct hlq_algorithm_entry hlq_probe_walk;

#endif
