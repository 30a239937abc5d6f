#include <pybind11/functional.h>
#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <map>
#include <memory>

#include "core/memory.hpp"
#include "mpc/compare.hpp"
#include "mpc/extremes.hpp"
#include "mpc/linear.hpp"
#include "mpc/pool.hpp"
#include "mpc/product.hpp"
#include "mpc/sparse.hpp"
#include "register.hpp"

namespace py = pybind11;
using namespace moiety;
using namespace moiety::mpc;

namespace {

template <class T>
using Array = py::array_t<T, py::array::c_style>;

template <class T>
std::span<const T> span_of(const Array<T>& a) {
    return {a.data(), static_cast<size_t>(a.size())};
}

// Hands the storage over to NumPy without a copy.
template <class T>
py::array_t<T> to_numpy(Buffer<T>&& buffer) {
    auto* owner = new Buffer<T>(std::move(buffer));
    return py::array_t<T>(owner->size(), owner->data(),
                          py::capsule(owner, [](void* p) { delete static_cast<Buffer<T>*>(p); }));
}
py::array_t<uint8_t> to_numpy(std::vector<uint8_t>&& bytes) {
    auto* owner = new std::vector<uint8_t>(std::move(bytes));
    return py::array_t<uint8_t>(static_cast<py::ssize_t>(owner->size()), owner->data(),
                                py::capsule(owner, [](void* p) { delete static_cast<std::vector<uint8_t>*>(p); }));
}

crypto::Block block_of(const py::bytes& bytes, const char* what) {
    const std::string text = bytes;
    check(text.size() == 16, what, " must have 16 bytes, got ", text.size());
    crypto::Block block;
    std::copy(text.begin(), text.end(), block.begin());
    return block;
}

std::array<int64_t, 3> triple(const py::dict& d, const char* key, int64_t fallback) {
    if (!d.contains(key)) return {fallback, fallback, fallback};
    const auto values = d[key].cast<std::vector<int64_t>>();
    check(values.size() == 3, key, " must have three entries, got ", values.size());
    return {values[0], values[1], values[2]};
}

ring::ConvShape conv_of(const py::dict& d) {
    ring::ConvShape shape;
    const auto scalar = [&](const char* key, int64_t fallback) {
        return d.contains(key) ? d[key].cast<int64_t>() : fallback;
    };
    shape.batch = scalar("batch", 1);
    shape.in_channels = scalar("in_channels", 1);
    shape.out_channels = scalar("out_channels", 1);
    shape.groups = scalar("groups", 1);
    shape.in = triple(d, "in", 1);
    shape.kernel = triple(d, "kernel", 1);
    shape.stride = triple(d, "stride", 1);
    shape.padding = triple(d, "padding", 0);
    shape.dilation = triple(d, "dilation", 1);
    shape.output_padding = triple(d, "output_padding", 0);
    shape.transposed = d.contains("transposed") && d["transposed"].cast<bool>();
    shape.validate();
    return shape;
}

PoolShape pool_of(int64_t outer, const std::vector<std::array<int64_t, 6>>& axes) {
    PoolShape shape;
    shape.outer = outer;
    for (const auto& a : axes) shape.axes.push_back({a[0], a[1], a[2], a[3], a[4], a[5]});
    shape.validate();
    return shape;
}

std::shared_ptr<const Pattern> pattern_of(std::vector<int64_t> indptr, std::vector<int32_t> indices, int64_t columns) {
    auto pattern = std::make_shared<Pattern>(Pattern{std::move(indptr), std::move(indices), columns});
    pattern->validate();
    return pattern;
}

Exchange python_exchange(const py::object& transport) {
    // An owned reference: a bare attr() would not keep the transport alive.
    return [method = py::object(transport.attr("exchange"))](const std::vector<uint8_t>& out, int64_t n) {
        const py::gil_scoped_acquire gil;
        const py::bytes sent(reinterpret_cast<const char*>(out.data()), out.size());
        const py::buffer_info info = py::buffer(method(sent, n)).request();
        const auto* data = static_cast<const uint8_t*>(info.ptr);
        return std::vector<uint8_t>(data, data + info.size * info.itemsize);
    };
}

// A party with what Python must keep alive while its tasks run.
template <class T>
class PartyHandle {
  public:
    PartyHandle(bool server, std::shared_ptr<Channel> channel, int threads)
        : channel_(std::move(channel)), party_(server, *channel_, threads) {}

