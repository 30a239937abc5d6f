// Frames over memory and socket links: hops both ways, what is refused and how, timeouts, counters.
#include "mpc/channel.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <thread>

#include "check.hpp"
#include "core/check.hpp"
#include "mpc/parties.hpp"

using namespace moiety;
using namespace moiety::mpc;

namespace {

using Ends = std::pair<std::unique_ptr<Channel>, std::unique_ptr<Channel>>;
using Make = Ends (*)(double timeout_s);

Ends memory(double timeout_s) { return memory_channels(timeout_s, {}); }
Ends sockets(double timeout_s) {
    int fds[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM, 0, fds) != 0) throw Error("no socket pair");
    Ends ends{socket_channel(fds[0], timeout_s, {}), socket_channel(fds[1], timeout_s, {})};
    ::close(fds[0]);
    ::close(fds[1]);
    return ends;
}

Bytes bytes_of(const char* text) { return {reinterpret_cast<const uint8_t*>(text), std::strlen(text)}; }

std::vector<uint8_t> pattern(size_t n, uint8_t first) {
    std::vector<uint8_t> bytes(n);
    for (size_t i = 0; i < n; ++i) bytes[i] = static_cast<uint8_t>(first + i * 7 + (i >> 8));
    return bytes;
}

void hop(Channel& channel, Bytes out, MutableBytes in) {
    const Bytes parts[] = {out};
    const MutableBytes targets[] = {in};
    channel.hop(parts, targets);
}

// The text of the exception, "" if there is none.
template <class Action>
std::string refusal(Action action) {
    try {
        action();
    } catch (const ProtocolError& error) {
        return error.what();
    }
    return "";
}
bool says(const std::string& text, const char* part) {
    if (text.find(part) != std::string::npos) return true;
    std::fprintf(stderr, "expected \"%s\" in \"%s\"\n", part, text.c_str());
    return false;
}

void large_messages_cross(Make make) {
    auto [a, b] = make(30);
    const size_t n = 8 << 20;
    const auto from_a = pattern(n, 1), from_b = pattern(n + 5, 2);
    std::vector<uint8_t> at_a(n + 5), at_b(n);
    test::both([&, &a = a] { hop(*a, from_a, at_a); }, [&, &b = b] { hop(*b, from_b, at_b); });
    EXPECT(at_a == from_b && at_b == from_a);
    EXPECT(a->bytes_sent() == static_cast<int64_t>(n) + FrameHeader::size && b->bytes_received() == a->bytes_sent());
    EXPECT(b->bytes_sent() == static_cast<int64_t>(n) + 5 + FrameHeader::size &&
           a->bytes_received() == b->bytes_sent());
    EXPECT(a->frames_sent() == 1 && b->frames_sent() == 1);
    // Three more in a row, in many parts, cut differently at the two ends.
    std::vector<Bytes> parts;
    for (size_t at = 0; at < n; at += n / 256) parts.push_back(Bytes(from_a).subspan(at, n / 256));
    test::both(
        [&, &a = a] {
            for (int i = 0; i < 3; ++i) a->hop(parts, {});
        },
        [&, &b = b] {
            for (int i = 0; i < 3; ++i) {
                std::fill(at_b.begin(), at_b.end(), uint8_t{0});
                const MutableBytes halves[] = {MutableBytes(at_b).first(13), {}, MutableBytes(at_b).subspan(13)};
                b->hop({}, halves);
                EXPECT(at_b == from_a);
            }
        });
    EXPECT(a->frames_sent() == 4 && b->frames_sent() == 1);
}

void frames_of_every_tag(Make make) {
    auto [a, b] = make(5);
    for (Tag tag : {Tag::step, Tag::control, Tag::material}) {
        a->send(tag, bytes_of("hello"));
        const auto [got, payload] = b->receive(5);
        EXPECT(got == tag && payload == std::vector<uint8_t>({'h', 'e', 'l', 'l', 'o'}));
        a->send(tag, {});
        EXPECT(b->receive(0).second.empty());
    }
    a->send(Tag::control, bytes_of("hello"));
    EXPECT(says(refusal([&, &b = b] { (void)b->receive(4); }), "control frame of at most 4 bytes, got 5"));
    EXPECT(a->bytes_sent() == 7 * FrameHeader::size + 4 * 5);
    // A hop with nothing to say is no frame.
    hop(*a, {}, {});
    EXPECT(a->frames_sent() == 7);
}

void wrong_frames(Make make) {
    std::vector<uint8_t> in(10);
    {
        auto [a, b] = make(5);
        hop(*a, bytes_of("123456789"), {});
        EXPECT(says(refusal([&, &b = b] { hop(*b, {}, in); }),
                    "expected a step frame of 10 bytes, got a step frame of 9 bytes"));
    }
    {
        auto [a, b] = make(5);
        a->send(Tag::material, in);
        EXPECT(says(refusal([&, &b = b] { hop(*b, {}, in); }),
                    "expected a step frame of 10 bytes, got a material frame of 10 bytes"));
    }
    for (const char* text : {"{\"error\": \"no such program\"}", ""}) {
        auto [a, b] = make(5);
        a->send(Tag::error, bytes_of(text));
        EXPECT(says(refusal([&, &b = b] { hop(*b, {}, in); }), (std::string("the peer reported: ") + text).c_str()));
        auto [c, d] = make(5);
        c->send(Tag::error, bytes_of(text));
        EXPECT(
            says(refusal([&, &d = d] { (void)d->receive(100); }), (std::string("the peer reported: ") + text).c_str()));
    }
}

