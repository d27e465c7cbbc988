/*
 * MPI as a transport: every message is one or more MPI_Isend / MPI_Irecv of bytes, on a duplicate
 * of the caller's communicator. Reductions of bytes are never left to MPI (MPI_SUM saturates on 8-
 * and 16-bit integers in Open MPI); MPI_Iallreduce serves native float32 sums alone.
 */
#include "mpi_endpoint.h"
#include "mpi_transport.h"

#include <hlqcomm/mpi.h>

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * MPI counts are ints; longer messages go in pieces. So do short ones: beyond its eager limit (Open
 * MPI over TCP: 64 KiB, its header included) an MPI asks the receiver first, so that nothing moves
 * before both look after it again, which they do not while they code.
 */
enum { PIECE_BYTES = 1 << 30, SHORT_BYTES = 1 << 20, EAGER_BYTES = 60 << 10 };

/* How often rest() yields the processor: there may be more ranks than processors. */
enum { YIELD_EVERY = 16 };

/* Seconds: how often test() looks for notices; when a rank in a sum tells the others that it is;
   after what time without a look a rank may have missed more than one look finds. */
static const double look_every = 1e-3, wait_before_telling = 10e-3, long_ago = 0.1;
enum { LOOKS_AFTER_LONG = 16 };

static hlq_status mpi_failed(mpi_endpoint *e, int code, const char *what, char *error)
{
    char text[MPI_MAX_ERROR_STRING];
    int length = 0;
    MPI_Error_string(code, text, &length);
    snprintf(error, HLQ_ERROR_BYTES, "%s: %.*s", what, length > 160 ? 160 : length, text);
    e->broken = 1;
    return HLQ_E_TRANSPORT;
}

/* Flights ------------------------------------------------------------------------------------ */

static void free_flight(mpi_flight *f)
{
    free(f->request);
    free(f->status);
    free(f->piece);
    free(f);
}

static void give_back(mpi_endpoint *e, mpi_flight *f)
{
    f->next = e->spare;
    e->spare = f;
}

/* A flight with room for so many requests; NULL if there is no memory. */
static mpi_flight *new_flight(mpi_endpoint *e, uint32_t channel, size_t needed)
{
    mpi_flight *f = e->spare;
    if (f) e->spare = f->next;
    else f = calloc(1, sizeof *f);
    if (!f) return NULL;
    f->requests = f->is_sum = f->is_told = 0;
    f->got = NULL;
    f->channel = channel;
    f->begin = hlq_now();
    if (needed <= (size_t)f->capacity) return f;
    MPI_Request *request = realloc(f->request, needed * sizeof *request);
    if (request) f->request = request;
    MPI_Status *status = realloc(f->status, needed * sizeof *status);
    if (status) f->status = status;
    mpi_piece *pieces = realloc(f->piece, needed * sizeof *pieces);
    if (pieces) f->piece = pieces;
    if (!request || !status || !pieces) {
        give_back(e, f);
        return NULL;
    }
    f->capacity = (int)needed;
    return f;
}

static hlq_status no_flight(char *error)
{
    snprintf(error, HLQ_ERROR_BYTES, "out of memory for message requests");
    return HLQ_E_NOMEM;
}

static size_t piece_of(size_t bytes) { return bytes <= SHORT_BYTES ? EAGER_BYTES : PIECE_BYTES; }

static size_t pieces_of(size_t bytes) { return (bytes + piece_of(bytes) - 1) / piece_of(bytes); }

static int post(mpi_endpoint *e, mpi_flight *f, const hlq_message *m, int tag, int peer,
                int is_recv)
{
    size_t most = piece_of(m->bytes);
    for (size_t at = 0; at < m->bytes; at += most) {
        int bytes = (int)(m->bytes - at < most ? m->bytes - at : most);
        char *data = (char *)m->data + at;
        MPI_Request *request = &f->request[f->requests];
        int code = is_recv ? MPI_Irecv(data, bytes, MPI_BYTE, peer, tag, e->comm, request)
                           : MPI_Isend(data, bytes, MPI_BYTE, peer, tag, e->comm, request);
        if (code != MPI_SUCCESS) return code;
        f->piece[f->requests++] = (mpi_piece){peer, bytes, is_recv};
    }
    return MPI_SUCCESS;
}

