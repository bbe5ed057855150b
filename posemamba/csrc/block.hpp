// A block of PoseMamba without gradients, in four passes over the tokens: what lies between two of them goes through
// memory once, everything else stays in the cache with a tile of tokens. See block.py for the formulas.
//
//   features   LN(x) W_in, the half that is scanned
//   plane      SiLU(convolution), and its selection
//   (scans)    cross_scan.hpp
//   finish     x + W_out (LN(y) SiLU(gate)), then the MLP, then the norm that blocks share; the gate, the other half of
//              LN(x) W_in, is computed here so that it is never stored

template <class T>
constexpr Index padded(Index channels) {
    return (channels + Vector<T>::lanes - 1) / Vector<T>::lanes * Vector<T>::lanes;
}

// A vector of parameters with zeros up to whole vectors.
template <class T>
INLINE const T* pad(T*& to, const T* from, Index channels) {
    T* const begin = to;
    for (Index i = 0; i < padded<T>(channels); i++) *to++ = i < channels ? from[i] : T(0);
    return begin;
}

template <class T>
struct Norm {
    const T *weight, *bias;
    Index channels;
    T epsilon;
};

// The block's parameters as its passes read them.
template <class T>
struct PackedBlock {
    Matrix<T> features, gate, selection, mix, expand, contract;
    Norm<T> scan_norm, output_norm, mlp_norm, last_norm;
    const T *taps, *convolution_bias;  // (9, D), (D,)
    const T *expand_bias, *contract_bias;

    static Index size(const Block<T>& p) {
        const Index C = p.dim, D = p.scan.channels, H = p.hidden, S = p.scan.scans * p.scan.width();
        return packed_size<T>(C, D) * 2 + packed_size<T>(D, S) + packed_size<T>(D, C) + packed_size<T>(C, H) +
               packed_size<T>(H, C) + 7 * padded<T>(C) + 12 * padded<T>(D) + padded<T>(H);
    }
};

template <class T>
INLINE Matrix<T> pack_next(T*& to, const T* weights, Index in, Index out, bool narrow) {
    T* const begin = to;
    to += packed_size<T>(in, out);
    return pack(begin, weights, in, out, narrow);
}

template <class T>
INLINE Norm<T> pack_norm(T*& to, const T* weight, const T* bias, Index channels, T epsilon) {
    const T* weights = pad(to, weight, channels);
    return {weights, pad(to, bias, channels), channels, epsilon};
}

template <class T>
TARGET void pack_parameters(const Block<T>& p, T* to, void* packed) {
    const Index C = p.dim, D = p.scan.channels, H = p.hidden;
    PackedBlock<T>& block = *static_cast<PackedBlock<T>*>(packed);
    block.features = pack_next(to, p.input_projection, C, D, p.narrow);
    block.gate = pack_next(to, p.input_projection + C * D, C, D, p.narrow);
    block.selection = pack_next(to, p.selection_weight, D, p.scan.scans * p.scan.width(), p.narrow);
    block.mix = pack_next(to, p.output_projection, D, C, p.narrow);
    block.expand = pack_next(to, p.expand_weight, C, H, p.narrow);
    block.contract = pack_next(to, p.contract_weight, H, C, p.narrow);
    block.scan_norm = pack_norm(to, p.scan_norm_weight, p.scan_norm_bias, C, p.epsilon[0]);
    block.output_norm = pack_norm(to, p.output_norm_weight, p.output_norm_bias, D, p.epsilon[1]);
    block.mlp_norm = pack_norm(to, p.mlp_norm_weight, p.mlp_norm_bias, C, p.epsilon[2]);
    block.last_norm = pack_norm(to, p.last_norm_weight, p.last_norm_bias, C, p.epsilon[3]);
    block.taps = to;
    for (Index tap = 0; tap < 9; tap++)
        for (Index channel = 0; channel < padded<T>(D); channel++)
            *to++ = channel < D ? p.convolution_weight[channel * 9 + tap] : T(0);
    block.convolution_bias = pad(to, p.convolution_bias, D);
    block.expand_bias = pad(to, p.expand_bias, H);
    block.contract_bias = pad(to, p.contract_bias, C);
}

// Rows of a tile, each padded to whole vectors.
template <class T>
struct Tile {
    T* rows;
    Index stride;

    TARGET T* operator[](Index row) const { return rows + row * stride; }
};

template <class T>
struct BlockWorkspace {
    Tile<T> normalised, scanned, gate, sum, hidden, sum_of_all;
    std::int32_t* narrowed;

    static Index bytes(const Block<T>& p) {
        const Index C = padded<T>(p.dim), D = padded<T>(p.scan.channels), H = padded<T>(p.hidden);
        const Index selection = padded<T>(p.scan.scans * p.scan.width());
        return TILE * (3 * C + 2 * D + std::max(H, selection)) * sizeof(T) + TILE * std::max({C, D, H}) / 2 * 4;
    }

