// Vectors of one instruction set: loads, stores, transpositions and elementary functions.
//
// Included once per instruction set by native.cpp, inside a namespace of its own, with
//   VECTOR_BYTES  the width of its vectors
//   TARGET        the attribute that lets the compiler use it in a function
// so that one source makes every variant and nothing has to be compiled for the machine that builds it.

template <class T>
struct Vector {
    using Integer = typename Number<T>::Integer;
    typedef T Real __attribute__((vector_size(VECTOR_BYTES)));
    typedef Integer Bits __attribute__((vector_size(VECTOR_BYTES)));
    static constexpr int lanes = VECTOR_BYTES / sizeof(T);
};

template <class T>
using Real = typename Vector<T>::Real;

template <class T>
INLINE Real<T> broadcast(T value) {
    return Real<T>{} + value;
}

template <class T>
INLINE Real<T> load(const T* from) {
    Real<T> value;
    std::memcpy(&value, from, sizeof value);
    return value;
}

template <class T>
INLINE void store(T* to, Real<T> value) {
    std::memcpy(to, &value, sizeof value);
}

// Hides from the compiler how x came about. A product is then not joined to the sums after it: the recurrence has more
// multiplications, fused or not, than the processor has units for, while those for additions are idle. And a constant
// bound is compared with by the one instruction that there is for it.
#if defined(__x86_64__) && !defined(__clang__)
#define OPAQUE(x) asm("" : "+v"(x))
#else
#define OPAQUE(x)
#endif

// ---- elementary functions ----

// Comparisons are written so that NaN stays NaN.
template <class T>
INLINE Real<T> at_least(Real<T> x, T low) {
    Real<T> bound = broadcast<T>(low);
    OPAQUE(bound);
    return bound > x ? bound : x;
}

template <class T>
INLINE Real<T> at_most(Real<T> x, T high) {
    Real<T> bound = broadcast<T>(high);
    OPAQUE(bound);
    return bound < x ? bound : x;
}

// Rounding to multiples of 1/8, with the eight powers in between from a table, needs a polynomial of degree 3 only.
// The table is one vector, for which a compiler must be able to shuffle by indices not known in advance.
#ifdef __clang__
template <class T>
constexpr bool has_table = false;
#else
template <class T>
constexpr bool has_table = std::is_same<T, float>::value && Vector<T>::lanes >= 8;
#endif

// Adding it rounds a number, whose integer part (in eighths where there is a table) is then in the lowest bits.
template <class T>
constexpr T rounding_shift = has_table<T> ? Number<T>::shift / 8 : Number<T>::shift;

// 2^(r + f), given the f that rounding leaves and `rounded`, which is r + rounding_shift.
template <class T>
INLINE Real<T> power(Real<T> f, Real<T> rounded) {
    using Bits = typename Vector<T>::Bits;
#ifndef __clang__
    if constexpr (has_table<T>) {
        Bits table;
        std::memcpy(&table, Number<T>::eighths, sizeof table);
        const Bits whole = (Bits)rounded << (Number<T>::mantissa_bits - 3);
        const Real<T> scale = (Real<T>)(__builtin_shuffle(table, (Bits)rounded) + whole);
        constexpr const T* c = Number<T>::narrow_exp2;
        return (scale * f) * ((c[2] * f + c[1]) * f + c[0]) + scale;
    }
#endif
    Real<T> series = broadcast<T>(Number<T>::exp2[Number<T>::exp2_degree]);
    for (int i = Number<T>::exp2_degree - 1; i >= 0; i--) series = series * f + Number<T>::exp2[i];
    return (Real<T>)((Bits)series + ((Bits)rounded << Number<T>::mantissa_bits));
}

// 2^x, exactly 1 at 0. Where `bounded`, |x| must not exceed Number::largest_exponent. Otherwise what is smaller than
// the smallest normal number becomes 0 or remains as small, and what overflows becomes a number close to the largest.
template <class T, bool bounded>
INLINE Real<T> exp2(Real<T> x) {
    if constexpr (!bounded) x = at_most<T>(at_least<T>(x, Number<T>::exponent_of_zero), Number<T>::exponent_of_huge);
    OPAQUE(x);
    const Real<T> rounded = x + rounding_shift<T>;
    return power<T>(x - (rounded - rounding_shift<T>), rounded);
}

// exp(x) for x <= 0 with full relative accuracy: ln 2 in two parts, the first of few bits (Cody and Waite).
// log_of_zero is a little above the exponent of zero, where an f below 0 would make the bits those of NaN.
template <class T>
INLINE Real<T> exp_negative(Real<T> x) {
    x = at_least<T>(x, Number<T>::log_of_zero);
    const Real<T> rounded = x * Number<T>::log2_e + rounding_shift<T>;
    const Real<T> r = rounded - rounding_shift<T>;
    const Real<T> f = (x - r * Number<T>::ln2_high) - r * Number<T>::ln2_low;
    return power<T>(f * Number<T>::log2_e, rounded);
}

// -|x|, NaN for NaN.
template <class T>
INLINE Real<T> negative_size(Real<T> x) {
    using Bits = typename Vector<T>::Bits;
    return (Real<T>)((Bits)x | std::numeric_limits<typename Number<T>::Integer>::min());
}

