/*
 * The transport of mail.h. start() posts copies, so that send buffers are free at once; test()
 * takes what has come, in any order.
 */
#include "mail.h"
#include "fuzz.h"

/* Messages of an exchange that have come. */
typedef struct {
    int there;
    char has[MAIL_RANKS_MAX];
} arrivals;

static letter *new_letter(const hlq_exchange *exchange, int to)
{
    letter *l = exactly(sizeof *l);
    size_t bytes = exchange->send[to].bytes;
    *l = (letter){NULL, exchange->channel, exchange->number, bytes, exactly(bytes)};
    if (bytes) memcpy(l->data, exchange->send[to].data, bytes);
    return l;
}

static void free_letter(letter *l)
{
    free(l->data);
    free(l);
}

static hlq_status say(char *error, hlq_status status, const char *sentence)
{
    snprintf(error, HLQ_ERROR_BYTES, "%s", sentence);
    return status;
}

static hlq_status echo(mail_end *end, const hlq_exchange *exchange, char *error)
{
    for (int p = 0; p < end->size; p++) {
        const hlq_message *to = &exchange->recv[p], *from = &exchange->send[p];
        if (p == end->rank) continue;
        if (to->bytes != from->bytes) return say(error, HLQ_E_WIRE, "a message of another length");
        if (to->bytes) memcpy(to->data, from->data, to->bytes);
        if (end->answer) end->answer(end, p, end->rank, to->data, to->bytes);
    }
    return HLQ_OK;
}

static hlq_status start(void *self, hlq_exchange *exchange, char *error)
{
    mail_end *end = self;
    mail *m = end->mail;
    (void)error;
    if (end->is_echo) return HLQ_OK;
    for (int p = 0; p < m->size; p++) {
        if (p == end->rank) continue;
        letter **at = &m->box[end->rank][p], *l = new_letter(exchange, p);
        if (m->hand) m->hand(m->hand_self, end->rank, p, l->data, l->bytes);
        while (*at) at = &(*at)->next;
        *at = l;
    }
    exchange->state = calloc(1, sizeof(arrivals));
    MUST(exchange->state);
    return HLQ_OK;
}

static hlq_status take(const mail_end *end, hlq_exchange *exchange, int from, char *error)
{
    mail *m = end->mail;
    arrivals *a = exchange->state;
    letter **at = &m->box[from][end->rank], *l;
    while (*at && ((*at)->channel != exchange->channel || (*at)->number != exchange->number)) {
        at = &(*at)->next;
    }
    if (!(l = *at)) {
        return m->given_up[from] ? say(error, m->given_up[from], "a rank gave up") : HLQ_OK;
    }
    hlq_message to = exchange->recv[from];
    *at = l->next;
    int fits = l->bytes == to.bytes;
    if (fits && l->bytes) memcpy(to.data, l->data, l->bytes);
    free_letter(l);
    m->moves++;
    a->has[from] = 1;
    a->there++;
    return fits ? HLQ_OK : say(error, HLQ_E_WIRE, "a message of another length");
}

static void end_exchange(hlq_exchange *exchange)
{
    free(exchange->state);
    exchange->state = NULL;
}

static hlq_status test(void *self, hlq_exchange *exchange, int *done, char *error)
{
    mail_end *end = self;
    *done = 0;
    if (end->is_echo) {
        *done = 1;
        return echo(end, exchange, error);
    }
    arrivals *a = exchange->state;
    hlq_status status = HLQ_OK;
    for (int p = 0; p < end->mail->size && status == HLQ_OK; p++) {
        if (p != end->rank && !a->has[p]) status = take(end, exchange, p, error);
    }
    if (status == HLQ_OK && a->there == end->mail->size - 1) {
        *done = 1;
        end_exchange(exchange);
    }
    return status;
}

static int cancel(void *self, hlq_exchange *exchange, char *missing)
{
    (void)self;
    snprintf(missing, HLQ_ERROR_BYTES, "nothing came");
    end_exchange(exchange);
    return 0;
}

static void give_up(void *self, hlq_status status, const char *sentence)
{
    const mail_end *end = self;
    (void)sentence;
    if (!end->is_echo) end->mail->given_up[end->rank] = status;
}

hlq_transport mail_transport(mail_end *end)
{
    return (hlq_transport){
        .struct_bytes = sizeof(hlq_transport),
        .name = "mail",
        .self = end,
        .rank = end->rank,
        .size = end->size,
        .start = start,
        .test = test,
        .cancel = cancel,
        .give_up = give_up,
    };
}

void mail_clear(mail *m)
{
    for (int i = 0; i < m->size * m->size; i++) {
        letter **box = &m->box[i / m->size][i % m->size];
        while (*box) {
            letter *l = *box;
            *box = l->next;
            free_letter(l);
        }
    }
}
