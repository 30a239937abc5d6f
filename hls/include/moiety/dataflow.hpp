// How a kernel writes a DATAFLOW region, once for the tool and once for a simulation in which FIFOs are bounded:
//
//     #pragma HLS DATAFLOW
//         MOIETY_FIFO(word, planes, 64);          // hls::stream<word> planes, 64 deep
//         MOIETY_REGION(region);
//         MOIETY_STAGE(region, load(memory, planes));
//         MOIETY_STAGE(region, compute(planes, out));
//
// Under Vitis (and with the vendor's headers in plain C++) a stage is the call itself. With hls/shim the stages of a
// region run concurrently and the region's end of scope waits for them. Stages see what the region's scope declares
// before them, and nothing changes it while they run.
#pragma once

#include <ap_int.h>
#include <hls_stream.h>

#ifdef MOIETY_SHIM_DATAFLOW
#define MOIETY_FIFO(type, name, depth) hls::stream<type> name(#name, depth)
#define MOIETY_REGION(region) moiety_shim::Region region
#define MOIETY_STAGE(region, ...) region.stage(#__VA_ARGS__, [&] { __VA_ARGS__; })
#else
#define MOIETY_PRAGMA(text) _Pragma(#text)
#define MOIETY_FIFO(type, name, deep) \
    hls::stream<type> name(#name);    \
    MOIETY_PRAGMA(HLS STREAM variable = name depth = deep)
#define MOIETY_REGION(region)
#define MOIETY_STAGE(region, ...) __VA_ARGS__
#endif
