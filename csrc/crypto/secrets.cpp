#include "crypto/secrets.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "core/check.hpp"

#if defined(__APPLE__)
#include <sys/random.h>
#include <unistd.h>
#elif defined(__linux__)
#include <sys/random.h>
#endif
#include <fcntl.h>
#include <unistd.h>

namespace moiety::crypto {
namespace {

// Reads from the character device until `out` is full; used only where the system call is missing.
void from_device(std::span<uint8_t> out) {
    const int fd = ::open("/dev/urandom", O_RDONLY | O_CLOEXEC);
    check(fd >= 0,
          "the operating system's random generator does not answer: cannot open /dev/urandom: ", std::strerror(errno));
    while (!out.empty()) {
        const ssize_t got = ::read(fd, out.data(), out.size());
        if (got > 0) {
            out = out.subspan(static_cast<size_t>(got));
        } else if (got == 0 || errno != EINTR) {
            const int error = got == 0 ? EIO : errno;
            ::close(fd);
            check(false, "the operating system's random generator does not answer: reading /dev/urandom: ",
                  std::strerror(error));
        }
    }
    ::close(fd);
}

// One system call for at most out.size() bytes: the bytes it gave, or -1 with errno set.
ssize_t ask_kernel(std::span<uint8_t> out) {
#if defined(__APPLE__)
    // getentropy gives all or nothing and refuses more than 256 bytes.
    const size_t part = std::min<size_t>(out.size(), 256);
    return ::getentropy(out.data(), part) == 0 ? static_cast<ssize_t>(part) : -1;
#elif defined(__linux__)
    return ::getrandom(out.data(), out.size(), 0);
#else
    (void)out;
    errno = ENOSYS;
    return -1;
#endif
}

}  // namespace

void random_bytes(std::span<uint8_t> out) {
    while (!out.empty()) {
        const ssize_t got = ask_kernel(out);
        if (got > 0) {
            out = out.subspan(static_cast<size_t>(got));  // signals and large requests cut a read short
        } else if (got < 0 && errno == EINTR) {
            continue;
        } else {
            from_device(out);  // old kernels and seccomp filters answer ENOSYS or EPERM
            return;
        }
    }
}

Block random_block() {
    Block block;
    random_bytes(block);
    return block;
}

}  // namespace moiety::crypto