    Party<T>& party() { return party_; }
    Scheduler& scheduler() { return party_.scheduler(); }

    void load(std::vector<Request> requests, const py::bytes& seed, const std::vector<Array<T>>& weights) {
        std::vector<std::span<const T>> spans;
        for (const Array<T>& w : weights) spans.push_back(span_of(w));
        party_.load(std::move(requests), block_of(seed, "a seed"), std::move(spans));
        weights_ = weights;
    }
    void feed(int64_t index, const py::buffer& material) {
        const py::buffer_info info = material.request();
        const std::span<const uint8_t> bytes(static_cast<const uint8_t*>(info.ptr),
                                             static_cast<size_t>(info.size * info.itemsize));
        const py::gil_scoped_release release;
        party_.feed(index, bytes);
    }

    // Starts a protocol whose result has n elements; make(out) builds the task.
    template <class Make>
    int start(int64_t n, std::vector<py::object> keep, Make make) {
        auto result = std::make_unique<Buffer<T>>(n);
        T* out = result->data();
        int task;
        {
            const py::gil_scoped_release release;
            task = scheduler().start(make(out));
        }
        running_[task] = {std::move(result), std::move(keep)};
        return task;
    }
    bool step() {
        const py::gil_scoped_release release;
        return scheduler().step();
    }
    py::array_t<T> result(int task) {
        check(scheduler().done(task), "task ", task, " is still under way");
        const auto at = running_.find(task);
        check(at != running_.end(), "the result of task ", task, " was taken before");
        py::array_t<T> array = to_numpy(std::move(*at->second.result));
        running_.erase(at);
        scheduler().release(task);
        return array;
    }

