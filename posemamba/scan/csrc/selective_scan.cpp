// Selective scan for CPUs, forward and backward: C interface, choice of instruction set, division among threads.
// The recurrence and its gradients are written out in reference.py and chunked.py; kernel.hpp computes them.
//
// Needs neither Python nor torch to compile. Flags that change the state of the process, such as the flush-to-zero
// that -ffast-math switches on when a library is loaded, must not be used.

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <new>
#include <type_traits>
#include <utility>
#ifdef _OPENMP
#include <omp.h>
#endif

namespace {

using Index = std::int64_t;

constexpr int CHUNK = 64;       // tokens between two checkpoints; checkpoint.TOKENS in Python
constexpr int SLICE = 64;       // channels of one task, a multiple of the lanes of every variant
constexpr int TOGETHER = 4;     // states in registers at a time
constexpr int ALIGNMENT = 64;

// The channels first..last-1, of one group and batch entry, that one thread works on at a time.
struct Slice {
    Index batch, group, number, first, last;
};

// Letters as in Python: B batch, K groups, D channels of a group, N states, L tokens; all arrays contiguous.
template <class T>
struct Problem {
    const T *u, *delta;           // (B, K*D, L)
    const T *A;                   // (K*D, N)
    const T *B, *C;               // (B, K, N, L)
    const T *D, *delta_bias;      // (K*D,) or null
    T* y;                         // (B, K*D, L), forward only
    T* kept;                      // (B, ceil(L / CHUNK), N, K*D), may be null in the forward pass
    Index batch, groups, channels, states, length;  // channels: K*D
    bool softplus;

    Index chunks() const { return (length + CHUNK - 1) / CHUNK; }
    Index shared(const Slice& slice) const { return (slice.batch * groups + slice.group) * states * length; }
};

// What slices share is left as partial sums for the caller to add up, in the order of their first axis.
template <class T>
struct Gradients {
    const T* dy;                  // (B, K*D, L)
    T *u, *delta;                 // (B, K*D, L)
    T* A;                         // (B, K*D, N)
    T *B, *C;                     // (slices of a group, B, K, N, L)
    T *D, *delta_bias;            // (B, K*D)
};

template <class T>
struct Number;

template <>
struct Number<float> {
    using Integer = int32_t;
    static constexpr int mantissa_bits = 23;
    static constexpr float shift = 12582912.0f;  // 1.5 * 2^23
    static constexpr float exponent_of_zero = -127.0f, exponent_of_huge = 127.0f, log_of_zero = -88.0f;
    static constexpr float largest_exponent = 126.0f;
    static constexpr float log2_e = 1.44269504f, ln2 = 0.69314718f, ln2_high = 0.693359375f, ln2_low = -2.12194440e-4f;
    static constexpr int artanh_terms = 8;
    // Least maximal relative error on [-1/2, 1/2] with value 1 at 0: 2e-9, coefficients rounded 2e-8.
    static constexpr int exp2_degree = 6;
    static constexpr float exp2[] = {1.0f,           0.69314718246f,   0.24022647738f,  0.05550332367f,
                                     0.00961843692f, 0.00133988750f, 0.00015353362f};
    // The same on [-1/16, 1/16] without the 1: 3e-8.
    static constexpr float narrow_exp2[] = {0.69314724207f, 0.24025763571f, 0.05549622327f};
    // The bits of 2^(i/8), less i << 20; twice, for vectors of 16.
    static constexpr Integer eighths[] = {0x3f800000, 0x3f7b95c2, 0x3f7837f0, 0x3f75fed7, 0x3f7504f3, 0x3f75672a,
                                          0x3f7744fd, 0x3f7ac0c7, 0x3f800000, 0x3f7b95c2, 0x3f7837f0, 0x3f75fed7,
                                          0x3f7504f3, 0x3f75672a, 0x3f7744fd, 0x3f7ac0c7};
};

template <>
struct Number<double> {
    using Integer = int64_t;
    static constexpr int mantissa_bits = 52;
    static constexpr double shift = 6755399441055744.0;  // 1.5 * 2^52
    static constexpr double exponent_of_zero = -1023.0, exponent_of_huge = 1023.0, log_of_zero = -709.0;
    static constexpr double largest_exponent = 1022.0;
    static constexpr double log2_e = 1.4426950408889634, ln2 = 0.6931471805599453, ln2_high = 0.6931471803691238,
                            ln2_low = 1.9082149292705877e-10;
    static constexpr int artanh_terms = 18;
    // Taylor's: ln(2)^k / k!
    static constexpr int exp2_degree = 13;
    static constexpr double exp2[] = {1.0,
                                      0.6931471805599453,
                                      0.2402265069591007,
                                      0.055504108664821576,
                                      0.009618129107628477,
                                      0.0013333558146428441,
                                      0.00015403530393381606,
                                      1.5252733804059838e-05,
                                      1.3215486790144305e-06,
                                      1.0178086009239696e-07,
                                      7.054911620801121e-09,
                                      4.44553827187081e-10,
                                      2.5678435993488196e-11,
                                      1.3691488853904124e-12};
};

namespace portable {
#define VECTOR_BYTES 16
#define TARGET
#include "kernel.hpp"
#undef VECTOR_BYTES
#undef TARGET
}  // namespace portable

#if defined(__x86_64__)
#define HAS_X86_VARIANTS

namespace avx2 {
#define VECTOR_BYTES 32
#define TARGET __attribute__((target("avx2,fma")))
#include "kernel.hpp"
#undef VECTOR_BYTES
#undef TARGET
}  // namespace avx2

namespace avx512 {
#define VECTOR_BYTES 64
#define TARGET __attribute__((target("avx512f,avx512dq,avx512vl,avx2,fma")))
#include "kernel.hpp"
#undef VECTOR_BYTES
#undef TARGET
}  // namespace avx512
#endif

// Names in the order of preference, best last.
enum InstructionSet { PORTABLE, AVX2, AVX512 };

InstructionSet best_instruction_set() {
#ifdef HAS_X86_VARIANTS
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
        return AVX512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return AVX2;
#endif
    return PORTABLE;
}

template <class T>
struct Kernel {
    Index (*bytes)(Index);
    void (*forward)(const Problem<T>&, const Slice&, char*);
    void (*backward)(const Problem<T>&, const Gradients<T>&, const Slice&, char*);
};

template <template <class> class Variant, class T>
constexpr Kernel<T> kernel_of = {Variant<T>::bytes, Variant<T>::forward, Variant<T>::backward};

template <class T>
Kernel<T> kernel(int instruction_set) {
#ifdef HAS_X86_VARIANTS
    if (instruction_set == AVX512) return kernel_of<avx512::Variant, T>;
    if (instruction_set == AVX2) return kernel_of<avx2::Variant, T>;
#endif
    return kernel_of<portable::Variant, T>;
}

// Every slice of every group and batch entry, shared out among threads. Returns false where memory runs out.
template <class T, class Work>
bool for_each_slice(const Problem<T>& p, Index bytes, int threads, Work work) {
    const Index per_group = p.channels / p.groups, slices = (per_group + SLICE - 1) / SLICE;
    const Index tasks = p.batch * p.groups * slices;
    threads = int(std::max<Index>(1, std::min<Index>(threads, tasks)));
    bytes = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    void* memory = ::operator new(size_t(bytes * threads), std::align_val_t(ALIGNMENT), std::nothrow);
    if (!memory) return false;
#pragma omp parallel for num_threads(threads) schedule(dynamic, 1)
    for (Index task = 0; task < tasks; task++) {
#ifdef _OPENMP
        const Index thread = omp_get_thread_num();
#else
        const Index thread = 0;
#endif
        const Index number = task % slices, group = task / slices % p.groups, batch = task / slices / p.groups;
        const Index first = group * per_group + number * SLICE;
        const Slice slice{batch, group, number, first, std::min(first + SLICE, (group + 1) * per_group)};
        work(slice, static_cast<char*>(memory) + thread * bytes);
    }
    ::operator delete(memory, std::align_val_t(ALIGNMENT));
    return true;
}

template <class T>
bool forward(const Problem<T>& p, int threads, int instruction_set) {
    const Kernel<T> k = kernel<T>(instruction_set);
    return for_each_slice(p, k.bytes(p.states), threads,
                          [&](const Slice& slice, char* memory) { k.forward(p, slice, memory); });
}

template <class T>
bool backward(const Problem<T>& p, const Gradients<T>& d, int threads, int instruction_set) {
    const Kernel<T> k = kernel<T>(instruction_set);
    return for_each_slice(p, k.bytes(p.states), threads,
                          [&](const Slice& slice, char* memory) { k.backward(p, d, slice, memory); });
}

}  // namespace

