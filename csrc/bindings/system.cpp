#include "register.hpp"

void register_system(pybind11::module_& m) { (void)m; }
