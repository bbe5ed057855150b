// PoseMamba's native kernels for CPUs: C interface, choice of instruction set, division among threads.
//
//   recurrence.hpp      the selective scan of a chunk, forward and backward (formulas: scan/reference.py, chunked.py)
//   selective_scan.hpp  of sequences, as mamba-ssm has them
//   cross_scan.hpp      of the plane that PoseMamba scans in four ways (formulas: block.py)
//   block.hpp           the rest of a block, where no gradients are wanted (formulas: block.py)
//
// Needs neither Python nor torch to compile. Flags that change the state of the process, such as the flush-to-zero
// that -ffast-math switches on when a library is loaded, must not be used.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>
#ifdef _OPENMP
#include <omp.h>
#endif
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "numbers.hpp"

namespace {

using Index = std::int64_t;

constexpr int CHUNK = 64;       // tokens between two checkpoints; checkpoint.TOKENS in Python
constexpr int SLICE = 64;       // channels of one task, a multiple of the lanes of every variant
constexpr int TOGETHER = 4;     // states in registers at a time
constexpr int TILE = 24;        // tokens of a block's products, a multiple of every number of rows in registers
constexpr int ALIGNMENT = 64;

// Letters as in Python: B batch, K groups or scans, D channels of one, N states, R rank of the step, L tokens.
// All arrays are contiguous.

// The channels first..last-1, of one group and batch entry, that one thread works on at a time.
struct Slice {
    Index batch, group, number, first, last;
};

// One vector of channels of a batch entry.
struct Channels {
    Index batch, first;
    int valid;
};

template <class T>
struct Scan {
    const T *u, *delta;           // (B, K*D, L); all arrays with tokens (B, L, ...) where token_major
    const T *A;                   // (K*D, N)
    const T *B, *C;               // (B, K, N, L)
    const T *D, *delta_bias;      // (K*D,) or null
    const T* before;              // (B, N, K*D), the states before the first token; null for none, forward only
    T* y;                         // (B, K*D, L), forward only
    T* kept;                      // (B, ceil(L / CHUNK), N, K*D), may be null in the forward pass
    Index batch, groups, channels, states, length;  // channels: K*D
    bool softplus, token_major;

    Index chunks() const { return (length + CHUNK - 1) / CHUNK; }
};

// What slices share is left as partial sums for the caller to add up, in the order of their first axis.
template <class T>
struct ScanGradients {
    const T* dy;                  // (B, K*D, L)
    T *u, *delta;                 // (B, K*D, L)
    T* A;                         // (B, K*D, N)
    T *B, *C;                     // (slices of a group, B, K, N, L)
    T *D, *delta_bias;            // (B, K*D)
};

// How a scan reads the plane; see orders.py. Lines apart, each with states of its own, are the joints'.
struct Walk {
    std::int32_t along_joints, last_frame_first, last_joint_first, limbs, apart;
};

template <class T>
struct CrossScan {
    const T *u;                   // (B, L, D)
    const T *selection;           // (B, L, K, R + 2 N): step, B and C of every scan
    const T *step_weight;         // (K, D, R)
    const T *step_bias, *skip;    // (K, D)
    const T *A;                   // (K, D, N)
    const Walk* walks;            // (K,)
    const Index* limbs;           // (J,), the joint added to each; null where no walk has limbs
    const T* before;              // (B, lines of all scans, N, D), the states before the first tokens, or null for none
    T* after;                     // and after the last ones, may be null
    T* kept;                      // (B, K, chunks(), N, D), may be null in the forward pass
    Index batch, frames, joints, scans, channels, states, rank;

