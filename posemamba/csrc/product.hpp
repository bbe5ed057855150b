// Products of a tile of tokens, a few rows that stay in the cache, with matrices of weights.

// A matrix (out, in) in panels of `wide` vectors of outputs, input after input: what the product reads runs on.
template <class T>
struct Matrix {
    const T* panels;
    Index in, out;
    int wide;
    bool narrow;  // in bfloat16, pairs of inputs in the place of one number

    TARGET Index padded_out() const { return (out + Vector<T>::lanes - 1) / Vector<T>::lanes * Vector<T>::lanes; }
};

// Sums in registers: rows times vectors. What is left of the registers holds a panel's vectors and one input.
constexpr int SUMS = VECTOR_BYTES == 64 ? 24 : 12;

// The width that leaves least of the last panel unused, the largest of these.
template <class T>
constexpr int panel_width(Index out) {
    const Index vectors = (out + Vector<T>::lanes - 1) / Vector<T>::lanes;
    int best = 1;
    for (int wide = 2; wide <= 4; wide++)
        if ((vectors + wide - 1) / wide * wide <= (vectors + best - 1) / best * best) best = wide;
    return best;
}

template <class T>
constexpr Index packed_size(Index in, Index out) {
    const Index lanes = Vector<T>::lanes, wide = panel_width<T>(out), vectors = (out + lanes - 1) / lanes;
    return (vectors + wide - 1) / wide * wide * lanes * (in + in % 2);
}

// The bits of x plus those that round it to bfloat16, to the nearest and ties to even.
INLINE Vector<float>::Bits round_bits(Real<float> x) {
    using Bits = Vector<float>::Bits;
    return (Bits)x + 0x7fff + (((Bits)x >> 16) & 1);
}

// Two numbers in bfloat16 in each lane, the first in the lower half.
INLINE Real<float> narrow_pairs(Real<float> low, Real<float> high) {
    return (Real<float>)(((round_bits(low) >> 16) & 0xffff) | (round_bits(high) & ~0xffff));
}

// Weights (out, in) as panels at `to`.
template <class T>
APART Matrix<T> pack(T* to, const T* weights, Index in, Index out, bool narrow) {
    constexpr int lanes = Vector<T>::lanes;
    const int wide = panel_width<T>(out);
    const Index rows = narrow ? (in + 1) / 2 : in, vectors = packed_size<T>(in, out) / lanes / (in + in % 2);
    Real<T>* panels = reinterpret_cast<Real<T>*>(to);
    for (Index v = 0; v < vectors; v++) {
        const Index first = v * lanes;
        const int valid = int(std::max<Index>(0, std::min<Index>(lanes, out - first)));
        Real<T>* column = panels + v / wide * rows * wide + v % wide;
        for (Index k = 0; k < in; k += lanes) {
            Real<T> square[lanes] = {};
            gather(square, weights + first * in + k, in, valid, int(std::min<Index>(lanes, in - k)));
            if (!narrow)
                for (int i = 0; i < lanes && k + i < in; i++) column[(k + i) * wide] = square[i];
            if constexpr (std::is_same<T, float>::value)
                for (int i = 0; narrow && i < lanes && k + i < in; i += 2)
                    column[(k + i) / 2 * wide] = narrow_pairs(square[i], square[i + 1]);
        }
    }
    return {to, in, out, wide, narrow};
}

template <class T, int rows, int wide>
APART void multiply(T* sums, Index sums_stride, const T* inputs, Index inputs_stride, const T* panel, Index in,
                    int vectors, const T* bias) {
    constexpr int lanes = Vector<T>::lanes;
    Real<T> sum[rows][wide];
    for (int v = 0; v < wide; v++) {
        const Real<T> first = bias && v < vectors ? load(bias + v * lanes) : broadcast<T>(0);
        for (int r = 0; r < rows; r++) sum[r][v] = first;
    }
    for (Index k = 0; k < in; k++) {
        Real<T> weights[wide];
        for (int v = 0; v < wide; v++) weights[v] = load(panel + (k * wide + v) * lanes);
#pragma GCC unroll 24
        for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
            for (int v = 0; v < wide; v++) sum[r][v] += weights[v] * inputs[r * inputs_stride + k];
    }
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < wide; v++)
            if (v < vectors) store(sums + r * sums_stride + v * lanes, sum[r][v]);
}

