/*
 * The two exchanges that every step of modq is made of, parts to their owners and answers to all,
 * and how their messages are opened.
 */
#include "modq.h"

hlq_status hlq_modq_from(hlq_comm *comm, int p, const hlq_frame *frame, uint8_t *segment,
                         hlq_run *run)
{
    char what[HLQ_ERROR_BYTES];
    hlq_status status = hlq_segment_open(frame, segment, run, what);
    return status == HLQ_OK ? HLQ_OK : hlq_fail(comm, status, "from rank %d: %.200s", p, what);
}

hlq_status hlq_modq_exchange_parts(const hlq_request *r, modq_space *s)
{
    hlq_comm *comm = r->comm;
    for (int p = 0; p < comm->size; p++) {
        comm->out[p] = (hlq_message){s->part[p].out, s->part[p].frame.bytes};
        comm->in[p] = (hlq_message){s->part[p].in, s->part[comm->rank].frame.bytes};
    }
    return hlq_exchange(comm);
}

hlq_status hlq_modq_gather_parts(const hlq_request *r, modq_space *s)
{
    hlq_comm *comm = r->comm;
    hlq_send_to_all(comm, s->sum, s->part[comm->rank].frame.bytes);
    for (int p = 0; p < comm->size; p++) {
        comm->in[p] = (hlq_message){s->part[p].in, s->part[p].frame.bytes};
    }
    return hlq_exchange(comm);
}

uint8_t *hlq_modq_gathered(const hlq_request *r, modq_space *s, int p)
{
    return p == r->comm->rank ? s->sum : s->part[p].in;
}

void hlq_modq_complete_run(const modq_part *part, uint8_t *segment, hlq_run *run)
{
    run->code = part->code;
    run->bits = part->bits;
    hlq_segment_lay_out(&part->frame, run, part->plan.coded, part->plan.planes, segment);
}
