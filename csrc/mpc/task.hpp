// Protocols as coroutines, and the scheduler that runs several of them over one channel in lock-step.
//
// A protocol is a function that returns Task and writes its steps in the order of its header's list; at each hop it
// says
//     co_await Hop().send(data, count).receive(data, count);
// and may await another Task. The scheduler merges the hops of all tasks under way into one frame each way, in the
// order in which the tasks were started, so independent branches of a network share their rounds. Both parties must
// start the same tasks in the same order. Buffers named in a Hop belong to the coroutine and stay alive until it is
// resumed.
#pragma once

#include <coroutine>
#include <cstdint>
#include <exception>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "mpc/channel.hpp"

namespace moiety::mpc {

class Scheduler;

class [[nodiscard]] Task {
  public:
    struct promise_type {
        Scheduler* scheduler = nullptr;
        std::coroutine_handle<> continuation;
        std::exception_ptr error;

        Task get_return_object() { return Task(std::coroutine_handle<promise_type>::from_promise(*this)); }
        std::suspend_always initial_suspend() noexcept { return {}; }
        struct Final {
            bool await_ready() noexcept { return false; }
            std::coroutine_handle<> await_suspend(std::coroutine_handle<promise_type> handle) noexcept {
                const auto next = handle.promise().continuation;
                return next ? next : std::noop_coroutine();
            }
            void await_resume() noexcept {}
        };
        Final final_suspend() noexcept { return {}; }
        void return_void() {}
        void unhandled_exception() { error = std::current_exception(); }
    };
    using Handle = std::coroutine_handle<promise_type>;

    explicit Task(Handle handle) : handle_(handle) {}
    Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, {})) {}
    Task& operator=(Task&& other) noexcept {
        std::swap(handle_, other.handle_);
        return *this;
    }
    ~Task() {
        if (handle_) handle_.destroy();
    }

    Handle handle() const { return handle_; }
    bool done() const { return handle_.done(); }

    // Awaiting a task runs it to its end within the awaiting task; its exception is rethrown there.
    bool await_ready() const noexcept { return false; }
    std::coroutine_handle<> await_suspend(Handle parent) noexcept {
        handle_.promise().scheduler = parent.promise().scheduler;
        handle_.promise().continuation = parent;
        return handle_;
    }
    void await_resume() {
        if (handle_.promise().error) std::rethrow_exception(handle_.promise().error);
    }

  private:
    Handle handle_;
};

// One message each way (either may be empty, not both). Built by calls since gcc 12 rejects initialiser lists in
// co_await.
struct Hop {
    std::vector<Bytes> out;
    std::vector<MutableBytes> in;

    template <class T>
    Hop& send(const T* data, int64_t count) {
        out.emplace_back(reinterpret_cast<const uint8_t*>(data), static_cast<size_t>(count) * sizeof(T));
        return *this;
    }
    template <class T>
    Hop& receive(T* data, int64_t count) {
        in.emplace_back(reinterpret_cast<uint8_t*>(data), static_cast<size_t>(count) * sizeof(T));
        return *this;
    }

    bool await_ready() const noexcept { return false; }
    void await_suspend(Task::Handle handle);
    void await_resume() const noexcept {}
};

class Scheduler {
  public:
    explicit Scheduler(Channel& channel) : channel_(&channel) {}

    struct Stats {
        int64_t bytes_sent = 0, bytes_received = 0, rounds = 0;
        double cpu_seconds = 0;
    };

    // Runs the task to its first hop and returns its number; numbers count up from 0.
    int start(Task task);
    // One hop for everything under way; afterwards finished() tells which tasks ended. Returns whether there was
    // anything to do.
    bool step();
    bool done(int task) const;
    bool idle() const { return pending_.empty(); }
    Stats stats(int task) const;
    // Forgets a finished task's frame; its statistics remain.
    void release(int task);
    int64_t rounds() const { return rounds_; }
    double hop_cpu_seconds() const { return hop_cpu_seconds_; }

  private:
    friend struct Hop;
    struct Slot {
        std::unique_ptr<Task> task;
        std::coroutine_handle<> waiting;
        std::vector<Bytes> out;
        std::vector<MutableBytes> in;
        Stats stats;
        bool done = false;
    };
    void resume(int index, std::coroutine_handle<> handle);

    Channel* channel_;
    std::vector<Slot> slots_;
    std::vector<int> pending_;
    int current_ = -1;
    int64_t rounds_ = 0;
    double hop_cpu_seconds_ = 0;
};

// User and system seconds of all threads of this process.
double process_cpu_seconds();

}  // namespace moiety::mpc
