// Every byte that each party sends and is dealt, in the deterministic mode, against the hashes in
// tests/golden/transcripts.txt: a refactoring that changes no wire byte changes no hash. `--print` writes the lines of
// that file (tests/golden/make_transcripts.py).
#include <cstdio>
#include <cstring>
#include <fstream>
#include <map>
#include <string>

#include "check.hpp"
#include "core/cpu.hpp"
#include "deterministic_secrets.hpp"
#include "mpc/compare.hpp"
#include "mpc/linear.hpp"
#include "mpc/parties.hpp"
#include "mpc/pool.hpp"
#include "mpc/product.hpp"
#include "sha256.hpp"

using namespace moiety;
using namespace moiety::mpc;

namespace {

using Transcripts = std::map<std::string, std::string>;

template <class T>
std::vector<T> drawn(int64_t n) {
    std::vector<T> values(static_cast<size_t>(n));
    crypto::random_bytes({reinterpret_cast<uint8_t*>(values.data()), values.size() * sizeof(T)});
    return values;
}

Request request(Kind kind, int64_t n, int bits = 0, std::vector<int> operands = {}) {
    Request r;
    r.kind = kind;
    r.n = n;
    r.bits = bits;
    r.self_operand = !operands.empty();
    r.operands = std::move(operands);
    return r;
}

template <class T>
class Recorder {
  public:
    explicit Recorder(Transcripts& to) : to_(to) {}

    // make(party, x, out): x is this party's share of n elements, out has room for n.
    template <class Make>
    void protocol(const std::string& name, std::vector<Request> requests, int64_t n, Make make,
                  std::vector<T> weights = {}) {
        crypto::seed_deterministic_secrets(sizeof(T) * 1000 + to_.size());
        const std::vector<T> a = drawn<T>(n), b = drawn<T>(n);
        test::Session<T> session(requests, std::move(weights));
        std::vector<T> out[2] = {std::vector<T>(static_cast<size_t>(n)), std::vector<T>(static_cast<size_t>(n))};
        session.run([&](Party<T>& party, bool server) {
            return make(party, std::span<const T>(server ? a : b), out[server ? 0 : 1].data());
        });
        const std::string prefix = name + "/u" + std::to_string(8 * sizeof(T));
        to_[prefix + "/server"] = test::sha256(session.forth.bytes);
        to_[prefix + "/client"] = test::sha256(session.back.bytes);
        std::vector<uint8_t> dealt;
        for (const auto& material : session.dealt) dealt.insert(dealt.end(), material.begin(), material.end());
        to_[prefix + "/dealer"] = test::sha256(dealt);
    }

