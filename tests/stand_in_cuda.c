/*
 * CUDA's runtime as stand_in.h has it.
 */
#include "stand_in.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Work -------------------------------------------------------------------------------------- */

typedef struct work {
    struct work *next;
    void (*run)(void *argument);
    size_t bytes;
    unsigned char argument[];
} work;

/* As CUDA has it, functions of the host on a stream must not put work onto any. */
static _Thread_local int is_host_function;
enum { NOT_PERMITTED = 800 };

/* Streams that wait for an event of the graph's join it. What all of them are given is one line of
   work, in the order in which it was given; each must be waited for before the capture ends. */
enum { JOINED = 4 };
struct stand_in_graph {
    work *first, **end;
    hlq_stream joined[JOINED];
};

struct CUstream_st {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    work *first, **end;
    stand_in_graph *capture;
    int is_awaited; /* what it has of the capture, by the stream that this began with */
    int is_busy, is_over;
};

struct CUevent_st {
    int recorded, reached; /* how often: the event is pending while they differ */
    int is_destroyed;      /* as soon as it is not pending */
    hlq_stream captured;   /* it stands for a place in this stream's graph */
};
static pthread_mutex_t event_lock = PTHREAD_MUTEX_INITIALIZER;

static void *work_off(void *self)
{
    hlq_stream s = self;
    pthread_mutex_lock(&s->lock);
    for (;;) {
        while (!s->first && !s->is_over) pthread_cond_wait(&s->changed, &s->lock);
        work *w = s->first;
        if (!w) break;
        s->first = w->next;
        if (!s->first) s->end = &s->first;
        s->is_busy = 1;
        pthread_mutex_unlock(&s->lock);
        w->run(w->argument);
        free(w);
        pthread_mutex_lock(&s->lock);
        s->is_busy = 0;
        pthread_cond_broadcast(&s->changed);
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

static int stream_create(hlq_stream *stream)
{
    hlq_stream s = calloc(1, sizeof *s);
    if (!s) return 2;
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->changed, NULL);
    s->end = &s->first;
    if (pthread_create(&s->thread, NULL, work_off, s)) exit(2);
    *stream = s;
    return 0;
}

static int stream_destroy(hlq_stream s)
{
    pthread_mutex_lock(&s->lock);
    s->is_over = 1;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
    pthread_join(s->thread, NULL);
    pthread_mutex_destroy(&s->lock);
    pthread_cond_destroy(&s->changed);
    free(s);
    return 0;
}

int stand_in_put(hlq_stream s, void (*run)(void *argument), const void *argument, size_t bytes)
{
    if (is_host_function) return NOT_PERMITTED;
    work *w = malloc(sizeof *w + bytes);
    if (!s || !w) return 2;
    w->next = NULL;
    w->run = run;
    w->bytes = bytes;
    if (bytes) memcpy(w->argument, argument, bytes);
    pthread_mutex_lock(&s->lock);
    work ***end = s->capture ? &s->capture->end : &s->end;
    s->is_awaited = 0;
    **end = w;
    *end = &w->next;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
    return 0;
}

void stand_in_synchronize(hlq_stream s)
{
    pthread_mutex_lock(&s->lock);
    while (s->first || s->is_busy) pthread_cond_wait(&s->changed, &s->lock);
    pthread_mutex_unlock(&s->lock);
}

static int stream_synchronize(hlq_stream s)
{
    stand_in_synchronize(s);
    return 0;
}

/* Graphs ------------------------------------------------------------------------------------- */

/* As CUDA has it, a thread that captures must neither allocate nor ask for events. */
static _Thread_local int captures;
enum { CAPTURE_UNSUPPORTED = 900 };

void stand_in_capture(hlq_stream s)
{
    captures++;
    stand_in_graph *graph = calloc(1, sizeof *graph);
    if (!graph) exit(2);
    graph->end = &graph->first;
    pthread_mutex_lock(&s->lock);
    s->capture = graph;
    pthread_mutex_unlock(&s->lock);
}

stand_in_graph *stand_in_captured(hlq_stream s)
{
    captures--;
    pthread_mutex_lock(&s->lock);
    stand_in_graph *graph = s->capture;
    s->capture = NULL;
    pthread_mutex_unlock(&s->lock);
    for (int i = 0; i < JOINED && graph->joined[i]; i++) {
        hlq_stream joined = graph->joined[i];
        joined->capture = NULL;
        if (!joined->is_awaited) exit(2); /* cudaErrorStreamCaptureUnjoined */
    }
    return graph;
}

static int join(hlq_stream s, hlq_event event)
{
    hlq_stream from = event->captured;
    stand_in_graph *graph = from->capture;
    int i = 0;
    if (!graph) return CAPTURE_UNSUPPORTED;
    if (!s->capture) {
        while (i < JOINED && graph->joined[i]) i++;
        if (i == JOINED) exit(2);
        graph->joined[i] = s;
        s->capture = graph;
    }
    from->is_awaited = 1;
    return 0;
}

void stand_in_launch(const stand_in_graph *graph, hlq_stream s)
{
    for (work *w = graph->first; w; w = w->next) stand_in_put(s, w->run, w->argument, w->bytes);
}

void stand_in_graph_free(stand_in_graph *graph)
{
    while (graph->first) {
        work *w = graph->first;
        graph->first = w->next;
        free(w);
    }
    free(graph);
}

static int is_capturing(hlq_stream s, int *is_capturing)
{
    *is_capturing = s && s->capture;
    return 0;
}

/* Events ------------------------------------------------------------------------------------- */

static int event_create(hlq_event *event)
{
    *event = calloc(1, sizeof **event);
    return *event ? 0 : 2;
}

/* Frees one that is destroyed and not pending. */
static void event_drop(hlq_event event)
{
    int is_over = event->is_destroyed && event->recorded == event->reached;
    pthread_mutex_unlock(&event_lock);
    if (is_over) free(event);
}

static int event_destroy(hlq_event event)
{
    pthread_mutex_lock(&event_lock);
    event->is_destroyed = 1;
    event_drop(event);
    return 0;
}

static void reach(void *argument)
{
    hlq_event event;
    memcpy(&event, argument, sizeof event);
    pthread_mutex_lock(&event_lock);
    event->reached++;
    event_drop(event);
}

static int event_record(hlq_event event, hlq_stream s)
{
    event->captured = s->capture ? s : NULL;
    if (s->capture) return 0;
    pthread_mutex_lock(&event_lock);
    event->recorded++;
    pthread_mutex_unlock(&event_lock);
    return stand_in_put(s, reach, &event, sizeof event);
}

static int event_query(hlq_event event)
{
    if (captures) return CAPTURE_UNSUPPORTED;
    pthread_mutex_lock(&event_lock);
    int is_pending = event->reached != event->recorded;
    pthread_mutex_unlock(&event_lock);
    return is_pending ? HLQ_CUDA_NOT_READY : 0;
}

typedef struct {
    hlq_event event;
    int count;
} wait_argument;

static void wait_for(void *argument)
{
    wait_argument a;
    memcpy(&a, argument, sizeof a);
    for (int reached = 0; reached < a.count; sched_yield()) {
        pthread_mutex_lock(&event_lock);
        reached = a.event->reached;
        pthread_mutex_unlock(&event_lock);
    }
}

static int stream_wait(hlq_stream s, hlq_event event)
{
    wait_argument a = {event, event->recorded};
    if (event->captured) return join(s, event);
    return stand_in_put(s, wait_for, &a, sizeof a);
}

/* Memory ------------------------------------------------------------------------------------- */

/* The device's allocations, to tell its memory from the host's. */
enum { MOST = 4096 };
static struct {
    char *begin, *end;
} range[MOST];
static pthread_mutex_t range_lock = PTHREAD_MUTEX_INITIALIZER;

static void *from_heap(size_t bytes) { return aligned_alloc(256, (bytes + 255) / 256 * 256); }

static void *(*new_memory)(size_t bytes) = from_heap;
static void (*free_memory)(void *p) = free;

void stand_in_memory_by(void *(*allocate)(size_t bytes), void (*release)(void *p))
{
    new_memory = allocate;
    free_memory = release;
}

static int allocate(void **p, size_t bytes)
{
    if (captures) return CAPTURE_UNSUPPORTED;
    char *memory = new_memory(bytes);
    if (!memory) return 2;
    memset(memory, 0xa5, bytes); /* cudaMalloc promises nothing */
    pthread_mutex_lock(&range_lock);
    int i = 0;
    while (i < MOST && range[i].begin) i++;
    if (i == MOST) exit(2);
    range[i].begin = memory;
    range[i].end = memory + bytes;
    pthread_mutex_unlock(&range_lock);
    *p = memory;
    return 0;
}

static int release(void *p)
{
    pthread_mutex_lock(&range_lock);
    for (int i = 0; i < MOST; i++) {
        if (range[i].begin == p) range[i].begin = range[i].end = NULL;
    }
    pthread_mutex_unlock(&range_lock);
    free_memory(p);
    return 0;
}

size_t stand_in_allocations(void)
{
    size_t count = 0;
    pthread_mutex_lock(&range_lock);
    for (int i = 0; i < MOST; i++) count += range[i].begin != NULL;
    pthread_mutex_unlock(&range_lock);
    return count;
}

static int device_of(const void *p, int *device)
{
    const char *at = p;
    *device = -1;
    pthread_mutex_lock(&range_lock);
    for (int i = 0; i < MOST; i++) {
        if (range[i].begin && at >= range[i].begin && at < range[i].end) *device = 0;
    }
    pthread_mutex_unlock(&range_lock);
    return 0;
}

static int allocate_host(void **p, size_t bytes)
{
    if (captures) return CAPTURE_UNSUPPORTED;
    *p = new_memory(bytes ? bytes : 1);
    return *p ? 0 : 2;
}

static int release_host(void *p)
{
    free_memory(p);
    return 0;
}

typedef struct {
    void *to;
    const void *from;
    size_t bytes;
} copy_argument;

static void run_copy(void *argument)
{
    copy_argument a;
    memcpy(&a, argument, sizeof a);
    memmove(a.to, a.from, a.bytes);
}

static int copy(void *to, const void *from, size_t bytes, hlq_stream s)
{
    copy_argument a = {to, from, bytes};
    return stand_in_put(s, run_copy, &a, sizeof a);
}

typedef struct {
    void *to;
    int byte;
    size_t bytes;
} fill_argument;

static void run_fill(void *argument)
{
    fill_argument a;
    memcpy(&a, argument, sizeof a);
    memset(a.to, a.byte, a.bytes);
}

static int fill(void *to, int byte, size_t bytes, hlq_stream s)
{
    fill_argument a = {to, byte, bytes};
    return stand_in_put(s, run_fill, &a, sizeof a);
}

/* The host's functions ------------------------------------------------------------------------ */

typedef struct {
    void (*run)(void *argument);
    void *argument;
} host_function;

static void run_host(void *argument)
{
    host_function f;
    memcpy(&f, argument, sizeof f);
    is_host_function = 1;
    f.run(f.argument);
    is_host_function = 0;
}

static int launch_host(hlq_stream s, void (*run)(void *argument), void *argument)
{
    host_function f = {run, argument};
    return stand_in_put(s, run_host, &f, sizeof f);
}

/* Devices ------------------------------------------------------------------------------------ */

static const char *error_string(int error) { return error == 2 ? "out of memory" : "an error"; }

static int get_device(int *device)
{
    *device = 0;
    return 0;
}

static int set_device(int device) { return device == 0 ? 0 : 101; }

const hlq_cuda_calls stand_in_cuda = {
    .error_string = error_string,
    .get_device = get_device,
    .set_device = set_device,
    .device_of = device_of,
    .allocate = allocate,
    .release = release,
    .allocate_host = allocate_host,
    .release_host = release_host,
    .copy = copy,
    .fill = fill,
    .launch_host = launch_host,
    .stream_create = stream_create,
    .stream_destroy = stream_destroy,
    .stream_wait = stream_wait,
    .stream_synchronize = stream_synchronize,
    .is_capturing = is_capturing,
    .event_create = event_create,
    .event_destroy = event_destroy,
    .event_record = event_record,
    .event_query = event_query,
};
