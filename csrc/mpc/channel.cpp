#include "mpc/channel.hpp"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <mutex>
#include <thread>

#include "core/check.hpp"

namespace moiety::mpc {
namespace {

constexpr char kMagic[4] = {'M', 'O', 'I', '1'};
constexpr uint64_t kErrorLimit = 1 << 16;

void put(uint8_t* out, uint64_t value, int bytes) {
    for (int i = 0; i < bytes; ++i) out[i] = static_cast<uint8_t>(value >> (8 * i));
}
uint64_t get(const uint8_t* in, int bytes) {
    uint64_t value = 0;
    for (int i = 0; i < bytes; ++i) value |= static_cast<uint64_t>(in[i]) << (8 * i);
    return value;
}
int64_t total(std::span<const Bytes> parts) {
    int64_t sum = 0;
    for (Bytes part : parts) sum += static_cast<int64_t>(part.size());
    return sum;
}
double now_ns() {
    return static_cast<double>(
        std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
            .count());
}
std::string tag_name(uint32_t tag) {
    constexpr const char* names[] = {"unknown", "step", "control", "material", "error"};
    return tag <= 4 ? names[tag] : "unknown (" + std::to_string(tag) + ")";
}
[[noreturn]] void throw_peer_error(const std::vector<uint8_t>& text) {
    throw ProtocolError("the peer reported: " + std::string(text.begin(), text.end()));
}

}  // namespace

void FrameHeader::write(uint8_t* out) const {
    std::memcpy(out, kMagic, 4);
    put(out + 4, tag, 4);
    put(out + 8, length, 8);
    put(out + 16, arrival, 8);
}

FrameHeader FrameHeader::read(const uint8_t* in) {
    if (std::memcmp(in, kMagic, 4) != 0)
        throw ProtocolError(
            "expected a frame that begins with MOI1, got other bytes: the peer does not speak this protocol");
    return {static_cast<uint32_t>(get(in + 4, 4)), get(in + 8, 8), get(in + 16, 8)};
}

FrameHeader Channel::stamp(Tag tag, uint64_t length) {
    FrameHeader header{static_cast<uint32_t>(tag), length, 0};
    const int64_t bytes = FrameHeader::size + static_cast<int64_t>(length);
    if (shape_.shaped()) {
        const double departure = std::max(now_ns(), link_free_ns_);
        link_free_ns_ = departure + (shape_.mbit > 0 ? static_cast<double>(bytes) * 8e3 / shape_.mbit : 0);
        header.arrival = static_cast<uint64_t>(link_free_ns_ + shape_.rtt_ms * 0.5e6);
    }
    bytes_sent_ += bytes;
    ++frames_sent_;
    return header;
}

void Channel::deliver(const FrameHeader& header) {
    bytes_received_ += FrameHeader::size + static_cast<int64_t>(header.length);
    if (header.arrival == 0) return;
    const double wait = static_cast<double>(header.arrival) - now_ns();
    if (wait > timeout_s_ * 1e9)
        throw ProtocolError("a frame claims to arrive later than the timeout: the two ends do not share a clock");
    if (wait > 0) std::this_thread::sleep_for(std::chrono::nanoseconds(static_cast<int64_t>(wait)));
}

void Channel::hop(std::span<const Bytes> out, std::span<const MutableBytes> in) {
    uint8_t sent_header[FrameHeader::size];
    uint8_t received_header[FrameHeader::size];
    std::vector<Bytes> parts;
    const int64_t out_bytes = total(out);
    if (out_bytes > 0) {
        stamp(Tag::step, static_cast<uint64_t>(out_bytes)).write(sent_header);
        parts.emplace_back(sent_header, sizeof sent_header);
        for (Bytes part : out)
            if (!part.empty()) parts.push_back(part);
    }
    std::vector<MutableBytes> targets;
    int64_t expected = 0;
    for (MutableBytes part : in) {
        if (!part.empty()) targets.push_back(part);
        expected += static_cast<int64_t>(part.size());
    }
    std::vector<uint8_t> error;
    bool refused = false;
    const OnHeader on_header = [&](const uint8_t* bytes) -> std::vector<MutableBytes> {
        const FrameHeader header = FrameHeader::read(bytes);
        if (header.tag == static_cast<uint32_t>(Tag::error)) {
            refused = true;
            error.resize(std::min(header.length, kErrorLimit));
            if (error.empty()) return {};
            return {MutableBytes(error)};
        }
        if (header.tag != static_cast<uint32_t>(Tag::step) || header.length != static_cast<uint64_t>(expected))
            throw ProtocolError("expected a step frame of " + std::to_string(expected) + " bytes, got a " +
                                tag_name(header.tag) + " frame of " + std::to_string(header.length) + " bytes");
        return targets;
    };
    if (parts.empty() && expected == 0) return;
    try {
        transfer(parts, received_header, expected > 0 ? &on_header : nullptr, expected);
    } catch (const ProtocolError&) {
        if (!refused) throw;  // what the peer said explains a link that broke afterwards
    }
    if (refused) throw_peer_error(error);
    if (expected > 0) deliver(FrameHeader::read(received_header));
}

void Channel::send(Tag tag, Bytes payload) {
    uint8_t bytes[FrameHeader::size];
    stamp(tag, payload.size()).write(bytes);
    const Bytes parts[] = {Bytes(bytes, sizeof bytes), payload};
    transfer(std::span(parts, payload.empty() ? 1 : 2), nullptr, nullptr, 0);
}

std::pair<Tag, std::vector<uint8_t>> Channel::receive(uint64_t limit) {
    uint8_t bytes[FrameHeader::size];
    std::vector<uint8_t> payload;
    FrameHeader header;
    const OnHeader on_header = [&](const uint8_t* raw) -> std::vector<MutableBytes> {
        header = FrameHeader::read(raw);
        if (header.tag < 1 || header.tag > 4)
            throw ProtocolError("expected a frame tag of 1 to 4, got " + std::to_string(header.tag));
        const uint64_t bound = header.tag == static_cast<uint32_t>(Tag::error) ? kErrorLimit : limit;
        if (header.length > bound)
            throw ProtocolError("expected a " + tag_name(header.tag) + " frame of at most " + std::to_string(bound) +
                                " bytes, got " + std::to_string(header.length));
        payload.resize(header.length);
        if (payload.empty()) return {};
        return {MutableBytes(payload)};
    };
    transfer({}, bytes, &on_header, -1);
    deliver(header);
    if (header.tag == static_cast<uint32_t>(Tag::error)) throw_peer_error(payload);
    return {static_cast<Tag>(header.tag), std::move(payload)};
}

namespace {

// One direction of an in-memory link: a queue of byte strings.
struct Pipe {
    std::mutex mutex;
    std::condition_variable ready;
    std::deque<std::vector<uint8_t>> queue;
    size_t offset = 0;
    bool closed = false;
};

class MemoryChannel final : public Channel {
  public:
    MemoryChannel(std::shared_ptr<Pipe> out, std::shared_ptr<Pipe> in, double timeout_s, LinkShape shape)
        : Channel(timeout_s, shape), out_(std::move(out)), in_(std::move(in)) {}
    ~MemoryChannel() override { close(); }

