#include <string>

#include "core/check.hpp"
#include "core/cpu.hpp"
#include "core/parallel.hpp"
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
}