// Raw bytes that are no frame.
void garbage() {
    const auto answer = [](const std::vector<uint8_t>& raw, bool close) {
        int fds[2];
        if (::socketpair(AF_UNIX, SOCK_STREAM, 0, fds) != 0) throw Error("no socket pair");
        auto channel = socket_channel(fds[0], 0.2, {});
        EXPECT(::write(fds[1], raw.data(), raw.size()) == static_cast<ssize_t>(raw.size()));
        if (close) ::close(fds[1]);
        std::vector<uint8_t> in(10);
        const std::string text = refusal([&] { hop(*channel, {}, in); });
        ::close(fds[0]);
        if (!close) ::close(fds[1]);
        return text;
    };
    EXPECT(says(answer(pattern(34, 9), false), "begins with MOI1"));
    std::vector<uint8_t> frame(34);
    FrameHeader{1, 10, 0}.write(frame.data());
    EXPECT(answer(frame, false).empty());
    FrameHeader{77, 10, 0}.write(frame.data());
    EXPECT(says(answer(frame, false), "got a unknown (77) frame of 10 bytes"));
    FrameHeader{1, ~uint64_t{0}, 0}.write(frame.data());
    EXPECT(says(answer(frame, false), "got a step frame of 18446744073709551615 bytes"));
    FrameHeader{1, 10, 0}.write(frame.data());
    const std::vector<uint8_t> cut(frame.begin(), frame.begin() + 30), head(frame.begin(), frame.begin() + 11);
    EXPECT(says(answer(cut, true), "closed the link with at least 4 bytes outstanding"));
    EXPECT(says(answer(head, true), "closed the link with at least 13 bytes outstanding"));
    EXPECT(says(answer(cut, false), "moved no byte for 0.2"));
    // Far in the future by the sender's clock: refused, not waited for.
    FrameHeader{1, 10, uint64_t{1} << 63}.write(frame.data());
    EXPECT(says(answer(frame, false), "do not share a clock"));
}

void silence_and_closing(Make make) {
    std::vector<uint8_t> in(10);
    {
        auto [a, b] = make(0.05);
        EXPECT(says(refusal([&, &b = b] { hop(*b, bytes_of("x"), in); }), "for 0.05"));
    }
    {
        auto [a, b] = make(5);
        a->close();
        EXPECT(says(refusal([&, &b = b] { hop(*b, {}, in); }), "closed"));
        EXPECT(says(refusal([&, &b = b] { (void)b->receive(5); }), "closed"));
        EXPECT(says(refusal([&, &a = a] { hop(*a, bytes_of("x"), {}); }), "the link is closed"));
    }
    {  // The peer goes while this end waits.
        auto [a, b] = make(5);
        test::both([&, &a = a] { a->close(); },
                   [&, &b = b] { EXPECT(says(refusal([&] { hop(*b, {}, in); }), "closed")); });
    }
    {  // What was sent before the end still arrives.
        auto [a, b] = make(5);
        hop(*a, bytes_of("0123456789"), {});
        a.reset();
        hop(*b, {}, in);
        EXPECT(std::memcmp(in.data(), "0123456789", 10) == 0);
    }
}

// A peer that refuses and hangs up while this end is still sending: its words come out, not a broken pipe.
void words_before_a_broken_pipe() {
    auto [a, b] = sockets(5);
    const auto large = pattern(32 << 20, 3);
    std::vector<uint8_t> in(32 << 20);
    std::string text;
    test::both(
        [&, &a = a] {
            a->send(Tag::error, bytes_of("the batch is too large"));
            a.reset();
        },
        [&, &b = b] { text = refusal([&] { hop(*b, large, in); }); });
    EXPECT(says(text, "the peer reported: the batch is too large"));
}

void shaped_links_deliver() {
    auto [a, b] = memory_channels(5, {1.0, 100.0});
    std::vector<uint8_t> in(1000);
    const auto out = pattern(1000, 1);
    test::both([&, &a = a] { hop(*a, out, {}); }, [&, &b = b] { hop(*b, {}, in); });
    EXPECT(in == out);
}

void headers() {
    uint8_t bytes[FrameHeader::size];
    FrameHeader{3, 0x0102030405060708, 0x1122334455667788}.write(bytes);
    const uint8_t expected[] = {'M', 'O', 'I', '1', 3,    0,    0,    0,    8,    7,    6,    5,
                                4,   3,   2,   1,   0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11};
    EXPECT(std::memcmp(bytes, expected, sizeof bytes) == 0);
    const FrameHeader back = FrameHeader::read(bytes);
    EXPECT(back.tag == 3 && back.length == 0x0102030405060708 && back.arrival == 0x1122334455667788);
    for (size_t i = 0; i < 4; ++i) {
        uint8_t broken[FrameHeader::size];
        std::memcpy(broken, bytes, sizeof broken);
        broken[i] ^= 1;
        EXPECT_THROWS(FrameHeader::read(broken));
    }
}

}  // namespace

int main() {
    headers();
    for (Make make : {&memory, &sockets}) {
        large_messages_cross(make);
        frames_of_every_tag(make);
        wrong_frames(make);
        silence_and_closing(make);
    }
    garbage();
    words_before_a_broken_pipe();
    shaped_links_deliver();
    return test::report();
}