static hlq_status start(void *self, hlq_exchange *exchange, char *error)
{
    mpi_endpoint *e = self;
    size_t needed = 0;
    for (int p = 0; p < e->size; p++) {
        if (p == e->rank) continue;
        needed += pieces_of(exchange->send[p].bytes) + pieces_of(exchange->recv[p].bytes);
    }
    mpi_flight *f = exchange->state = new_flight(e, exchange->channel, needed);
    if (!f) return no_flight(error);
    f->got = exchange->got;
    int code = MPI_SUCCESS, tag = FIRST_TAG + (int)(exchange->channel % TAGS);
    for (int d = 1; d < e->size && code == MPI_SUCCESS; d++) {
        int p = (e->rank + d) % e->size;
        code = post(e, f, &exchange->recv[p], tag, p, 1);
    }
    for (int d = 1; d < e->size && code == MPI_SUCCESS; d++) {
        int p = (e->rank + d) % e->size;
        code = post(e, f, &exchange->send[p], tag, p, 0);
    }
    if (code != MPI_SUCCESS) return mpi_failed(e, code, "MPI could not start a message", error);
    return HLQ_OK;
}

static hlq_status start_sum(void *self, hlq_exchange *exchange, char *error)
{
    mpi_endpoint *e = self;
    const size_t most = PIECE_BYTES / sizeof(float);
    size_t needed = (exchange->count + most - 1) / most;
    mpi_flight *f = exchange->state = new_flight(e, exchange->channel, needed);
    if (!f) return no_flight(error);
    f->is_sum = 1;
    for (size_t at = 0; at < exchange->count; at += most) {
        int n = exchange->count - at < most ? (int)(exchange->count - at) : (int)most;
        int code = MPI_Iallreduce(MPI_IN_PLACE, exchange->sum + at, n, MPI_FLOAT, MPI_SUM, e->comm,
                                  &f->request[f->requests]);
        if (code != MPI_SUCCESS) return mpi_failed(e, code, "MPI_Iallreduce", error);
        f->piece[f->requests++] = (mpi_piece){-1, 0, 0};
    }
    return HLQ_OK;
}

/* Progress ----------------------------------------------------------------------------------- */

/* MPI does not say who is missing in a sum; those that wait in it do. */
static void tell_of_waiting(mpi_endpoint *e, mpi_flight *f, double now)
{
    if (!f->is_sum || f->is_told || now < f->begin + wait_before_telling) return;
    f->is_told = 1;
    e->waiting.channels = 1;
    e->waiting.channel[0] = f->channel;
    hlq_mpi_tell(e, &e->waiting);
}

/* MPI failed in one piece. */
static hlq_status piece_failed(mpi_endpoint *e, const mpi_flight *f, const mpi_piece *p, int code,
                               char *error)
{
    char who[HLQ_ERROR_BYTES] = "";
    if (p->peer >= 0) snprintf(who, sizeof who, "rank %d", p->peer);
    else hlq_mpi_name_failed(e, f, who);
    return mpi_failed(e, code, who, error);
}

/* All requests are complete, or some failed: did each receive bring what was expected? */
static hlq_status check_pieces(mpi_endpoint *e, const mpi_flight *f, int code, char *error)
{
    for (int i = 0; i < f->requests; i++) {
        const mpi_piece *p = &f->piece[i];
        int class = MPI_SUCCESS, got = p->bytes;
        if (code == MPI_ERR_IN_STATUS) MPI_Error_class(f->status[i].MPI_ERROR, &class);
        if (class == MPI_ERR_PENDING) continue;
        if (class == MPI_SUCCESS && p->is_recv) MPI_Get_count(&f->status[i], MPI_BYTE, &got);
        if (class == MPI_ERR_TRUNCATE) {
            snprintf(error, HLQ_ERROR_BYTES, "rank %d sent more than the %d bytes expected",
                     p->peer, p->bytes);
            return HLQ_E_WIRE;
        }
        if (class != MPI_SUCCESS) return piece_failed(e, f, p, f->status[i].MPI_ERROR, error);
        if (p->is_recv && f->got) {
            f->got[p->peer] = (size_t)got;
        } else if (got != p->bytes) {
            snprintf(error, HLQ_ERROR_BYTES, "rank %d sent %d bytes where %d were expected",
                     p->peer, got, p->bytes);
            return HLQ_E_WIRE;
        }
    }
    return HLQ_OK;
}

