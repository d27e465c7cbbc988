/*
 * One rank of four is at fault, over threads; a stopped rank is one that sleeps. See fault_cases.h.
 */
#include "fault_cases.h"

static atomic_int ended;

static void others_end(test_rank *me)
{
    (void)me;
    ended++;
}

static void sleep_until_others_end(test_rank *me)
{
    while (ended < me->size - 1) usleep(1000);
}

static void all_faults(test_rank *me, void *argument)
{
    scene stage = {.me = me,
                   .memory = malloc(SCENE_BYTES),
                   .halt = sleep_until_others_end,
                   .others_end = others_end};
    (void)argument;
    for (int i = 0; i < FAULTS; i++) {
        fault f = faults[i];
        if (f.deed == HALT_MIDWAY) continue; /* what threads send, they send at once */
        /* Threads see each other leave, and that there is no message. */
        if (f.conduct == LEAVES) f.status = HLQ_E_TRANSPORT, f.says = "the rank has left";
        if (f.deed == WITHHOLD) f.status = HLQ_E_WIRE;
        if (me->rank == 0) ended = 0;
        rank_barrier(me);
        suffer(&stage, &f);
    }
    free(stage.memory);
}

int main(void)
{
    hlq_test_start("test_faults");
    ranks_as_threads(SABOTEUR_RANKS, all_faults, NULL);
    return hlq_test_end();
}