    BlockWorkspace(char* memory, const Block<T>& p) {
        const Index C = padded<T>(p.dim), D = padded<T>(p.scan.channels), H = padded<T>(p.hidden);
        T* at = reinterpret_cast<T*>(memory);
        for (auto [tile, stride] : {std::pair<Tile<T>*, Index>{&normalised, C}, {&sum, C}, {&sum_of_all, C},
                                    {&scanned, D}, {&gate, D},
                                    {&hidden, std::max(H, padded<T>(p.scan.scans * p.scan.width()))}}) {
            *tile = {at, stride};
            at += TILE * stride;
        }
        hidden.stride = H;
        narrowed = reinterpret_cast<std::int32_t*>(at);
    }
};

// The lanes of each of a tile's vectors added up.
template <class T>
INLINE void add_lanes(T* totals, const Real<T>* vectors) {
    constexpr int lanes = Vector<T>::lanes;
    for (int row = 0; row < TILE; row += lanes) {
        Real<T> square[lanes];
        for (int i = 0; i < lanes; i++) square[i] = row + i < TILE ? vectors[row + i] : broadcast<T>(0);
        transpose<T>(square);
        for (int i = 1; i < lanes; i++) square[0] += square[i];
        store_some(totals + row, square[0], std::min(lanes, TILE - row));
    }
}

// Layer norms of the rows of a tile; `in` and `out` may be the same.
template <class T>
APART void normalise(Tile<T> out, const T* in, Index stride, const Norm<T>& norm, int tokens) {
    constexpr int lanes = Vector<T>::lanes;
    const Index channels = norm.channels, whole = channels / lanes * lanes;
    Real<T> sums[TILE] = {}, squares[TILE] = {};
    T mean[TILE], scale[TILE];
    for (int row = 0; row < tokens; row++) {
        const T* x = in + row * stride;
        for (Index i = 0; i < whole; i += lanes) sums[row] += load(x + i);
        for (Index i = whole; i < channels; i++) sums[row][0] += x[i];
    }
    add_lanes(mean, sums);
    for (int row = 0; row < tokens; row++) {
        const T* x = in + row * stride;
        mean[row] /= T(channels);
        for (Index i = 0; i < whole; i += lanes) {
            const Real<T> difference = load(x + i) - mean[row];
            squares[row] += difference * difference;
        }
        for (Index i = whole; i < channels; i++) squares[row][0] += (x[i] - mean[row]) * (x[i] - mean[row]);
    }
    add_lanes(scale, squares);
    for (int row = 0; row < tokens; row++) scale[row] = T(1) / std::sqrt(scale[row] / T(channels) + norm.epsilon);
    for (int row = 0; row < tokens; row++) {
        const T* x = in + row * stride;
        for (Index i = 0; i < whole; i += lanes)
            store(out[row] + i, (load(x + i) - mean[row]) * scale[row] * load(norm.weight + i) + load(norm.bias + i));
        for (Index i = whole; i < channels; i++)
            out[row][i] = (x[i] - mean[row]) * scale[row] * norm.weight[i] + norm.bias[i];
    }
}

template <class T>
INLINE Real<T> silu(Real<T> x) {
    return x * logistic<T>(x, exp_negative<T>(negative_size<T>(x)));
}

// x Phi(x) with the normal distribution's Phi(x) = (1 + erf(x / sqrt 2)) / 2.
template <class T>
INLINE Real<T> gelu(Real<T> x) {
    const Real<T> zero = broadcast<T>(0), scaled = x * T(0.7071067811865476);
    Real<T> tail;  // erfc(|scaled|)
    if constexpr (std::is_same<T, float>::value) {
        // Abramowitz and Stegun, formula 7.1.26: absolute error 1.5e-7.
        const Real<T> size = -negative_size<T>(scaled);
        const Real<T> t = T(1) / (size * 0.3275911f + T(1));
        const Real<T> series =
            ((((t * 1.061405429f - 1.453152027f) * t + 1.421413741f) * t - 0.284496736f) * t + 0.254829592f) * t;
        tail = series * exp_negative<T>(-size * size);
    } else {
        for (int lane = 0; lane < Vector<T>::lanes; lane++) tail[lane] = std::erfc(std::fabs(scaled[lane]));
    }
    const Real<T> half = tail * T(0.5);
    return x * (x > zero ? T(1) - half : half);
}

// ---- passes ----

// The tokens first..first+tokens-1 of all of the batch's.
template <class T>
TARGET void features_pass(const Block<T>& p, const void* packed, Index first, int tokens, char* memory) {
    const PackedBlock<T>& block = *static_cast<const PackedBlock<T>*>(packed);
    BlockWorkspace<T> work(memory, p);
    const Index D = p.scan.channels;
    normalise(work.normalised, p.x + first * p.dim, p.dim, block.scan_norm, tokens);
    multiply(work.gate.rows, work.gate.stride, work.normalised.rows, work.normalised.stride, block.features,
             static_cast<const T*>(nullptr), tokens, work.narrowed);
    for (int row = 0; row < tokens; row++) std::memcpy(p.features + (first + row) * D, work.gate[row], D * sizeof(T));
}

