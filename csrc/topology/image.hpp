// Images that are products of two thin matrices, and the derivatives of both.
//
//     y_b = left_b^T right_own(b),   left_b (terms, side), right_g (terms, side), y_b (side, side)
//
// and with `scaled` the least of y_b is taken from it and it is divided by the largest that is left (an image that is
// the same everywhere becomes 0 and has derivative 0). A persistence image is of this form: a Gaussian is a function of
// one coordinate times one of the other. Of a histogram of bars H_b (terms, terms) by birth and death left_b is
// (weight * H_b) up_own(b), and is made here without being stored.
//
// A thread keeps one image in its second-level cache until it is scaled, so that the result is written once; terms
// whose left factor is zero everywhere, as those of births without bars, are left out. Images are independent: results
// do not depend on the number of threads.
#pragma once

#include <cstdint>

namespace moiety::topology {

// own: numbers of right factors in [0, rights), or nullptr where each image has its own. left is nullptr where count is
// not. Everything is contiguous.
template <class T>
struct Factors {
    int64_t images, rights, terms, side;
    const T* left;   // images x terms x side
    const T* right;  // rights x terms x side
    const int64_t* own;
    const int32_t* count = nullptr;  // images x terms x terms
    const T* weight = nullptr;       // terms x terms
    const T* up = nullptr;           // rights x terms x side
};

// y: images x side x side. With `scaled`, unless they are nullptr: at, the places of each image's least and largest
// pixel, the first ones, images x 2; scale, what the image was multiplied by (0 where it is the same everywhere),
// images. threads <= 0: default_threads(). Throws Error for numbers of right factors that there are not.
template <class T>
void render(const Factors<T>& f, bool scaled, T* y, int64_t* at, T* scale, int threads);

// The derivatives of a sum over dy y by left and by each image's own right factor, both images x terms x side. y, at
// and scale are those of `render`, with `scaled`; nullptr without. f.left is there.
template <class T>
void render_backward(const Factors<T>& f, const T* y, const int64_t* at, const T* scale, const T* dy, T* dleft,
                     T* dright, int threads);

}  // namespace moiety::topology
