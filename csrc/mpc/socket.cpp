// The channel over a connected stream socket: one loop that writes and reads at the same time, and sleeps in poll()
// when neither moves for a while.
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>

#include "core/check.hpp"
#include "mpc/channel.hpp"

namespace moiety::mpc {
namespace {

constexpr size_t kMaxParts = 64;  // buffers a system call, below every IOV_MAX
constexpr int kSocketBuffer = 4 << 20;
// What a party looks for its peer's message before it goes to sleep: about twice what waking up takes.
constexpr std::chrono::microseconds kLook{100};

#ifdef MSG_NOSIGNAL
constexpr int kNoSignal = MSG_NOSIGNAL;
#else
constexpr int kNoSignal = 0;
#endif

[[noreturn]] void fail(const char* what) { throw ProtocolError(std::string(what) + ": " + std::strerror(errno)); }

// Drops `count` bytes from the front of a list of buffers.
template <class Part>
void advance(std::vector<Part>& parts, size_t& next, size_t count) {
    while (count > 0) {
        Part& part = parts[next];
        const size_t step = std::min(count, part.size());
        part = part.subspan(step);
        count -= step;
        if (part.empty()) ++next;
    }
}

template <class Part>
size_t gather(const std::vector<Part>& parts, size_t next, iovec* vectors) {
    size_t count = 0;
    for (size_t i = next; i < parts.size() && count < kMaxParts; ++i, ++count)
        vectors[count] = {const_cast<uint8_t*>(parts[i].data()), parts[i].size()};
    return count;
}

class SocketChannel final : public Channel {
  public:
    SocketChannel(int fd, double timeout_s, LinkShape shape) : Channel(timeout_s, shape), fd_(::dup(fd)) {
        if (fd_ < 0) fail("cannot duplicate the socket");
        const int flags = ::fcntl(fd_, F_GETFL);
        if (flags < 0 || ::fcntl(fd_, F_SETFL, flags | O_NONBLOCK) < 0) fail("cannot make the socket non-blocking");
        // Larger buffers only save wake-ups: a refusal is harmless.
        (void)::setsockopt(fd_, SOL_SOCKET, SO_SNDBUF, &kSocketBuffer, sizeof kSocketBuffer);
        (void)::setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &kSocketBuffer, sizeof kSocketBuffer);
    }
    ~SocketChannel() override { close(); }

    void close() override {
        if (fd_ >= 0) {
            ::shutdown(fd_, SHUT_RDWR);
            ::close(fd_);
        }
        fd_ = -1;
    }

  private:
    void transfer(std::span<const Bytes> out, uint8_t* header, const OnHeader* on_header, int64_t) override {
        if (fd_ < 0) throw ProtocolError("the link is closed");
        std::vector<Bytes> sending(out.begin(), out.end());
        std::vector<MutableBytes> receiving;
        if (on_header != nullptr) receiving.emplace_back(header, FrameHeader::size);
        bool header_pending = on_header != nullptr;
        size_t sent = 0, received = 0;
        auto looking_since = std::chrono::steady_clock::now();
        std::string broken;  // why writing ended early: reading goes on, the peer may have explained itself
        while (sent < sending.size() || received < receiving.size()) {
            bool moved = false;
            if (sent < sending.size()) {
                try {
                    moved |= write_some(sending, sent);
                } catch (const ProtocolError& error) {
                    if (on_header == nullptr) {
                        drain_error();
                        throw;
                    }
                    broken = error.what();
                    sent = sending.size();
                    moved = true;
                }
            }
            if (received < receiving.size()) {
                moved |= read_some(receiving, received);
                if (header_pending && received == 1) {
                    header_pending = false;
                    for (MutableBytes part : (*on_header)(header)) receiving.push_back(part);
                }
            }
            const auto now = std::chrono::steady_clock::now();
            if (moved) {
                looking_since = now;
            } else if (!looks_ || now - looking_since >= kLook) {
                wait(sent < sending.size(), received < receiving.size());
            }
        }
        if (!broken.empty()) throw ProtocolError(broken);
    }

    bool write_some(std::vector<Bytes>& parts, size_t& next) {
        iovec vectors[kMaxParts];
        msghdr message{};
        message.msg_iov = vectors;
        message.msg_iovlen = gather(parts, next, vectors);
        const ssize_t count = ::sendmsg(fd_, &message, kNoSignal);
        if (count < 0) {
            if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) return false;
            fail("the peer closed the link while a message was being sent");
        }
        advance(parts, next, static_cast<size_t>(count));
        return count > 0;
    }

    bool read_some(std::vector<MutableBytes>& parts, size_t& next) {
        iovec vectors[kMaxParts];
        msghdr message{};
        message.msg_iov = vectors;
        message.msg_iovlen = gather(parts, next, vectors);
        const ssize_t count = ::recvmsg(fd_, &message, 0);
        if (count < 0) {
            if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) return false;
            fail("reading from the peer failed");
        }
        if (count == 0) {
            int64_t missing = 0;
            for (size_t i = next; i < parts.size(); ++i) missing += static_cast<int64_t>(parts[i].size());
            throw ProtocolError("the peer closed the link with at least " + std::to_string(missing) +
                                " bytes outstanding");
        }
        advance(parts, next, static_cast<size_t>(count));
        return true;
    }

    // The peer may have explained itself before it hung up: prefer its words to a broken pipe.
    void drain_error() {
        uint8_t bytes[FrameHeader::size];
        if (::recv(fd_, bytes, sizeof bytes, MSG_DONTWAIT) != static_cast<ssize_t>(sizeof bytes)) return;
        const FrameHeader header = FrameHeader::read(bytes);
        if (header.tag != static_cast<uint32_t>(Tag::error) || header.length > (1 << 16)) return;
        std::vector<char> text(header.length);
        const ssize_t count = ::recv(fd_, text.data(), text.size(), MSG_DONTWAIT);
        if (count > 0)
            throw ProtocolError("the peer reported: " + std::string(text.data(), static_cast<size_t>(count)));
    }

    void wait(bool writing, bool reading) {
        pollfd entry{fd_, static_cast<short>((writing ? POLLOUT : 0) | (reading ? POLLIN : 0)), 0};
        const auto deadline = std::chrono::steady_clock::now() + std::chrono::duration<double>(timeout_s());
        for (;;) {
            const auto left =
                std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now())
                    .count();
            const int ready = ::poll(&entry, 1, static_cast<int>(std::clamp<int64_t>(left, 0, 1 << 30)));
            if (ready > 0) return;
            if (ready == 0) throw ProtocolError("the peer moved no byte for " + std::to_string(timeout_s()) + " s");
            if (errno != EINTR) fail("waiting for the peer failed");
        }
    }

    int fd_;
    const bool looks_ = std::thread::hardware_concurrency() > 1;  // on one core the peer cannot get on meanwhile
};

}  // namespace

std::unique_ptr<Channel> socket_channel(int fd, double timeout_s, LinkShape shape) {
    return std::make_unique<SocketChannel>(fd, timeout_s, shape);
}

}  // namespace moiety::mpc
