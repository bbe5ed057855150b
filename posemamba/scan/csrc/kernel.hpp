// The scan of one slice of channels with vector instructions: a lane of a vector is a channel.
//
// Included once per instruction set by selective_scan.cpp, inside a namespace of its own, with
//   VECTOR_BYTES  the width of its vectors
//   TARGET        the attribute that lets the compiler use it in a function
// so that one source makes every variant and nothing has to be compiled for the machine that builds it.
//
// A slice is walked in chunks of tokens. A chunk's inputs are transposed into vectors of channels; then a few states
// at a time pass through the whole chunk in registers. The backward pass takes the chunks in reverse and recomputes
// the states of each from the checkpoint before it, so that it holds the states of one chunk only.
//
// dB and dC are sums over channels: lanes add up during a chunk and are added together at its end, always in the
// same order. Slices do not depend on the number of threads, therefore results do not either.

template <class T>
struct Vector {
    using Integer = typename Number<T>::Integer;
    typedef T Real __attribute__((vector_size(VECTOR_BYTES)));
    typedef Integer Bits __attribute__((vector_size(VECTOR_BYTES)));
    static constexpr int lanes = VECTOR_BYTES / sizeof(T);
};

template <class T>
using Real = typename Vector<T>::Real;

#define INLINE TARGET static inline __attribute__((always_inline))

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

// ---- elementary functions ----

// 2^f for |f| <= 1/2 by Horner's rule, times 2^r where `rounded` is r plus the number that shifts a float's integer
// part into its lowest bits: those bits, moved up, are added to the exponent.
template <class T>
INLINE Real<T> scaled_power(Real<T> f, Real<T> rounded) {
    using Bits = typename Vector<T>::Bits;
    Real<T> power = broadcast<T>(Number<T>::exp2[Number<T>::exp2_degree]);
    for (int i = Number<T>::exp2_degree - 1; i >= 0; i--) power = power * f + Number<T>::exp2[i];
    return (Real<T>)((Bits)power + ((Bits)rounded << Number<T>::mantissa_bits));
}

// Comparisons are written so that NaN stays NaN.
template <class T>
INLINE Real<T> at_least(Real<T> x, T low) {
    const Real<T> bound = broadcast<T>(low);
    return bound > x ? bound : x;
}

template <class T>
INLINE Real<T> at_most(Real<T> x, T high) {
    const Real<T> bound = broadcast<T>(high);
    return bound < x ? bound : x;
}

// 2^x: exactly 0 below the smallest exponent, infinity above the largest, and exactly 1 at 0.
template <class T>
INLINE Real<T> exp2(Real<T> x) {
    x = at_most<T>(at_least<T>(x, Number<T>::exponent_of_zero), Number<T>::exponent_of_infinity);
    const Real<T> rounded = x + Number<T>::shift;
    return scaled_power<T>(x - (rounded - Number<T>::shift), rounded);
}

// exp(x) for x <= 0 with full relative accuracy: ln 2 in two parts, the first of few bits (Cody and Waite).
template <class T>
INLINE Real<T> exp_negative(Real<T> x) {
    x = at_least<T>(x, Number<T>::log_of_zero);
    const Real<T> rounded = x * Number<T>::log2_e + Number<T>::shift;
    const Real<T> r = rounded - Number<T>::shift;
    const Real<T> f = (x - r * Number<T>::ln2_high) - r * Number<T>::ln2_low;
    return scaled_power<T>(f * Number<T>::log2_e, rounded);
}

// softplus(x) = max(x, 0) + log(1 + z) with z = exp(-|x|), and its derivative, the logistic function.
// log(1 + z) = 2 artanh(s) with s = z / (2 + z) <= 1/3, by its power series.
template <class T>
INLINE Real<T> softplus(Real<T> x, Real<T>& derivative) {
    const Real<T> zero = broadcast<T>(0);
    const Real<T> z = exp_negative<T>(x > zero ? -x : x);
    const Real<T> s = z / (z + T(2));
    const Real<T> square = s * s;
    Real<T> series = broadcast<T>(T(1) / (2 * Number<T>::artanh_terms - 1));
    for (int i = Number<T>::artanh_terms - 2; i >= 0; i--) series = series * square + T(1) / (2 * i + 1);
    const Real<T> larger = T(1) / (z + T(1));
    derivative = x > zero ? larger : z * larger;
    return (x > zero ? x : zero) + (s + s) * series;
}

// ---- between rows of tokens and vectors of channels ----