/* Now and then, for a look may cost a system call, also when an exchange is complete. */
static hlq_status look_around(mpi_endpoint *e, const mpi_flight *f, double now, char *error)
{
    if (now < e->looked + look_every) return HLQ_OK;
    for (int i = now > e->looked + long_ago ? LOOKS_AFTER_LONG : 1; i > 0; i--) hlq_mpi_look(e);
    e->looked = now;
    return hlq_mpi_gone(e, f, error);
}

static hlq_status test(void *self, hlq_exchange *exchange, int *done, char *error)
{
    mpi_endpoint *e = self;
    mpi_flight *f = exchange->state;
    double now = hlq_now();
    *done = 0;
    int code = MPI_Testall(f->requests, f->request, done, f->status);
    if (code == MPI_ERR_IN_STATUS) *done = 1;
    if (*done) {
        hlq_status status = check_pieces(e, f, code, error);
        if (status != HLQ_OK) return status;
    } else if (code != MPI_SUCCESS) {
        return mpi_failed(e, code, "MPI failed", error);
    } else {
        tell_of_waiting(e, f, now);
    }
    hlq_status status = look_around(e, f, now, error);
    if (*done && status == HLQ_OK) give_back(e, f);
    return status;
}

static void give_up(void *self, hlq_status status, const char *sentence)
{
    mpi_endpoint *e = self;
    if (e->farewell.status != HLQ_OK) return;
    e->broken = 1;
    e->farewell.status = (int32_t)status;
    snprintf(e->farewell.sentence, sizeof e->farewell.sentence, "%s", sentence);
    hlq_mpi_tell(e, &e->farewell);
}

/* Receives that nobody has answered are taken back; what MPI is in the midst of, it goes on
   with. */
static int cancel(void *self, hlq_exchange *exchange, char *missing)
{
    mpi_endpoint *e = self;
    mpi_flight *f = exchange->state;
    mpi_notice *mine = &e->farewell;
    int in_use = 0;
    e->broken = 1;
    if (mine->status == HLQ_OK && mine->channels < CHANNELS_TOLD) {
        mine->channel[mine->channels++] = exchange->channel;
    }
    hlq_mpi_name_missing(e, f, missing);
    for (int i = (f ? f->requests : 0) - 1; i >= 0; i--) {
        int done = hlq_mpi_is_complete(f->request[i]);
        if (done) continue;
        if (f->piece[i].is_recv) {
            MPI_Cancel(&f->request[i]);
            MPI_Test(&f->request[i], &done, MPI_STATUS_IGNORE);
        }
        in_use |= !done;
    }
    if (f && !in_use) give_back(e, f); /* else its requests stay MPI's */
    return in_use;
}

static void rest(void *self, double seconds)
{
    mpi_endpoint *e = self;
    (void)seconds;
    if (++e->rests % YIELD_EVERY == 0) sched_yield();
}

/* A broken one is left to MPI, which may still read its farewell; where it can be found, so that
   nobody takes it for lost. */
static void leave_to_mpi(mpi_endpoint *e)
{
    static _Atomic(mpi_endpoint *) left;
    e->next = atomic_load(&left);
    while (!atomic_compare_exchange_weak(&left, &e->next, e)) continue;
}

static void destroy(void *self)
{
    mpi_endpoint *e = self;
    int finalized = 0;
    MPI_Finalized(&finalized);
    while (e->spare) {
        mpi_flight *f = e->spare;
        e->spare = f->next;
        free_flight(f);
    }
    if (e->broken && !finalized) {
        leave_to_mpi(e);
        return;
    }
    if (!finalized) MPI_Comm_free(&e->comm);
    free(e->notices);
    free(e);
}