// The features of a frame that may be before the clip, then null where nothing is known of it.
template <class T>
INLINE const T* features_of(const Block<T>& p, Index clip, Index frame) {
    const Index size = p.scan.joints * p.scan.channels;
    if (frame >= 0) return p.features + (clip * p.scan.frames + frame) * size;
    return p.window_before ? p.window_before + (clip * 2 + frame + 2) * size : nullptr;
}

// SiLU of the depthwise 3 x 3 convolution at one token.
template <class T>
INLINE void convolve(T* out, const Block<T>& p, const PackedBlock<T>& block, Index token) {
    constexpr int lanes = Vector<T>::lanes;
    const Index D = p.scan.channels, J = p.scan.joints, clip = token / p.scan.length(), in_clip = token % p.scan.length();
    const Index frame = in_clip / J - (p.causal ? 1 : 0), joint = in_clip % J;  // in the middle
    const T *from[9], *taps[9];
    int count = 0;
    for (Index down = -1; down <= 1; down++) {
        const T* features = frame + down < p.scan.frames ? features_of(p, clip, frame + down) : nullptr;
        for (Index right = -1; right <= 1; right++) {
            const Index j = joint + right;
            if (!features || j < 0 || j >= J) continue;
            from[count] = features + j * D;
            taps[count++] = block.taps + (3 * (down + 1) + right + 1) * padded<T>(D);
        }
    }
    for (Index i = 0; i < D; i += lanes) {
        const int valid = int(std::min<Index>(lanes, D - i));
        Real<T> sum = load(block.convolution_bias + i);
        for (int tap = 0; tap < count; tap++) sum += load_some(from[tap] + i, valid) * load(taps[tap] + i);
        store(out + i, silu<T>(sum));
    }
}

template <class T>
TARGET void plane_pass(const Block<T>& p, const void* packed, Index first, int tokens, char* memory) {
    const PackedBlock<T>& block = *static_cast<const PackedBlock<T>*>(packed);
    BlockWorkspace<T> work(memory, p);
    const Index D = p.scan.channels, S = p.scan.scans * p.scan.width();
    const Tile<T> selection{work.hidden.rows, padded<T>(S)};
    for (int row = 0; row < tokens; row++) {
        convolve(work.scanned[row], p, block, first + row);
        std::memcpy(p.u + (first + row) * D, work.scanned[row], D * sizeof(T));
    }
    multiply(selection.rows, selection.stride, work.scanned.rows, work.scanned.stride, block.selection,
             static_cast<const T*>(nullptr), tokens, work.narrowed);
    for (int row = 0; row < tokens; row++) std::memcpy(p.selection + (first + row) * S, selection[row], S * sizeof(T));
}

template <class T>
TARGET void finish_pass(const Block<T>& p, const void* packed, Index first, int tokens, char* memory) {
    constexpr int lanes = Vector<T>::lanes;
    const PackedBlock<T>& block = *static_cast<const PackedBlock<T>*>(packed);
    BlockWorkspace<T> work(memory, p);
    const Index C = p.dim, D = p.scan.channels, H = p.hidden;
    T* const x = p.x + first * C;
    normalise(work.normalised, x, C, block.scan_norm, tokens);
    multiply(work.gate.rows, work.gate.stride, work.normalised.rows, work.normalised.stride, block.gate,
             static_cast<const T*>(nullptr), tokens, work.narrowed);
    normalise(work.scanned, p.y + first * D, D, block.output_norm, tokens);
    for (int row = 0; row < tokens; row++)
        for (Index i = 0; i < D; i += lanes)
            store(work.scanned[row] + i, load(work.scanned[row] + i) * silu<T>(load(work.gate[row] + i)));
    multiply(work.sum.rows, work.sum.stride, work.scanned.rows, work.scanned.stride, block.mix,
             static_cast<const T*>(nullptr), tokens, work.narrowed);
    for (int row = 0; row < tokens; row++)
        for (Index i = 0; i < C; i++) work.sum[row][i] += x[row * C + i];
    normalise(work.normalised, work.sum.rows, work.sum.stride, block.mlp_norm, tokens);
    multiply(work.hidden.rows, work.hidden.stride, work.normalised.rows, work.normalised.stride, block.expand,
             block.expand_bias, tokens, work.narrowed);
    for (int row = 0; row < tokens; row++)
        for (Index i = 0; i < H; i += lanes)
            store(work.hidden[row] + i, gelu<T>(load(work.hidden[row] + i)));
    multiply(work.sum_of_all.rows, work.sum_of_all.stride, work.hidden.rows, work.hidden.stride, block.contract,
             block.contract_bias, tokens, work.narrowed);
    for (int row = 0; row < tokens; row++)
        for (Index i = 0; i < C; i++) work.sum_of_all[row][i] += work.sum[row][i];
    normalise(Tile<T>{x, C}, work.sum_of_all.rows, work.sum_of_all.stride, block.last_norm, tokens);
}