// vectors[l][lane] = rows[lane][l]; lanes beyond `valid` are 0.
template <class T>
INLINE void gather(Real<T>* vectors, const T* rows, Index stride, int valid, int tokens) {
    constexpr int lanes = Vector<T>::lanes;
    T* to = reinterpret_cast<T*>(vectors);
    for (int lane = 0; lane < valid; lane++)
        for (int l = 0; l < tokens; l++) to[l * lanes + lane] = rows[lane * stride + l];
    for (int lane = valid; lane < lanes; lane++)
        for (int l = 0; l < tokens; l++) to[l * lanes + lane] = 0;
}

template <class T>
INLINE void scatter(T* rows, const Real<T>* vectors, Index stride, int valid, int tokens) {
    constexpr int lanes = Vector<T>::lanes;
    const T* from = reinterpret_cast<const T*>(vectors);
    for (int lane = 0; lane < valid; lane++)
        for (int l = 0; l < tokens; l++) rows[lane * stride + l] = from[l * lanes + lane];
}

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

// ---- a chunk of one vector of channels ----

template <class T>
struct Chunk {
    Real<T> u[CHUNK], step[CHUNK], input[CHUNK], slope[CHUNK];  // slope: of softplus
    Real<T> dy[CHUNK], d_input[CHUNK], d_step[CHUNK];
    Real<T> hidden[CHUNK * MAX_UNROLL], decay[CHUNK * MAX_UNROLL];
};

template <class T>
INLINE void read_inputs(Chunk<T>& chunk, const Problem<T>& p, Index row, Index start, int valid, int tokens) {
    const Index at = row * p.length + start;
    const Index channel = row % p.channels;
    gather(chunk.u, p.u + at, p.length, valid, tokens);
    gather(chunk.step, p.delta + at, p.length, valid, tokens);
    const Real<T> bias = p.delta_bias ? load_some(p.delta_bias + channel, valid) : broadcast<T>(0);
    for (int l = 0; l < tokens; l++) {
        chunk.slope[l] = broadcast<T>(1);
        const Real<T> step = chunk.step[l] + bias;
        chunk.step[l] = p.softplus ? softplus<T>(step, chunk.slope[l]) : step;
        chunk.input[l] = chunk.step[l] * chunk.u[l];
    }
}

// `states` states through a chunk: y += <C, h>.
template <class T, int states>
INLINE void advance(const Chunk<T>& chunk, Real<T>* y, Real<T>* hidden, const Real<T>* rate, const T* B, const T* C,
                    Index stride, int tokens) {
    Real<T> h[states], a[states];
    for (int n = 0; n < states; n++) h[n] = hidden[n], a[n] = rate[n];
    for (int l = 0; l < tokens; l++) {
        const Real<T> step = chunk.step[l], input = chunk.input[l];
        Real<T> sum = y[l];
        for (int n = 0; n < states; n++) {
            h[n] = exp2<T>(step * a[n]) * h[n] + input * B[n * stride + l];
            sum += h[n] * C[n * stride + l];
        }
        y[l] = sum;
    }
    for (int n = 0; n < states; n++) hidden[n] = h[n];
}

// `states` states through a chunk again, keeping them and their decays, then their adjoints back through it.
// `adjoint` holds a_{l+1} g_{l+1} of the chunk after and is left with that of this one.
template <class T, int states>
INLINE void retreat(Chunk<T>& chunk, const Real<T>* entering, Real<T>* adjoint, const Real<T>* rate, Real<T>* d_rate,
                    Real<T>* dB, Real<T>* dC, const T* B, const T* C, Index stride, int sum_stride, int tokens) {
    Real<T> h[states], a[states], carry[states];
    for (int n = 0; n < states; n++) h[n] = entering[n], a[n] = rate[n];
    for (int l = 0; l < tokens; l++) {
        for (int n = 0; n < states; n++) {
            const Real<T> decay = exp2<T>(chunk.step[l] * (a[n] * Number<T>::log2_e));
            chunk.decay[l * states + n] = decay;
            h[n] = decay * h[n] + chunk.input[l] * B[n * stride + l];
            chunk.hidden[l * states + n] = h[n];
        }
    }
    for (int n = 0; n < states; n++) carry[n] = adjoint[n];
    for (int l = tokens - 1; l >= 0; l--) {
        const Real<T>* before = l ? chunk.hidden + (l - 1) * states : entering;
        Real<T> d_input = chunk.d_input[l], d_step = chunk.d_step[l];
        for (int n = 0; n < states; n++) {
            const Real<T> g = chunk.dy[l] * C[n * stride + l] + carry[n];
            dC[l * sum_stride + n] += chunk.dy[l] * chunk.hidden[l * states + n];
            dB[l * sum_stride + n] += chunk.input[l] * g;
            d_input += g * B[n * stride + l];
            carry[n] = chunk.decay[l * states + n] * g;
            const Real<T> d_exponent = carry[n] * before[n];
            d_rate[n] += chunk.step[l] * d_exponent;
            d_step += a[n] * d_exponent;
        }
        chunk.d_input[l] = d_input;
        chunk.d_step[l] = d_step;
    }
    for (int n = 0; n < states; n++) adjoint[n] = carry[n];
}

