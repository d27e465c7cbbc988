/*
 * The thread of a process group of backend hlq, and the works that it ends.
 */
#include "backend_work.h"

#include "status.h"

#include <c10/util/Exception.h>

namespace hlqtorch {

namespace {

/* Of this thread, if it is a worker's: works that end here cannot be waited for here. */
thread_local bool on_worker = false;

/* The sentence of a failure. A rank that does not answer may be well, and in another collective:
 * whether to compress, each rank decides for itself. */
Failure explained(const Failure &failure)
{
    if (failure.status() != HLQ_E_TIMEOUT) {
        return failure;
    }
    return Failure(failure.status(),
                   std::string(failure.what()) +
                       "; a rank that is alive may have made this call outside of "
                       "hlqtorch.compressed(), or with tensors below min_bytes, and so exactly: "
                       "all ranks must compress the same calls");
}

Failure aborted() { return Failure(HLQ_E_BROKEN, "the process group was aborted"); }

} // namespace

c10d::ErrorType kind_of(hlq_status status)
{
    switch (status) {
    case HLQ_E_TIMEOUT: return c10d::ErrorType::TIMEOUT;
    case HLQ_E_REMOTE: return c10d::ErrorType::REMOTE_ERROR;
    default: return c10d::ErrorType::COMM_ERROR;
    }
}

std::vector<at::Tensor> tensors_of(const c10::IValue &value)
{
    if (value.isTensorList()) {
        return value.toTensorVector();
    }
    std::vector<at::Tensor> tensors;
    for (const c10::IValue &list : value.toListRef()) {
        for (const at::Tensor &tensor : list.toTensorVector()) {
            tensors.push_back(tensor);
        }
    }
    return tensors;
}

HLQWork::HLQWork(int rank, c10d::OpType type, const char *title,
                 const std::vector<at::Tensor> &inputs, c10::IValue value, uint64_t sequence)
    : Work(rank, type, title, inputs), value_(std::move(value)), sequence_(sequence),
      future_(c10::make_intrusive<c10::ivalue::Future>(value_.type()))
{
}

bool HLQWork::wait(std::chrono::milliseconds timeout)
{
    /* A callback of an earlier work runs on the thread that this one is waiting for. */
    TORCH_CHECK(!on_worker || isCompleted(),
                "a callback of one compressed collective waits for another, which would only start "
                "after the callback; chain a second callback instead");
    return Work::wait(timeout);
}

void HLQWork::end(std::exception_ptr error)
{
    /* The future first: whoever has waited for the work may look at the future at once. */
    if (error) {
        future_->setError(error);
    } else {
        future_->markCompleted(value_);
    }
    finish(error);
}

void Worker::submit(Job job)
{
    {
        std::lock_guard<std::mutex> lock(mutex_);
        if (!aborted_ && !stopping_) {
            if (!thread_.joinable()) {
                thread_ = std::thread([this] { loop(); });
            }
            jobs_.push_back(std::move(job));
            wake_.notify_one();
            return;
        }
    }
    /* As a Python exception: the caller is c10d, which knows no Failure. */
    std::rethrow_exception(
        pointer_to(aborted_ ? aborted() : invalid("the process group was shut down")));
}

bool Worker::busy()
{
    std::lock_guard<std::mutex> lock(mutex_);
    return running_ || !jobs_.empty();
}

void Worker::stop()
{
    std::thread ended;
    {
        std::lock_guard<std::mutex> lock(mutex_);
        stopping_ = true;
        wake_.notify_one();
        ended.swap(thread_);
    }
    if (ended.joinable()) {
        ended.join();
    }
    if (comm_) {
        comm_->close();
    }
}

void Worker::abort()
{
    aborted_ = true;
    stop();
}

void Worker::loop()
{
    on_worker = true;
    std::unique_lock<std::mutex> lock(mutex_);
    for (;;) {
        wake_.wait(lock, [this] { return stopping_ || !jobs_.empty(); });
        if (jobs_.empty()) {
            return;
        }
        Job job = std::move(jobs_.front());
        jobs_.pop_front();
        running_ = true;
        lock.unlock();
        run(job);
        job = Job(); /* tensors are let go of before anybody can see that nothing runs */
        lock.lock();
        running_ = false;
    }
}

void Worker::run(Job &job)
{
    std::exception_ptr error;
    try {
        at::ThreadLocalStateGuard state(job.state);
        at::NoGradGuard no_grad;
        attempt(job);
    } catch (const Failure &failure) {
        error = failed(failure);
    } catch (...) {
        error_ = c10d::ErrorType::COMM_ERROR;
        error = std::current_exception();
    }
    job.work->end(error);
}

void Worker::attempt(Job &job)
{
    if (aborted_) {
        throw aborted();
    }
    if (job.needs_comm) {
        connect_once();
    }
    const auto start = std::chrono::steady_clock::now();
    const Comm::Watch watch = [this, &job, start] {
        if (aborted_) {
            throw aborted();
        }
        if (std::chrono::steady_clock::now() - start > job.timeout) {
            throw Failure(HLQ_E_TIMEOUT, "a compressed collective did not end within " +
                                             std::to_string(job.timeout.count()) +
                                             " ms, the timeout of the call");
        }
    };
    job.run(comm_.get(), watch);
}

void Worker::connect_once()
{
    if (connect_error_) {
        std::rethrow_exception(connect_error_);
    }
    if (comm_) {
        return;
    }
    try {
        comm_ = connect_();
    } catch (...) {
        connect_error_ = std::current_exception();
        throw;
    }
}

std::exception_ptr Worker::failed(const Failure &failure)
{
    error_ = kind_of(failure.status());
    return pointer_to(explained(failure));
}

} // namespace hlqtorch
