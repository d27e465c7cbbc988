/*
 * An exchange that is waited for: what a caller without anything else to do needs of a transport.
 */
#include "transport_internal.h"

#include <stdio.h>

/* Seconds between two looks at a watch. */
static const double look_every = 1e-3;

static hlq_status failed(const hlq_transport *t, hlq_exchange *exchange, hlq_status status,
                         double timeout_s, int *in_use, char *error)
{
    char missing[HLQ_ERROR_BYTES] = "some rank did not answer";
    *in_use |= t->cancel(t->self, exchange, missing);
    if (status == HLQ_E_TIMEOUT && !*error) {
        snprintf(error, HLQ_ERROR_BYTES, "%.200s within %g s", missing, timeout_s);
    }
    if (t->give_up) t->give_up(t->self, status, error);
    return status;
}

hlq_status hlq_transport_run_watched(const hlq_transport *t, hlq_exchange *exchange,
                                     double timeout_s, hlq_watch *watch, char *error)
{
    double deadline = hlq_now() + timeout_s;
    int done = 0;
    exchange->state = NULL;
    *error = '\0';
    hlq_status status =
        exchange->sum ? t->start_sum(t->self, exchange, error) : t->start(t->self, exchange, error);
    while (status == HLQ_OK && !done) {
        status = t->test(t->self, exchange, &done, error);
        if (status != HLQ_OK || done) break;
        if (watch->look) status = watch->look(watch->self, error);
        if (status != HLQ_OK) break;
        double left = deadline - hlq_now();
        if (!(left > 0)) status = HLQ_E_TIMEOUT;
        else hlq_transport_rest(t, watch->look && left > look_every ? look_every : left);
    }
    return status == HLQ_OK ? HLQ_OK
                            : failed(t, exchange, status, timeout_s, &watch->in_use, error);
}

hlq_status hlq_transport_run(const hlq_transport *t, hlq_exchange *exchange, double timeout_s,
                             char *error)
{
    hlq_watch none = {.look = NULL};
    return hlq_transport_run_watched(t, exchange, timeout_s, &none, error);
}
