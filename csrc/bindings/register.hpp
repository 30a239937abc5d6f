// One function an area; each adds its functions to the extension module. Sizes, dtypes and contiguity are checked
// here, the GIL is released around work, and nothing else happens.
#pragma once

#include <pybind11/pybind11.h>

void register_system(pybind11::module_& m);          // CPU features, threads, build facts
void register_ring(pybind11::module_& m);            // moiety._core.ring
void register_crypto(pybind11::module_& m);          // moiety._core.crypto
void register_mpc(pybind11::module_& m);             // moiety._core.mpc
void register_nn(pybind11::module_& m);              // moiety._core.nn
void register_graph(pybind11::module_& m);           // moiety._core.graph
void register_graph_counted(pybind11::module_& m);   // moiety._core.graph_counted
void register_graph_sampling(pybind11::module_& m);  // moiety._core.graph_sampling
void register_topology(pybind11::module_& m);        // moiety._core.topology
void register_hypergraph(pybind11::module_& m);      // moiety._core.hypergraph
