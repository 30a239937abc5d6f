#include <memory>
#include <string>

#include "core/check.hpp"
#include "core/cpu.hpp"
#include "core/parallel.hpp"
#include "core/scratch.hpp"
#include "register.hpp"

namespace py = pybind11;

namespace {

moiety::Isa parse_isa(const std::string& name) {
    for (auto level : {moiety::Isa::scalar, moiety::Isa::avx2, moiety::Isa::avx512})
        if (moiety::isa_name(level) == name) return level;
    moiety::check(false, "set_isa: expected scalar, avx2 or avx512, got '", name, "'");
    return moiety::Isa::scalar;
}

std::string compiler() {
#if defined(__clang__)
    return "clang " __clang_version__;
#elif defined(__GNUC__)
    return "gcc " __VERSION__;
#else
    return "unknown";
#endif
}

// Memory of a result, kept for the next one when its last user is gone.
struct Memory {
    explicit Memory(int64_t bytes) : bytes(bytes), space(bytes) {}
    int64_t bytes;
    moiety::Scratch<uint8_t> space;
};

}  // namespace

void register_system(py::module_& m) {
    m.def(
        "cpu_features",
        [] {
            const moiety::CpuFeatures& f = moiety::cpu_features();
            py::dict d;
            d["avx2"] = f.avx2;
            d["avx512"] = f.avx512;
            d["vbmi"] = f.vbmi;
            d["ifma"] = f.ifma;
            d["aesni"] = f.aesni;
            d["vaes"] = f.vaes;
            return d;
        },
        "Features of the CPU and operating system, whatever MOIETY_ISA says.");
    m.def("isa", [] { return moiety::isa_name(moiety::isa()); }, "The widest level that kernels use now.");
    m.def(
        "set_isa", [](const std::string& name) { moiety::set_isa(parse_isa(name)); }, py::arg("name"),
        "Lowers or restores that level: scalar, avx2 or avx512. For tests; not thread-safe.");
    m.def("default_threads", &moiety::default_threads, "The thread count used when none is given.");
    m.def("compiler", &compiler, "The compiler that built this module.");
    py::class_<Memory>(m, "Memory", py::buffer_protocol(), "Bytes of any values, from those that are kept if some are.")
        .def(py::init([](int64_t bytes) {
                 moiety::check(bytes > 0, "Memory: expected a number of bytes above 0, got ", bytes);
                 return std::make_unique<Memory>(bytes);
             }),
             py::arg("bytes"))
        .def_buffer([](Memory& memory) {
            return py::buffer_info(memory.space.data(), static_cast<py::ssize_t>(memory.bytes));
        });
    m.def("kept_limit", &moiety::kept_limit, "Bytes that are kept at most.");
    m.def("free_kept", &moiety::free_kept, "Gives memory that is kept and not used to the system; returns its bytes.");
}
