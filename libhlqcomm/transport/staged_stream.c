/*
 * What a staged carrier (staged.h) puts onto streams: copies, and host functions between them.
 */
#include "staged.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGNMENT = 256, OUT_OF_MEMORY = -1 };

/* What is put: messages of the device, of which an exchange ignores the own; or the numbers of a
   native sum: all of send, and recv of the own rank. */
typedef struct load {
    const hlq_message *send, *recv;
    size_t longest, most; /* most: of a message in one piece */
    hlq_stream stream;
    int is_direct, is_sum;
    hlq_operation operation;
    hlq_op op;
    hlq_dtype dtype;
} load;

/* Memory ------------------------------------------------------------------------------------- */

static size_t aligned(size_t bytes) { return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT; }

static hlq_status no_memory(size_t bytes, char *error)
{
    snprintf(error, HLQ_ERROR_BYTES, "no pinned memory for %zu bytes of messages", bytes);
    return HLQ_E_NOMEM;
}

static hlq_status reserve(staged_endpoint *e, size_t bytes, char *error)
{
    size_t had = e->room ? e->room->bytes : 0, wanted = bytes > 2 * had ? bytes : 2 * had;
    void *memory = NULL;
    if (bytes <= had) return HLQ_OK;
    staged_room *room = malloc(sizeof *room);
    if (!room || e->order.cuda->allocate_host(&memory, wanted)) {
        free(room);
        return no_memory(wanted, error);
    }
    *room = (staged_room){e->room, memory, wanted};
    e->room = room;
    return HLQ_OK;
}

/* A spare job, or a new one, empty; NULL if there is no memory. */
static staged_job *take_job(staged_endpoint *e)
{
    size_t n = (size_t)e->size;
    pthread_mutex_lock(&e->lock);
    staged_job *job = e->spare;
    if (job) e->spare = job->next;
    pthread_mutex_unlock(&e->lock);
    if (job) return job;
    job = malloc(sizeof *job + 2 * n * sizeof *job->send);
    if (!job) return NULL;
    *job = (staged_job){.e = e, .send = (hlq_message *)(void *)(job + 1)};
    job->recv = job->send + n;
    return job;
}

static void give_back(staged_endpoint *e, staged_job *job)
{
    pthread_mutex_lock(&e->lock);
    job->next = e->spare;
    e->spare = job;
    pthread_mutex_unlock(&e->lock);
}

/* Pieces -------------------------------------------------------------------------------------- */

static int is_in(const staged_endpoint *e, const load *l, int p)
{
    return l->is_sum || p != e->rank;
}

/* Piece k of a message, or nothing, where that is shorter. */
static hlq_message piece_of(const load *l, const hlq_message *m, size_t k)
{
    size_t begin = k * l->most;
    if (begin >= m->bytes) return (hlq_message){NULL, 0};
    size_t left = m->bytes - begin;
    return (hlq_message){(char *)m->data + begin, left < l->most ? left : l->most};
}

/* What goes to all is copied once. */
static int is_repeated(const hlq_message *m, const hlq_message *before)
{
    return m->data == before->data && m->bytes == before->bytes;
}

static char *at_of(const staged_slot *s, size_t at) { return s->memory ? s->memory + at : NULL; }

/* Piece k of all messages: on the device in `there`, and in `here`, one behind the other, first
   those that go out. Returns how much pinned memory that takes. */
static size_t place(const staged_endpoint *e, const load *l, size_t k, staged_slot *s)
{
    hlq_message before = {NULL, 0};
    size_t at = 0, placed = 0, begin = 0;
    for (int i = 0; i < 2 * e->size; i++) {
        int is_recv = i >= e->size, p = i % e->size;
        hlq_message m = piece_of(l, is_recv ? &l->recv[p] : &l->send[p], k);
        if (i == e->size) begin = at = aligned(at);
        if (!is_in(e, l, p)) m.bytes = 0;
        if (m.bytes && (is_recv || !is_repeated(&m, &before))) {
            placed = at;
            at += m.bytes;
            before = m;
        }
        s->there[i] = m;
        s->here[i] = (hlq_message){m.bytes ? at_of(s, placed) : NULL, m.bytes};
    }
    s->in = (hlq_message){at_of(s, begin), at - begin};
    return aligned(at);
}

static int copy_out(const staged_endpoint *e, const staged_slot *s, hlq_stream stream)
{
    int code = 0;
    const void *copied = NULL;
    for (int p = 0; p < e->size && !code; p++) {
        const hlq_message *to = &s->here[p];
        if (!to->bytes || to->data == copied) continue;
        code = e->order.cuda->copy(to->data, s->there[p].data, to->bytes, stream);
        copied = to->data;
    }
    return code;
}

