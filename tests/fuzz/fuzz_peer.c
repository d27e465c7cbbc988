/*
 * Whole collectives between ranks whose messages are changed on the way: damaged, or, with the
 * checksum put right, such as a hostile or faulty rank would send. Nothing crashes, every rank
 * ends or can be given up, with a status that exists; and if nothing was changed, or nobody fell
 * for it, all end with the same bits.
 *
 * Input: what is called, then for each message how it is changed.
 */
#include "fuzz.h"
#include "mail.h"

#include <collective/agree.h>
#include <collective/request.h>
#include <wire/checksum.h>

#include <math.h>

enum { ELEMS_MAX = 1600, IDLE_ROUNDS = 4, EDITS_MAX = 15, SEAL_BYTES = 8 };
enum { ACCOUNT_BYTES = 1424 }; /* of target mode */
enum { FIRST_CALL = 1 };       /* number of the collective */

typedef struct job {
    input *in;
    int size, operation;
    hlq_dtype dtype;
    size_t count;
    hlq_call call;
    hlq_range exempt[2];
    hlq_options options;
    int is_changed, is_forged; /* some message; with its checksum put right, or without one */
    mail mail;
    mail_end end[MAIL_RANKS_MAX];
    hlq_comm *comm[MAIL_RANKS_MAX];
    uint8_t *send[MAIL_RANKS_MAX], *recv[MAIL_RANKS_MAX];
    hlq_request *request[MAIL_RANKS_MAX];
    hlq_status status[MAIL_RANKS_MAX];
} job;

/* Messages on the way ------------------------------------------------------------------------ */

static void put_checksum(uint8_t *at, uint64_t checksum) { memcpy(at, &checksum, sizeof checksum); }

static void forge(const job *j, uint8_t *data, size_t bytes, int is_segment)
{
    hlq_frame frame = {.bytes = bytes};
    if (is_segment) {
        hlq_segment_seal(&frame, data);
    } else if (bytes == sizeof(hlq_size_note) && j->call.max_error > 0) {
        put_checksum(data + SEAL_BYTES, hlq_checksum(data, SEAL_BYTES, FIRST_CALL));
    } else if (bytes == sizeof(hlq_terms) || bytes == sizeof(hlq_verdict) ||
               bytes == ACCOUNT_BYTES) {
        put_checksum(data + bytes - SEAL_BYTES, hlq_checksum(data, bytes - SEAL_BYTES, 0));
    } else if (bytes > SEAL_BYTES) {
        put_checksum(data, hlq_checksum(data + SEAL_BYTES, bytes - SEAL_BYTES, 0));
    }
}

static void change(void *self, int from, int to, uint8_t *data, size_t bytes)
{
    job *j = self;
    int how = input_below(j->in, 256), edits = how & EDITS_MAX, is_forged = how >> 4 & 1;
    int is_segment = bytes >= HLQ_HEADER_BYTES && memcmp(data, "HLQC", 4) == 0;
    (void)from, (void)to;
    if (!bytes || !edits) return;
    uint8_t *before = exactly(bytes);
    memcpy(before, data, bytes);
    for (int i = 0; i < edits; i++) {
        data[input_uint(j->in, 2) % bytes] = (uint8_t)input_uint(j->in, 1);
    }
    if (is_forged) forge(j, data, bytes, is_segment);
    if (memcmp(before, data, bytes) != 0) {
        j->is_changed = 1;
        /* Plain numbers have no checksum; and who is told too late that another failed cannot
           know. */
        j->is_forged |= is_forged || (!is_segment && bytes != sizeof(hlq_terms));
    }
    free(before);
}

/* The ranks ---------------------------------------------------------------------------------- */

static size_t elems_of(const job *j, int is_sent)
{
    int one = j->operation == HLQ_ALL_REDUCE ||
              j->operation == (is_sent ? HLQ_ALL_GATHER : HLQ_REDUCE_SCATTER);
    return one ? j->count : (size_t)j->size * j->count;
}

