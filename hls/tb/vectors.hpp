// Golden vectors for the test benches (format: python/moiety/hls/vectorfile.py), and what every bench does with them.
//
//     tb_<kernel> VECTORS [--program SHA256] [--report]
//
// Exit code 0: everything equal; 1: a mismatch; 2: vectors that this bench cannot take (another kernel, ring, program
// or version, damage); 3: a deadlock among the kernel's FIFOs. --report lists how full each FIFO was (hls/shim only).
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <exception>
#include <fstream>
#include <iterator>
#include <map>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include <moiety/types.hpp>

namespace bench {

struct Refused : std::runtime_error {
    using std::runtime_error::runtime_error;
};

inline uint32_t crc32(const char* data, size_t size) {
    uint32_t table[256];
    for (uint32_t i = 0; i < 256; ++i) {
        table[i] = i;
        for (int bit = 0; bit < 8; ++bit) table[i] = (table[i] >> 1) ^ (table[i] & 1 ? 0xEDB88320U : 0);
    }
    uint32_t crc = ~uint32_t{0};
    for (size_t i = 0; i < size; ++i) crc = (crc >> 8) ^ table[(crc ^ static_cast<unsigned char>(data[i])) & 0xFF];
    return ~crc;
}

class Vectors {
  public:
    static constexpr int version = 1;

    Vectors(const std::string& path, const std::string& kernel, const std::string& program) : path_(path) {
        std::ifstream file(path, std::ios::binary);
        if (!file) refuse("expected golden vectors, cannot open the file");
        content_.assign(std::istreambuf_iterator<char>(file), {});
        size_t at = 0;
        const auto line = [&] {
            const size_t end = content_.find('\n', at);
            if (end == std::string::npos) refuse("is no file of vectors, or a truncated one");
            std::istringstream words(content_.substr(at, end - at));
            at = end + 1;
            return words;
        };
        std::string key, name;
        int found = 0;
        if (!(line() >> key >> found) || key != "moiety-vectors") refuse("is no file of vectors");
        if (found != version)
            refuse("expected vectors of version " + std::to_string(version) + ", found " + std::to_string(found));
        std::vector<std::pair<std::string, Array>> arrays;
        size_t size = 0;
        uint32_t crc = 0;
        while (key != "data") {
            std::istringstream words = line();
            words >> key;
            if (key == "value") {
                words >> name;
                words >> values_[name];
            } else if (key == "array") {
                Array array;
                words >> name >> array.width >> array.count;
                arrays.emplace_back(name, array);
            } else if (key == "data") {
                words >> size >> crc;
            } else {
                std::getline(words >> std::ws, text_[key]);
            }
        }
        if (content_.size() - at != size || crc32(content_.data() + at, size) != crc) refuse("is damaged");
        for (auto& [array_name, array] : arrays) {
            array.data = content_.data() + at;
            at += (array.width * array.count + 7) / 8 * 8;
            if (at > content_.size()) refuse("is damaged");
            arrays_[array_name] = array;
        }
        if (text_["kernel"] != kernel) refuse("expected vectors of " + kernel + ", found those of " + text_["kernel"]);
        if (text_["ring"] != std::to_string(MOIETY_RING))
            refuse("expected the ring of " + std::to_string(MOIETY_RING) + " bits, found " + text_["ring"]);
        if (!program.empty() && text_["program"] != program)
            refuse("expected vectors of program " + program + ", found those of " + text_["program"]);
    }

    int value(const std::string& name) const {
        const auto at = values_.find(name);
        if (at == values_.end()) refuse("lacks the value " + name);
        return static_cast<int>(at->second);
    }
    const std::string& source() const { return text_.at("source"); }

    // An array as numbers of a kernel's type.
    template <class T>
    std::vector<T> get(const std::string& name) const {
        const auto at = arrays_.find(name);
        if (at == arrays_.end()) refuse("lacks the array " + name);
        const Array& array = at->second;
        std::vector<T> out(array.count);
        for (size_t i = 0; i < array.count; ++i) {
            uint64_t half[2] = {0, 0};
            std::memcpy(half, array.data + i * array.width, array.width);
            out[i] = T(half[0]);
            if (array.width == 16) out[i] = T(T(T(half[1]) << 64) | half[0]);
        }
        return out;
    }

