// Products of a tile of tokens, a few rows that stay in the cache, with matrices of weights.

// A matrix (out, in) in panels of `wide` vectors of outputs, input after input: what the product reads runs on.
template <class T>
struct Matrix {
    const T* panels;
    Index in, out;
    int wide;
    bool narrow;  // pairs of inputs in bfloat16

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

// Weights (out, in), or `from` a number of rows of them, as panels at `to`.
template <class T>
APART Matrix<T> pack(T* to, const T* weights, Index in, Index out) {
    constexpr int lanes = Vector<T>::lanes;
    const int wide = panel_width<T>(out);
    Real<T>* panels = reinterpret_cast<Real<T>*>(to);
    for (Index first = 0, v = 0; v < packed_size<T>(in, out) / lanes / (in + in % 2); first += lanes, v++) {
        const int valid = int(std::max<Index>(0, std::min<Index>(lanes, out - first)));
        for (Index k = 0; k < in; k += lanes) {
            const int some = int(std::min<Index>(lanes, in - k));
            Real<T> square[lanes];
            gather(square, weights + first * in + k, in, valid, some, 0);
            for (int i = 0; i < some; i++) panels[(v / wide * in + k + i) * wide + v % wide] = square[i];
        }
    }
    return {to, in, out, wide, false};
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

template <class T, int wide>
INLINE void multiply_panels(T* sums, Index sums_stride, const T* inputs, Index inputs_stride, const Matrix<T>& weights,
                            const T* bias, int tokens) {
    constexpr int lanes = Vector<T>::lanes, rows = SUMS / wide;
    const Index vectors = weights.padded_out() / lanes;
    for (Index v = 0; v < vectors; v += wide) {
        const T* panel = weights.panels + v * lanes * weights.in;
        for (int r = 0; r < tokens; r += rows)
            multiply<T, rows, wide>(sums + r * sums_stride + v * lanes, sums_stride, inputs + r * inputs_stride,
                                    inputs_stride, panel, weights.in, int(std::min<Index>(wide, vectors - v)),
                                    bias ? bias + v * lanes : nullptr);
    }
}

// sums (tokens, out) = inputs (tokens, in) weights^T + bias, all rows padded to vectors and `tokens` to TILE.
template <class T>
INLINE void multiply(T* sums, Index sums_stride, const T* inputs, Index inputs_stride, const Matrix<T>& weights,
                     const T* bias, int tokens) {
    switch (weights.wide) {
        case 4: return multiply_panels<T, 4>(sums, sums_stride, inputs, inputs_stride, weights, bias, tokens);
        case 3: return multiply_panels<T, 3>(sums, sums_stride, inputs, inputs_stride, weights, bias, tokens);
        case 2: return multiply_panels<T, 2>(sums, sums_stride, inputs, inputs_stride, weights, bias, tokens);
        default: return multiply_panels<T, 1>(sums, sums_stride, inputs, inputs_stride, weights, bias, tokens);
    }
}
