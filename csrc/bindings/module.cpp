#include "core/check.hpp"
#include "register.hpp"

namespace py = pybind11;

PYBIND11_MODULE(_core, m) {
    m.doc() = "The compiled core of moiety; use the typed wrappers in the package instead.";
    m.attr("__version__") = MOIETY_VERSION;
    // Leaked on purpose: exception types live as long as the interpreter.
    static PyObject* protocol_error = PyErr_NewExceptionWithDoc(
        "moiety.ProtocolError", "The peer or the network broke the protocol.", PyExc_RuntimeError, nullptr);
    m.add_object("ProtocolError", py::reinterpret_borrow<py::object>(protocol_error));
    py::register_exception_translator([](std::exception_ptr p) {
        try {
            if (p) std::rethrow_exception(p);
        } catch (const moiety::ProtocolError& e) {
            PyErr_SetString(protocol_error, e.what());
        } catch (const moiety::Error& e) {
            PyErr_SetString(PyExc_ValueError, e.what());
        }
    });
    register_system(m);
    register_ring(m);
    register_crypto(m);
    register_mpc(m);
    register_nn(m);
    register_graph(m);
    register_graph_sampling(m);
    register_graph_counted(m);
    register_topology(m);
    register_hypergraph(m);
}
