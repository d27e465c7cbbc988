/*
 * Moving collectives on: their exchanges, on the communicator's transport.
 */
#ifndef HLQ_COLLECTIVE_PROGRESS_H
#define HLQ_COLLECTIVE_PROGRESS_H

#include "request.h"

/* Moves every collective under way as far as it goes without waiting. */
void hlq_progress(hlq_comm *comm);

/* Until something may have changed; at most so many seconds, or until some exchange is late. */
void hlq_progress_rest(hlq_comm *comm, double seconds);

/* Ends a request, whose walk has the sentence, and breaks its communicator; tells the other ranks.
   All other requests under way end with HLQ_E_BROKEN. */
void hlq_request_break(hlq_request *r, hlq_status status);
void hlq_comm_break(hlq_comm *comm, hlq_status status, const char *sentence);

/* Gives up the exchanges under way. missing: NULL, or HLQ_ERROR_BYTES for a sentence on the
   oldest. */
void hlq_exchanges_cancel(hlq_request *r, char *missing);

#endif
