/*
 * Which ranks are on which node: machines, or groups that the caller names.
 */
#ifndef HLQ_COLLECTIVE_NODES_H
#define HLQ_COLLECTIVE_NODES_H

#include <stdint.h>

/*
 * Nodes of equal size, in the order of their first ranks:
 *
 *   node 0   rank rank rank      rail: the ranks of one place in all nodes; bytes between nodes
 *   node 1   rank rank rank            go along rails
 *             │
 *             rail 0
 */
typedef struct hlq_nodes {
    int nodes, node_size; /* 0: they are of different sizes */
    int node, place;      /* this rank's */
    int *peers;           /* node_size ranks: of this rank's node, ascending */
    int *rail;            /* `nodes` ranks: of this rank's place */
} hlq_nodes;

/* id: of each rank's node. peers and rail have room for `size` ranks each. */
void hlq_nodes_find(hlq_nodes *nodes, const int64_t *id, int rank, int size);

#endif
