/*
 * Compressed collectives of backend hlq on CUDA tensors: a StreamLane puts them onto a stream of
 * the group's own, on the caller's thread. Nothing waits for them but streams:
 *
 *     current stream     ─┬───── the program goes on ─────┬─▶     wait() of the StreamWork
 *     the lane's stream   └─▶ pack ─▶ Comm ─▶ unpack ─────┘
 *
 * What it needs of CUDA it has from c10's interface to any device, so that a torch without CUDA
 * compiles it and tests/python/stand_in_device.cpp can stand in for one.
 */
#pragma once

#include "comm.h"

#include <c10/core/Event.h>
#include <torch/csrc/distributed/c10d/Backend.hpp>

#include <functional>
#include <memory>
#include <mutex>
#include <optional>

namespace hlqtorch {

/* One collective, all of it on a stream already. Its future is complete, as a value that is there
 * when the stream comes to it; so is this work once the stream has. */
class StreamWork : public c10d::Work {
public:
    /* As for HLQWork. */
    StreamWork(int rank, c10d::OpType type, const char *title,
               const std::vector<at::Tensor> &inputs, c10::IValue value, uint64_t sequence);

    /* Lets the current stream wait. Throws if it is known by now that something failed; what fails
     * later makes NaN of results, and the group's next call throws. */
    bool wait(std::chrono::milliseconds timeout) override;
    void synchronize() override;
    bool isCompleted() override { return end_.query(); }
    bool isSuccess() const override { return end_.query() && !exception(); }
    std::exception_ptr exception() const override;
    std::vector<at::Tensor> result() override;
    c10::intrusive_ptr<c10::ivalue::Future> getFuture() override { return future_; }
    uint64_t getSequencenumber() const override { return sequence_; }

    /* All of it is on the current stream of its device, which is `stream`. */
    void end_on(const c10::Stream &stream, std::shared_ptr<Comm> comm);

private:
    const c10::IValue value_;
    const uint64_t sequence_;
    c10::Event end_;
    c10::intrusive_ptr<c10::ivalue::Future> future_;
    std::shared_ptr<Comm> comm_;
};

struct StreamJob {
    c10::intrusive_ptr<StreamWork> work;
    std::vector<at::Tensor> inputs; /* on one device; the work's results are there, too */
    /* Puts it onto the current stream; throws what went wrong. */
    std::function<void(Comm *comm, hlq_stream stream)> put;
};

class StreamLane {
public:
    /* Makes the communicator at the first job, for its device; collective over the ranks. */
    using Connect = std::function<std::shared_ptr<Comm>(at::Device device)>;

    explicit StreamLane(Connect connect) : connect_(std::move(connect)) {}
    ~StreamLane() { stop(); }
    StreamLane(const StreamLane &) = delete;
    StreamLane &operator=(const StreamLane &) = delete;

    /* Throws what went wrong here, and once stop() was called. */
    void submit(const StreamJob &job);

    /* The current stream waits for all that was submitted. */
    void join();

    /* Closes the communicator, after what was submitted. */
    void stop();

    /* The same without waiting for what was submitted. */
    void abort();

    c10d::ErrorType error() const { return error_; }

private:
    void put(const StreamJob &job);
    void connect_once(at::Device device);

    const Connect connect_;
    std::mutex mutex_;
    std::shared_ptr<Comm> comm_;
    std::exception_ptr connect_error_; /* the same for every later job */
    std::optional<c10::Stream> stream_;
    bool stopping_ = false;
    std::atomic<c10d::ErrorType> error_{c10d::ErrorType::SUCCESS};
};

} // namespace hlqtorch
