// A full-duplex, framed link between two parties, with counters and optional traffic shaping.
//
// A frame is a 24-byte header and a payload: magic "MOI1" | tag u32 | payload bytes u64 | arrival u64, little-endian.
// `arrival` is 0, or on a shaped link the CLOCK_MONOTONIC nanosecond before which the receiver may not deliver the
// frame: the sender books the frame on a virtual link of `mbit` Mbit/s and adds half of `rtt_ms`. Both ends of a shaped
// link must be on one machine (they share the clock); it is for measurements.
//
// A hop moves at most one protocol frame each way at the same time, so two large simultaneous messages cannot deadlock.
// Every wait is bounded by the timeout. Whatever differs from the expected tag and length is refused with
// ProtocolError; an error frame of the peer is reported with its text.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace moiety::mpc {

using Bytes = std::span<const uint8_t>;
using MutableBytes = std::span<uint8_t>;

enum class Tag : uint32_t { step = 1, control = 2, material = 3, error = 4 };

struct FrameHeader {
    static constexpr int64_t size = 24;
    uint32_t tag = 0;
    uint64_t length = 0;
    uint64_t arrival = 0;

    void write(uint8_t* out) const;
    // Throws ProtocolError unless the magic matches.
    static FrameHeader read(const uint8_t* in);
};

struct LinkShape {
    double rtt_ms = 0;
    double mbit = 0;  // 0: unlimited
    bool shaped() const { return rtt_ms > 0 || mbit > 0; }
};

class Channel {
  public:
    Channel(double timeout_s, LinkShape shape) : timeout_s_(timeout_s), shape_(shape) {}
    virtual ~Channel() = default;
    Channel(const Channel&) = delete;
    Channel& operator=(const Channel&) = delete;

    // One hop of a protocol: sends the concatenation of `out` as one frame unless it is empty, and receives one frame
    // of exactly the total length of `in` unless that is empty.
    void hop(std::span<const Bytes> out, std::span<const MutableBytes> in);

    void send(Tag tag, Bytes payload);
    // The next frame of any tag, of at most `limit` payload bytes.
    std::pair<Tag, std::vector<uint8_t>> receive(uint64_t limit);

    virtual void close() = 0;

    int64_t bytes_sent() const { return bytes_sent_; }
    int64_t bytes_received() const { return bytes_received_; }
    int64_t frames_sent() const { return frames_sent_; }
    double timeout_s() const { return timeout_s_; }

  protected:
    using OnHeader = std::function<std::vector<MutableBytes>(const uint8_t* header)>;
    // Sends all of `out` and meanwhile, if `on_header` is set, receives a header into `header`, calls on_header once
    // and fills the buffers that it returns. `expected` is the payload length that a hop counts on (a hint).
    virtual void transfer(std::span<const Bytes> out, uint8_t* header, const OnHeader* on_header, int64_t expected) = 0;

  private:
    FrameHeader stamp(Tag tag, uint64_t length);
    void deliver(const FrameHeader& header);

    double timeout_s_;
    LinkShape shape_;
    double link_free_ns_ = 0;
    int64_t bytes_sent_ = 0, bytes_received_ = 0, frames_sent_ = 0;
};

// Two ends of an in-memory link, for parties on two threads of one process.
std::pair<std::unique_ptr<Channel>, std::unique_ptr<Channel>> memory_channels(double timeout_s, LinkShape shape);

// A connected stream socket (TCP or Unix); duplicates `fd`, so the caller keeps its own.
std::unique_ptr<Channel> socket_channel(int fd, double timeout_s, LinkShape shape);

// A transport implemented elsewhere (TLS in Python). exchange(out, n) sends `out` and meanwhile receives n bytes
// without deadlock; it returns fewer only at the end of the stream, and throws on a timeout.
using Exchange = std::function<std::vector<uint8_t>(const std::vector<uint8_t>& out, int64_t n)>;
std::unique_ptr<Channel> callback_channel(Exchange exchange, std::function<void()> close, double timeout_s,
                                          LinkShape shape);

}  // namespace moiety::mpc