static int copy_in(const staged_endpoint *e, const staged_slot *s, hlq_stream stream)
{
    int code = 0;
    for (int i = e->size; i < 2 * e->size && !code; i++) {
        const hlq_message *from = &s->here[i];
        if (!from->bytes) continue;
        code = e->order.cuda->copy(s->there[i].data, from->data, from->bytes, stream);
    }
    return code;
}

/* The exchange of what a slot has, in the order of a stream. */
static int launch(staged_endpoint *e, const load *l, const staged_slot *s, hlq_stream stream)
{
    size_t n = (size_t)e->size;
    staged_job *job = take_job(e);
    if (!job) return OUT_OF_MEMORY;
    memcpy(job->send, l->is_direct ? s->there : s->here, 2 * n * sizeof *job->send);
    job->in = l->is_direct ? (hlq_message){NULL, 0} : s->in;
    job->fault = e->fault;
    job->is_sum = l->is_sum;
    job->operation = l->operation;
    job->op = l->op;
    job->dtype = l->dtype;
    job->count = l->is_sum ? s->here[n + (size_t)e->rank].bytes / hlq_dtype_bytes(l->dtype) : 0;
    int code = e->order.cuda->launch_host(stream, staged_wait, job);
    if (code) give_back(e, job);
    return code;
}

/* Streams ------------------------------------------------------------------------------------- */

static int put_whole(staged_endpoint *e, const load *l)
{
    staged_slot *s = &e->slot[0];
    int code = 0;
    s->memory = e->room ? e->room->memory : NULL;
    place(e, l, 0, s);
    if (!l->is_direct) code = copy_out(e, s, l->stream);
    if (!code) code = launch(e, l, s, l->stream);
    if (!code && !l->is_direct) code = copy_in(e, s, l->stream);
    return code;
}

static hlq_status check_lengths(const staged_endpoint *e, const load *l, char *error)
{
    for (int p = 0; p < e->size; p++) {
        size_t sent = l->send[p].bytes, got = l->recv[p].bytes, longer = sent > got ? sent : got;
        if (!is_in(e, l, p) || longer <= l->longest) continue;
        snprintf(error, HLQ_ERROR_BYTES, "a message of %zu bytes is longer than the longest, %zu",
                 longer, l->longest);
        return HLQ_E_INVALID;
    }
    return HLQ_OK;
}

/* Piece k on its way out, and its exchange, which goes on beside the stream. */
static int begin_piece(staged_endpoint *e, const load *l, size_t k)
{
    const hlq_cuda_calls *cuda = e->order.cuda;
    staged_slot *s = &e->slot[k % SLOTS];
    place(e, l, k, s);
    int code = copy_out(e, s, l->stream);
    if (!code) code = cuda->event_record(e->copied, l->stream);
    if (!code) code = cuda->stream_wait(e->beside, e->copied);
    if (!code) code = launch(e, l, s, e->beside);
    if (!code) code = cuda->event_record(s->exchanged, e->beside);
    return code;
}

static int end_piece(staged_endpoint *e, const load *l, size_t k)
{
    staged_slot *s = &e->slot[k % SLOTS];
    int code = e->order.cuda->stream_wait(l->stream, s->exchanged);
    return code ? code : copy_in(e, s, l->stream);
}

/*
 * In pieces, of which two have memory: while one is exchanged, the one before is copied in, and
 * the next one out.
 *
 *   stream   out 0 │ out 1 │ in 0 │ out 2 │ in 1 │ out 3 │ …
 *   beside         │   exchange 0 │  exchange 1  │  exchange 2 …
 */
static int put_pieces(staged_endpoint *e, const load *l, size_t pieces, size_t bytes)
{
    char *memory = e->room ? e->room->memory : NULL;
    int code = 0;
    for (size_t k = 0; k < SLOTS && memory; k++) e->slot[k].memory = memory + k * bytes;
    for (size_t k = 0; k < pieces + SLOTS && !code; k++) {
        if (k >= SLOTS) code = end_piece(e, l, k - SLOTS);
        if (!code && k < pieces) code = begin_piece(e, l, k);
    }
    return code;
}