    Index length() const { return frames * joints; }
    Index width() const { return rank + 2 * states; }
    Index lines(Index k) const { return walks[k].apart ? joints : 1; }
    Index chunks_of_line(Index k) const { return (length() / lines(k) + CHUNK - 1) / CHUNK; }
    Index chunks() const {
        Index most = 0;
        for (Index k = 0; k < scans; k++) most = std::max(most, lines(k) * chunks_of_line(k));
        return most;
    }
    Index kept_at(Index b, Index k, Index line, Index chunk) const {
        return ((b * scans + k) * chunks() + line * chunks_of_line(k) + chunk) * states * channels;
    }
    Index line_at(Index b, Index k, Index line) const {
        Index all = 0, earlier = 0;
        for (Index i = 0; i < scans; i++) {
            all += lines(i);
            if (i < k) earlier += lines(i);
        }
        return (b * all + earlier + line) * states * channels;
    }
};

// Partial sums as above. Planes are added to, the others overwritten.
template <class T>
struct CrossGradients {
    const T* y;                   // (B, L, D), given
    T* u;                         // (B, L, D), a plane
    T* selection;                 // (slices, B, L, K, R + 2 N), a plane
    T *A, *step_weight;           // (B, K, D, N), (B, K, D, R)
    T *skip, *step_bias;          // (B, K, D)
};

// A block in inference. C dim, H hidden channels of the MLP, S = K (R + 2 N); matrices are (out, in).
template <class T>
struct Block {
    CrossScan<T> scan;            // its u and selection are written here
    T* x;                         // (B, L, C), overwritten by what comes out
    T *features, *u, *selection;  // (B, L, D), (B, L, D), (B, L, S): memory to work in
    T* y;                         // (B, L, D), may be that of the features
    const T* window_before;       // (B, 2, J, D), the features of the two frames before, null for none; causal only
    T* window_after;              // and of the last two, may be null
    const T *scan_norm_weight, *scan_norm_bias, *input_projection;        // (C,), (C,), (2 D, C)
    const T *convolution_weight, *convolution_bias, *selection_weight;    // (D, 3, 3), (D,), (S, D)
    const T *output_norm_weight, *output_norm_bias, *output_projection;   // (D,), (D,), (C, D)
    const T *mlp_norm_weight, *mlp_norm_bias;                             // (C,)
    const T *expand_weight, *expand_bias, *contract_weight, *contract_bias;  // (H, C), (H,), (C, H), (C,)
    const T *last_norm_weight, *last_norm_bias;                           // (C,)
    const T* epsilon;             // (4,) of scan_norm, output_norm, mlp_norm, last_norm
    Index dim, hidden;
    bool causal;                  // the convolution looks at a frame and the two before it
    bool narrow;                  // products of numbers in bfloat16, summed in float32; see has_bfloat16
};

// ---- one kernel for each instruction set ----

#define INLINE TARGET static inline __attribute__((always_inline))
#define APART TARGET static __attribute__((noinline))

namespace portable {
#define VECTOR_BYTES 16
#define TARGET
#include "variant.hpp"
#undef VECTOR_BYTES
#undef TARGET
}  // namespace portable

#if defined(__x86_64__)
#define HAS_X86_VARIANTS

namespace avx2 {
#define VECTOR_BYTES 32
#define TARGET __attribute__((target("avx2,fma")))
#include "variant.hpp"
#undef VECTOR_BYTES
#undef TARGET
}  // namespace avx2

namespace avx512 {
#define VECTOR_BYTES 64
#define TARGET __attribute__((target("avx512f,avx512dq,avx512vl,avx2,fma")))
#if defined(__clang__) || __GNUC__ >= 11
#define BFLOAT16_TARGET __attribute__((target("avx512f,avx512dq,avx512vl,avx512bf16,avx2,fma")))
#define HAS_BFLOAT16
#endif
#include "variant.hpp"
#undef BFLOAT16_TARGET
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

bool has_bfloat16() {
#ifdef HAS_BFLOAT16
    return best_instruction_set() == AVX512 && __builtin_cpu_supports("avx512bf16");
#else
    return false;
#endif
}

template <class T>
struct Kernel {
    Index (*scan_bytes)(Index);
    void (*scan_forward)(const Scan<T>&, const Slice&, char*);
    void (*scan_backward)(const Scan<T>&, const ScanGradients<T>&, const Slice&, char*);
    Index (*cross_bytes)(Index, Index);
    void (*cross_forward)(const CrossScan<T>&, const Slice&, Index, T*, bool, char*);
    void (*cross_backward)(const CrossScan<T>&, const CrossGradients<T>&, const Slice&, Index, char*);
    Index packed_bytes;
    Index (*packed_size)(const Block<T>&);
    Index (*block_bytes)(const Block<T>&);
    void (*pack_block)(const Block<T>&, T*, void*);
    void (*features)(const Block<T>&, const void*, Index, int, char*);
    void (*plane)(const Block<T>&, const void*, Index, int, char*);
    void (*finish)(const Block<T>&, const void*, Index, int, char*);
};

template <template <class> class Variant, class T>
constexpr Kernel<T> kernel_of = {
    Variant<T>::scan_bytes,   Variant<T>::scan_forward,  Variant<T>::scan_backward,
    Variant<T>::cross_bytes,  Variant<T>::cross_forward, Variant<T>::cross_backward,
    Variant<T>::packed_bytes, Variant<T>::packed_size,   Variant<T>::block_bytes,    Variant<T>::pack_block,
    Variant<T>::features,     Variant<T>::plane,         Variant<T>::finish};

template <class T>
Kernel<T> kernel(int instruction_set) {
#ifdef HAS_X86_VARIANTS
    if (instruction_set == AVX512) return kernel_of<avx512::Variant, T>;
    if (instruction_set == AVX2) return kernel_of<avx2::Variant, T>;
#endif
    return kernel_of<portable::Variant, T>;
}

// ---- work shared out among threads ----

// Calls work(task, memory) for every task; each thread has memory of its own. Returns false where there is none.
template <class Work>
bool for_each_task(Index tasks, Index bytes, int threads, Work work) {
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
        work(task, static_cast<char*>(memory) + thread * bytes);
    }
    ::operator delete(memory, std::align_val_t(ALIGNMENT));
    return true;
}

// Slice `number` of a group of a batch entry, of `channels` in all.
Slice slice_of(Index number, Index groups, Index channels) {
    const Index per_group = channels / groups, slices = (per_group + SLICE - 1) / SLICE;
    const Index group = number / slices % groups, in_group = number % slices, first = group * per_group;
    return {number / slices / groups, group, in_group, first + in_group * SLICE,
            first + std::min((in_group + 1) * SLICE, per_group)};
}

Index slices_of(Index batch, Index groups, Index channels) {
    return batch * groups * ((channels / groups + SLICE - 1) / SLICE);
}

template <class T>
bool forward(const Scan<T>& p, int threads, int instruction_set) {
    const Kernel<T> k = kernel<T>(instruction_set);
    return for_each_task(slices_of(p.batch, p.groups, p.channels), k.scan_bytes(p.states), threads,
                         [&](Index task, char* memory) {
                             k.scan_forward(p, slice_of(task, p.groups, p.channels), memory);
                         });
}

template <class T>
bool backward(const Scan<T>& p, const ScanGradients<T>& d, int threads, int instruction_set) {
    const Kernel<T> k = kernel<T>(instruction_set);
    return for_each_task(slices_of(p.batch, p.groups, p.channels), k.scan_bytes(p.states), threads,
                         [&](Index task, char* memory) {
                             k.scan_backward(p, d, slice_of(task, p.groups, p.channels), memory);
                         });
}

// y (B, L, D) as the sum of a plane for each scan, in the order of scans.
template <class T>
void add_planes(T* y, const T* planes, Index scans, Index size, int threads) {
#pragma omp parallel for num_threads(threads)
    for (Index i = 0; i < size; i++) {
        T total = planes[i];
        for (Index k = 1; k < scans; k++) total += planes[k * size + i];
        y[i] = total;
    }
}

// What a walk adds must be in the plane, which is written through it.
template <class T>
bool has_limbs_in_plane(const CrossScan<T>& p) {
    for (Index k = 0; k < p.scans; k++)
        for (Index j = 0; p.walks[k].limbs && j < p.joints; j++)
            if (!p.limbs || p.limbs[j] < 0 || p.limbs[j] >= p.joints) return false;
    return true;
}

// A thread takes a slice through all scans, so that they can be added in place. Where that would leave threads idle,
// each scan is a task with a plane of its own; the sum is the same.
template <class T>
bool cross_forward(const CrossScan<T>& p, T* y, int threads, int instruction_set) {
    const Kernel<T> kernels = kernel<T>(instruction_set);
    const Index slices = slices_of(p.batch, 1, p.channels), size = p.batch * p.length() * p.channels;
    const bool apart = p.scans > 1 && slices < 4 * threads && slices % threads;
    T* planes = apart ? new (std::nothrow) T[size_t(p.scans * size)] : nullptr;
    const Index together = planes ? 1 : p.scans;  // scans of one task
    const bool done = for_each_task(
        slices * p.scans / together, kernels.cross_bytes(p.states, p.rank), threads, [&](Index task, char* memory) {
            const Slice slice = slice_of(task % slices, 1, p.channels);
            const Index first = task / slices;
            for (Index k = first; k < first + together; k++)
                kernels.cross_forward(p, slice, k, planes ? planes + k * size : y, !planes && k > 0, memory);
        });
    if (planes && done) add_planes(y, planes, p.scans, size, threads);
    delete[] planes;
    return done;
}

template <class T>
bool cross_backward(const CrossScan<T>& p, const CrossGradients<T>& d, int threads, int instruction_set) {
    const Kernel<T> kernels = kernel<T>(instruction_set);
    if (!p.length()) return true;
    return for_each_task(slices_of(p.batch, 1, p.channels), kernels.cross_bytes(p.states, p.rank), threads,
                         [&](Index task, char* memory) {
                             const Slice slice = slice_of(task, 1, p.channels);
                             for (Index k = 0; k < p.scans; k++) kernels.cross_backward(p, d, slice, k, memory);
                         });
}

enum Result { OUT_OF_MEMORY, DONE, LIMBS_OUT_OF_PLANE };

Result result(bool done) { return done ? DONE : OUT_OF_MEMORY; }

struct Free {
    void operator()(void* memory) const { ::operator delete(memory, std::align_val_t(ALIGNMENT)); }
};

// The features of the last two frames, those before the clip among them where it has but one.
template <class T>
void keep_window(const Block<T>& p) {
    if (!p.window_after) return;
    const Index frame = p.scan.joints * p.scan.channels, frames = p.scan.frames;
    for (Index b = 0; b < p.scan.batch; b++)
        for (Index i = 0; i < 2; i++) {
            T* to = p.window_after + (2 * b + i) * frame;
            const Index from = frames - 2 + i;
            if (from >= 0) std::copy_n(p.features + (b * frames + from) * frame, frame, to);
            else if (p.window_before) std::copy_n(p.window_before + (2 * b + from + 2) * frame, frame, to);
            else std::fill_n(to, frame, T(0));
        }
}

template <class T>
bool block(const Block<T>& p, int threads, int instruction_set) {
    const Kernel<T> kernels = kernel<T>(instruction_set);
    const Index tokens = p.scan.batch * p.scan.length(), tiles = (tokens + TILE - 1) / TILE;
    const size_t head = size_t(kernels.packed_bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    const size_t bytes = head + size_t(kernels.packed_size(p)) * sizeof(T);
    const std::unique_ptr<void, Free> packed(::operator new(bytes, std::align_val_t(ALIGNMENT), std::nothrow));
    if (!packed) return false;
    kernels.pack_block(p, reinterpret_cast<T*>(static_cast<char*>(packed.get()) + head), packed.get());
    const auto pass = [&](auto work) {
        return for_each_task(tiles, kernels.block_bytes(p), threads, [&](Index tile, char* memory) {
            work(p, packed.get(), tile * TILE, int(std::min<Index>(TILE, tokens - tile * TILE)), memory);
        });
    };
    if (!pass(kernels.features)) return false;
    keep_window(p);
    return pass(kernels.plane) && cross_forward(p.scan, p.y, threads, instruction_set) &&
           pass(kernels.finish);
}

}  // namespace

extern "C" {

// To be raised with every change of these functions' arguments; INTERFACE in native.py.
int native_interface() { return 4; }

int native_chunk() { return CHUNK; }

int native_slice() { return SLICE; }

int native_best_instruction_set() { return best_instruction_set(); }

int native_has_bfloat16() { return has_bfloat16(); }

// All return DONE or what is wrong. An instruction set above the machine's best must not be asked for.
// clang-format off
#define DEFINE(T, NAME)                                                                                             \
    int scan_forward_##NAME(const T* u, const T* delta, const T* A, const T* B, const T* C, const T* D,             \
                            const T* delta_bias, const T* before, T* y, T* kept,                                    \
                            Index batch, Index groups, Index channels, Index states, Index length,                  \
                            Index softplus, Index token_major, Index threads, Index instruction_set) {              \
        const Scan<T> p{u, delta, A, B, C, D, delta_bias, before, y, kept,                                          \
                        batch, groups, channels, states, length, softplus != 0, token_major != 0};                  \
        return result(forward(p, int(threads), int(instruction_set)));                                              \
    }                                                                                                               \
    int scan_backward_##NAME(const T* dy, const T* u, const T* delta, const T* A, const T* B, const T* C,           \
                             const T* D, const T* delta_bias, T* kept,                                              \
                             T* du, T* ddelta, T* dA, T* dB, T* dC, T* dD, T* ddelta_bias,                          \
                             Index batch, Index groups, Index channels, Index states, Index length,                 \
                             Index softplus, Index token_major, Index threads, Index instruction_set) {             \
        const Scan<T> p{u, delta, A, B, C, D, delta_bias, nullptr, nullptr, kept,                                   \
                        batch, groups, channels, states, length, softplus != 0, token_major != 0};                  \
        const ScanGradients<T> d{dy, du, ddelta, dA, dB, dC, dD, ddelta_bias};                                      \
        return result(backward(p, d, int(threads), int(instruction_set)));                                          \
    }                                                                                                               \
    int cross_forward_##NAME(const T* u, const T* selection, const T* step_weight, const T* step_bias,              \
                             const T* skip, const T* A, const void* walks, const Index* limbs, const T* before,     \
                             T* y, T* after, T* kept,                                                               \
                             Index batch, Index frames, Index joints, Index scans, Index channels, Index states,    \
                             Index rank, Index threads, Index instruction_set) {                                    \
        const CrossScan<T> p{u, selection, step_weight, step_bias, skip, A, static_cast<const Walk*>(walks), limbs, \
                             before, after, kept, batch, frames, joints, scans, channels, states, rank};            \
        if (!has_limbs_in_plane(p)) return LIMBS_OUT_OF_PLANE;                                                      \
        return result(cross_forward(p, y, int(threads), int(instruction_set)));                                     \
    }                                                                                                               \
    int cross_backward_##NAME(const T* dy, const T* u, const T* selection, const T* step_weight,                    \
                              const T* step_bias, const T* skip, const T* A, const void* walks,                     \
                              const Index* limbs, T* kept,                                                          \
                              T* d_u, T* d_selection, T* d_step_weight, T* d_step_bias, T* d_skip, T* d_A,          \
                              Index batch, Index frames, Index joints, Index scans, Index channels, Index states,   \
                              Index rank, Index threads, Index instruction_set) {                                   \
        const CrossScan<T> p{u, selection, step_weight, step_bias, skip, A, static_cast<const Walk*>(walks), limbs, \
                             nullptr, nullptr, kept, batch, frames, joints, scans, channels, states, rank};         \
        const CrossGradients<T> d{dy, d_u, d_selection, d_A, d_step_weight, d_skip, d_step_bias};                   \
        if (!has_limbs_in_plane(p)) return LIMBS_OUT_OF_PLANE;                                                      \
        return result(cross_backward(p, d, int(threads), int(instruction_set)));                                    \
    }
