/*
 * The table of nodes.h, by looking through all ranks: done once per communicator.
 */
#include "nodes.h"

/* Ranks below `end` with the id of rank p. */
static int count_like(const int64_t *id, int p, int end)
{
    int count = 0;
    for (int q = 0; q < end; q++) count += id[q] == id[p];
    return count;
}

void hlq_nodes_find(hlq_nodes *n, const int64_t *id, int rank, int size)
{
    n->nodes = 0;
    n->node_size = count_like(id, rank, size);
    n->place = count_like(id, rank, rank);
    for (int p = 0; p < size; p++) {
        int place = count_like(id, p, p);
        if (place == 0) n->nodes++;
        if (id[p] == id[rank] && place == 0) n->node = n->nodes - 1;
        if (id[p] == id[rank]) n->peers[place] = p;
        if (count_like(id, p, size) != count_like(id, 0, size)) n->node_size = 0;
    }
    if (!n->node_size) return;
    for (int p = 0, i = 0; p < size; p++) {
        if (count_like(id, p, p) != 0) continue;
        for (int q = p; q < size; q++) {
            if (id[q] == id[p] && count_like(id, q, q) == n->place) n->rail[i] = q;
        }
        i++;
    }
}
