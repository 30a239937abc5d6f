#include <atomic>
#include <stdexcept>
#include <string_view>
#include <thread>
#include <vector>

#include "check.hpp"
#include "core/cpu.hpp"
#include "core/parallel.hpp"

#if defined(__unix__)
#include <sys/wait.h>
#include <unistd.h>
#endif

namespace {

using moiety::parallel_for;

bool covers(int64_t n, int64_t grain, int threads) {
    std::vector<std::atomic<int>> seen(static_cast<size_t>(n));
    std::atomic<bool> large_enough{true};
    parallel_for(n, grain, threads, [&](int64_t begin, int64_t end) {
        if (end - begin < grain && end != n) large_enough = false;
        for (int64_t i = begin; i < end; ++i) ++seen[static_cast<size_t>(i)];
    });
    for (const auto& count : seen)
        if (count != 1) return false;
    return large_enough;
}

bool sums_right(int threads) {
    std::atomic<int64_t> sum{0};
    parallel_for(1000, 1, threads, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) sum += i;
    });
    return sum == 499500;
}

void exceptions() {
    for (int threads : {1, 4}) {
        bool message_kept = false;
        try {
            parallel_for(100, 1, threads, [](int64_t begin, int64_t) {
                if (begin >= 0) throw std::runtime_error("the body's own");
            });
        } catch (const std::runtime_error& e) {
            message_kept = std::string_view(e.what()) == "the body's own";
        }
        EXPECT(message_kept);
        EXPECT(sums_right(threads));  // the pool is as good as before
    }
}

void nested() {
    std::atomic<int> inner{0};
    parallel_for(8, 1, 4, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
            const auto outside = std::this_thread::get_id();
            parallel_for(10, 1, 4, [&](int64_t b, int64_t e) {
                EXPECT(std::this_thread::get_id() == outside);
                inner += static_cast<int>(e - b);
            });
        }
    });
    EXPECT(inner == 80);
}

void concurrent_callers() {
    std::atomic<int> right{0};
    std::vector<std::thread> callers;
    for (int i = 0; i < 6; ++i)
        callers.emplace_back([&] {
            for (int repeat = 0; repeat < 50; ++repeat) right += sums_right(3);
        });
    for (auto& caller : callers) caller.join();
    EXPECT(right == 300);
}

#if defined(__unix__)
void forked() {
    EXPECT(sums_right(4));  // so that the parent has a pool
    const pid_t child = fork();
    if (child == 0) _exit(sums_right(4) && sums_right(2) ? 0 : 1);
    int status = -1;
    EXPECT(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    EXPECT(sums_right(4));
}
#endif

void levels() {
    using moiety::Isa;
    const Isa before = moiety::isa();
    moiety::set_isa(Isa::scalar);
    EXPECT(moiety::isa() == Isa::scalar);
    EXPECT(!moiety::cpu().avx2 && !moiety::cpu().aesni && !moiety::cpu().avx512);
    moiety::set_isa(before);
    if (!moiety::cpu_features().avx512) EXPECT_THROWS(moiety::set_isa(Isa::avx512));
}

}  // namespace

int main() {
    for (int64_t n : {0, 1, 2, 17, 1000})
        for (int64_t grain : {1, 3, 500, 5000})
            for (int threads : {0, 1, 2, 7}) EXPECT(covers(n, grain, threads));
    EXPECT_THROWS(parallel_for(-1, 1, 1, [](int64_t, int64_t) {}));
    exceptions();
    nested();
    concurrent_callers();
#if defined(__unix__)
    forked();
#endif
    levels();
    EXPECT(moiety::default_threads() >= 1);
    return moiety::test::report();
}