// The block's arrays, in the order of its fields from x on; then those of its scan.
#define DEFINE_BLOCK(T, NAME)                                                                                       \
    int block_##NAME(T* x, T* features, T* u, T* selection, T* y, const T* window_before, T* window_after,          \
                     const T* scan_norm_weight, const T* scan_norm_bias, const T* input_projection,                 \
                     const T* convolution_weight, const T* convolution_bias, const T* selection_weight,             \
                     const T* output_norm_weight, const T* output_norm_bias, const T* output_projection,            \
                     const T* mlp_norm_weight, const T* mlp_norm_bias,                                              \
                     const T* expand_weight, const T* expand_bias,                                                  \
                     const T* contract_weight, const T* contract_bias,                                              \
                     const T* last_norm_weight, const T* last_norm_bias, const T* epsilon,                          \
                     const T* step_weight, const T* step_bias, const T* skip, const T* A,                           \
                     const void* walks, const Index* limbs, const T* before, T* after,                              \
                     Index batch, Index frames, Index joints, Index scans, Index channels, Index states,            \
                     Index rank, Index dim, Index hidden, Index causal, Index narrow, Index threads,                \
                     Index instruction_set) {                                                                       \
        const CrossScan<T> scan{u, selection, step_weight, step_bias, skip, A, static_cast<const Walk*>(walks),     \
                                limbs, before, after, nullptr, batch, frames, joints, scans, channels, states, rank};\
        const Block<T> p{scan, x, features, u, selection, y, window_before, window_after,                           \
                         scan_norm_weight, scan_norm_bias, input_projection,                                        \
                         convolution_weight, convolution_bias, selection_weight,                                    \
                         output_norm_weight, output_norm_bias, output_projection, mlp_norm_weight, mlp_norm_bias,   \
                         expand_weight, expand_bias, contract_weight, contract_bias,                                \
                         last_norm_weight, last_norm_bias, epsilon, dim, hidden, causal != 0, narrow != 0};         \
        if (!has_limbs_in_plane(scan)) return LIMBS_OUT_OF_PLANE;                                                   \
        return result(block(p, int(threads), int(instruction_set)));                                                \
    }
// clang-format on

DEFINE_BLOCK(float, float32)
DEFINE_BLOCK(double, float64)
DEFINE(float, float32)
DEFINE(double, float64)

}  // extern "C"
