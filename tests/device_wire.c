/*
 * Segments on a GPU; each call is captured into a graph, as device.h says.
 */
#include "device.h"
#include "gpu_wire.h"

/* Memory of the host, locked there and mapped: the GPU reads and writes it at the same address, its
   own atomics work on it, and nothing migrates, as managed memory does, which not every machine
   that lends its GPU allows. */
void *hlq_gpu_alloc(size_t bytes)
{
    void *p;
    device_check(cudaHostAlloc(&p, bytes, cudaHostAllocMapped));
    return p;
}

void hlq_gpu_free(void *p) { device_check(cudaFreeHost(p)); }

#define ON_GPU(call)                                                                               \
    do {                                                                                           \
        device_open();                                                                             \
        device_capture();                                                                          \
        device_check(hlq_wire_cuda.call);                                                          \
        device_close();                                                                            \
        return 0;                                                                                  \
    } while (0)

static int gpu_tell(const void *data, size_t bytes, void *to, hlq_stream stream)
{
    (void)stream;
    ON_GPU(tell(data, bytes, to, device.stream));
}

static int gpu_compare(const void *told, size_t bytes, int count, int own,
                       hlq_device_report *report, hlq_stream stream)
{
    (void)stream;
    ON_GPU(compare(told, bytes, count, own, report, device.stream));
}

static int gpu_write(const hlq_device_segment *s, const hlq_source *source,
                     const hlq_device_sums *sums, hlq_device_report *report, hlq_stream stream)
{
    (void)stream;
    ON_GPU(write(s, source, sums, report, device.stream));
}

static int gpu_open(const hlq_device_segment *s, hlq_device_report *report, hlq_stream stream)
{
    (void)stream;
    ON_GPU(open(s, report, device.stream));
}

static int gpu_sum(const hlq_device_segment *terms, int count, const hlq_source *own, int own_at,
                   const hlq_device_sums *sums, hlq_stream stream)
{
    (void)stream;
    ON_GPU(sum(terms, count, own, own_at, sums, device.stream));
}

static int gpu_decode(const hlq_device_segment *s, float factor, hlq_dtype dtype, void *out,
                      size_t elems, hlq_device_report *report, hlq_stream stream)
{
    (void)stream;
    ON_GPU(decode(s, factor, dtype, out, elems, report, device.stream));
}

static int gpu_unrotate(const hlq_place *place, const hlq_device_sums *sums, float factor,
                        hlq_dtype dtype, void *out, size_t elems, hlq_device_report *report,
                        hlq_stream stream)
{
    (void)stream;
    ON_GPU(unrotate(place, sums, factor, dtype, out, elems, report, device.stream));
}

static int gpu_add_plain(const hlq_device_plain *stretches, void *sums, hlq_stream stream)
{
    (void)stream;
    ON_GPU(add_plain(stretches, sums, device.stream));
}

static int gpu_round_plain(const float *sums, hlq_dtype dtype, size_t elems, void *out,
                           hlq_stream stream)
{
    (void)stream;
    ON_GPU(round_plain(sums, dtype, elems, out, device.stream));
}

static int gpu_poison(const hlq_device_report *report, hlq_dtype dtype, void *out, size_t elems,
                      hlq_stream stream)
{
    (void)stream;
    ON_GPU(poison(report, dtype, out, elems, device.stream));
}

const hlq_device_wire hlq_wire_gpu = {
    .name = "gpu",
    .tell = gpu_tell,
    .compare = gpu_compare,
    .write = gpu_write,
    .open = gpu_open,
    .sum = gpu_sum,
    .decode = gpu_decode,
    .unrotate = gpu_unrotate,
    .add_plain = gpu_add_plain,
    .round_plain = gpu_round_plain,
    .poison = gpu_poison,
};