// ---- a slice ----

template <class T>
struct Workspace {
    static constexpr int lanes = Vector<T>::lanes;
    Chunk<T>* chunk;
    Real<T>*rate, *hidden, *adjoint, *d_rate;  // (vectors of the slice, N)
    Real<T>*dB, *dC;                           // (tokens of a chunk, N)

    static Index bytes(Index states) {
        return sizeof(Chunk<T>) + (4 * (SLICE / lanes) + 2 * CHUNK) * states * sizeof(Real<T>);
    }

    Workspace(char* memory, Index states) {
        const Index vectors = (SLICE / lanes) * states;
        chunk = reinterpret_cast<Chunk<T>*>(memory);
        rate = reinterpret_cast<Real<T>*>(chunk + 1);
        hidden = rate + vectors;
        adjoint = hidden + vectors;
        d_rate = adjoint + vectors;
        dB = d_rate + vectors;
        dC = dB + CHUNK * states;
    }
};

// A's rows of one vector of channels, transposed to one vector per state.
template <class T>
INLINE void read_rate(Real<T>* rate, const Problem<T>& p, Index channel, int valid, T factor) {
    gather(rate, p.A + channel * p.states, p.states, valid, int(p.states));
    for (Index n = 0; n < p.states; n++) rate[n] *= factor;
}

template <class T>
TARGET void forward_slice(const Problem<T>& p, Index batch, Index first, Index last, Index group, char* memory) {
    constexpr int lanes = Vector<T>::lanes;
    Workspace<T> work(memory, p.states);
    Chunk<T>& chunk = *work.chunk;
    Real<T>* y = chunk.dy;
    const Index N = p.states, chunks = (p.length + CHUNK - 1) / CHUNK;
    const T* B = p.B + (batch * p.groups + group) * N * p.length;
    const T* C = p.C + (batch * p.groups + group) * N * p.length;
    for (Index channel = first, i = 0; channel < last; channel += lanes, i++) {
        read_rate<T>(work.rate + i * N, p, channel, int(std::min<Index>(lanes, last - channel)), Number<T>::log2_e);
        for (Index n = 0; n < N; n++) work.hidden[i * N + n] = broadcast<T>(0);
    }
    for (Index c = 0; c < chunks; c++) {
        const Index start = c * CHUNK;
        const int tokens = int(std::min<Index>(CHUNK, p.length - start));
        for (Index channel = first, i = 0; channel < last; channel += lanes, i++) {
            const int valid = int(std::min<Index>(lanes, last - channel));
            const Index row = batch * p.channels + channel;
            Real<T>*hidden = work.hidden + i * N, *rate = work.rate + i * N;
            read_inputs(chunk, p, row, start, valid, tokens);
            const Real<T> direct = p.D ? load_some(p.D + channel, valid) : broadcast<T>(0);
            for (int l = 0; l < tokens; l++) y[l] = p.D ? direct * chunk.u[l] : direct;
            Index n = 0;
            for (; n + UNROLL <= N; n += UNROLL)
                advance<T, UNROLL>(chunk, y, hidden + n, rate + n, B + n * p.length + start, C + n * p.length + start,
                                   p.length, tokens);
            for (; n < N; n++)
                advance<T, 1>(chunk, y, hidden + n, rate + n, B + n * p.length + start, C + n * p.length + start,
                              p.length, tokens);
            scatter(p.y + row * p.length + start, y, p.length, valid, tokens);
            if (!p.kept) continue;
            T* kept = p.kept + (batch * chunks + c) * N * p.channels + channel;
            for (n = 0; n < N; n++) store_some(kept + n * p.channels, hidden[n], valid);
        }
    }
}

// Lanes of (tokens, N) vectors added up into N rows of tokens.
template <class T>
INLINE void add_lanes(T* rows, const Real<T>* sums, Index states, Index stride, int tokens) {
    for (Index n = 0; n < states; n++)
        for (int l = 0; l < tokens; l++) {
            T total = 0;
            for (int lane = 0; lane < Vector<T>::lanes; lane++) total += sums[l * states + n][lane];
            rows[n * stride + l] = total;
        }
}

