// Tasks: merged hops in the order of their start, nesting, exceptions, statistics.
#include "mpc/task.hpp"

#include <cstring>
#include <stdexcept>

#include "check.hpp"
#include "core/check.hpp"
#include "mpc/parties.hpp"

using namespace moiety;
using namespace moiety::mpc;

namespace {

// Sends `value` and keeps what comes, `hops` times.
Task exchange(uint32_t value, int hops, std::vector<uint32_t>& got) {
    for (int i = 0; i < hops; ++i) {
        const uint32_t mine = value + static_cast<uint32_t>(i);
        uint32_t theirs = 0;
        co_await Hop().send(&mine, 1).receive(&theirs, 1);
        got.push_back(theirs);
    }
}
Task speak(uint32_t value) { co_await Hop().send(&value, 1); }
Task listen(std::vector<uint32_t>& got) {
    uint32_t value = 0;
    co_await Hop().receive(&value, 1);
    got.push_back(value);
}
Task nothing(int& runs) {
    ++runs;
    co_return;
}
Task fail_after(int hops, std::vector<uint32_t>& got) {
    co_await exchange(0, hops, got);
    throw std::runtime_error("failed as planned");
}
Task nested(std::vector<uint32_t>& got, int& runs) {
    co_await nothing(runs);
    co_await exchange(10, 2, got);
    co_await nothing(runs);
    Task inner = exchange(20, 1, got);
    co_await inner;
}
Task recovering(std::vector<uint32_t>& got, int& caught) {
    try {
        co_await fail_after(1, got);
    } catch (const std::runtime_error&) {
        ++caught;
    }
    co_await exchange(30, 1, got);
}

struct Link {
    std::unique_ptr<Channel> a, b;
    Scheduler server, client;
    Link() : Link(memory_channels(5, {})) {}
    explicit Link(std::pair<std::unique_ptr<Channel>, std::unique_ptr<Channel>> ends)
        : a(std::move(ends.first)), b(std::move(ends.second)), server(*a), client(*b) {}
    void finish() {
        test::both([&] { test::finish(server); }, [&] { test::finish(client); });
    }
};

using Values = std::vector<uint32_t>;

void hops_are_merged() {
    Link link;
    Values got[6];
    // Of different lengths, started together: as many hops as the longest, one frame each way for each.
    EXPECT(link.server.start(exchange(100, 3, got[0])) == 0);
    EXPECT(link.server.start(exchange(200, 1, got[1])) == 1);
    EXPECT(link.server.start(speak(300)) == 2);
    link.client.start(exchange(1000, 3, got[2]));
    link.client.start(exchange(2000, 1, got[3]));
    link.client.start(listen(got[4]));
    EXPECT(!link.server.done(0) && !link.server.idle());
    link.finish();
    EXPECT(got[0] == Values({1000, 1001, 1002}) && got[2] == Values({100, 101, 102}));
    EXPECT(got[1] == Values({2000}) && got[3] == Values({200}) && got[4] == Values({300}));
    EXPECT(link.server.rounds() == 3 && link.client.rounds() == 3 && link.server.idle());
    EXPECT(link.a->frames_sent() == 3 && link.b->frames_sent() == 3);
    EXPECT(link.a->bytes_sent() == 3 * FrameHeader::size + 4 * 5 &&
           link.b->bytes_sent() == 3 * FrameHeader::size + 4 * 4);
    const auto stats = link.server.stats(0), short_one = link.server.stats(2);
    EXPECT(stats.rounds == 3 && stats.bytes_sent == 12 && stats.bytes_received == 12);
    EXPECT(short_one.rounds == 1 && short_one.bytes_sent == 4 && short_one.bytes_received == 0);
    EXPECT(!link.server.step());
    link.server.release(0);
    EXPECT(link.server.done(0) && link.server.stats(0).rounds == 3);
    EXPECT_THROWS(link.server.done(3));
}

// The order in which tasks were started decides where their bytes lie in the frame.
void order_matters() {
    Link link;
    Values got;
    link.server.start(speak(1));
    link.server.start(speak(2));
    link.client.start(listen(got));
    link.client.start(listen(got));
    link.finish();
    EXPECT(got == Values({1, 2}));
    // A task that starts later joins the next hop, behind those under way.
    Values late, early;
    link.server.start(exchange(5, 2, early));
    link.client.start(exchange(6, 2, early));
    test::both([&] { EXPECT(link.server.step()); }, [&] { EXPECT(link.client.step()); });
    link.server.start(speak(7));
    link.client.start(listen(late));
    link.finish();
    EXPECT(late == Values({7}) && link.server.rounds() == 3);
}

void tasks_nest() {
    Link link;
    Values got[2];
    int runs[2] = {0, 0};
    link.server.start(nested(got[0], runs[0]));
    link.client.start(nested(got[1], runs[1]));
    EXPECT(runs[0] == 1);
    link.finish();
    EXPECT(got[0] == Values({10, 11, 20}) && got[1] == got[0]);
    EXPECT(runs[0] == 2 && runs[1] == 2 && link.server.rounds() == 3);
    EXPECT(link.server.stats(0).rounds == 3);
    const int at_once = link.server.start(nothing(runs[0]));
    EXPECT(link.server.done(at_once) && link.server.idle() && runs[0] == 3);
}

void exceptions_come_out() {
    {
        Link link;
        Values got[2];
        link.server.start(fail_after(2, got[0]));
        link.client.start(exchange(3, 2, got[1]));
        bool failed = false;
        test::both(
            [&] {
                try {
                    test::finish(link.server);
                } catch (const std::runtime_error& error) {
                    failed = std::strcmp(error.what(), "failed as planned") == 0;
                }
            },
            [&] { test::finish(link.client); });
        EXPECT(failed && got[0] == Values({3, 4}));
    }
    {  // Through a task that handles it.
        Link link;
        Values got[2];
        int caught[2] = {0, 0};
        link.server.start(recovering(got[0], caught[0]));
        link.client.start(recovering(got[1], caught[1]));
        link.finish();
        EXPECT(caught[0] == 1 && caught[1] == 1 && got[0] == Values({0, 30}));
    }
    {  // Before the first hop: out of start().
        Link link;
        Values got;
        EXPECT_THROWS(link.server.start(fail_after(0, got)));
        EXPECT(link.server.idle());
    }
    {  // A broken link, and tasks that are destroyed half-way.
        Link link;
        Values got;
        int runs = 0;
        link.server.start(nested(got, runs));
        link.b->close();
        EXPECT_THROWS(link.server.step());
        EXPECT_THROWS(link.server.release(0));
    }
}

}  // namespace

int main() {
    hops_are_merged();
    order_matters();
    tasks_nest();
    exceptions_come_out();
    EXPECT(process_cpu_seconds() > 0);
    return test::report();
}