    void close() override {
        for (const auto& pipe : {out_, in_}) {
            const std::lock_guard lock(pipe->mutex);
            pipe->closed = true;
            pipe->ready.notify_all();
        }
    }

  private:
    void transfer(std::span<const Bytes> out, uint8_t* header, const OnHeader* on_header, int64_t) override {
        if (!out.empty()) {
            std::vector<uint8_t> message;
            message.reserve(static_cast<size_t>(total(out)));
            for (Bytes part : out) message.insert(message.end(), part.begin(), part.end());
            const std::lock_guard lock(out_->mutex);
            if (out_->closed) throw ProtocolError("the link is closed");
            out_->queue.push_back(std::move(message));
            out_->ready.notify_one();
        }
        if (on_header == nullptr) return;
        read(MutableBytes(header, FrameHeader::size));
        for (MutableBytes part : (*on_header)(header)) read(part);
    }

    void read(MutableBytes to) {
        std::unique_lock lock(in_->mutex);
        while (!to.empty()) {
            const bool ready = in_->ready.wait_for(lock, std::chrono::duration<double>(timeout_s()),
                                                   [&] { return !in_->queue.empty() || in_->closed; });
            if (!ready) throw ProtocolError("the peer sent nothing for " + std::to_string(timeout_s()) + " s");
            if (in_->queue.empty()) throw ProtocolError("the peer closed the link");
            const std::vector<uint8_t>& front = in_->queue.front();
            const size_t count = std::min(to.size(), front.size() - in_->offset);
            std::memcpy(to.data(), front.data() + in_->offset, count);
            to = to.subspan(count);
            in_->offset += count;
            if (in_->offset == front.size()) {
                in_->queue.pop_front();
                in_->offset = 0;
            }
        }
    }