#ifdef BFLOAT16_TARGET
// The same of numbers in bfloat16, with sums in float32. Strides are in pairs.
template <int rows, int wide>
BFLOAT16_TARGET __attribute__((noinline)) static void multiply_narrow(float* sums, Index sums_stride,
                                                                      const std::int32_t* inputs, Index inputs_stride,
                                                                      const float* panel, Index pairs, int vectors,
                                                                      const float* bias) {
    constexpr int lanes = Vector<float>::lanes;
    __m512 sum[rows][wide];
    for (int v = 0; v < wide; v++) {
        const __m512 first = bias && v < vectors ? _mm512_loadu_ps(bias + v * lanes) : _mm512_setzero_ps();
        for (int r = 0; r < rows; r++) sum[r][v] = first;
    }
    for (Index k = 0; k < pairs; k++) {
        __m512bh weights[wide];
        for (int v = 0; v < wide; v++) weights[v] = (__m512bh)_mm512_loadu_ps(panel + (k * wide + v) * lanes);
#pragma GCC unroll 24
        for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
            for (int v = 0; v < wide; v++)
                sum[r][v] =
                    _mm512_dpbf16_ps(sum[r][v], (__m512bh)_mm512_set1_epi32(inputs[r * inputs_stride + k]), weights[v]);
    }
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < wide; v++)
            if (v < vectors) _mm512_storeu_ps(sums + r * sums_stride + v * lanes, sum[r][v]);
}

// Rows of a tile in bfloat16, up to a whole number of pairs.
BFLOAT16_TARGET static inline void narrow_rows(std::int32_t* to, Index pairs, const float* from, Index stride, Index in,
                                               int tokens) {
    for (int row = 0; row < tokens; row++)
        for (Index k = 0; k < in; k += 16) {
            const __mmask16 valid = in - k < 16 ? __mmask16((1u << (in - k)) - 1) : __mmask16(0xffff);
            const __m256i numbers = (__m256i)_mm512_cvtneps_pbh(_mm512_maskz_loadu_ps(valid, from + row * stride + k));
            const __mmask8 some = pairs - k / 2 < 8 ? __mmask8((1u << (pairs - k / 2)) - 1) : __mmask8(0xff);
            _mm256_mask_storeu_epi32(to + row * pairs + k / 2, some, numbers);
        }
}
#endif

template <class T, int wide>
INLINE void multiply_panels(T* sums, Index sums_stride, const T* inputs, Index inputs_stride, const Matrix<T>& weights,
                            const T* bias, int tokens) {
    constexpr int lanes = Vector<T>::lanes, rows = SUMS / wide;
    const Index vectors = weights.padded_out() / lanes, depth = weights.narrow ? (weights.in + 1) / 2 : weights.in;
    for (Index v = 0; v < vectors; v += wide) {
        const T *panel = weights.panels + v * lanes * depth, *first = bias ? bias + v * lanes : nullptr;
        const int some = int(std::min<Index>(wide, vectors - v));
        for (int r = 0; r < tokens; r += rows) {
            T* to = sums + r * sums_stride + v * lanes;
#ifdef BFLOAT16_TARGET
            if constexpr (std::is_same<T, float>::value)
                if (weights.narrow) {
                    const auto* pairs = reinterpret_cast<const std::int32_t*>(inputs) + r * depth;
                    multiply_narrow<rows, wide>(to, sums_stride, pairs, depth, panel, depth, some, first);
                    continue;
                }
#endif
            multiply<T, rows, wide>(to, sums_stride, inputs + r * inputs_stride, inputs_stride, panel, depth, some,
                                    first);
        }
    }
}

// sums (tokens, out) = inputs (tokens, in) weights^T + bias, rows padded to vectors and `tokens` to TILE. `narrowed` is
// memory for the inputs in bfloat16.
template <class T>
INLINE void multiply(T* sums, Index sums_stride, const T* inputs, Index inputs_stride, const Matrix<T>& weights,
                     const T* bias, int tokens, std::int32_t* narrowed) {
#ifdef BFLOAT16_TARGET
    if constexpr (std::is_same<T, float>::value)
        if (weights.narrow) {
            narrow_rows(narrowed, (weights.in + 1) / 2, inputs, inputs_stride, weights.in, tokens);
            inputs = reinterpret_cast<const T*>(narrowed);
        }
#endif
    switch (weights.wide) {
        case 4: return multiply_panels<T, 4>(sums, sums_stride, inputs, inputs_stride, weights, bias, tokens);
        case 3: return multiply_panels<T, 3>(sums, sums_stride, inputs, inputs_stride, weights, bias, tokens);
        case 2: return multiply_panels<T, 2>(sums, sums_stride, inputs, inputs_stride, weights, bias, tokens);
        default: return multiply_panels<T, 1>(sums, sums_stride, inputs, inputs_stride, weights, bias, tokens);
    }
}
