#include "core/parallel.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <cstdlib>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <system_error>
#include <thread>

#include "core/check.hpp"

#if defined(__linux__)
#include <sched.h>
#endif
#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#endif

namespace moiety {
namespace {

// True on a thread that is executing a body: a nested call runs inline there.
thread_local bool inside_body = false;

// One parallel_for call. Ranges are handed out by an atomic counter, so that a thread delayed by the operating system
// holds up no more than the range that it has.
struct Job {
    int64_t n, chunk, ranges;
    int helpers_wanted;
    const std::function<void(int64_t, int64_t)>* body;
    std::atomic<int64_t> next{0};
    std::atomic<bool> failed{false};
    std::exception_ptr error;  // written by the one that set `failed`
    int working = 0;           // helpers inside the job, guarded by the pool's mutex

    void work() {
        inside_body = true;
        for (int64_t i; !failed.load(std::memory_order_relaxed) && (i = next.fetch_add(1)) < ranges;) {
            try {
                (*body)(i* chunk, std::min(n, (i + 1) * chunk));
            } catch (...) {
                if (!failed.exchange(true)) error = std::current_exception();
            }
        }
        inside_body = false;
    }
    bool exhausted() const { return next.load() >= ranges || failed.load(); }
};

class Pool {
  public:
    void run(Job& job) {
        {
            const std::lock_guard lock(mutex_);
            try {
                for (; workers_ < job.helpers_wanted; ++workers_) std::thread([this] { serve(); }).detach();
            } catch (const std::system_error&) {
                // No more threads to be had: those that exist, at least the caller, do the work.
            }
            jobs_.push_back(&job);
        }
        arrived_.notify_all();
        job.work();
        std::unique_lock lock(mutex_);
        jobs_.erase(std::find(jobs_.begin(), jobs_.end(), &job));
        left_.wait(lock, [&] { return job.working == 0; });
    }

  private:
    Job* open_job() {
        for (Job* job : jobs_)
            if (job->working < job->helpers_wanted && !job->exhausted()) return job;
        return nullptr;
    }
    void serve() {
        std::unique_lock lock(mutex_);
        for (;;) {
            Job* job = nullptr;
            arrived_.wait(lock, [&] { return (job = open_job()) != nullptr; });
            ++job->working;
            lock.unlock();
            job->work();
            lock.lock();
            --job->working;
            left_.notify_all();
        }
    }

    std::mutex mutex_;
    std::condition_variable arrived_, left_;
    std::deque<Job*> jobs_;
    int workers_ = 0;
};

std::atomic<Pool*> current_pool{nullptr};

// The pool is never destroyed: its threads sleep in it until the process ends. A forked child has none of
// its parent's threads, and a lock may have been held at the fork, so it starts with a new pool.
Pool& pool() {
    Pool* existing = current_pool.load();
    if (existing != nullptr) return *existing;
#if defined(__unix__) || defined(__APPLE__)
    static const int registered = pthread_atfork(nullptr, nullptr, [] {
        current_pool.store(nullptr);
        inside_body = false;
    });
    (void)registered;
#endif
    auto fresh = std::make_unique<Pool>();
    if (current_pool.compare_exchange_strong(existing, fresh.get())) return *fresh.release();
    return *existing;
}

}  // namespace

int default_threads() {
    if (const char* text = std::getenv("MOIETY_NUM_THREADS")) {
        char* end = nullptr;
        errno = 0;
        const long value = std::strtol(text, &end, 10);
        if (errno == 0 && end != text && *end == '\0' && value > 0) return static_cast<int>(std::min(value, 4096L));
    }
#if defined(__linux__)
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) return std::max(1, CPU_COUNT(&set));
#endif
    return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

void parallel_for(int64_t n, int64_t grain, int threads, const std::function<void(int64_t, int64_t)>& body) {
    check(n >= 0, "parallel_for: expected a count >= 0, got ", n);
    if (n == 0) return;
    grain = std::max<int64_t>(grain, 1);
    if (inside_body || threads == 1 || n <= grain) return body(0, n);
    if (threads <= 0) threads = default_threads();
    if (threads == 1) return body(0, n);
    // A few ranges a thread even out their speeds without making ranges smaller than the caller finds worthwhile.
    constexpr int64_t ranges_per_thread = 4;
    const int64_t wanted = threads * ranges_per_thread;
    Job job{.n = n,
            .chunk = std::max(grain, (n + wanted - 1) / wanted),
            .ranges = 0,
            .helpers_wanted = 0,
            .body = &body,
            .error = nullptr};
    job.ranges = (n + job.chunk - 1) / job.chunk;
    job.helpers_wanted = static_cast<int>(std::min<int64_t>(threads, job.ranges) - 1);
    if (job.helpers_wanted == 0) return body(0, n);
    pool().run(job);
    if (job.error) std::rethrow_exception(job.error);
}

}  // namespace moiety