/* Life --------------------------------------------------------------------------------------- */

/* A duplicate of a communicator, within a time. */
static hlq_status duplicate(mpi_endpoint *e, MPI_Comm original, double timeout_s, char *error)
{
    MPI_Request request;
    double deadline = hlq_now() + timeout_s;
    int done = 0, code = MPI_Comm_idup(original, &e->comm, &request);
    while (code == MPI_SUCCESS && !done && hlq_now() < deadline) {
        code = MPI_Test(&request, &done, MPI_STATUS_IGNORE);
        if (!done) rest(e, 0);
    }
    if (code != MPI_SUCCESS) return mpi_failed(e, code, "MPI_Comm_idup", error);
    if (done) return HLQ_OK;
    snprintf(error, HLQ_ERROR_BYTES, "some rank did not come to the creation of a communicator");
    return HLQ_E_TIMEOUT;
}

/* Without waiting for other ranks, as MPI_Comm_split_type would. */
static uint64_t find_node(void)
{
    char name[MPI_MAX_PROCESSOR_NAME + 1] = "";
    int length = 0;
    if (MPI_Get_processor_name(name, &length) != MPI_SUCCESS || length <= 0) return 0;
    return hlq_node_of_name(name);
}

hlq_status hlq_transport_mpi(MPI_Comm mpi_comm, double timeout_s, hlq_transport *transport,
                             char *error)
{
    int initialized = 0, finalized = 0;
    MPI_Initialized(&initialized);
    MPI_Finalized(&finalized);
    if (!initialized || finalized || mpi_comm == MPI_COMM_NULL) {
        snprintf(error, HLQ_ERROR_BYTES, "%s",
                 !initialized ? "MPI is not initialized"
                 : finalized  ? "MPI is already finalized"
                              : "the MPI communicator is null");
        return HLQ_E_INVALID;
    }
    mpi_endpoint *e = calloc(1, sizeof *e);
    if (!e) return HLQ_E_NOMEM;
    MPI_Comm_rank(mpi_comm, &e->rank);
    MPI_Comm_size(mpi_comm, &e->size);
    e->notices = calloc((size_t)e->size, sizeof *e->notices);
    hlq_status status = e->notices ? duplicate(e, mpi_comm, timeout_s, error) : HLQ_E_NOMEM;
    if (status == HLQ_E_TIMEOUT) {
        leave_to_mpi(e); /* which may still write to it */
        return status;
    }
    if (status != HLQ_OK) {
        free(e->notices);
        free(e);
        return status;
    }
    MPI_Comm_set_errhandler(e->comm, MPI_ERRORS_RETURN);
    *transport = (hlq_transport){
        .struct_bytes = sizeof *transport,
        .name = "mpi",
        .self = e,
        .rank = e->rank,
        .size = e->size,
        .node = find_node(),
        .takes_less = 1,
        .start = start,
        .test = test,
        .cancel = cancel,
        .rest = rest,
        .give_up = give_up,
        .start_sum = start_sum,
        .destroy = destroy,
    };
    return HLQ_OK;
}

hlq_status hlq_comm_create_mpi(MPI_Comm mpi_comm, const hlq_options *options, hlq_comm **comm)
{
    char error[HLQ_ERROR_BYTES] = "";
    hlq_transport transport;
    if (comm) *comm = NULL;
    hlq_status status =
        hlq_transport_mpi(mpi_comm, hlq_creation_timeout(options), &transport, error);
    if (status != HLQ_OK) return hlq_create_failed(status, error);
    return hlq_comm_create_callbacks(&transport, options, comm);
}

const char *hlq_mpi_library(void)
{
    static char text[MPI_MAX_LIBRARY_VERSION_STRING];
    int length = 0;
    if (!*text) {
        MPI_Get_library_version(text, &length);
        text[strcspn(text, ",\n")] = '\0';
    }
    return text;
}