// log(1 + z) for 0 <= z <= 1, with full relative accuracy. A polynomial of degree 8 is added up in halves of halves:
// one term after the other would keep the processor waiting.
template <class T>
INLINE Real<T> log_1_plus(Real<T> z) {
    if constexpr (std::is_same<T, float>::value) {
        constexpr const T* c = Number<T>::log_1_plus;
        const Real<T> square = z * z, fourth = square * square;
        const Real<T> low = (z * c[1] + c[0]) + (z * c[3] + c[2]) * square;
        const Real<T> high = (z * c[5] + c[4]) + (z * c[7] + c[6]) * square;
        return z * (low + (high + fourth * c[8]) * fourth);
    } else {
        // 2 artanh(s) with s = z / (2 + z) <= 1/3, by its power series.
        const Real<T> s = z / (z + T(2)), square = s * s;
        Real<T> series = broadcast<T>(0);
        for (int i = Number<T>::artanh_terms - 1; i >= 0; i--) series = series * square + T(1) / (2 * i + 1);
        return (s + s) * series;
    }
}

// softplus(x) = max(x, 0) + log(1 + z) with z = exp(-|x|).
template <class T>
INLINE Real<T> softplus(Real<T> x, Real<T> z) {
    return at_least<T>(x, 0) + log_1_plus<T>(z);
}

// The derivative of softplus.
template <class T>
INLINE Real<T> logistic(Real<T> x, Real<T> z) {
    const Real<T> larger = T(1) / (z + T(1));
    return x > broadcast<T>(0) ? larger : z * larger;
}

// ---- between rows of tokens and vectors of channels ----

template <class T>
INLINE Real<T> load_some(const T* from, int valid) {
    if (valid == Vector<T>::lanes) return load(from);
    Real<T> value{};
    std::memcpy(&value, from, valid * sizeof(T));
    return value;
}

template <class T>
INLINE void store_some(T* to, Real<T> value, int valid) {
    if (valid == Vector<T>::lanes) return store(to, value);
    std::memcpy(to, &value, valid * sizeof(T));
}

template <class T>
INLINE T largest_lane(Real<T> x) {
    T largest = x[0];
    for (int lane = 1; lane < Vector<T>::lanes; lane++) largest = std::max(largest, x[lane]);
    return largest;
}

// Of two vectors, seen as 2 x 2 blocks of `step` lanes, exchanges the two off the diagonal.
template <class T, int step, int... lane>
INLINE void exchange(Real<T>& a, Real<T>& b, std::integer_sequence<int, lane...>) {
    constexpr int lanes = Vector<T>::lanes;
#ifdef __clang__
    const Real<T> low = __builtin_shufflevector(a, b, (lane & step ? lanes + lane - step : lane)...);
    b = __builtin_shufflevector(a, b, (lane & step ? lanes + lane : lane + step)...);
#else
    using Bits = typename Vector<T>::Bits;
    const Real<T> low = __builtin_shuffle(a, b, Bits{(lane & step ? lanes + lane - step : lane)...});
    b = __builtin_shuffle(a, b, Bits{(lane & step ? lanes + lane : lane + step)...});
#endif
    a = low;
}

// A square of as many vectors as they have lanes, in log2(lanes) rounds.
template <class T, int step = Vector<T>::lanes / 2>
INLINE void transpose(Real<T>* square) {
    constexpr int lanes = Vector<T>::lanes;
    if constexpr (step > 0) {
#pragma GCC unroll 16
        for (int i = 0; i < lanes; i++)
            if (!(i & step))
                exchange<T, step>(square[i], square[i + step], std::make_integer_sequence<int, lanes>());
        transpose<T, step / 2>(square);
    }
}

// vectors[l][lane] = rows[lane][l]; lanes beyond `valid` become 0.
template <class T>
APART void gather(Real<T>* vectors, const T* rows, Index stride, int valid, int tokens) {
    constexpr int lanes = Vector<T>::lanes;
    const int whole = valid == lanes ? tokens / lanes * lanes : 0;
    for (int l = 0; l < whole; l += lanes) {
        Real<T> square[lanes];
        for (int lane = 0; lane < lanes; lane++) square[lane] = load(rows + lane * stride + l);
        transpose<T>(square);
        for (int i = 0; i < lanes; i++) vectors[l + i] = square[i];
    }
    for (int l = whole; l < tokens; l++) {
        T vector[lanes] = {};
        for (int lane = 0; lane < valid; lane++) vector[lane] = rows[lane * stride + l];
        vectors[l] = load(vector);
    }
}

// rows[lane][l] = vectors[l][lane].
template <class T>
APART void scatter(T* rows, const Real<T>* vectors, Index stride, int valid, int tokens) {
    constexpr int lanes = Vector<T>::lanes;
    const int whole = valid == lanes ? tokens / lanes * lanes : 0;
    for (int l = 0; l < whole; l += lanes) {
        Real<T> square[lanes];
        for (int i = 0; i < lanes; i++) square[i] = vectors[l + i];
        transpose<T>(square);
        for (int lane = 0; lane < lanes; lane++) store(rows + lane * stride + l, square[lane]);
    }
    for (int l = whole; l < tokens; l++)
        for (int lane = 0; lane < valid; lane++) rows[lane * stride + l] = vectors[l][lane];
}

#undef OPAQUE