extern "C" {

int scan_chunk() { return CHUNK; }

int scan_slice() { return SLICE; }

int scan_best_instruction_set() { return best_instruction_set(); }

// Both return 1, or 0 where memory ran out. An instruction set above the machine's best must not be asked for.
// clang-format off
#define DEFINE(T, NAME)                                                                                             \
    int scan_forward_##NAME(const T* u, const T* delta, const T* A, const T* B, const T* C, const T* D,             \
                            const T* delta_bias, T* y, T* kept,                                                     \
                            Index batch, Index groups, Index channels, Index states, Index length,                  \
                            int softplus, int threads, int instruction_set) {                                       \
        const Problem<T> p{u, delta, A, B, C, D, delta_bias, y, kept,                                               \
                           batch, groups, channels, states, length, softplus != 0};                                 \
        return forward(p, threads, instruction_set);                                                                \
    }                                                                                                               \
    int scan_backward_##NAME(const T* dy, const T* u, const T* delta, const T* A, const T* B, const T* C,           \
                             const T* D, const T* delta_bias, T* kept,                                              \
                             T* du, T* ddelta, T* dA, T* dB, T* dC, T* dD, T* ddelta_bias,                          \
                             Index batch, Index groups, Index channels, Index states, Index length,                 \
                             int softplus, int threads, int instruction_set) {                                      \
        const Problem<T> p{u, delta, A, B, C, D, delta_bias, nullptr, kept,                                         \
                           batch, groups, channels, states, length, softplus != 0};                                 \
        const Gradients<T> d{dy, du, ddelta, dA, dB, dC, dD, ddelta_bias};                                          \
        return backward(p, d, threads, instruction_set);                                                            \
    }
// clang-format on

DEFINE(float, float32)
DEFINE(double, float64)

}  // extern "C"
