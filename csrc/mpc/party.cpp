#include "mpc/party.hpp"

namespace moiety::mpc {

template <class T>
void Party<T>::load(std::vector<Request> requests, const crypto::Block& seed, std::vector<std::span<const T>> weights) {
    check(scheduler_.idle(), "a plan cannot be loaded while a protocol is under way");
    for (size_t i = 0; i < requests.size(); ++i) {
        const Request& request = requests[i];
        request.validate(ring_bits);
        for (int source : request.masks)
            check(source >= 0 && source < static_cast<int>(i), "request ", i, " refers to mask ", source,
                  ", which is not earlier");
        if (request.kind != Kind::linear) continue;
        check(request.layer < static_cast<int>(weights.size()), "request ", i, " needs the weight of layer ",
              request.layer, ", there are ", weights.size());
        const int64_t size = static_cast<int64_t>(weights[static_cast<size_t>(request.layer)].size());
        check(size == request.conv.weight_size(), "layer ", request.layer, " needs ", request.conv.weight_size(),
              " weights, got ", size);
        check(requests[static_cast<size_t>(request.masks[0])].n == request.conv.in_size(), "layer ", request.layer,
              " reads ", request.conv.in_size(), " elements, its mask has ",
              requests[static_cast<size_t>(request.masks[0])].n);
    }
    requests_ = std::move(requests);
    seed_ = seed;
    weights_ = std::move(weights);
    materials_.clear();
    materials_.resize(requests_.size());
    fed_ = 0;
}

template <class T>
void Party<T>::feed(int64_t index, std::span<const uint8_t> streamed) {
    check(index == fed_ && index < static_cast<int64_t>(requests_.size()), "expected material for request ", fed_,
          " of ", requests_.size(), ", got ", index);
    const Request& request = requests_[static_cast<size_t>(index)];
    Material<T> material = expand(request, index, server_, seed_, streamed, materials_);
    if (request.kind == Kind::linear && !server_) {
        const Buffer<T>& b = materials_[static_cast<size_t>(request.masks[0])].ring;
        check(b.size() == request.conv.in_size(), "the mask of request ", index,
              " is gone: feed the whole plan before it is used");
        ring::conv(b.data(), weights_[static_cast<size_t>(request.layer)].data(), material.ring.data(), request.conv,
                   true, threads_);
    }
    materials_[static_cast<size_t>(index)] = std::move(material);
    ++fed_;
}

template <class T>
void Party<T>::require_fed(int64_t index) const {
    check(index >= 0 && index < static_cast<int64_t>(requests_.size()), "the plan has ", requests_.size(),
          " requests, got index ", index);
    check(index < fed_, "correlation ", index, " has not arrived: the offline phase ended at ", fed_);
}

template <class T>
Kind Party<T>::kind(int64_t index) const {
    require_fed(index);
    return requests_[static_cast<size_t>(index)].kind;
}

template <class T>
const Request& Party<T>::request(int64_t index, Kind kind) const {
    require_fed(index);
    const Request& request = requests_[static_cast<size_t>(index)];
    check(request.kind == kind, "expected correlation ", index, " to be a ", kind_name(kind), ", it is a ",
          kind_name(request.kind));
    return request;
}

template <class T>
Material<T> Party<T>::take(int64_t index, Kind kind) {
    (void)request(index, kind);
    Material<T>& material = materials_[static_cast<size_t>(index)];
    check(material.ready, "correlation ", index, " was used before: every correlation serves once");
    material.ready = false;
    return std::move(material);
}

template <class T>
Buffer<T> Party<T>::linear(int64_t index, std::span<const T> opened) {
    const Request request = this->request(index, Kind::linear);
    Material<T> material = take(index, Kind::linear);
    if (server_) {
        check(static_cast<int64_t>(opened.size()) == request.conv.in_size(), "layer ", request.layer, " reads ",
              request.conv.in_size(), " elements, got ", opened.size());
        ring::conv(opened.data(), weights_[static_cast<size_t>(request.layer)].data(), material.ring.data(),
                   request.conv, true, threads_);
    }
    return std::move(material.ring);
}

template class Party<uint32_t>;
template class Party<uint64_t>;

}  // namespace moiety::mpc