  private:
    struct Array {
        size_t width = 0, count = 0;
        const char* data = nullptr;
    };
    [[noreturn]] void refuse(const std::string& why) const { throw Refused(path_ + " " + why); }

    std::string path_, content_;
    std::map<std::string, std::string> text_;
    std::map<std::string, long long> values_;
    std::map<std::string, Array> arrays_;
};

// Compares and counts; the first few mismatches are shown.
class Checker {
  public:
    template <class T>
    void equal(const char* what, size_t index, const T& found, const T& expected) {
        ++compared_;
        if (found == expected) return;
        if (++wrong_ <= 5)
            std::printf("%s %zu: expected %016llx, found %016llx\n", what, index,
                        static_cast<unsigned long long>(moiety::word(expected)),
                        static_cast<unsigned long long>(moiety::word(found)));
    }
    // What a kernel wrote, against expected[first..first+count).
    template <class T>
    void drain(const char* what, hls::stream<T>& stream, const std::vector<T>& expected, size_t first, size_t count) {
        for (size_t i = first; i < first + count; ++i) equal(what, i, stream.read(), expected.at(i));
    }
    template <int RING, int LANES>
    void drain(const char* what, hls::stream<moiety::Beat<RING, LANES>>& stream,
               const std::vector<ap_uint<RING>>& expected) {
        for (size_t i = 0; i < expected.size(); i += LANES) {
            const moiety::Beat<RING, LANES> beat = stream.read();
            for (size_t l = 0; l < LANES && i + l < expected.size(); ++l)
                equal(what, i + l, beat.lane[l], expected[i + l]);
        }
    }
    template <class T>
    void empty(const char* what, hls::stream<T>& stream) {
        equal(what, 0, moiety::word(stream.empty() ? 0 : 1), moiety::word(0));
    }
    int finish(const std::string& kernel, const std::string& source) const {
        std::printf("%s: %zu of %zu words equal (%s)\n", kernel.c_str(), compared_ - wrong_, compared_, source.c_str());
        return wrong_ == 0 && compared_ > 0 ? 0 : 1;
    }

  private:
    size_t compared_ = 0, wrong_ = 0;
};

template <class T>
void fill(hls::stream<T>& stream, const std::vector<T>& from, size_t first, size_t count) {
    for (size_t i = first; i < first + count; ++i) stream.write(from.at(i));
}
template <int RING, int LANES>
void fill(hls::stream<moiety::Beat<RING, LANES>>& stream, const std::vector<ap_uint<RING>>& from) {
    for (size_t i = 0; i < from.size(); i += LANES) {
        moiety::Beat<RING, LANES> beat;
        for (size_t l = 0; l < LANES; ++l) beat.lane[l] = i + l < from.size() ? from[i + l] : ap_uint<RING>(0);
        stream.write(beat);
    }
}

constexpr const char* parties[2] = {"server.", "client."};

// Runs a bench: run(vectors, checker).
template <class Run>
int main(int count, char** arguments, const std::string& kernel, Run run) {
    std::string path, program;
    bool report = false;
    for (int i = 1; i < count; ++i) {
        const std::string argument = arguments[i];
        if (argument == "--report")
            report = true;
        else if (argument == "--program" && i + 1 < count)
            program = arguments[++i];
        else
            path = argument;
    }
    int code = 3;
    try {
        const Vectors vectors(path, kernel, program);
        Checker checker;
        run(vectors, checker);
        code = checker.finish(kernel, vectors.source());
    } catch (const Refused& error) {
        std::fprintf(stderr, "%s: %s\n", kernel.c_str(), error.what());
        return 2;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s: %s\n", kernel.c_str(), error.what());
    }
#ifdef MOIETY_SHIM_DATAFLOW
    if (report) std::fputs(moiety_shim::Simulation::get().occupancy().c_str(), stdout);
#else
    if (report) std::puts("these headers simulate unbounded FIFOs: there is no occupancy to report");
#endif
    return code;
}

}  // namespace bench