  private:
    Transcripts& to_;
};

// x -> conv(open(x)): the opening is the protocol, the map is local.
template <class T>
Task open_and_map(Party<T>& party, std::span<const T> x, T* out) {
    co_await open<T>(party, 0, x, out);
    const Buffer<T> share = party.linear(1, party.server() ? std::span<const T>(out, x.size()) : std::span<const T>());
    // What comes of it goes to the client, so that the share is in the transcript.
    std::copy(share.data(), share.data() + share.size(), out);
    std::vector<T> revealed(x.size());
    co_await reveal<T>(party, std::span<const T>(share.data(), static_cast<size_t>(share.size())), 8 * sizeof(T),
                       revealed.data());
}

template <class T>
void record(Transcripts& to) {
    Recorder<T> recorder(to);
    constexpr int ring = 8 * sizeof(T);
    ring::ConvShape conv;
    conv.in_channels = 2;
    conv.out_channels = 2;
    conv.in = {1, 5, 5};
    conv.kernel = {1, 3, 3};
    conv.padding = {0, 1, 1};
    Request linear = request(Kind::linear, 50);
    linear.conv = conv;
    linear.layer = 0;
    linear.masks = {0};
    std::vector<T> weights(36);
    for (size_t i = 0; i < weights.size(); ++i) weights[i] = static_cast<T>(i * i * 77777 - 5);
    recorder.protocol(
        "linear", {request(Kind::mask, 50), linear}, 50,
        [](Party<T>& p, std::span<const T> x, T* out) { return open_and_map<T>(p, x, out); }, weights);
    recorder.protocol("truncate", {request(Kind::bit_product, 100, 13)}, 100,
                      [](Party<T>& p, std::span<const T> x, T* out) { return truncate<T>(p, 0, x, 13, out); });
    recorder.protocol("extend", {request(Kind::bit_product, 100, ring - 22)}, 100,
                      [](Party<T>& p, std::span<const T> x, T* out) { return extend<T>(p, 0, x, 22, true, out); });
    for (Kind kind : {Kind::circuit, Kind::dcf}) {
        const std::string name = kind_name(kind);
        for (int k : {2, 6, 22, ring})
            recorder.protocol(name + "_relu_" + std::to_string(k), {request(kind, 150, k, {k})}, 150,
                              [](Party<T>& p, std::span<const T> x, T* out) { return relu<T>(p, 0, x, out); });
        recorder.protocol(
            name + "_hardtanh", {request(kind, 140, 22, {22})}, 70,
            [](Party<T>& p, std::span<const T> x, T* out) { return hardtanh<T>(p, 0, x, 0, 6 << 16, out); });
        Request flag = request(kind, 90, 17);
        flag.indicator_bits = 9;
        recorder.protocol(name + "_indicator", {flag}, 90, [](Party<T>& p, std::span<const T> x, T* out) {
            return compare_select<T>(p, 0, x, {}, {}, out);
        });
        PoolShape pool;
        pool.outer = 3;
        pool.axes = {{5, 3, 2, 1, 1, 3}, {6, 2, 2, 0, 1, 3}};
        std::vector<Request> levels;
        for (int64_t count : pool.comparisons()) levels.push_back(request(kind, count, 20, {20}));
        recorder.protocol(name + "_maxpool", levels, 90,
                          [pool](Party<T>& p, std::span<const T> x, T* out) { return maxpool<T>(p, 0, x, pool, out); });
        levels.clear();
        for (int64_t count : argmax_comparisons(8, 10)) levels.push_back(request(kind, count, 24, {24, 4}));
        recorder.protocol(name + "_argmax", levels, 80,
                          [](Party<T>& p, std::span<const T> x, T* out) { return argmax<T>(p, 0, x, 8, 10, out); });
    }
    recorder.protocol("square", {request(Kind::cross, 60)}, 60,
                      [](Party<T>& p, std::span<const T> x, T* out) { return square<T>(p, 0, x, out); });
    recorder.protocol("multiply", {request(Kind::cross, 60), request(Kind::cross, 60)}, 60,
                      [](Party<T>& p, std::span<const T> x, T* out) { return multiply<T>(p, 0, x, x, out); });
    static const T coefficients[9] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
    Request depthwise = request(Kind::linear, 60);
    depthwise.conv.in_channels = depthwise.conv.out_channels = depthwise.conv.groups = 3;
    depthwise.conv.in = {1, 1, 20};
    depthwise.layer = 0;
    depthwise.masks = {1};
    recorder.protocol(
        "x2", {request(Kind::cross, 60), request(Kind::mask, 60), depthwise}, 60,
        [](Party<T>& p, std::span<const T> x, T* out) {
            return x2<T>(p, 0, x, {coefficients, coefficients + 3, coefficients + 6, 3, 20}, out);
        },
        std::vector<T>(coefficients, coefficients + 3));
    recorder.protocol("reveal", {}, 77,
                      [](Party<T>& p, std::span<const T> x, T* out) { return reveal<T>(p, x, 21, out); });
}

// What came later: a protocol's seed follows from how many were recorded before it.
template <class T>
void record_later(Transcripts& to) {
    Recorder<T> recorder(to);
    for (Kind kind : {Kind::circuit, Kind::dcf})
        recorder.protocol(kind_name(kind) + "_piecewise", {request(kind, 210, 16, {16})}, 70,
                          [](Party<T>& p, std::span<const T> x, T* out) {
                              return piecewise<T>(p, 0, x, {{T(-900), 0, 900}, {7, T(-2), T(-5)}, 11}, out);
                          });
}

Transcripts record_all() {
    Transcripts found;
    record<uint32_t>(found);
    record<uint64_t>(found);
    record_later<uint32_t>(found);
    record_later<uint64_t>(found);
    return found;
}

}  // namespace

int main(int argc, char** argv) {
    EXPECT(test::sha256({}) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    EXPECT(test::sha256({'a', 'b', 'c'}) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    const Transcripts found = record_all();
    if (argc > 1 && std::strcmp(argv[1], "--print") == 0) {
        for (const auto& [name, hash] : found) std::printf("%s %s\n", name.c_str(), hash.c_str());
        return 0;
    }
    std::ifstream file(MOIETY_GOLDEN "/transcripts.txt");
    Transcripts golden;
    for (std::string name, hash; file >> name >> hash;) golden[name] = hash;
    EXPECT(golden.size() == found.size());
    for (const auto& [name, hash] : found) {
        const auto at = golden.find(name);
        if (at == golden.end() || at->second != hash)
            std::fprintf(stderr, "the transcript %s has changed\n", name.c_str());
        EXPECT(at != golden.end() && at->second == hash);
    }
    // The same on every instruction set, and again in the same process.
    const Isa widest = isa();
    for (Isa level : {Isa::scalar, Isa::avx2, Isa::avx512}) {
        if (level > widest) continue;
        set_isa(level);
        EXPECT(record_all() == found);
    }
    return test::report();
}
