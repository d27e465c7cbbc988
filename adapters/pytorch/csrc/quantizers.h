/*
 * Quantizers by value. An operator of torch names its quantizer by parameters, because only such
 * arguments pass through torch.compile; the handle of libhlqcomm that belongs to them is made at
 * first use and kept for a while.
 */
#pragma once

#include "status.h"

#include <hlqcomm/quantizer.h>

#include <algorithm>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

namespace hlqtorch {

/* hlq_quantizer_params, as operators are given them. */
struct Spec {
    std::string lattice;
    int64_t dim, q, depth;
    double beta, alpha;
    int64_t max_retries;
    bool centred;

    bool operator==(const Spec &other) const
    {
        return lattice == other.lattice && dim == other.dim && q == other.q &&
               depth == other.depth && beta == other.beta && alpha == other.alpha &&
               max_retries == other.max_retries && centred == other.centred;
    }
};

using QuantizerPointer = std::shared_ptr<const hlq_quantizer>;
using LutPointer = std::shared_ptr<const hlq_lut>;

/* Throws what libhlqcomm says of a failed call of quantizer.h in this thread. */
void check(hlq_status status);

/* The quantizer of these parameters. Throws Failure if there is none. */
QuantizerPointer quantizer_of(const Spec &spec);

/* q^dim: members of one layer's code, and so its indices. */
int64_t layer_points(const QuantizerPointer &quantizer);

/* What a table of all pairs depends on; all else is the same in every key. */
Spec lut_key(const Spec &spec);

/* The table of all pairs for this lattice, q and centring. Throws Failure if there is none. */
LutPointer lut_of(const Spec &spec);

/* The values last used, by key; the least recent is dropped. Any number of threads. */
template <typename Key, typename Value> class Recent {
public:
    explicit Recent(size_t capacity) : capacity_(capacity) {}

    /* The value of a key; `make` is called without a lock if it is not there. */
    template <typename Make> Value get(const Key &key, Make make)
    {
        {
            std::lock_guard<std::mutex> lock(mutex_);
            auto found = find(key);
            if (found != entries_.end()) {
                entries_.splice(entries_.begin(), entries_, found);
                return found->second;
            }
        }
        Value value = make();
        std::lock_guard<std::mutex> lock(mutex_);
        if (find(key) == entries_.end()) { /* another thread may have been faster */
            entries_.emplace_front(key, value);
        }
        if (entries_.size() > capacity_) {
            entries_.pop_back();
        }
        return value;
    }

private:
    auto find(const Key &key)
    {
        return std::find_if(entries_.begin(), entries_.end(),
                            [&key](const auto &entry) { return entry.first == key; });
    }

    const size_t capacity_;
    std::mutex mutex_;
    std::list<std::pair<Key, Value>> entries_;
};

} // namespace hlqtorch