/* All of it, in one exchange or in pieces. */
static hlq_status put(staged_endpoint *e, load *l, char *error)
{
    staged_slot *s = &e->slot[0];
    if (e->size == 1) return HLQ_OK;
    if (check_lengths(e, l, error) != HLQ_OK) return HLQ_E_INVALID;
    l->is_direct = e->is_direct && !l->is_sum;
    l->most = l->is_direct ? SIZE_MAX : e->piece_bytes;
    s->memory = NULL;
    size_t pieces = l->longest / l->most + (l->longest % l->most != 0);
    size_t bytes = l->is_direct ? 0 : place(e, l, 0, s);
    if (reserve(e, pieces > 1 ? SLOTS * bytes : bytes, error) != HLQ_OK) return HLQ_E_NOMEM;
    int device = hlq_order_enter(&e->order);
    int code = pieces > 1 ? put_pieces(e, l, pieces, bytes) : put_whole(e, l);
    if (!e->order.cuda->event_record(e->moved, l->stream)) e->has_moved = 1;
    hlq_order_leave(&e->order, device);
    if (code != OUT_OF_MEMORY) return hlq_order_check(&e->order, code, "stage messages", error);
    snprintf(error, HLQ_ERROR_BYTES, "no memory for an exchange");
    return HLQ_E_NOMEM;
}

/* The carrier's functions --------------------------------------------------------------------- */

hlq_status staged_exchange(void *self, const hlq_message *send, const hlq_message *recv,
                           size_t longest, hlq_stream stream, char *error)
{
    load l = {.send = send, .recv = recv, .longest = longest, .stream = stream};
    return put(self, &l, error);
}

hlq_status staged_gather(void *self, void *recv, size_t bytes, hlq_stream stream, char *error)
{
    staged_endpoint *e = self;
    hlq_message *in = e->messages + e->size;
    for (int p = 0; p < e->size; p++) {
        in[p] = (hlq_message){(char *)recv + (size_t)p * bytes, bytes};
    }
    for (int p = 0; p < e->size; p++) e->messages[p] = in[e->rank];
    return staged_exchange(e, e->messages, in, bytes, stream, error);
}

/* The own part, where it is not yet. */
static hlq_status keep_part(staged_endpoint *e, const char *from, char *recv, size_t bytes,
                            hlq_stream stream, char *error)
{
    char *to = recv + (size_t)e->rank * bytes;
    if (to == from) return HLQ_OK;
    int device = hlq_order_enter(&e->order), code = e->order.cuda->copy(to, from, bytes, stream);
    hlq_order_leave(&e->order, device);
    return hlq_order_check(&e->order, code, "copy", error);
}

static hlq_status all_to_all(staged_endpoint *e, const char *send, char *recv, size_t bytes,
                             hlq_stream stream, char *error)
{
    hlq_message *out = e->messages, *in = out + e->size;
    for (int p = 0; p < e->size; p++) {
        size_t at = (size_t)p * bytes;
        out[p] = (hlq_message){(char *)(uintptr_t)send + at, bytes};
        in[p] = (hlq_message){recv + at, bytes};
    }
    const char *own = out[e->rank].data;
    hlq_status status = keep_part(e, own, recv, bytes, stream, error);
    return status == HLQ_OK ? staged_exchange(e, out, in, bytes, stream, error) : status;
}

/* A rank's numbers are one message, or one for every rank's part. */
static hlq_status sum(staged_endpoint *e, load *l, const char *send, char *recv, char *error)
{
    static const hlq_message nothing = {NULL, 0};
    hlq_message *out = e->messages, *in = out + e->size;
    int is_whole = l->operation == HLQ_ALL_REDUCE;
    for (int p = 0; p < e->size; p++) {
        const char *part = send + (is_whole ? 0 : (size_t)p * l->longest);
        int is_sent = !is_whole || p == e->rank;
        out[p] = is_sent ? (hlq_message){(char *)(uintptr_t)part, l->longest} : nothing;
        in[p] = p == e->rank ? (hlq_message){recv, l->longest} : nothing;
    }
    l->send = out;
    l->recv = in;
    return put(e, l, error);
}

hlq_status staged_native(void *self, hlq_operation operation, const void *send, void *recv,
                         size_t count, hlq_dtype dtype, hlq_op op, hlq_stream stream, char *error)
{
    staged_endpoint *e = self;
    size_t bytes = count * hlq_dtype_bytes(dtype);
    load l = {
        .longest = bytes,
        .stream = stream,
        .is_sum = 1,
        .operation = operation,
        .op = op,
        .dtype = dtype,
    };
    hlq_status status = HLQ_OK;
    switch (operation) {
    case HLQ_ALL_REDUCE:
    case HLQ_REDUCE_SCATTER: return sum(e, &l, send, recv, error);
    case HLQ_ALL_GATHER:
        status = keep_part(e, send, recv, bytes, stream, error);
        return status == HLQ_OK ? staged_gather(e, recv, bytes, stream, error) : status;
    case HLQ_ALL_TO_ALL: break;
    }
    return all_to_all(e, send, recv, bytes, stream, error);
}
