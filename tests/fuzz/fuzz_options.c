/*
 * Options and calls with any values in their fields: creation, what a call would cost, and the
 * calls themselves on one rank return a status, and an error with a sentence.
 *
 * Input: the fields of options and call, then what is called with which arguments.
 */
#include "fuzz.h"
#include "mail.h"

enum { ELEMS = 300, BYTES = ELEMS * 8, RANKS_MAX = 300 };

static int exists(hlq_status status)
{
    return strcmp(hlq_status_string(status), "unknown status") != 0;
}

static double input_double(input *in)
{
    static const double usual[] = {0, 1, 2, 3, 4, 4.5, 8, 12, 0.01, 1e-3, 13, -1, 1e300};
    int which = input_below(in, 16);
    double x;
    if (which < 13) return usual[which];
    input_bytes(in, &x, sizeof x);
    return x;
}

/* Mostly one that exists. */
static int input_value(input *in, int count)
{
    return input_below(in, 8) ? input_below(in, count) : (int)input_uint(in, 4);
}

static void hear(void *user, int level, const char *line)
{
    (void)user;
    MUST(level >= 0 && *line);
}

static hlq_options input_options(input *in)
{
    hlq_options o = HLQ_OPTIONS_INIT;
    if (!input_below(in, 8)) o.struct_bytes = (uint32_t)input_uint(in, 4);
    o.lattice = (hlq_lattice)input_value(in, 3);
    o.algorithm = (hlq_algorithm)input_value(in, 6);
    o.bits = input_double(in);
    o.seed = input_uint(in, 8);
    o.min_bytes = (size_t)input_uint(in, 8);
    if (!input_below(in, 4)) o.timeout_s = input_double(in);
    if (!input_below(in, 4)) o.target_nmse = input_double(in);
    if (!input_below(in, 4)) o.max_error = input_double(in);
    o.group = input_value(in, 4);
    o.dither = input_value(in, 4) == 1;
    o.probe = (hlq_probing)input_value(in, 3);
    o.topology = (hlq_topology)input_value(in, 3);
    o.log_level = input_value(in, 4);
    o.log_sink = hear;
    return o;
}

typedef struct buffers {
    uint8_t send[BYTES], recv[BYTES];
    float residual[ELEMS];
    hlq_range exempt[3];
} buffers;

/* A residual is NULL, or memory of its own, or the one of a tensor. */
static hlq_call input_call(input *in, buffers *b)
{
    float *const residuals[] = {NULL, NULL, b->residual, (float *)(void *)b->recv};
    hlq_call c = HLQ_CALL_INIT;
    if (!input_below(in, 8)) c.struct_bytes = (uint32_t)input_uint(in, 4);
    c.algorithm = (hlq_algorithm)input_value(in, 6);
    c.bits = input_double(in);
    c.residual = residuals[input_below(in, 4)];
    if (!input_below(in, 4)) c.target_nmse = input_double(in);
    if (!input_below(in, 4)) c.max_error = input_double(in);
    c.exempt_ranges = input_below(in, 4) ? 0 : (size_t)input_below(in, 4);
    c.exempt = input_below(in, 8) ? b->exempt : NULL;
    for (size_t i = 0; i < c.exempt_ranges; i++) {
        size_t start = (size_t)input_uint(in, 2), count = (size_t)input_uint(in, 1);
        if (!input_below(in, 8)) count = (size_t)input_uint(in, 8);
        b->exempt[i] = (hlq_range){start, count};
    }
    return c;
}