static double number(uint64_t *state, int kind, size_t i)
{
    uint64_t z = *state = *state * 0xd1342543de82ef95u + 0x2545f4914f6cdd1du;
    double x = (double)(int32_t)(z >> 32) / 65536;
    switch (kind) {
    case 0: return x;
    case 1: return i % 256 == 7 ? x : 0;                   /* long vectors */
    case 2: return ldexp(x, (int)(i / 256 * 5 % 40) - 30); /* blocks of many sizes */
    case 3: return i < 256 ? 0 : i == 300 ? NAN : x;       /* special blocks */
    case 4: return 1000;                                   /* sums as large as can be */
    default: return x * 1e30;
    }
}

static void fill(uint8_t *data, hlq_dtype dtype, size_t elems, uint64_t state, int kind)
{
    for (size_t i = 0; i < elems; i++) {
        double x = number(&state, kind, i);
        float f = (float)x;
        uint16_t half;
        memcpy(&half, (const uint8_t *)&f + 2, sizeof half);
        if (dtype == HLQ_FLOAT64) memcpy(data + i * sizeof x, &x, sizeof x);
        else if (dtype == HLQ_FLOAT32) memcpy(data + i * sizeof f, &f, sizeof f);
        else memcpy(data + i * sizeof half, &half, sizeof half);
    }
}

static void read_job(job *j)
{
    static const double bits[] = {1, 2, 2.5, 3, 4, 5, 8, 12};
    input *in = j->in;
    j->size = 2 + input_below(in, MAIL_RANKS_MAX - 1);
    j->operation = input_below(in, HLQ_ALL_TO_ALL + 1);
    j->dtype = (hlq_dtype)input_below(in, HLQ_FLOAT64 + 1);
    j->count = (size_t)input_uint(in, 2) % (ELEMS_MAX + 1);
    j->options = (hlq_options)HLQ_OPTIONS_INIT;
    j->options.lattice = (hlq_lattice)input_below(in, 3);
    j->options.algorithm = (hlq_algorithm)input_below(in, HLQ_ALG_HIERARCHICAL + 1);
    j->options.bits = bits[input_below(in, 8)];
    j->options.min_bytes = 0;
    j->options.topology = j->count % 2 ? HLQ_TOPOLOGY_RING : HLQ_TOPOLOGY_ALL_TO_ALL;
    j->call = (hlq_call)HLQ_CALL_INIT;
    j->options.probe = HLQ_PROBE_OFF;
    int cost = input_below(in, 4), is_modq = j->options.algorithm == HLQ_ALG_MODQ;
    if (cost == 1 && !is_modq) j->call.target_nmse = 0.01;
    if (cost == 2 && !is_modq) j->call.max_error = 0.5;
    if (input_below(in, 4) == 1 && j->operation == HLQ_ALL_REDUCE && j->count >= 400) {
        j->exempt[0] = (hlq_range){3, 100};
        j->exempt[1] = (hlq_range){300, (size_t)input_below(in, 101)};
        j->call.exempt = j->exempt;
        j->call.exempt_ranges = 2;
    }
    int kind = input_below(in, 6);
    for (int r = 0; r < j->size; r++) {
        size_t width = hlq_dtype_bytes(j->dtype);
        j->send[r] = exactly(elems_of(j, 1) * width);
        j->recv[r] = exactly(elems_of(j, 0) * width);
        fill(j->send[r], j->dtype, elems_of(j, 1), (uint64_t)r, kind);
    }
}

/* At creation, two ranks are a node, if that comes out even. */
static int node_of(int rank, int size) { return 1 + (size % 2 ? rank : rank / 2); }

