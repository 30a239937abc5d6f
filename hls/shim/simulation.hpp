// Concurrency for C simulation: the stages of a DATAFLOW region run as coroutines on one thread, so that bounded FIFOs
// block them as hardware would, the order is the same in every run, and a deadlock is found as soon as it is there.
//
// One scheduler for everything: a stage that meets a full or an empty FIFO hands over to the next one that can run,
// first come first served. A region may lie inside a stage; it waits for its own stages like for a FIFO. When nothing
// can run, `Deadlock` is thrown in the program's own context; its text names every waiting stage, the FIFO that it
// waits for and how full each FIFO is. The stages are then abandoned, not unwound: report and end the program.
#pragma once

#include <sys/mman.h>
#include <ucontext.h>

#include <algorithm>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace moiety_shim {

struct Deadlock : std::runtime_error {
    using std::runtime_error::runtime_error;
};

// What is told of FIFOs that have a name: all of one name together.
struct Usage {
    int64_t depth = 0, peak = 0, writes = 0, write_stalls = 0, read_stalls = 0;
};

// A FIFO as the scheduler sees it. depth 0: unbounded, for the test bench.
struct Fifo {
    std::string name;
    int64_t depth = 0, held = 0;
    Usage usage;
};

class Simulation {
  public:
    static Simulation& get() {
        static Simulation simulation;
        return simulation;
    }

    struct Stage {
        std::string name;
        std::function<void()> body;
        ucontext_t context{};
        void* stack = nullptr;
        std::exception_ptr error;
        const Fifo* waits = nullptr;
        bool writes = false, done = false;
        Stage* parent = nullptr;  // whoever joins it
        int running = 0;          // own stages that have not ended
        bool joining = false;
    };

    Stage* start(std::string name, std::function<void()> body) {
        stages_.push_back(std::make_unique<Stage>());
        Stage* stage = stages_.back().get();
        stage->name = std::move(name);
        stage->body = std::move(body);
        stage->parent = current_;
        ++current_->running;
        stage->stack = take_stack();
        getcontext(&stage->context);
        stage->context.uc_stack.ss_sp = stage->stack;
        stage->context.uc_stack.ss_size = kStack;
        stage->context.uc_link = nullptr;
        makecontext(&stage->context, reinterpret_cast<void (*)()>(&Simulation::enter), 0);
        ready_.push_back(stage);
        return stage;
    }

    // Returns when all stages that the current one started have ended; rethrows the first error among them.
    void join() {
        while (current_->running > 0) {
            current_->joining = true;
            hand_over();
            current_->joining = false;
        }
        std::exception_ptr error;
        for (size_t i = 0; i < stages_.size();) {
            if (stages_[i]->parent != current_) {
                ++i;
                continue;
            }
            if (stages_[i]->error && !error) error = stages_[i]->error;
            free_stacks_.push_back(stages_[i]->stack);
            stages_.erase(stages_.begin() + static_cast<std::ptrdiff_t>(i));
        }
        if (error) std::rethrow_exception(error);
    }

    // The current stage cannot go on before `fifo` has room (writes) or data.
    void wait(Fifo& fifo, bool writes) {
        ++(writes ? fifo.usage.write_stalls : fifo.usage.read_stalls);
        current_->waits = &fifo;
        current_->writes = writes;
        hand_over();
    }

    // Something changed in `fifo`: whoever waits for it can run again.
    void wake(const Fifo& fifo) {
        if (host_.waits == &fifo) make_ready(&host_);
        for (const auto& stage : stages_)
            if (stage->waits == &fifo) make_ready(stage.get());
    }

    void enrol(Fifo* fifo) { fifos_.push_back(fifo); }
    void dismiss(Fifo* fifo) {
        fifos_.erase(std::find(fifos_.begin(), fifos_.end(), fifo));
        if (fifo->usage.writes == 0 || fifo->depth == 0) return;
        Usage& all = usage_[fifo->name];
        all.depth = fifo->depth;
        all.peak = std::max(all.peak, fifo->usage.peak);
        all.writes += fifo->usage.writes;
        all.write_stalls += fifo->usage.write_stalls;
        all.read_stalls += fifo->usage.read_stalls;
    }

    // One line a bounded FIFO that has been used and is gone: depth, most ever held, writes, stalls.
    std::string occupancy() const {
        std::ostringstream text;
        for (const auto& [name, u] : usage_)
            text << "fifo " << name << ": depth " << u.depth << ", peak " << u.peak << ", writes " << u.writes
                 << ", stalled writes " << u.write_stalls << ", stalled reads " << u.read_stalls << '\n';
        return text.str();
    }

  private:
    static constexpr size_t kStack = size_t{4} << 20;  // reserved; the system backs what is touched

    Simulation() { host_.name = "the test bench"; }

    static void enter() {
        Simulation& s = get();
        Stage* stage = s.current_;
        try {
            stage->body();
        } catch (...) {
            stage->error = std::current_exception();
        }
        stage->done = true;
        if (--stage->parent->running == 0 && stage->parent->joining) s.make_ready(stage->parent);
        s.hand_over();
    }

    void* take_stack() {
        if (!free_stacks_.empty()) {
            void* stack = free_stacks_.back();
            free_stacks_.pop_back();
            return stack;
        }
        void* stack = mmap(nullptr, kStack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (stack == MAP_FAILED) throw std::runtime_error("no memory for the stack of a simulated stage");
        return stack;
    }

    void make_ready(Stage* stage) {
        stage->waits = nullptr;
        ready_.push_back(stage);
    }

    void hand_over() {
        Stage* from = current_;
        if (ready_.empty()) {
            failure_ = why();
            current_ = &host_;
        } else {
            current_ = ready_.front();
            ready_.pop_front();
        }
        if (current_ != from) swapcontext(&from->context, &current_->context);
        if (current_ == &host_ && failure_) std::rethrow_exception(failure_);
    }

    // Why nothing can run: an error that ended a stage for which others wait, or else a deadlock.
    std::exception_ptr why() const {
        for (const auto& stage : stages_)
            if (stage->error) return stage->error;
        return std::make_exception_ptr(Deadlock(describe()));
    }

    std::string describe() const {
        std::ostringstream text;
        text << "deadlock: nothing can run";
        const auto tell = [&](const Stage& stage) {
            if (stage.waits != nullptr)
                text << "\n  " << stage.name << " waits to " << (stage.writes ? "write " : "read ")
                     << stage.waits->name;
        };
        tell(host_);
        for (const auto& stage : stages_) tell(*stage);
        for (const Fifo* fifo : fifos_) {
            text << "\n  fifo " << fifo->name << " holds " << fifo->held;
            if (fifo->depth > 0) text << " of " << fifo->depth;
        }
        return text.str();
    }

    Stage host_;
    Stage* current_ = &host_;
    std::vector<std::unique_ptr<Stage>> stages_;
    std::deque<Stage*> ready_;
    std::vector<Fifo*> fifos_;
    std::vector<void*> free_stacks_;
    std::map<std::string, Usage> usage_;
    std::exception_ptr failure_;
};

// The stages of one DATAFLOW region; its end waits for them.
class Region {
  public:
    Region() = default;
    Region(const Region&) = delete;
    Region& operator=(const Region&) = delete;
    ~Region() noexcept(false) {
        if (std::uncaught_exceptions() == 0) Simulation::get().join();
    }
    template <class Body>
    void stage(const char* name, Body body) {
        Simulation::get().start(std::string(name).substr(0, std::string(name).find('(')), std::move(body));
    }
};

}  // namespace moiety_shim