static hlq_status run(input *in, hlq_comm *comm, const hlq_call *call, buffers *b)
{
    hlq_dtype dtype = (hlq_dtype)input_value(in, 9);
    hlq_op op = (hlq_op)input_value(in, 5);
    hlq_stream stream = input_below(in, 16) == 1 ? (hlq_stream)(void *)b : NULL;
    const void *send = input_below(in, 8) == 1 ? NULL : b->send;
    void *recv = input_below(in, 8) == 1 ? NULL : input_below(in, 2) ? b->recv : b->send;
    /* As many as there are, or more than any memory has. */
    size_t count = input_below(in, 8) == 1 ? SIZE_MAX - input_uint(in, 1)
                                           : (size_t)input_below(in, 256) % (ELEMS + 1);
    size_t received = input_below(in, 4) ? count : (size_t)input_below(in, 256);
    const size_t *counts = input_below(in, 8) == 1 ? NULL : &count;
    switch (input_below(in, 5)) {
    case 0: return hlq_all_reduce(comm, send, recv, count, dtype, op, call, stream);
    case 1: return hlq_reduce_scatter(comm, send, recv, count, dtype, op, call, stream);
    case 2: return hlq_all_gather(comm, send, recv, count, dtype, call, stream);
    case 3: return hlq_all_to_all(comm, send, recv, count, dtype, call, stream);
    default: break;
    }
    return hlq_all_to_all_v(comm, send, counts, recv, &received, dtype, call, stream);
}

static void check(hlq_status status, const char *sentence)
{
    MUST(exists(status) && status != HLQ_E_PENDING);
    MUST(status == HLQ_OK || *sentence);
}

static void use(input *in, hlq_comm *comm, int calls)
{
    buffers *b = exactly(sizeof *b);
    for (int i = 0; i < calls; i++) {
        hlq_call call = input_call(in, b);
        const hlq_call *given = input_below(in, 8) ? &call : NULL;
        hlq_status status = run(in, comm, given, b);
        check(status, hlq_comm_last_error(comm));
        /* One rank alone has nobody to fail on. */
        MUST(status == HLQ_OK || status == HLQ_E_INVALID || status == HLQ_E_UNSUPPORTED ||
             status == HLQ_E_MISMATCH);
    }
    free(b);
}

/* What calls would cost on any number of ranks, of any size. */
static void ask(input *in, hlq_comm *comm)
{
    buffers *b = exactly(sizeof *b);
    hlq_call call = input_call(in, b);
    hlq_plan_info info = {.struct_bytes = sizeof info};
    info.operation = (hlq_operation)input_value(in, 4);
    size_t count = (size_t)(input_uint(in, 8) >> input_below(in, 64));
    hlq_dtype dtype = (hlq_dtype)input_value(in, 9);
    hlq_op op = (hlq_op)input_value(in, 5);
    hlq_status status = hlq_comm_plan(comm, count, dtype, op, &call, &info);
    check(status, hlq_comm_last_error(comm));
    MUST(status != HLQ_OK || info.bits_per_elem >= 0);
    free(b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    input in = {data, data + bytes};
    hlq_options options = input_options(&in);
    const hlq_options *given = input_below(&in, 8) ? &options : NULL;
    hlq_thread_group *group = NULL;
    hlq_comm *alone = NULL, *one_of_many = NULL;
    int rank = input_below(&in, 16) == 1 ? (int)input_uint(&in, 4) : 0;
    MUST(hlq_thread_group_create(1, &group) == HLQ_OK);
    hlq_status status = hlq_comm_create_threads(group, rank, given, &alone);
    check(status, hlq_create_error());
    MUST((status == HLQ_OK) == (alone != NULL));
    if (alone) use(&in, alone, 3);
    hlq_comm_destroy(alone);
    hlq_thread_group_destroy(group);

    mail_end end = {.size = 1 + (int)(input_uint(&in, 2) % RANKS_MAX), .is_echo = 1};
    end.rank = (int)(input_uint(&in, 2) % (uint64_t)end.size);
    hlq_transport transport = mail_transport(&end);
    status = hlq_comm_create_callbacks(&transport, given, &one_of_many);
    check(status, hlq_create_error());
    if (one_of_many) ask(&in, one_of_many);
    hlq_comm_destroy(one_of_many);
    return 0;
}
