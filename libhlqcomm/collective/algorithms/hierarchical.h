/*
 * What hierarchical.c and the same on a device (device/levels.c) have in common: stretches, and the
 * walk along a rail.
 */
#ifndef HLQ_COLLECTIVE_HIERARCHICAL_H
#define HLQ_COLLECTIVE_HIERARCHICAL_H

#include <collective/walk.h>

/* Stretch l of a tensor, for the rank at place l of each node: whole blocks but for the last. */
hlq_message hlq_stretch(const hlq_walk *w, const void *base, int l);
size_t hlq_stretch_elems(const hlq_walk *w, int l);

/* The all-reduce of this rank's stretch along its rail, in place in sum: its own node's sum, in
   float32, or of a float64 tensor in that. */
hlq_walk hlq_rail_walk(const hlq_walk *w, void *sum);

#endif
