// Two parties on two threads over a link whose bytes are kept, and what the C++ protocol tests share.
#pragma once

#include <condition_variable>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "crypto/secrets.hpp"
#include "mpc/party.hpp"

namespace moiety::test {

// One direction of a recorded link.
struct Pipe {
    std::mutex mutex;
    std::condition_variable ready;
    std::vector<uint8_t> bytes;
    size_t at = 0;
    bool closed = false;

    void put(const std::vector<uint8_t>& data) {
        const std::scoped_lock lock(mutex);
        bytes.insert(bytes.end(), data.begin(), data.end());
        ready.notify_all();
    }
    std::vector<uint8_t> take(int64_t n) {
        std::unique_lock lock(mutex);
        ready.wait(lock, [&] { return closed || bytes.size() - at >= static_cast<size_t>(n); });
        const auto first = bytes.begin() + static_cast<std::ptrdiff_t>(at);
        const auto count = std::min(static_cast<size_t>(n), bytes.size() - at);
        at += count;
        return {first, first + static_cast<std::ptrdiff_t>(count)};
    }
    void close() {
        const std::scoped_lock lock(mutex);
        closed = true;
        ready.notify_all();
    }
};

inline std::unique_ptr<mpc::Channel> recorded_channel(Pipe& out, Pipe& in) {
    return mpc::callback_channel(
        [&](const std::vector<uint8_t>& data, int64_t n) {
            if (!data.empty()) out.put(data);
            return in.take(n);
        },
        [&] {
            out.close();
            in.close();
        },
        30, {});
}

// Runs both functions at once; the first exception comes out here.
inline void both(const std::function<void()>& server, const std::function<void()>& client) {
    std::exception_ptr errors[2];
    const auto guarded = [&](int index, const std::function<void()>& run) {
        try {
            run();
        } catch (...) {
            errors[index] = std::current_exception();
        }
    };
    std::thread thread(guarded, 0, server);
    guarded(1, client);
    thread.join();
    for (const auto& error : errors)
        if (error) std::rethrow_exception(error);
}

inline void finish(mpc::Scheduler& scheduler) {
    while (scheduler.step()) {
    }
}

// A plan dealt to two parties over a recorded link. Seeds come from crypto/secrets.hpp.
template <class T>
struct Session {
    Pipe forth, back;  // server to client, client to server
    std::unique_ptr<mpc::Channel> server_channel, client_channel;
    mpc::Party<T> server, client;
    std::vector<T> weights, masked_weights;
    std::vector<std::vector<uint8_t>> dealt;

    // `weights` are those of layer 0, if any request is linear.
    explicit Session(const std::vector<mpc::Request>& requests, std::vector<T> weights_of_layer = {})
        : server_channel(recorded_channel(forth, back)),
          client_channel(recorded_channel(back, forth)),
          server(true, *server_channel, 1),
          client(false, *client_channel, 1),
          weights(std::move(weights_of_layer)),
          masked_weights(weights) {
        const crypto::Block a = crypto::random_block(), b = crypto::random_block(), w = crypto::random_block();
        std::vector<std::span<const T>> at_server, at_client;
        if (!weights.empty()) {
            const Buffer<T> mask = mpc::weight_mask<T>(w, 0, static_cast<int64_t>(weights.size()));
            for (size_t i = 0; i < weights.size(); ++i) masked_weights[i] -= mask[static_cast<int64_t>(i)];
            at_server.push_back(weights);
            at_client.push_back(masked_weights);
        }
        server.load(requests, a, at_server);
        client.load(requests, b, at_client);
        const mpc::Dealer<T> dealer(requests, a, b, w, 1);
        for (int64_t i = 0; i < dealer.size(); ++i) {
            auto material = dealer.deal(i);
            server.feed(i, material.server);
            client.feed(i, material.client);
            dealt.push_back(std::move(material.server));
            dealt.push_back(std::move(material.client));
        }
    }
    // make(party, is_server) returns the task of one party.
    template <class Make>
    void run(Make make) {
        both(
            [&] {
                server.scheduler().start(make(server, true));
                finish(server.scheduler());
            },
            [&] {
                client.scheduler().start(make(client, false));
                finish(client.scheduler());
            });
    }
};

}  // namespace moiety::test