    std::shared_ptr<Pipe> out_, in_;
};

class CallbackChannel final : public Channel {
  public:
    CallbackChannel(Exchange exchange, std::function<void()> close, double timeout_s, LinkShape shape)
        : Channel(timeout_s, shape), exchange_(std::move(exchange)), close_(std::move(close)) {}

    void close() override { close_(); }

  private:
    void transfer(std::span<const Bytes> out, uint8_t* header, const OnHeader* on_header, int64_t expected) override {
        std::vector<uint8_t> message;
        message.reserve(static_cast<size_t>(total(out)));
        for (Bytes part : out) message.insert(message.end(), part.begin(), part.end());
        if (on_header == nullptr) {
            exchange_(message, 0);
            return;
        }
        // In a hop the whole expected frame is asked for at once; a shorter answer is an error frame or a closed link.
        const int64_t first = FrameHeader::size + std::max<int64_t>(expected, 0);
        std::vector<uint8_t> bytes = exchange_(message, first);
        if (static_cast<int64_t>(bytes.size()) < FrameHeader::size)
            throw ProtocolError("the peer closed the link after " + std::to_string(bytes.size()) + " of " +
                                std::to_string(first) + " bytes");
        std::memcpy(header, bytes.data(), FrameHeader::size);
        size_t used = FrameHeader::size;
        for (MutableBytes part : (*on_header)(header)) {
            if (bytes.size() - used < part.size() && expected < 0) {
                const std::vector<uint8_t> more =
                    exchange_({}, static_cast<int64_t>(part.size() - (bytes.size() - used)));
                bytes.insert(bytes.end(), more.begin(), more.end());
            }
            if (bytes.size() - used < part.size())
                throw ProtocolError("the peer closed the link in the middle of a frame: expected " +
                                    std::to_string(part.size()) + " more bytes, got " +
                                    std::to_string(bytes.size() - used));
            std::memcpy(part.data(), bytes.data() + used, part.size());
            used += part.size();
        }
    }

    Exchange exchange_;
    std::function<void()> close_;
};

}  // namespace

std::pair<std::unique_ptr<Channel>, std::unique_ptr<Channel>> memory_channels(double timeout_s, LinkShape shape) {
    auto forth = std::make_shared<Pipe>();
    auto back = std::make_shared<Pipe>();
    return {std::make_unique<MemoryChannel>(forth, back, timeout_s, shape),
            std::make_unique<MemoryChannel>(back, forth, timeout_s, shape)};
}

std::unique_ptr<Channel> callback_channel(Exchange exchange, std::function<void()> close, double timeout_s,
                                          LinkShape shape) {
    return std::make_unique<CallbackChannel>(std::move(exchange), std::move(close), timeout_s, shape);
}

}  // namespace moiety::mpc
