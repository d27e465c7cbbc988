/*
 * Riders: the first messages of a short call travel with its terms, so that they need not wait for
 * what the others answer. Between each two ranks goes one letter:
 *
 *   terms │ checksum of the message │ message          the last two where it has a rider
 *
 * The step that makes them is run before ranks have agreed; so it must be one that leaves the
 * caller's memory alone (hlq_algorithm_entry.first_bytes). What rides is not yet agreed either, nor
 * need all ranks' ride (one may have a residual, which coding changes): where all do, the exchange
 * is over, else all send what they have once more, by themselves.
 */
#ifndef HLQ_COLLECTIVE_RIDERS_H
#define HLQ_COLLECTIVE_RIDERS_H

#include "agree.h"
#include "walk.h"

typedef struct hlq_riders {
    size_t room;           /* of a letter, in bytes; 0: the carrier takes none */
    uint8_t *sent, *came;  /* letters to and from each rank, `room` apart */
    size_t *got;           /* how long those that came are */
    hlq_message *out, *in; /* the walk's, put aside */
    hlq_flow flow;         /* the same */
    int is_aboard;         /* this rank's messages ride */
} hlq_riders;

/* Room for `ranks`, where the carrier can tell how long a message is. */
hlq_status hlq_riders_allocate(hlq_riders *r, const hlq_transport *t);
void hlq_riders_free(hlq_riders *r);

/* Whether terms travel in letters: not at creation, which is to be heard by any version. */
static inline int hlq_riders_can_travel(const hlq_riders *r, const hlq_walk *w)
{
    return r->room && w->call;
}

/* Whether the messages of the walk's first exchange may ride. */
int hlq_riders_fit(const hlq_riders *r, const hlq_walk *w, const hlq_algorithm_entry *entry);

/* Puts the walk's messages aside: they go aboard. */
void hlq_riders_board(hlq_riders *r, hlq_walk *w);

/* The next exchange: letters with these terms, which are one for each rank. */
void hlq_riders_send(hlq_riders *r, const hlq_walk *w, const hlq_terms *terms);

/* Terms as they came; zeros, which are damaged terms, where a letter is too short for any. */
void hlq_riders_read(const hlq_riders *r, const hlq_walk *w, hlq_terms *terms);

/* The walk gets its messages back. *all: they have arrived, unless it fails. */
hlq_status hlq_riders_leave(hlq_riders *r, hlq_walk *w, int *all);

#endif
