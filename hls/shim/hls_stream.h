// hls::stream for C simulation without a vendor's tool: a FIFO that blocks its stage when it is full or empty.
//
// A stream made with a depth holds that many elements, as MOIETY_FIFO (include/moiety/dataflow.hpp) makes it in a
// kernel; one made without is unbounded and belongs to the test bench.
#pragma once

#include <deque>

#include "simulation.hpp"

#define MOIETY_SHIM_DATAFLOW  // stages of a DATAFLOW region run concurrently

namespace hls {

template <class T>
class stream {
  public:
    stream() : stream("") {}
    explicit stream(const char* name, int depth = 0) {
        fifo_.name = *name == '\0' ? "(no name)" : name;
        fifo_.depth = depth;
        simulation().enrol(&fifo_);
    }
    stream(const stream&) = delete;
    stream& operator=(const stream&) = delete;
    ~stream() { simulation().dismiss(&fifo_); }

    void write(const T& value) {
        while (full()) simulation().wait(fifo_, true);
        data_.push_back(value);
        ++fifo_.usage.writes;
        fifo_.held = static_cast<int64_t>(data_.size());
        fifo_.usage.peak = std::max(fifo_.usage.peak, fifo_.held);
        if (fifo_.held == 1) simulation().wake(fifo_);
    }
    T read() {
        while (empty()) simulation().wait(fifo_, false);
        T value = data_.front();
        data_.pop_front();
        fifo_.held = static_cast<int64_t>(data_.size());
        if (fifo_.held + 1 == fifo_.depth) simulation().wake(fifo_);
        return value;
    }
    void read(T& value) { value = read(); }

    bool empty() const { return data_.empty(); }
    bool full() const { return fifo_.depth > 0 && static_cast<int64_t>(data_.size()) >= fifo_.depth; }
    size_t size() const { return data_.size(); }

  private:
    static moiety_shim::Simulation& simulation() { return moiety_shim::Simulation::get(); }
    std::deque<T> data_;
    moiety_shim::Fifo fifo_;
};

}  // namespace hls
