#include "register.hpp"

void register_mpc(pybind11::module_& m) { (void)m; }