  private:
    struct Running {
        std::unique_ptr<Buffer<T>> result;
        std::vector<py::object> keep;
    };
    std::shared_ptr<Channel> channel_;
    std::vector<Array<T>> weights_;
    std::map<int, Running> running_;  // before party_: a task's frame refers to these buffers
    Party<T> party_;
};

template <class T>
void register_party(py::module_& m, const char* name) {
    using Handle = PartyHandle<T>;
    py::class_<Handle>(m, name)
        .def(py::init<bool, std::shared_ptr<Channel>, int>(), py::arg("server"), py::arg("channel"), py::arg("threads"))
        .def("load", &Handle::load, py::arg("requests"), py::arg("seed"), py::arg("weights"))
        .def("feed", &Handle::feed, py::arg("index"), py::arg("material"))
        .def("linear",
             [](Handle& h, int64_t request, const py::object& opened) {
                 Array<T> held;
                 if (!opened.is_none()) held = opened.cast<Array<T>>();
                 Buffer<T> share;
                 {
                     const py::gil_scoped_release release;
                     share = h.party().linear(request, span_of(held));
                 }
                 return to_numpy(std::move(share));
             })
        .def("open",
             [](Handle& h, int64_t request, const Array<T>& x) {
                 return h.start(x.size(), {x}, [&](T* out) { return open<T>(h.party(), request, span_of(x), out); });
             })
        .def("truncate",
             [](Handle& h, int64_t request, const Array<T>& x, int shift) {
                 return h.start(x.size(), {x},
                                [&](T* out) { return truncate<T>(h.party(), request, span_of(x), shift, out); });
             })
        .def("extend",
             [](Handle& h, int64_t request, const Array<T>& x, int bits, bool is_signed) {
                 return h.start(x.size(), {x}, [&](T* out) {
                     return extend<T>(h.party(), request, span_of(x), bits, is_signed, out);
                 });
             })
        .def("relu",
             [](Handle& h, int64_t request, const Array<T>& x) {
                 return h.start(x.size(), {x}, [&](T* out) { return relu<T>(h.party(), request, span_of(x), out); });
             })
        .def("hardtanh",
             [](Handle& h, int64_t request, const Array<T>& x, int64_t low, int64_t high) {
                 return h.start(x.size(), {x}, [&](T* out) {
                     return hardtanh<T>(h.party(), request, span_of(x), static_cast<T>(low), static_cast<T>(high), out);
                 });
             })
        .def("piecewise",
             [](Handle& h, int64_t request, const Array<T>& x, const std::vector<int64_t>& thresholds,
                const std::vector<int64_t>& slopes, int64_t offset) {
                 Pieces<T> pieces{
                     {thresholds.begin(), thresholds.end()}, {slopes.begin(), slopes.end()}, static_cast<T>(offset)};
                 return h.start(x.size(), {x}, [&](T* out) {
                     return piecewise<T>(h.party(), request, span_of(x), std::move(pieces), out);
                 });
             })
        .def("indicator",
             [](Handle& h, int64_t request, const Array<T>& x) {
                 return h.start(x.size(), {x},
                                [&](T* out) { return compare_select<T>(h.party(), request, span_of(x), {}, {}, out); });
             })
        .def("maxpool",
             [](Handle& h, int64_t first, const Array<T>& x, int64_t outer,
                const std::vector<std::array<int64_t, 6>>& axes) {
                 const PoolShape shape = pool_of(outer, axes);
                 return h.start(shape.out_size(), {x},
                                [&](T* out) { return maxpool<T>(h.party(), first, span_of(x), shape, out); });
             })
        .def("argmax",
             [](Handle& h, int64_t first, const Array<T>& x, int64_t batch, int64_t classes) {
                 return h.start(batch, {x},
                                [&](T* out) { return argmax<T>(h.party(), first, span_of(x), batch, classes, out); });
             })
        .def("square",
             [](Handle& h, int64_t request, const Array<T>& x) {
                 return h.start(x.size(), {x}, [&](T* out) { return square<T>(h.party(), request, span_of(x), out); });
             })
        .def("multiply",
             [](Handle& h, int64_t request, const Array<T>& x, const Array<T>& y) {
                 return h.start(x.size(), {x, y},
                                [&](T* out) { return multiply<T>(h.party(), request, span_of(x), span_of(y), out); });
             })
        .def("x2",
             [](Handle& h, int64_t request, const Array<T>& y, const py::object& coefficients, int64_t channels,
                int64_t inner) {
                 X2Coefficients<T> c{nullptr, nullptr, nullptr, channels, inner};
                 if (h.party().server()) {
                     const auto arrays = coefficients.cast<std::array<Array<T>, 3>>();
                     for (const Array<T>& a : arrays)
                         check(a.size() == channels, "x2 needs ", channels, " coefficients, got ", a.size());
                     c.c2 = arrays[0].data();
                     c.c1 = arrays[1].data();
                     c.c0 = arrays[2].data();
                 }
                 return h.start(y.size(), {y, coefficients},
                                [&](T* out) { return x2<T>(h.party(), request, span_of(y), c, out); });
             })
        .def("sparse_multiply",
             [](Handle& h, int64_t request, const Array<T>& values, const Array<T>& x) {
                 const int64_t n = h.party().request(request, Kind::sparse).n;
                 return h.start(n, {values, x}, [&](T* out) {
                     return sparse_multiply<T>(h.party(), request, span_of(values), span_of(x), out);
                 });
             })
        .def("extremes",
             [](Handle& h, int64_t first, const Array<T>& x, const std::vector<int64_t>& indptr,
                const std::vector<int32_t>& indices, int64_t columns, int64_t slack) {
                 check(slack >= 0, "extremes take a slack of at least 0, got ", slack);
                 const auto rows = pattern_of(indptr, indices, columns);
                 check(x.size() % columns == 0, "extremes of ", columns, " columns got ", x.size(), " elements");
                 const int64_t batch = x.size() / columns;
                 return h.start(2 * batch * rows->entries(), {x}, [&](T* out) {
                     return extremes<T>(h.party(), first, span_of(x), rows, batch, static_cast<T>(slack), out);
                 });
             })
        .def("disclose",
             [](Handle& h, const Array<T>& bits) {
                 return h.start(bits.size(), {bits},
                                [&](T* out) { return disclose<T>(h.party(), span_of(bits), out); });
             })
        .def("reveal",
             [](Handle& h, const Array<T>& x, int bits) {
                 return h.start(x.size(), {x}, [&](T* out) { return reveal<T>(h.party(), span_of(x), bits, out); });
             })
        .def("step", &Handle::step)
        .def_property_readonly("server", [](Handle& h) { return h.party().server(); })
        .def("done", [](Handle& h, int task) { return h.scheduler().done(task); })
        .def("result", &Handle::result)
        .def("stats",
             [](Handle& h, int task) {
                 const Scheduler::Stats s = h.scheduler().stats(task);
                 return py::make_tuple(s.bytes_sent, s.bytes_received, s.rounds, s.cpu_seconds);
             })
        .def_property_readonly("rounds", [](Handle& h) { return h.scheduler().rounds(); })
        .def_property_readonly("hop_cpu_seconds", [](Handle& h) { return h.scheduler().hop_cpu_seconds(); });
}

template <class T>
void register_dealer(py::module_& m, const char* name) {
    using D = Dealer<T>;
    py::class_<D>(m, name)
        .def(py::init([](std::vector<Request> requests, const py::bytes& server, const py::bytes& client,
                         const py::bytes& weight, int threads) {
                 return std::make_unique<D>(std::move(requests), block_of(server, "a seed"), block_of(client, "a seed"),
                                            block_of(weight, "a seed"), threads);
             }),
             py::arg("requests"), py::arg("server_seed"), py::arg("client_seed"), py::arg("weight_seed"),
             py::arg("threads"))
        .def("deal",
             [](const D& dealer, int64_t index) {
                 typename D::Dealt dealt;
                 {
                     const py::gil_scoped_release release;
                     dealt = dealer.deal(index);
                 }
                 return py::make_tuple(to_numpy(std::move(dealt.server)), to_numpy(std::move(dealt.client)));
             })
        .def("__len__", &D::size);
}

void register_request(py::module_& m) {
    py::class_<Request>(m, "Request")
        .def(py::init([](const std::string& kind, int64_t n, int bits, std::vector<int> operands, bool self_operand,
                         int indicator_bits, const py::object& conv, int layer, std::vector<int> masks, int64_t batch,
                         std::vector<int64_t> shape, std::vector<int64_t> strides, int64_t offset,
                         std::vector<int64_t> indptr, std::vector<int32_t> indices, int64_t columns) {
                 Request r;
                 r.kind = kind_from_name(kind);
                 r.n = n;
                 r.bits = bits;
                 r.operands = std::move(operands);
                 r.self_operand = self_operand;
                 r.indicator_bits = indicator_bits;
                 if (!conv.is_none()) r.conv = conv_of(conv.cast<py::dict>());
                 r.layer = layer;
                 r.masks = std::move(masks);
                 r.batch = batch;
                 r.view = {std::move(shape), std::move(strides), offset};
                 if (!indptr.empty()) r.pattern = pattern_of(std::move(indptr), std::move(indices), columns);
                 r.validate(64);
                 return r;
             }),
             py::arg("kind"), py::arg("n"), py::arg("bits") = 0, py::arg("operands") = std::vector<int>{},
             py::arg("self_operand") = false, py::arg("indicator_bits") = 0, py::arg("conv") = py::none(),
             py::arg("layer") = -1, py::arg("masks") = std::vector<int>{}, py::arg("batch") = 1,
             py::arg("shape") = std::vector<int64_t>{}, py::arg("strides") = std::vector<int64_t>{},
             py::arg("offset") = 0, py::arg("indptr") = std::vector<int64_t>{},
             py::arg("indices") = std::vector<int32_t>{}, py::arg("columns") = 0)
        .def(
            "server_bytes", [](const Request& r, int ring) { return server_bytes(r, ring); }, py::arg("ring"))
        .def(
            "client_bytes", [](const Request& r, int ring) { return client_bytes(r, ring); }, py::arg("ring"))
        .def_property_readonly("kind", [](const Request& r) { return kind_name(r.kind); })
        .def_readonly("n", &Request::n)
        .def_readonly("bits", &Request::bits)
        .def_property_readonly("macs",
                               [](const Request& r) { return r.kind == Kind::linear ? r.conv.macs() : int64_t{0}; });
}

void register_channel(py::module_& m) {
    py::class_<Channel, std::shared_ptr<Channel>>(m, "Channel")
        .def(
            "send",
            [](Channel& c, int tag, const py::buffer& payload) {
                const py::buffer_info info = payload.request();
                check(tag >= 1 && tag <= 4, "a frame tag is 1 to 4, got ", tag);
                const Bytes bytes(static_cast<const uint8_t*>(info.ptr),
                                  static_cast<size_t>(info.size * info.itemsize));
                const py::gil_scoped_release release;
                c.send(static_cast<Tag>(tag), bytes);
            },
            py::arg("tag"), py::arg("payload"))
        .def(
            "recv",
            [](Channel& c, uint64_t limit) {
                std::pair<Tag, std::vector<uint8_t>> frame;
                {
                    const py::gil_scoped_release release;
                    frame = c.receive(limit);
                }
                return py::make_tuple(static_cast<int>(frame.first), to_numpy(std::move(frame.second)));
            },
            py::arg("limit") = uint64_t{1} << 33)
        .def("close",
             [](Channel& c) {
                 const py::gil_scoped_release release;
                 c.close();
             })
        .def_property_readonly("bytes_sent", &Channel::bytes_sent)
        .def_property_readonly("bytes_received", &Channel::bytes_received)
        .def_property_readonly("frames_sent", &Channel::frames_sent);
    m.def(
        "channel_pair",
        [](double timeout, double rtt_ms, double mbit) {
            auto [a, b] = memory_channels(timeout, {rtt_ms, mbit});
            return std::make_pair(std::shared_ptr<Channel>(std::move(a)), std::shared_ptr<Channel>(std::move(b)));
        },
        py::arg("timeout_s") = 30.0, py::arg("rtt_ms") = 0.0, py::arg("mbit") = 0.0);
    m.def(
        "socket_channel",
        [](int fd, double timeout, double rtt_ms, double mbit) {
            return std::shared_ptr<Channel>(socket_channel(fd, timeout, {rtt_ms, mbit}));
        },
        py::arg("fd"), py::arg("timeout_s") = 30.0, py::arg("rtt_ms") = 0.0, py::arg("mbit") = 0.0);
    m.def(
        "callback_channel",
        [](const py::object& transport, double timeout, double rtt_ms, double mbit) {
            std::function<void()> close = [method = py::object(transport.attr("close"))] {
                const py::gil_scoped_acquire gil;
                method();
            };
            return std::shared_ptr<Channel>(
                callback_channel(python_exchange(transport), std::move(close), timeout, {rtt_ms, mbit}));
        },
        py::arg("transport"), py::arg("timeout_s") = 30.0, py::arg("rtt_ms") = 0.0, py::arg("mbit") = 0.0);
}

}  // namespace

