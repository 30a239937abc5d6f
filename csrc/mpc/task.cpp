#include "mpc/task.hpp"

#include <ctime>

#include "core/check.hpp"

namespace moiety::mpc {

double process_cpu_seconds() {
    timespec now{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

void Hop::await_suspend(Task::Handle handle) {
    Scheduler& scheduler = *handle.promise().scheduler;
    Scheduler::Slot& slot = scheduler.slots_[static_cast<size_t>(scheduler.current_)];
    slot.waiting = handle;
    slot.out = std::move(out);
    slot.in = std::move(in);
}

void Scheduler::resume(int index, std::coroutine_handle<> handle) {
    const double before = process_cpu_seconds();
    current_ = index;
    slots_[static_cast<size_t>(index)].waiting = {};
    handle.resume();
    current_ = -1;
    Slot& slot = slots_[static_cast<size_t>(index)];
    slot.stats.cpu_seconds += process_cpu_seconds() - before;
    if (slot.task->done()) {
        slot.done = true;
        if (const auto error = slot.task->handle().promise().error) std::rethrow_exception(error);
    }
}

int Scheduler::start(Task task) {
    const int index = static_cast<int>(slots_.size());
    task.handle().promise().scheduler = this;
    Slot slot;
    slot.task = std::make_unique<Task>(std::move(task));
    const auto handle = slot.task->handle();
    slots_.push_back(std::move(slot));
    resume(index, handle);
    if (!slots_.back().done) pending_.push_back(index);
    return index;
}

bool Scheduler::step() {
    if (pending_.empty()) return false;
    std::vector<Bytes> out;
    std::vector<MutableBytes> in;
    for (int index : pending_) {
        Slot& slot = slots_[static_cast<size_t>(index)];
        for (Bytes part : slot.out) slot.stats.bytes_sent += static_cast<int64_t>(part.size());
        for (MutableBytes part : slot.in) slot.stats.bytes_received += static_cast<int64_t>(part.size());
        ++slot.stats.rounds;
        out.insert(out.end(), slot.out.begin(), slot.out.end());
        in.insert(in.end(), slot.in.begin(), slot.in.end());
    }
    const double before = process_cpu_seconds();
    channel_->hop(out, in);
    hop_cpu_seconds_ += process_cpu_seconds() - before;
    ++rounds_;
    std::vector<int> still;
    for (int index : std::exchange(pending_, {})) {
        resume(index, slots_[static_cast<size_t>(index)].waiting);
        if (!slots_[static_cast<size_t>(index)].done) still.push_back(index);
    }
    pending_ = std::move(still);
    return true;
}

bool Scheduler::done(int task) const {
    check(task >= 0 && task < static_cast<int>(slots_.size()), "no task has number ", task);
    return slots_[static_cast<size_t>(task)].done;
}

Scheduler::Stats Scheduler::stats(int task) const {
    check(task >= 0 && task < static_cast<int>(slots_.size()), "no task has number ", task);
    return slots_[static_cast<size_t>(task)].stats;
}

void Scheduler::release(int task) {
    check(done(task), "task ", task, " is still under way");
    slots_[static_cast<size_t>(task)].task.reset();
}

}  // namespace moiety::mpc