static void answer(void *self, int from, int to, uint8_t *data, size_t bytes)
{
    const mail_end *end = self;
    hlq_terms terms;
    (void)to;
    MUST(bytes == sizeof terms);
    memcpy(&terms, data, bytes);
    terms.node = (INT64_C(1) << 62) + node_of(from, end->size); /* as the library says it */
    hlq_terms_seal(&terms);
    memcpy(data, &terms, bytes);
}

static void create(job *j)
{
    j->mail = (mail){.size = j->size, .hand = change, .hand_self = j};
    for (int r = 0; r < j->size; r++) {
        j->end[r] = (mail_end){&j->mail, r, j->size, 1, answer};
        hlq_transport transport = mail_transport(&j->end[r]);
        transport.node = (uint64_t)node_of(r, j->size);
        MUST(hlq_comm_create_callbacks(&transport, &j->options, &j->comm[r]) == HLQ_OK);
        j->end[r].is_echo = 0;
    }
}

static hlq_status begin(job *j, int r)
{
    hlq_comm *c = j->comm[r];
    const void *s = j->send[r];
    void *d = j->recv[r];
    hlq_request **q = &j->request[r];
    switch (j->operation) {
    case HLQ_ALL_REDUCE:
        return hlq_all_reduce_start(c, s, d, j->count, j->dtype, HLQ_SUM, &j->call, NULL, q);
    case HLQ_REDUCE_SCATTER:
        return hlq_reduce_scatter_start(c, s, d, j->count, j->dtype, HLQ_AVG, &j->call, NULL, q);
    case HLQ_ALL_GATHER:
        return hlq_all_gather_start(c, s, d, j->count, j->dtype, &j->call, NULL, q);
    default: break;
    }
    return hlq_all_to_all_start(c, s, d, j->count, j->dtype, &j->call, NULL, q);
}

/* Until all have ended, or nothing moves any more. Returns whether all have. */
static int run(job *j)
{
    int idle = 0, ended = 0;
    for (int r = 0; r < j->size; r++) MUST(begin(j, r) == HLQ_OK && j->request[r]);
    while (ended < j->size && idle < IDLE_ROUNDS) {
        uint64_t moves = j->mail.moves;
        int before = ended;
        for (int r = 0; r < j->size; r++) {
            int done = 0;
            if (!j->request[r]) continue;
            j->status[r] = hlq_test(j->request[r], &done);
            if (!done) continue;
            j->request[r] = NULL;
            ended++;
        }
        idle = moves == j->mail.moves && before == ended ? idle + 1 : 0;
    }
    return ended == j->size;
}

static void check(const job *j, int all_ended)
{
    int failed = 0;
    size_t bytes = elems_of(j, 0) * hlq_dtype_bytes(j->dtype);
    for (int r = 0; r < j->size; r++) {
        MUST(strcmp(hlq_status_string(j->status[r]), "unknown status") != 0);
        if (j->request[r] || j->status[r] == HLQ_OK) continue;
        MUST(*hlq_comm_last_error(j->comm[r]));
        failed++;
    }
    MUST(j->is_changed || (all_ended && !failed));
    /* Without elements, terms are the last that a rank hears. */
    if (j->is_forged || !j->count) return;
    MUST(all_ended && (failed == 0 || failed == j->size));
    MUST(!j->is_changed || failed);
    for (int r = 1; r < j->size && !failed; r++) {
        int is_same = j->operation == HLQ_ALL_REDUCE || j->operation == HLQ_ALL_GATHER;
        MUST(!is_same || memcmp(j->recv[r], j->recv[0], bytes) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    input in = {data, data + bytes};
    job *j = exactly(sizeof *j);
    *j = (job){.in = &in};
    read_job(j);
    create(j);
    check(j, run(j));
    for (int r = 0; r < j->size; r++) hlq_comm_destroy(j->comm[r]);
    mail_clear(&j->mail);
    for (int r = 0; r < j->size; r++) {
        free(j->send[r]);
        free(j->recv[r]);
    }
    free(j);
    return 0;
}