void register_mpc(py::module_& parent) {
    py::module_ m = parent.def_submodule("mpc", "Two-party protocols; see docs/engine.md.");
    register_request(m);
    register_channel(m);
    register_dealer<uint32_t>(m, "Dealer32");
    register_dealer<uint64_t>(m, "Dealer64");
    register_party<uint32_t>(m, "Party32");
    register_party<uint64_t>(m, "Party64");
    m.def(
        "Party",
        [](const std::string& role, int ring, std::shared_ptr<Channel> channel, int threads) -> py::object {
            check(role == "server" || role == "client", "a party is the server or the client, got ", role);
            check(ring == 32 || ring == 64, "the ring is 32 or 64, got ", ring);
            if (ring == 32)
                return py::cast(std::make_unique<PartyHandle<uint32_t>>(role == "server", std::move(channel), threads));
            return py::cast(std::make_unique<PartyHandle<uint64_t>>(role == "server", std::move(channel), threads));
        },
        py::arg("role"), py::arg("ring"), py::arg("channel"), py::arg("threads") = 1);
    m.def(
        "Dealer",
        [m](int ring, const py::object& requests, const py::bytes& server_seed, const py::bytes& client_seed,
            const py::bytes& weight_seed, int threads) -> py::object {
            check(ring == 32 || ring == 64, "the ring is 32 or 64, got ", ring);
            return m.attr(ring == 32 ? "Dealer32" : "Dealer64")(requests, server_seed, client_seed, weight_seed,
                                                                threads);
        },
        py::arg("ring"), py::arg("requests"), py::arg("server_seed"), py::arg("client_seed"), py::arg("weight_seed"),
        py::arg("threads") = 1);
    m.def(
        "weight_mask",
        [](int ring, const py::bytes& seed, int layer, int64_t n) -> py::object {
            check(ring == 32 || ring == 64, "the ring is 32 or 64, got ", ring);
            check(n > 0 && layer >= 0, "a weight mask needs a layer and a size, got ", layer, " and ", n);
            const crypto::Block block = block_of(seed, "a seed");
            if (ring == 32) return to_numpy(weight_mask<uint32_t>(block, layer, n));
            return to_numpy(weight_mask<uint64_t>(block, layer, n));
        },
        py::arg("ring"), py::arg("seed"), py::arg("layer"), py::arg("n"));
    m.def(
        "circuit_planes",
        [](int bits) {
            const CircuitShape shape(bits);
            std::vector<int> planes{shape.positions()};
            for (int level = 0; level < shape.levels(); ++level) planes.push_back(shape.opened_planes(level));
            return planes;
        },
        "Bit planes that each party opens in each hop of a comparison of `bits` bits.");
    m.def("pool_comparisons", [](int64_t outer, const std::vector<std::array<int64_t, 6>>& axes) {
        return pool_of(outer, axes).comparisons();
    });
    m.def(
        "extremes_pairs",
        [](const std::vector<int64_t>& indptr, const std::vector<int32_t>& indices, int64_t columns) {
            return extremes_pairs(*pattern_of(indptr, indices, columns));
        },
        "Pairs that meet at each level of the tournaments of `extremes`, over all rows.");
    m.def("argmax_comparisons", [](int64_t batch, int64_t classes) {
        check(batch > 0 && classes > 0, "argmax needs positive sizes, got ", batch, " x ", classes);
        return argmax_comparisons(batch, classes);
    });
    m.def("random_block", [] {
        const crypto::Block block = crypto::random_block();
        return py::bytes(reinterpret_cast<const char*>(block.data()), block.size());
    });
    m.def("process_cpu_seconds", &process_cpu_seconds);
    m.def("retain_memory", &retain_memory, "Keep freed memory in this process; for party processes.");
}
