/*
 * Ranks that live in one thread: a transport whose messages pass through the harness, which may
 * change them on the way.
 */
#ifndef HLQ_FUZZ_MAIL_H
#define HLQ_FUZZ_MAIL_H

#include <hlqcomm/transport.h>

enum { MAIL_RANKS_MAX = 4 };

/* A message that was sent and not yet taken. */
typedef struct letter {
    struct letter *next;
    uint32_t channel, number;
    size_t bytes;
    uint8_t *data;
} letter;

/* Sees every message, and may change its bytes. */
typedef void mail_hand(void *self, int from, int to, uint8_t *data, size_t bytes);

typedef struct mail {
    int size;
    letter *box[MAIL_RANKS_MAX][MAIL_RANKS_MAX]; /* [from][to] */
    hlq_status given_up[MAIL_RANKS_MAX];
    mail_hand *hand;
    void *hand_self;
    uint64_t moves; /* letters taken so far */
} mail;

/*
 * The end of one rank; it must outlive the communicator. While it is an echo, all others answer
 * what they are sent: so a communicator is created that afterwards talks to others.
 */
typedef struct mail_end {
    mail *mail; /* NULL for one that stays an echo */
    int rank, size;
    int is_echo;
    mail_hand *answer; /* NULL, or sees every echo, and may change its bytes; self is this */
} mail_end;

hlq_transport mail_transport(mail_end *end);

/* Throws away what nobody took. */
void mail_clear(mail *m);

#endif
