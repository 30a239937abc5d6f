// Errors of the core. `check` is the one way to refuse an argument: it survives NDEBUG and its message
// says what was expected and what came. The bindings turn Error into ValueError and ProtocolError
// into moiety.ProtocolError.
#pragma once

#include <sstream>
#include <stdexcept>
#include <string>

namespace moiety {

// A caller's mistake: wrong shape, dtype, range or state.
class Error : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

// The peer or the network broke the protocol: a frame of another length or tag, a closed or silent link.
class ProtocolError : public Error {
  public:
    using Error::Error;
};

// Throws Error with the concatenated parts as message unless `condition` holds.
template <class... Parts>
inline void check(bool condition, const Parts&... parts) {
    if (condition) [[likely]]
        return;
    std::ostringstream message;
    (message << ... << parts);
    throw Error(message.str());
}

}  // namespace moiety
