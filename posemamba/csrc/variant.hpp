// Everything that is compiled for one instruction set; see vector.hpp for what must be defined.

#include "vector.hpp"
#include "recurrence.hpp"
#include "selective_scan.hpp"
#include "cross_scan.hpp"

template <class T>
struct Variant {
    static constexpr int lanes = Vector<T>::lanes;
    static constexpr auto scan_bytes = ScanWorkspace<T>::bytes;
    static constexpr auto scan_forward = forward_slice<T>;
    static constexpr auto scan_backward = backward_slice<T>;
    static constexpr auto cross_bytes = CrossWorkspace<T>::bytes;
    static constexpr auto cross_forward = forward_across<T>;
    static constexpr auto cross_backward = backward_across<T>;
};
