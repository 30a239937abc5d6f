#include "register.hpp"

void register_crypto(pybind11::module_& m) { (void)m; }
