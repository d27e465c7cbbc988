/*
 * Handles of packed weights, remembered by the memory of their codes.
 */
#include "linears.h"

#include "ops.h"

#include <c10/core/StorageImpl.h>
#include <c10/util/intrusive_ptr.h>

#include <map>

namespace hlqtorch {

namespace {

/*
 * A tensor as it was at some moment. Holding the storage weakly keeps its address from being given
 * to another one, so equal addresses mean the same storage; the version counts writes to it.
 */
struct Moment {
    c10::weak_intrusive_ptr<c10::StorageImpl> storage;
    int64_t offset, elements;
    uint32_t version;

    explicit Moment(const Tensor &tensor)
        : storage(tensor.storage().getWeakStorageImpl()), offset(tensor.storage_offset()),
          elements(tensor.numel()), version(tensor._version())
    {
    }
    const c10::StorageImpl *address() const { return storage._unsafe_get_target(); }
    bool operator==(const Moment &other) const
    {
        return address() == other.address() && offset == other.offset &&
               elements == other.elements && version == other.version;
    }
};

struct Entry {
    Moment codes, scales;
    Spec spec;
    int64_t in_features;
    Linear linear;

    bool matches(const Entry &other) const
    {
        return codes == other.codes && scales == other.scales && spec == other.spec &&
               in_features == other.in_features;
    }
};

/* One entry for each start of codes; entries whose memory is gone leave when another comes. */
class Linears {
public:
    std::optional<Linear> find(const Entry &wanted)
    {
        std::lock_guard<std::mutex> lock(mutex_);
        const auto found = entries_.find(key(wanted));
        if (found == entries_.end() || !found->second.matches(wanted)) {
            return std::nullopt;
        }
        return found->second.linear;
    }
    void keep(Entry entry)
    {
        std::lock_guard<std::mutex> lock(mutex_);
        for (auto at = entries_.begin(); at != entries_.end();) {
            at = at->second.codes.storage.expired() ? entries_.erase(at) : std::next(at);
        }
        entries_.insert_or_assign(key(entry), std::move(entry));
    }

private:
    using Key = std::pair<const void *, int64_t>;
    static Key key(const Entry &entry) { return {entry.codes.address(), entry.codes.offset}; }

    std::mutex mutex_;
    std::map<Key, Entry> entries_;
};

LinearPointer load(const Spec &spec, const Tensor &codes, const Tensor &scales, int64_t in_features)
{
    const QuantizerPointer quantizer = quantizer_of(spec);
    const Tensor scale = numbers("scales", scales, scales.device()).cpu();
    const int64_t out_features = scale.numel();
    const int64_t points = layer_points(quantizer);
    if (points > 256) {
        throw invalid("codes of " + spec.lattice + " with q = " + std::to_string(spec.q) +
                      " have " + std::to_string(points) + " indices a layer; 256 is the most");
    }
    const int64_t layers = out_features * (in_features / spec.dim) * spec.depth;
    const Tensor indices = digits_unpack(codes.cpu(), points, layers);
    hlq_linear *linear = nullptr;
    check(hlq_linear_load(quantizer.get(), indices.const_data_ptr<uint8_t>(),
                          scale.const_data_ptr<float>(), out_features, in_features, &linear));
    return LinearPointer(linear, hlq_linear_destroy);
}

} // namespace

LinearPointer packed_weight(const Spec &spec, const Tensor &weight)
{
    const QuantizerPointer quantizer = quantizer_of(spec);
    const Tensor from = numbers("weight", weight, weight.device()).cpu();
    if (from.dim() != 2) {
        throw invalid("weight of shape " + shape_of(weight) + " must be [out, in]");
    }
    hlq_linear *linear = nullptr;
    check(hlq_linear_pack(quantizer.get(), from.const_data_ptr<float>(), from.size(0), from.size(1),
                          &linear));
    return LinearPointer(linear, hlq_linear_destroy);
}

Linear linear_on(at::Device device, const LinearPointer &linear)
{
    hlq_linear_info info = {};
    info.struct_bytes = sizeof info;
    check(hlq_linear_describe(linear.get(), &info));
    Linear made = {static_cast<int64_t>(info.out_features), static_cast<int64_t>(info.in_features),
                   nullptr, nullptr};
    if (device.is_cpu()) {
        made.host = linear;
        return made;
    }
    const c10::DeviceGuard guard(device);
    hlq_cuda_linear *copy = nullptr;
    check(cuda_quantizer().linear_create(linear.get(), &copy));
    made.cuda.reset(copy, cuda_quantizer().linear_destroy);
    return made;
}

Linear linear_from_codes(const Spec &spec, const Tensor &codes, const Tensor &scales,
                         int64_t in_features, at::Device device)
{
    /* Never destroyed: when the process ends, CUDA may be gone before. */
    static Linears &linears = *new Linears;
    check_type("codes", codes, at::kByte, device);
    check_device("scales", scales, device);
    /* Tensors of inference mode do not count writes, so nothing can be remembered of them. */
    if (codes.is_inference() || scales.is_inference()) {
        return linear_on(device, load(spec, codes, scales, in_features));
    }
    Entry entry = {Moment(codes), Moment(scales), spec, in_features, {}};
    if (const std::optional<Linear> found = linears.find(entry)) {
        return *found;
    }
    entry.linear = linear_on(device, load(spec, codes, scales, in_features));
    const Linear linear = entry.linear;
    linears.keep(std::move(entry));
    return linear;
}

} // namespace hlqtorch
