/* Communicators of an episode: the world split at random, in random order; soak.h tells. */
#include "soak.h"
#include "tool.h"

#ifdef HLQ_HAVE_MPI
#include <hlqcomm/mpi.h>
#endif

/* One group in half of all episodes; a rank's number in it has nothing to do with its number in the
   world. Every rank draws all groups. */
static void split(soak_run *run, hlq_rng *rng)
{
    soak_group *g = &run->group;
    int size = run->world->size, order[SOAK_RANKS_MAX], colour[SOAK_RANKS_MAX] = {0};
    int groups = hlq_rng_below(rng, 2) ? 1 : hlq_rng_between(rng, 1, size < 4 ? size : 4);
    for (int p = 0; p < size; p++) {
        order[p] = p;
        colour[p] = hlq_rng_between(rng, 0, groups - 1);
    }
    hlq_rng_shuffle(rng, order, size);
    *g = (soak_group){.colour = colour[run->world->rank]};
    for (int i = 0; i < size; i++) {
        if (colour[order[i]] != g->colour) continue;
        if (order[i] == run->world->rank) g->rank = g->size;
        g->member[g->size++] = order[i];
    }
}

/* Which rank is on which node: nobody says, or nodes of equal size, of neighbours or dealt out, or
   as it falls. Every rank draws all. Returns this rank's name for its node. */
static int draw_nodes(soak_group *g, hlq_rng *rng)
{
    int way = hlq_rng_between(rng, 0, 2), is_dealt = (int)hlq_rng_below(rng, 2), own = 0;
    int each = hlq_rng_between(rng, 1, g->size);
    while (g->size % each) each--;
    int size[SOAK_RANKS_MAX + 1] = {0}, is_equal = 1;
    for (int p = 0; p < g->size; p++) {
        int fallen = hlq_rng_between(rng, 1, g->size);
        if (p == g->rank) own = fallen;
        size[fallen]++;
    }
    for (int p = 1; p <= g->size; p++) is_equal &= !size[p] || size[p] == size[own];
    g->is_named = way > 0;
    g->has_nodes = way == 1 || (way == 2 && is_equal);
    if (way == 1) own = 1 + (is_dealt ? g->rank % (g->size / each) : g->rank / each);
    return way ? own : 0;
}

double soak_least_bits(const soak_group *g)
{
    return g->options.dither ? fmin(1.21 * fmax(g->size, 2), 12) : 1;
}

static hlq_options draw_options(soak_group *g, hlq_rng *rng)
{
    hlq_options o = HLQ_OPTIONS_INIT;
    o.group = draw_nodes(g, rng);
    o.lattice = (hlq_lattice)hlq_rng_below(rng, 3);
    int named = hlq_rng_between(rng, 1, g->has_nodes ? HLQ_ALG_HIERARCHICAL : HLQ_ALG_NATIVE);
    o.algorithm = hlq_rng_below(rng, 3) ? HLQ_ALG_AUTO : (hlq_algorithm)named;
    o.bits = 1 + hlq_rng_between(rng, 0, 44) / 4.0;
    o.seed = hlq_rng_next(rng);
    o.min_bytes = hlq_rng_below(rng, 2) ? o.min_bytes : 0;
    o.probe = (hlq_probing)hlq_rng_below(rng, 3);
    o.topology = (hlq_topology)hlq_rng_below(rng, 3);
    o.timeout_s = PERF_TIMEOUT_S;
    double target = exp2(-hlq_rng_between(rng, 2, 16));
    if (hlq_rng_below(rng, 4) == 0 && o.algorithm != HLQ_ALG_MODQ) o.target_nmse = target;
    o.dither = hlq_rng_below(rng, 4) == 0 && o.algorithm != HLQ_ALG_MODQ && g->size <= 10;
    g->options = o;
    o.bits = fmax(o.bits, soak_least_bits(g));
    return o;
}

/* The first of a group makes what its threads share, and shows it. */
static hlq_status create_threads(soak_run *run, hlq_comm **comm)
{
    soak_group *g = &run->group;
    hlq_thread_group *shown[SOAK_RANKS_MAX] = {NULL};
    hlq_thread_group *made = NULL;
    if (g->rank == 0 && hlq_thread_group_create(g->size, &made) != HLQ_OK) made = NULL;
    perf_world_gather(run->world, &made, sizeof made, shown);
    g->threads = shown[g->member[0]];
    if (!g->threads) return HLQ_E_NOMEM;
    return hlq_comm_create_threads(g->threads, g->rank, &g->options, comm);
}

static hlq_status create(soak_run *run, hlq_comm **comm)
{
#ifdef HLQ_HAVE_MPI
    const soak_group *g = &run->group;
    MPI_Comm part;
    if (run->world->library_group == NULL) {
        if (MPI_Comm_split(MPI_COMM_WORLD, g->colour, g->rank, &part) != MPI_SUCCESS) {
            return HLQ_E_TRANSPORT;
        }
        hlq_status status = hlq_comm_create_mpi(part, &g->options, comm);
        MPI_Comm_free(&part);
        return status;
    }
#endif
    return create_threads(run, comm);
}

int soak_group_open(soak_run *run, hlq_rng *rng, char *error)
{
    soak_group *g = &run->group;
    split(run, rng);
    hlq_rng own = {hlq_rng_next(rng) + (uint64_t)g->colour};
    g->options = draw_options(g, &own);
    hlq_status status = create(run, &g->comm);
    if (status == HLQ_OK &&
        (hlq_comm_rank(g->comm) != g->rank || hlq_comm_size(g->comm) != g->size))
        snprintf(error, TOOL_ERROR_BYTES, "the communicator has other ranks than it was given");
    if (status != HLQ_OK)
        snprintf(error, TOOL_ERROR_BYTES, "episode %llu: %s: %s", (unsigned long long)run->episode,
                 hlq_status_string(status), hlq_create_error());
    return perf_world_agree(run->world, error);
}

void soak_group_close(soak_run *run)
{
    soak_group *g = &run->group;
    hlq_comm_destroy(g->comm);
    g->comm = NULL;
    perf_world_barrier(run->world);
    if (g->rank == 0) hlq_thread_group_destroy(g->threads);
    g->threads = NULL;
    perf_world_barrier(run->world);
}
