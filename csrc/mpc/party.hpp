// One party of a session: its role, ring, correlations and the scheduler over its channel.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "core/check.hpp"
#include "mpc/correlation.hpp"
#include "mpc/task.hpp"

namespace moiety::mpc {

template <class T>
class Party {
  public:
    static constexpr int ring_bits = 8 * sizeof(T);

    Party(bool server, Channel& channel, int threads) : server_(server), threads_(threads), scheduler_(channel) {}

    bool server() const { return server_; }
    int threads() const { return threads_; }
    Scheduler& scheduler() { return scheduler_; }

    // Takes a plan and this party's seed for it. `weights` by layer: W at the server, E = W - A at the client; they are
    // kept by reference and must outlive the party. Correlations left from an earlier plan are dropped.
    void load(std::vector<Request> requests, const crypto::Block& seed, std::vector<std::span<const T>> weights);
    // Offline: expands request i from its streamed bytes; requests come in order. At the client a linear request also
    // computes its share of the output, E*B + C_C, so that nothing is left of it online.
    void feed(int64_t index, std::span<const uint8_t> streamed);
    int64_t fed() const { return fed_; }

    Kind kind(int64_t index) const;
    // The request, which must be of that kind.
    const Request& request(int64_t index, Kind kind) const;
    // Hands out the material of one request; a second time is refused.
    Material<T> take(int64_t index, Kind kind);

    // Online, local: the share of a linear layer (without its bias). S: W * opened + C_S; C: what feed() prepared.
    Buffer<T> linear(int64_t index, std::span<const T> opened);

  private:
    void require_fed(int64_t index) const;

    bool server_;
    int threads_;
    Scheduler scheduler_;
    std::vector<Request> requests_;
    crypto::Block seed_{};
    std::vector<std::span<const T>> weights_;
    std::vector<Material<T>> materials_;
    int64_t fed_ = 0;
};

extern template class Party<uint32_t>;
extern template class Party<uint64_t>;

}  // namespace moiety::mpc
