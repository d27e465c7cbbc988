/*
 * Works and streams of backend_streams.h.
 */
#include "backend_streams.h"
#include "backend_work.h"
#include "status.h"

#include <ATen/core/grad_mode.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>

namespace hlqtorch {

namespace {

at::Device device_of(const std::vector<at::Tensor> &tensors) { return tensors.front().device(); }

c10::Stream current_stream(at::Device device)
{
    return c10::impl::VirtualGuardImpl(device.type()).getStream(device);
}

/* What comes onto `later` waits for what is on `earlier`. */
void follow(const c10::Stream &earlier, const c10::Stream &later)
{
    c10::Event event(earlier.device_type());
    event.record(earlier);
    event.block(later);
}

/* The caching allocator gives their memory to nobody before the stream has passed. */
void hold(const std::vector<at::Tensor> &tensors, const c10::Stream &stream)
{
    const c10::impl::VirtualGuardImpl device(stream.device_type());
    for (const at::Tensor &tensor : tensors) {
        device.recordDataPtrOnStream(tensor.storage().data_ptr(), stream);
    }
}

} // namespace

StreamWork::StreamWork(int rank, c10d::OpType type, const char *title,
                       const std::vector<at::Tensor> &inputs, c10::IValue value, uint64_t sequence)
    : Work(rank, type, title, inputs), value_(std::move(value)), sequence_(sequence),
      end_(device_of(inputs).type()),
      future_(c10::make_intrusive<c10::ivalue::Future>(value_.type(),
                                                       std::vector<at::Device>{device_of(inputs)}))
{
}

void StreamWork::end_on(const c10::Stream &stream, std::shared_ptr<Comm> comm)
{
    comm_ = std::move(comm);
    end_.record(stream);
    future_->markCompleted(value_);
    finish();
}

void StreamWork::synchronize() { end_.block(current_stream(end_.device())); }

std::exception_ptr StreamWork::exception() const
{
    try {
        comm_->check();
        return nullptr;
    } catch (const Failure &failure) {
        return pointer_to(failure);
    }
}

bool StreamWork::wait(std::chrono::milliseconds)
{
    synchronize();
    if (const std::exception_ptr failure = exception()) {
        std::rethrow_exception(failure);
    }
    return true;
}

std::vector<at::Tensor> StreamWork::result() { return tensors_of(value_); }

void StreamLane::submit(const StreamJob &job)
{
    try {
        std::lock_guard<std::mutex> lock(mutex_);
        put(job);
    } catch (const Failure &failure) {
        error_ = kind_of(failure.status());
        /* As a Python exception: the caller is c10d, which knows no Failure. */
        std::rethrow_exception(pointer_to(failure));
    } catch (...) {
        error_ = c10d::ErrorType::COMM_ERROR;
        throw;
    }
}

void StreamLane::put(const StreamJob &job)
{
    const at::Device device = device_of(job.inputs);
    if (stopping_) {
        throw invalid("the process group was shut down");
    }
    connect_once(device);
    if (device != stream_->device()) {
        comm_->refuse();
        throw invalid("a tensor is on " + device.str() + "; the group's first compressed one was " +
                      "on " + stream_->device().str() + ", and it has one device");
    }
    comm_->check();
    const c10::StreamGuard on(*stream_);
    at::NoGradGuard no_grad;
    follow(on.original_stream(), *stream_);
    hold(job.inputs, *stream_);
    hold(job.work->result(), *stream_);
    job.put(comm_.get(), static_cast<hlq_stream>(stream_->native_handle()));
    job.work->end_on(*stream_, comm_);
}

void StreamLane::connect_once(at::Device device)
{
    if (connect_error_) {
        std::rethrow_exception(connect_error_);
    }
    if (comm_) {
        return;
    }
    try {
        comm_ = connect_(device);
    } catch (...) {
        connect_error_ = std::current_exception();
        throw;
    }
    stream_ = c10::impl::VirtualGuardImpl(device.type()).getStreamFromGlobalPool(device, true);
}

void StreamLane::join()
{
    std::lock_guard<std::mutex> lock(mutex_);
    if (stream_) {
        follow(*stream_, current_stream(stream_->device()));
    }
}

void StreamLane::stop()
{
    std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
    if (comm_) {
        comm_->close();
    }
}

void StreamLane::abort()
{
    std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
    if (comm_) {
        comm_->abandon();
    }
}

} // namespace hlqtorch
