// Everything that is compiled for one instruction set; see vector.hpp for what must be defined.

#include "vector.hpp"
#include "recurrence.hpp"
#include "selective_scan.hpp"
#include "cross_scan.hpp"
#include "product.hpp"
#include "block.hpp"

template <class T>
struct Variant {
    static constexpr auto scan_bytes = ScanWorkspace<T>::bytes;
    static constexpr auto scan_forward = forward_slice<T>;
    static constexpr auto scan_backward = backward_slice<T>;
    static constexpr auto cross_bytes = CrossWorkspace<T>::bytes;
    static constexpr auto cross_forward = forward_across<T>;
    static constexpr auto cross_backward = backward_across<T>;
    static constexpr Index packed_bytes = sizeof(PackedBlock<T>);
    static constexpr auto packed_size = PackedBlock<T>::size;
    static constexpr auto block_bytes = BlockWorkspace<T>::bytes;
    static constexpr auto pack_block = pack_parameters<T>;
    static constexpr auto features = features_pass<T>;
    static constexpr auto plane = plane_pass<T>;
    static constexpr auto finish = finish_pass<T>;
};
