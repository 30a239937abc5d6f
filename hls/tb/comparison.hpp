// What the benches of compare, relu and maxpool share: one tile's part of the vectors after the other.
#pragma once

#include <moiety/tops.hpp>

#include "vectors.hpp"

namespace bench {

// Where the next tile begins in the material and messages of one request.
struct TileWalk {
    int n, bits;
    bool operand;
    int first = 0;
    size_t material_at = 0, message_at = 0;

    int count() const { return n - first < moiety::tile_elements ? n - first : moiety::tile_elements; }
    size_t material_words() const {
        return static_cast<size_t>(moiety::circuit_shape(bits).material_words(moiety::words_of(count())));
    }
    size_t message_words() const {
        const moiety::CircuitShape shape = moiety::circuit_shape(bits);
        int planes = shape.positions;
        for (int level = 0; level < shape.levels; ++level) planes += shape.opened_in[level];
        return static_cast<size_t>(planes * moiety::words_of(count()) +
                                   (operand ? moiety::packed_words(count(), bits) : 0));
    }
    void next() {
        material_at += material_words();
        message_at += message_words();
        first += count();
    }
};

// One party's half of a comparison, as python/moiety/hls/vectors.py lays it out.
struct Side {
    std::vector<moiety::word> material, message, peer;
    std::vector<Element> select;

    Side(const Vectors& v, const std::string& me, const std::string& other, const std::string& request = "")
        : material(v.get<moiety::word>(me + "material" + request)),
          message(v.get<moiety::word>(me + "message" + request)),
          peer(v.get<moiety::word>(other + "message" + request)),
          select(v.get<Element>(me + "select" + request)) {}

    // Streams of one tile.
    void feed(const TileWalk& at, hls::stream<moiety::word>& material_out, hls::stream<Element>& delta,
              hls::stream<Element>& select_out, hls::stream<moiety::word>& peer_out) const {
        fill(material_out, material, at.material_at, at.material_words());
        fill(peer_out, peer, at.message_at, at.message_words());
        const size_t each = at.operand ? 3 : 1, first = static_cast<size_t>(at.first) * each;
        fill(select_out, select, first, static_cast<size_t>(at.count()) * each);
        for (int i = 0; at.operand && i < at.count(); ++i) delta.write(select[first + 3 * static_cast<size_t>(i)]);
    }
};

}  // namespace bench
