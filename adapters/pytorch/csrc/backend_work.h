/*
 * What a compressed collective of backend hlq hands back (HLQWork), and the thread that runs such
 * collectives, one after another in the order of the calls (Worker). Knows how, not what: a job is
 * a function of the communicator.
 */
#pragma once

#include "comm.h"
#include "status.h"

#include <ATen/ThreadLocalState.h>
#include <torch/csrc/distributed/c10d/Backend.hpp>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

namespace hlqtorch {

/* Tensors of what a future holds: a list of them, or a list of lists. */
std::vector<at::Tensor> tensors_of(const c10::IValue &value);

c10d::ErrorType kind_of(hlq_status status);

/* One collective under way. Ends with its tensors, or with an exception, on the worker's thread. */
class HLQWork : public c10d::Work {
public:
    /* value: what the future holds when all went well. inputs: for the profiler. */
    HLQWork(int rank, c10d::OpType type, const char *title, const std::vector<at::Tensor> &inputs,
            c10::IValue value, uint64_t sequence);

    bool wait(std::chrono::milliseconds timeout) override;
    std::vector<at::Tensor> result() override { return tensors_of(value_); }
    c10::intrusive_ptr<c10::ivalue::Future> getFuture() override { return future_; }
    uint64_t getSequencenumber() const override { return sequence_; }

    void end(std::exception_ptr error);

private:
    const c10::IValue value_;
    const uint64_t sequence_;
    c10::intrusive_ptr<c10::ivalue::Future> future_;
};

struct Job {
    c10::intrusive_ptr<HLQWork> work;
    std::chrono::milliseconds timeout; /* from when the job starts */
    bool needs_comm;
    /* Throws what went wrong. comm is null unless needs_comm. */
    std::function<void(Comm *comm, const Comm::Watch &watch)> run;
    at::ThreadLocalState state =
        at::ThreadLocalState(); /* inference mode and such, of the caller */
};

class Worker {
public:
    /* connect makes the communicator at the first job that needs it; collective over the ranks. */
    using Connect = std::function<std::shared_ptr<Comm>()>;

    explicit Worker(Connect connect) : connect_(std::move(connect)) {}
    ~Worker() { stop(); }
    Worker(const Worker &) = delete;
    Worker &operator=(const Worker &) = delete;

    /* Throws once stop() or abort() was called. */
    void submit(Job job);

    /* Whether a job waits or runs. */
    bool busy();

    /* Runs what was submitted, then ends the thread and closes the communicator. */
    void stop();

    /* Ends jobs under way and waiting with an error, then as stop(). A communicator being made is
     * waited for. */
    void abort();

    /* Of the last job that failed. */
    c10d::ErrorType error() const { return error_; }

private:
    void loop();
    void run(Job &job);
    void attempt(Job &job);
    void connect_once();
    std::exception_ptr failed(const Failure &failure);

    const Connect connect_;
    std::shared_ptr<Comm> comm_;
    std::exception_ptr connect_error_; /* the same for every later job */

    std::mutex mutex_;
    std::condition_variable wake_;
    std::deque<Job> jobs_;
    bool running_ = false, stopping_ = false;
    std::thread thread_;

    std::atomic<bool> aborted_{false};
    std::atomic<c10d::ErrorType> error_{c10d::ErrorType::SUCCESS};
};

} // namespace hlqtorch
