#include <pybind11/numpy.h>

#include <cstring>
#include <span>
#include <string_view>

#include "bindings/arrays.hpp"
#include "core/check.hpp"
#include "crypto/aes.hpp"
#include "crypto/bits.hpp"
#include "crypto/dcf.hpp"
#include "crypto/hash.hpp"
#include "crypto/prg.hpp"
#include "register.hpp"

namespace py = pybind11;
namespace crypto = moiety::crypto;
using crypto::Block;
using moiety::check;

namespace {

using moiety::bindings::Array;
using moiety::bindings::in;
using moiety::bindings::out;

void check_blocks(const char* what, const Array<uint8_t>& a) {
    check(a.ndim() == 2 && a.shape(1) == 16, what, ": expected bytes of shape (blocks, 16), got ", a.ndim(),
          " dimensions and ", a.size(), " bytes");
}

// Block has no padding and no alignment, so rows of 16 bytes are blocks.
static_assert(sizeof(Block) == 16 && alignof(Block) == 1);

std::span<const Block> blocks(const char* what, const Array<uint8_t>& a) {
    check_blocks(what, a);
    return {reinterpret_cast<const Block*>(a.data()), static_cast<size_t>(a.shape(0))};
}

Block key_of(const py::bytes& bytes) {
    const std::string_view view = bytes;
    check(view.size() == 16, "expected a key of 16 bytes, got ", view.size());
    Block key;
    std::memcpy(key.data(), view.data(), key.size());
    return key;
}

void aes_encrypt(const py::bytes& key, const Array<uint8_t>& x, Array<uint8_t>& y) {
    check_blocks("x", x);
    check_blocks("out", y);
    check(x.size() == y.size(), "expected out of ", x.size(), " bytes, got ", y.size());
    const Block block = key_of(key);
    const auto source = in(x);
    const auto target = out(y);
    const py::gil_scoped_release release;
    crypto::aes_encrypt(crypto::aes_expand_key(block), source.data(), target.data(),
                        static_cast<int64_t>(source.size() / 16));
}

void prg_fill(const py::bytes& key, uint64_t nonce, uint64_t offset, Array<uint8_t>& y) {
    const Block block = key_of(key);
    const auto target = out(y);
    const py::gil_scoped_release release;
    crypto::Prg prg(block, nonce);
    prg.seek(offset);
    prg.fill(target);
}

void hash(const Array<uint8_t>& x, uint64_t first_tweak, Array<uint8_t>& y) {
    const auto source = blocks("x", x);
    check_blocks("out", y);
    const std::span<Block> target{reinterpret_cast<Block*>(y.mutable_data()), static_cast<size_t>(y.shape(0))};
    const py::gil_scoped_release release;
    crypto::hash(source, first_tweak, target);
}

void check_words(const py::array& planes, int64_t n) {
    check(planes.ndim() == 2 && planes.shape(1) >= crypto::words_for(n), "planes: expected shape (bits, at least ",
          crypto::words_for(n), " words), got ", planes.ndim(), " dimensions and ", planes.size(), " words");
}

template <class T>
void to_planes(const Array<T>& x, int first, Array<uint64_t>& planes) {
    const auto source = in(x);
    const int64_t n = static_cast<int64_t>(source.size());
    check_words(planes, n);
    const int count = static_cast<int>(planes.shape(0));
    const int64_t stride = planes.shape(1);
    uint64_t* target = planes.mutable_data();
    const py::gil_scoped_release release;
    crypto::to_planes(source.data(), n, first, count, target, stride);
}

template <class T>
void from_planes(const Array<uint64_t>& planes, Array<T>& x) {
    const auto target = out(x);
    const int64_t n = static_cast<int64_t>(target.size());
    check_words(planes, n);
    const int count = static_cast<int>(planes.shape(0));
    const int64_t stride = planes.shape(1);
    const uint64_t* source = planes.data();
    const py::gil_scoped_release release;
    crypto::from_planes(source, stride, n, count, target.data());
}

void check_packed(const py::array& packed, int64_t n, int bytes) {
    check(packed.size() == n * bytes, "packed: expected ", n * bytes, " bytes, got ", packed.size());
}

template <class T>
void pack(const Array<T>& x, int bytes, Array<uint8_t>& packed) {
    check_packed(packed, x.size(), bytes);
    const auto source = in(x);
    const auto target = out(packed);
    const py::gil_scoped_release release;
    crypto::pack(source.data(), static_cast<int64_t>(source.size()), bytes, target.data());
}

template <class T>
void unpack(const Array<uint8_t>& packed, int bytes, Array<T>& x) {
    check_packed(packed, x.size(), bytes);
    const auto source = in(packed);
    const auto target = out(x);
    const py::gil_scoped_release release;
    crypto::unpack(source.data(), static_cast<int64_t>(target.size()), bytes, target.data());
}

void dcf_generate(int n, const Array<uint64_t>& alpha, const Array<uint8_t>& root0, const Array<uint8_t>& root1,
                  Array<uint8_t>& corrections, int threads) {
    const auto thresholds = in(alpha);
    const auto r0 = blocks("root0", root0), r1 = blocks("root1", root1);
    const auto target = out(corrections);
    const py::gil_scoped_release release;
    crypto::dcf_generate(n, thresholds, r0, r1, target, threads);
}

void dcf_evaluate(int party, int n, const Array<uint64_t>& x, const Array<uint8_t>& roots,
                  const Array<uint8_t>& corrections, Array<uint64_t>& share, int threads) {
    const auto inputs = in(x);
    const auto r = blocks("roots", roots);
    const auto source = in(corrections);
    const auto target = out(share);
    const py::gil_scoped_release release;
    crypto::dcf_evaluate(party, n, inputs, r, source, target, threads);
}

template <class T>
void register_for(py::module_& m) {
    const auto x = py::arg("x").noconvert(), planes = py::arg("planes").noconvert();
    const auto packed = py::arg("packed").noconvert();
    m.def("to_planes", &to_planes<T>, x, py::arg("first"), planes);
    m.def("from_planes", &from_planes<T>, planes, x);
    m.def("pack", &pack<T>, x, py::arg("bytes"), packed);
    m.def("unpack", &unpack<T>, packed, py::arg("bytes"), x);
}

}  // namespace

void register_crypto(py::module_& m) {
    py::module_ c = m.def_submodule("crypto", "Symmetric kernels, for tests and benches. The last array is written.");
    register_for<uint32_t>(c);
    register_for<uint64_t>(c);
    const auto x = py::arg("x").noconvert(), target = py::arg("out").noconvert();
    const auto corrections = py::arg("corrections").noconvert();
    const py::arg threads("threads");
    c.def("aes_encrypt", &aes_encrypt, py::arg("key"), x, target);
    c.def("prg_fill", &prg_fill, py::arg("key"), py::arg("nonce"), py::arg("offset"), target);
    c.def("hash", &hash, x, py::arg("first_tweak"), target);
    c.def("dcf_correction_bytes", &crypto::dcf_correction_bytes, py::arg("n"));
    c.def("dcf_generate", &dcf_generate, py::arg("n"), py::arg("alpha").noconvert(), py::arg("root0").noconvert(),
          py::arg("root1").noconvert(), corrections, threads);
    c.def("dcf_evaluate", &dcf_evaluate, py::arg("party"), py::arg("n"), x, py::arg("roots").noconvert(), corrections,
          target, threads);
}
