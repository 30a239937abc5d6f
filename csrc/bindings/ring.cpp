#include "register.hpp"

void register_ring(pybind11::module_& m) { (void)m; }
