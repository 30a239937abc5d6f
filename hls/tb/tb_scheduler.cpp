// Both boards of an inference: a scheduler each, two links between them (bounded like a slot), the engine's own
// weights, correlations and input share in their memories; every share of every operation is compared with the
// engine's.
#include <memory>

#include <moiety/scheduler_top.hpp>

#include "vectors.hpp"

namespace {

constexpr const char* names[] = {
    "done",
    "the file holds no schedule",
    "the schedule or the operations are of another version",
    "the schedule is for another ring",
    "the schedule belongs to another program",
    "an instruction names no operation of the program",
    "the kernel does not execute this kind of operation",
    "an instruction comes before what it needs",
    "an instruction names a slot that the board does not have",
    "a message is longer than a slot",
    "a tile of a comparison has more than 4096 elements",
    "more comparisons are under way than the board has contexts",
    "a comparison goes on that was not begun",
};

struct Side {
    std::vector<moiety::element<MOIETY_RING>> memory;
    std::vector<moiety::word> bits;
    std::unique_ptr<moiety::TopBoard> board = std::make_unique<moiety::TopBoard>();
    moiety::Status status = moiety::done;
    int failed = -1;

    Side(const bench::Vectors& v, const std::string& me)
        : memory(v.get<moiety::element<MOIETY_RING>>(me + "memory")), bits(v.get<moiety::word>(me + "bits")) {}

    void run(bool offline, bool server, const std::vector<moiety::word32>& schedule,
             const std::vector<moiety::word32>& operations, hls::stream<moiety::word>& to_peer,
             hls::stream<moiety::word>& from_peer) {
        status = moiety::run_board(offline, server, schedule.data(), operations.data(), bits.data(), memory.data(),
                                   *board, to_peer, from_peer, failed);
        // The other board would wait for ever: end here, with the reason.
        if (status != moiety::done)
            throw bench::Refused(std::string(names[status]) + " (instruction " + std::to_string(failed) + ")");
    }
};

}  // namespace

int main(int count, char** arguments) {
    return bench::main(count, arguments, "scheduler", [](const bench::Vectors& v, bench::Checker& check) {
        const auto schedule = v.get<moiety::word32>("schedule"), operations = v.get<moiety::word32>("operations");
        Side server(v, "server."), client(v, "client.");
        {
            MOIETY_FIFO(moiety::word, to_client, MOIETY_SLOT_WORDS);
            MOIETY_FIFO(moiety::word, to_server, MOIETY_SLOT_WORDS);
            client.run(true, false, schedule, operations, to_server, to_client);
            MOIETY_REGION(region);
            MOIETY_STAGE(region, server.run(false, true, schedule, operations, to_client, to_server));
            MOIETY_STAGE(region, client.run(false, false, schedule, operations, to_server, to_client));
        }
        // Rows of (operation, where its output lies, elements, parties: 1 server, 2 client).
        const auto rows = v.get<moiety::word32>("checks");
        for (int party = 0; party < 2; ++party) {
            const std::string me = bench::parties[party];
            const auto expected = v.get<moiety::element<MOIETY_RING>>(me + "expected");
            const Side& side = party == 0 ? server : client;
            size_t at = 0;
            for (size_t row = 0; row < rows.size(); row += 4) {
                if (((rows[row + 3].to_int() >> party) & 1) == 0) continue;
                const std::string what = me + "operation " + std::to_string(rows[row].to_int());
                for (size_t i = 0; i < static_cast<size_t>(rows[row + 2].to_int()); ++i, ++at)
                    check.equal(what.c_str(), i, side.memory.at(static_cast<size_t>(rows[row + 1].to_int()) + i),
                                expected.at(at));
            }
            check.equal("expected shares", 0, moiety::word(at), moiety::word(expected.size()));
        }
    });
}
