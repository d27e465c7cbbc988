/*
 * An exchange that is waited for: what a caller without anything else to do needs of a transport.
 */
#include "transport_internal.h"

static hlq_status failed(const hlq_transport *t, hlq_exchange *exchange, hlq_status status,
                         char *error)
{
    char ignored[HLQ_ERROR_BYTES];
    t->cancel(t->self, exchange, status == HLQ_E_TIMEOUT ? error : ignored);
    if (t->give_up) t->give_up(t->self, status, error);
    return status;
}

hlq_status hlq_transport_run(const hlq_transport *t, hlq_exchange *exchange, double timeout_s,
                             char *error)
{
    double deadline = hlq_now() + timeout_s;
    int done = 0;
    exchange->state = NULL;
    hlq_status status =
        exchange->sum ? t->start_sum(t->self, exchange, error) : t->start(t->self, exchange, error);
    while (status == HLQ_OK && !done) {
        status = t->test(t->self, exchange, &done, error);
        if (status != HLQ_OK || done) break;
        double left = deadline - hlq_now();
        if (left > 0) hlq_transport_rest(t, left);
        else status = HLQ_E_TIMEOUT;
    }
    return status == HLQ_OK ? HLQ_OK : failed(t, exchange, status, error);
}
