/*
 * hlq_transport over a c10d backend. start() packs the messages into one flat tensor and starts an
 * all-to-all with split sizes; test() sees whether it is over and hands the parts out:
 *
 *     send[0] | send[2] | send[3]  --alltoall_base-->  recv[0] | recv[2] | recv[3]      (rank 1)
 *
 * Runs without the GIL. c10d reports by exception; none may cross into libhlqcomm, which is C.
 */
#include "process_group.h"

#include "status.h"

#include <ATen/ops/empty.h>
#include <hlqcomm/transport.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace hlqtorch {

namespace {

using Milliseconds = std::chrono::milliseconds;

struct Carrier {
    c10::intrusive_ptr<c10d::Backend> backend;
    int rank, size;
    Milliseconds timeout; /* of the communicator: c10d wants it when an exchange starts */
    at::Tensor sent, received;
    std::vector<int64_t> sent_bytes, received_bytes;
    c10::intrusive_ptr<c10d::Work> work;
    std::vector<c10::intrusive_ptr<c10d::Work>>
        probes; /* of closed_ranks(); nobody waits for them */
};

Milliseconds milliseconds_from(double seconds)
{
    return Milliseconds(static_cast<int64_t>(seconds * 1e3) + 1);
}

hlq_status report(char *error, hlq_status status, const char *sentence)
{
    /* c10d appends where in its source it failed; the first line is the message. */
    const int length = static_cast<int>(strcspn(sentence, "\n"));
    snprintf(error, HLQ_ERROR_BYTES, "torch.distributed: %.*s", length, sentence);
    return status;
}

/*
 * "rank 1 closed its connection: ", of all that did; empty if none is known to have. An exchange
 * that fails tells an address only. Sending to a closed connection of gloo fails at once; what is
 * sent to the others stays unread, which does no harm, since the communicator is broken.
 */
std::string closed_ranks(Carrier *carrier)
{
    const int tag = 0x484c51; /* nothing else is sent from rank to rank here */
    std::string closed;
    if (carrier->backend->getBackendName() != "gloo") {
        return closed;
    }
    for (int peer = 0; peer < carrier->size; peer++) {
        if (peer == carrier->rank) {
            continue;
        }
        try {
            std::vector<at::Tensor> byte = {at::empty({1}, at::kByte)};
            carrier->probes.push_back(carrier->backend->send(byte, peer, tag));
        } catch (const std::exception &) {
            closed += "rank " + std::to_string(peer) + " closed its connection: ";
        }
    }
    return closed;
}

hlq_status report_broken(Carrier *carrier, char *error, const std::exception &failure)
{
    const std::string closed = closed_ranks(carrier);
    report(error, HLQ_E_TRANSPORT, failure.what());
    const std::string sentence = closed + error;
    snprintf(error, HLQ_ERROR_BYTES, "%s", sentence.c_str());
    return HLQ_E_TRANSPORT;
}

/* Fills in the split sizes of one direction; returns a flat tensor that holds them all. */
at::Tensor layout(const Carrier &carrier, const hlq_message *messages, const at::Tensor &old,
                  std::vector<int64_t> *bytes)
{
    int64_t total = 0;
    for (int peer = 0; peer < carrier.size; peer++) {
        const bool own = peer == carrier.rank;
        (*bytes)[peer] = own ? 0 : static_cast<int64_t>(messages[peer].bytes);
        total += (*bytes)[peer];
    }
    if (old.defined() && old.numel() >= total) {
        return old;
    }
    return at::empty({total}, at::kByte);
}

hlq_status start(void *self, hlq_exchange *exchange, char *error)
{
    Carrier *carrier = static_cast<Carrier *>(self);
    const hlq_message *send = exchange->send, *recv = exchange->recv;
    try {
        carrier->sent = layout(*carrier, send, carrier->sent, &carrier->sent_bytes);
        carrier->received = layout(*carrier, recv, carrier->received, &carrier->received_bytes);
        uint8_t *next = carrier->sent.mutable_data_ptr<uint8_t>();
        for (int peer = 0; peer < carrier->size; peer++) {
            if (carrier->sent_bytes[peer] > 0) {
                memcpy(next, send[peer].data, send[peer].bytes);
                next += send[peer].bytes;
            }
        }
        auto total = [](const std::vector<int64_t> &bytes) {
            int64_t sum = 0;
            for (int64_t part : bytes) {
                sum += part;
            }
            return sum;
        };
        at::Tensor sent = carrier->sent.narrow(0, 0, total(carrier->sent_bytes));
        at::Tensor received = carrier->received.narrow(0, 0, total(carrier->received_bytes));
        c10d::AllToAllOptions options;
        options.timeout = carrier->timeout;
        /* Copies: backends move the contents of these vectors out. */
        std::vector<int64_t> sent_bytes = carrier->sent_bytes;
        std::vector<int64_t> received_bytes = carrier->received_bytes;
        carrier->work =
            carrier->backend->alltoall_base(received, sent, received_bytes, sent_bytes, options);
    } catch (const std::bad_alloc &) {
        return report(error, HLQ_E_NOMEM, "no memory for a message");
    } catch (const std::exception &failure) {
        return report_broken(carrier, error, failure);
    }
    return HLQ_OK;
}

hlq_status test(void *self, hlq_exchange *exchange, int *done, char *error)
{
    Carrier *carrier = static_cast<Carrier *>(self);
    *done = 0;
    try {
        if (!carrier->work->isCompleted()) {
            return HLQ_OK;
        }
        carrier->work->wait(); /* returns at once, or throws what went wrong */
        carrier->work.reset();
    } catch (const std::exception &failure) {
        return report_broken(carrier, error, failure);
    }
    const uint8_t *next = carrier->received.const_data_ptr<uint8_t>();
    for (int peer = 0; peer < carrier->size; peer++) {
        if (carrier->received_bytes[peer] > 0) {
            memcpy(exchange->recv[peer].data, next, exchange->recv[peer].bytes);
            next += exchange->recv[peer].bytes;
        }
    }
    *done = 1;
    return HLQ_OK;
}

/* c10d reads and writes tensors of its own until its timeout, never the library's buffers. */
int cancel(void *self, hlq_exchange *exchange, char *missing)
{
    (void)exchange;
    Carrier *carrier = static_cast<Carrier *>(self);
    carrier->work.reset();
    snprintf(missing, HLQ_ERROR_BYTES, "torch.distributed: some rank did not answer");
    return 0;
}

/* Until the all-to-all is over. Polled: a timed wait of c10d fails when its time is up. */
void rest(void *self, double seconds)
{
    Carrier *carrier = static_cast<Carrier *>(self);
    const auto limit = std::chrono::duration<double>(std::min(seconds, 1e-4));
    if (carrier->work && !carrier->work->isCompleted()) {
        std::this_thread::sleep_for(limit);
    }
}

void destroy(void *self) { delete static_cast<Carrier *>(self); }

} // namespace

hlq_comm *comm_over_backend(c10::intrusive_ptr<c10d::Backend> backend, const hlq_options &options)
{
    auto carrier = std::make_unique<Carrier>();
    carrier->backend = std::move(backend);
    carrier->rank = carrier->backend->getRank();
    carrier->size = carrier->backend->getSize();
    carrier->timeout = milliseconds_from(options.timeout_s);
    carrier->sent_bytes.resize(carrier->size);
    carrier->received_bytes.resize(carrier->size);

    hlq_transport transport = {};
    transport.struct_bytes = sizeof transport;
    transport.name = "process_group";
    transport.rank = carrier->rank;
    transport.size = carrier->size;
    transport.self = carrier.release(); /* the communicator's from here on */
    transport.in_order = 1;             /* collectives of c10d are matched by their order */
    transport.start = start;
    transport.test = test;
    transport.cancel = cancel;
    transport.rest = rest;
    transport.destroy = destroy;

    hlq_comm *comm = nullptr;
    const hlq_status status = hlq_comm_create_callbacks(&transport, &options, &comm);
    if (status != HLQ_OK) {
        throw Failure(status, hlq_create_error());
    }
    return comm;
}

} // namespace hlqtorch