template <class T>
TARGET void backward_slice(const Problem<T>& p, const Gradients<T>& d, Index batch, Index first, Index last, Index group,
                           Index slice, char* memory) {
    constexpr int lanes = Vector<T>::lanes;
    Workspace<T> work(memory, p.states);
    Chunk<T>& chunk = *work.chunk;
    const Index N = p.states, chunks = (p.length + CHUNK - 1) / CHUNK;
    const Index shared = (batch * p.groups + group) * N * p.length;
    const Index partial = shared + slice * p.batch * p.groups * N * p.length;
    Real<T> d_direct[SLICE / lanes], d_bias[SLICE / lanes];
    for (Index channel = first, i = 0; channel < last; channel += lanes, i++) {
        read_rate<T>(work.rate + i * N, p, channel, int(std::min<Index>(lanes, last - channel)), 1);
        for (Index n = i * N; n < (i + 1) * N; n++) work.adjoint[n] = work.d_rate[n] = broadcast<T>(0);
        d_direct[i] = d_bias[i] = broadcast<T>(0);
    }
    for (Index c = chunks - 1; c >= 0; c--) {
        const Index start = c * CHUNK;
        const int tokens = int(std::min<Index>(CHUNK, p.length - start));
        const T *B = p.B + shared + start, *C = p.C + shared + start;
        for (Index i = 0; i < tokens * N; i++) work.dB[i] = work.dC[i] = broadcast<T>(0);
        for (Index channel = first, i = 0; channel < last; channel += lanes, i++) {
            const int valid = int(std::min<Index>(lanes, last - channel));
            const Index row = batch * p.channels + channel, at = row * p.length + start;
            read_inputs(chunk, p, row, start, valid, tokens);
            gather(chunk.dy, d.dy + at, p.length, valid, tokens);
            const T* kept = p.kept + (batch * chunks + c - 1) * N * p.channels + channel;
            for (Index n = 0; n < N; n++)
                work.hidden[n] = c ? load_some(kept + n * p.channels, valid) : broadcast<T>(0);
            for (int l = 0; l < tokens; l++) chunk.d_input[l] = chunk.d_step[l] = broadcast<T>(0);

            Real<T>*rate = work.rate + i * N, *adjoint = work.adjoint + i * N, *d_rate = work.d_rate + i * N;
            Index n = 0;
            for (; n + UNROLL <= N; n += UNROLL)
                retreat<T, UNROLL>(chunk, work.hidden + n, adjoint + n, rate + n, d_rate + n, work.dB + n, work.dC + n,
                                   B + n * p.length, C + n * p.length, p.length, int(N), tokens);
            for (; n < N; n++)
                retreat<T, 1>(chunk, work.hidden + n, adjoint + n, rate + n, d_rate + n, work.dB + n, work.dC + n,
                              B + n * p.length, C + n * p.length, p.length, int(N), tokens);

            const Real<T> direct = p.D ? load_some(p.D + channel, valid) : broadcast<T>(0);
            for (int l = 0; l < tokens; l++) {
                const Real<T> d_delta = (chunk.d_step[l] + chunk.d_input[l] * chunk.u[l]) * chunk.slope[l];
                d_direct[i] += chunk.dy[l] * chunk.u[l];
                d_bias[i] += d_delta;
                chunk.d_step[l] = d_delta;
                chunk.d_input[l] = chunk.d_input[l] * chunk.step[l] + direct * chunk.dy[l];
            }
            scatter(d.u + at, chunk.d_input, p.length, valid, tokens);
            scatter(d.delta + at, chunk.d_step, p.length, valid, tokens);
        }
        add_lanes<T>(d.B + partial + start, work.dB, N, p.length, tokens);
        add_lanes<T>(d.C + partial + start, work.dC, N, p.length, tokens);
    }
    for (Index channel = first, i = 0; channel < last; channel += lanes, i++) {
        const int valid = int(std::min<Index>(lanes, last - channel));
        const Index row = batch * p.channels + channel;
        scatter(d.A + row * N, work.d_rate + i * N, N, valid, int(N));
        store_some(d.D + row, d_direct[i], valid);
        store_some(d.delta_bias + row, d_bias[i], valid);
    }
}

template <class T>
struct Variant {
    static Index bytes(Index states) { return Workspace<T>::bytes(states); }
    static constexpr auto forward = forward_slice<T>;
    static constexpr auto backward = backward_slice<T>;
};

#undef INLINE
