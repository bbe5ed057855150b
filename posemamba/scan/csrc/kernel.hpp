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
#define APART TARGET static __attribute__((noinline))

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

// softplus(x) = max(x, 0) + log(1 + z) with z = exp(-|x|).
// log(1 + z) = 2 artanh(s) with s = z / (2 + z) <= 1/3, by its power series in two interleaved halves.
template <class T>
INLINE Real<T> softplus(Real<T> x, Real<T> z) {
    const Real<T> zero = broadcast<T>(0);
    const Real<T> s = z / (z + T(2));
    const Real<T> square = s * s, fourth = square * square;
    Real<T> even = zero, odd = zero;
    for (int i = Number<T>::artanh_terms - 2; i >= 0; i -= 2) {
        even = even * fourth + T(1) / (2 * i + 1);
        odd = odd * fourth + T(1) / (2 * i + 3);
    }
    return (x > zero ? x : zero) + (s + s) * (odd * square + even);
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

// vectors[l][lane] = rows[lane][l]; lanes beyond `valid` become 0. A slice has more rows than the processor can foresee
// the use of, so what is `ahead` tokens away, the rows' next chunk, is fetched by hand.
template <class T>
APART void gather(Real<T>* vectors, const T* rows, Index stride, int valid, int tokens, int ahead) {
    constexpr int lanes = Vector<T>::lanes;
    for (int lane = 0; lane < valid; lane++)
        for (int l = 0; l < CHUNK; l += 64 / int(sizeof(T))) __builtin_prefetch(rows + lane * stride + ahead + l);
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
APART void scatter(T* rows, const Real<T>* vectors, Index stride, int valid, int tokens, int ahead) {
    constexpr int lanes = Vector<T>::lanes;
    for (int lane = 0; lane < valid; lane++)
        for (int l = 0; l < CHUNK; l += 64 / int(sizeof(T))) __builtin_prefetch(rows + lane * stride + ahead + l, 1);
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

// ---- a chunk of one vector of channels ----

template <class T>
struct Chunk {
    Real<T> u[CHUNK], step[CHUNK], input[CHUNK], slope[CHUNK];  // slope: of softplus
    Real<T> dy[CHUNK], d_input[CHUNK], d_step[CHUNK];
    Real<T> hidden[CHUNK * TOGETHER], decay[CHUNK * TOGETHER];
};

// Reads and prepares a chunk of u and delta. Returns the largest |step|.
template <class T, bool with_slope>
APART T read_inputs(Chunk<T>& chunk, const Problem<T>& p, Index row, Index start, int valid, int tokens, int ahead) {
    const Index at = row * p.length + start;
    gather(chunk.u, p.u + at, p.length, valid, tokens, ahead);
    gather(chunk.step, p.delta + at, p.length, valid, tokens, ahead);
    const Real<T> zero = broadcast<T>(0);
    const Real<T> bias = p.delta_bias ? load_some(p.delta_bias + row % p.channels, valid) : zero;
    Real<T> largest = zero;
    for (int l = 0; l < tokens; l++) {
        Real<T> step = chunk.step[l] + bias;
        if (with_slope) chunk.slope[l] = broadcast<T>(1);
        if (p.softplus) {
            const Real<T> z = exp_negative<T>(step > zero ? -step : step);
            if (with_slope) chunk.slope[l] = logistic<T>(step, z);
            step = softplus<T>(step, z);
        }
        const Real<T> size = step > zero ? step : -step;
        largest = size > largest ? size : largest;
        chunk.step[l] = step;
        chunk.input[l] = step * chunk.u[l];
    }
    return largest_lane<T>(largest);
}

// exp(dt A) of `states` states at every token; `rate` is A / ln 2. Apart from the recurrence because here no token
// waits for another.
template <class T, int states, bool bounded>
APART void decays(Chunk<T>& chunk, const Real<T>* rate, int tokens) {
    for (int l = 0; l < tokens; l++)
        for (int n = 0; n < states; n++) chunk.decay[l * states + n] = exp2<T, bounded>(chunk.step[l] * rate[n]);
}

// `states` states through a chunk: y += <C, h>.
template <class T, int states>
APART void advance(Chunk<T>& chunk, Real<T>* y, Real<T>* hidden, const T* B, const T* C, Index stride, int tokens) {
    Real<T> h[states];
    for (int n = 0; n < states; n++) h[n] = hidden[n];
    for (int l = 0; l < tokens; l++) {
        const Real<T> input = chunk.input[l];
        Real<T> sum = y[l];
        for (int n = 0; n < states; n++) {
            h[n] = chunk.decay[l * states + n] * h[n] + input * B[n * stride + l];
            sum += h[n] * C[n * stride + l];
        }
        y[l] = sum;
    }
    for (int n = 0; n < states; n++) hidden[n] = h[n];
}

// `states` states through a chunk again, keeping them.
template <class T, int states>
APART void recompute(Chunk<T>& chunk, const Real<T>* entering, const T* B, Index stride, int tokens) {
    Real<T> h[states];
    for (int n = 0; n < states; n++) h[n] = entering[n];
    for (int l = 0; l < tokens; l++) {
        for (int n = 0; n < states; n++) {
            h[n] = chunk.decay[l * states + n] * h[n] + chunk.input[l] * B[n * stride + l];
            chunk.hidden[l * states + n] = h[n];
        }
    }
}

// What the states of one vector of channels have from and give to the chunks around, from the first of them on.
template <class T>
struct Adjoints {
    const Real<T>* entering;  // (N,) states before the chunk
    Real<T>* carry;           // (N,) a_{l+1} g_{l+1} of the chunk after; left as that of this one
    const Real<T>* rate;      // (N,) A / ln 2
    Real<T>* d_rate;          // (N,) sums over tokens, to be added to
    Real<T>*dB, *dC;          // (tokens, N) sums over channels, to be added to

    TARGET Adjoints from(Index n) const {
        return {entering + n, carry + n, rate + n, d_rate + n, dB + n, dC + n};
    }
};

// The adjoints of `states` of N states back through a chunk.
template <class T, int states>
APART void retreat(Chunk<T>& chunk, const Adjoints<T>& of, const T* B, const T* C, Index stride, Index N, int tokens) {
    Real<T> carry[states], d_rate[states], h[states];
    for (int n = 0; n < states; n++) {
        carry[n] = of.carry[n];
        d_rate[n] = broadcast<T>(0);
        h[n] = chunk.hidden[(tokens - 1) * states + n];
    }
    for (int l = tokens - 1; l >= 0; l--) {
        const Real<T>* before = l ? chunk.hidden + (l - 1) * states : of.entering;
        const Real<T> dy = chunk.dy[l], input = chunk.input[l], step = chunk.step[l];
        Real<T> d_input = chunk.d_input[l], d_step = chunk.d_step[l];
        for (int n = 0; n < states; n++) {
            const Real<T> g = dy * C[n * stride + l] + carry[n];
            of.dC[l * N + n] += dy * h[n];
            of.dB[l * N + n] += input * g;
            d_input += g * B[n * stride + l];
            carry[n] = chunk.decay[l * states + n] * g;
            h[n] = before[n];
            const Real<T> d_exponent = carry[n] * h[n];
            d_rate[n] += step * d_exponent;
            d_step += of.rate[n] * d_exponent;
        }
        chunk.d_input[l] = d_input;
        chunk.d_step[l] = d_step;
    }
    for (int n = 0; n < states; n++) {
        of.carry[n] = carry[n];
        of.d_rate[n] += d_rate[n];
    }
}

// From the gradients of step and input to those of delta (left in d_step) and u (left in d_input).
template <class T>
APART void finish_gradients(Chunk<T>& chunk, Real<T> direct, Real<T>& d_direct, Real<T>& d_bias, int tokens) {
    Real<T> sum_direct = broadcast<T>(0), sum_bias = sum_direct;
    for (int l = 0; l < tokens; l++) {
        const Real<T> d_step = chunk.d_step[l] * Number<T>::ln2 + chunk.d_input[l] * chunk.u[l];
        chunk.d_step[l] = d_step * chunk.slope[l];
        chunk.d_input[l] = chunk.d_input[l] * chunk.step[l] + direct * chunk.dy[l];
        sum_direct += chunk.dy[l] * chunk.u[l];
        sum_bias += chunk.d_step[l];
    }
    d_direct += sum_direct;
    d_bias += sum_bias;
}

// The lanes of (tokens, N) vectors added up, into N rows of tokens: a square of tokens at a time is transposed and its
// vectors added.
template <class T>
APART void add_lanes(T* rows, const Real<T>* sums, Index N, Index stride, int tokens) {
    constexpr int lanes = Vector<T>::lanes;
    const int whole = tokens / lanes * lanes;
    for (Index n = 0; n < N; n++) {
        for (int l = 0; l < whole; l += lanes) {
            Real<T> square[lanes];
            for (int i = 0; i < lanes; i++) square[i] = sums[(l + i) * N + n];
            transpose<T>(square);
            for (int i = 1; i < lanes; i++) square[0] += square[i];
            store(rows + n * stride + l, square[0]);
        }
        for (int l = whole; l < tokens; l++) {
            T total = 0;
            for (int lane = 0; lane < lanes; lane++) total += sums[l * N + n][lane];
            rows[n * stride + l] = total;
        }
    }
}

// ---- a slice ----

template <class T>
struct Workspace {
    static constexpr int lanes = Vector<T>::lanes;
    Chunk<T>* chunk;
    Real<T>*rate, *hidden, *carry, *d_rate;  // (vectors of the slice, N)
    Real<T>*dB, *dC;                         // (tokens of a chunk, N)
    T largest_rate[SLICE / lanes];

    static Index bytes(Index N) {
        return sizeof(Chunk<T>) + (4 * (SLICE / lanes) + 2 * CHUNK) * N * sizeof(Real<T>);
    }

    Workspace(char* memory, Index N) {
        const Index vectors = (SLICE / lanes) * N;
        chunk = reinterpret_cast<Chunk<T>*>(memory);
        rate = reinterpret_cast<Real<T>*>(chunk + 1);
        hidden = rate + vectors;
        carry = hidden + vectors;
        d_rate = carry + vectors;
        dB = d_rate + vectors;
        dC = dB + CHUNK * N;
    }
};

// Calls work(i, channel, lanes in use) for every vector of channels of a slice.
template <class T, class Work>
INLINE void for_vectors(const Slice& slice, Work work) {
    constexpr int lanes = Vector<T>::lanes;
    for (Index channel = slice.first, i = 0; channel < slice.last; channel += lanes, i++)
        work(i, channel, int(std::min<Index>(lanes, slice.last - channel)));
}

// Calls work(number of states, first state): TOGETHER at a time, the rest singly.
template <class Work>
INLINE void for_states(Index N, Work work) {
    Index n = 0;
    for (; n + TOGETHER <= N; n += TOGETHER) work(std::integral_constant<int, TOGETHER>(), n);
    for (; n < N; n++) work(std::integral_constant<int, 1>(), n);
}

template <class T, int states>
INLINE void find_decays(Chunk<T>& chunk, const Real<T>* rate, bool bounded, int tokens) {
    if (bounded)
        decays<T, states, true>(chunk, rate, tokens);
    else
        decays<T, states, false>(chunk, rate, tokens);
}

// A / ln 2 of every vector of channels, one vector per state, and the largest magnitude in it.
template <class T>
INLINE void read_rates(Workspace<T>& work, const Problem<T>& p, const Slice& slice) {
    for_vectors<T>(slice, [&](Index i, Index channel, int valid) TARGET {
        Real<T>* rate = work.rate + i * p.states;
        gather(rate, p.A + channel * p.states, p.states, valid, int(p.states), 0);
        Real<T> largest = broadcast<T>(0);
        for (Index n = 0; n < p.states; n++) {
            rate[n] *= Number<T>::log2_e;
            const Real<T> size = rate[n] > broadcast<T>(0) ? rate[n] : -rate[n];
            largest = size > largest ? size : largest;
        }
        work.largest_rate[i] = largest_lane<T>(largest);
    });
}

template <class T>
INLINE void clear(Real<T>* vectors, Index count) {
    for (Index i = 0; i < count; i++) vectors[i] = broadcast<T>(0);
}

template <class T>
TARGET void forward_slice(const Problem<T>& p, const Slice& slice, char* memory) {
    Workspace<T> work(memory, p.states);
    Chunk<T>& chunk = *work.chunk;
    Real<T>* y = chunk.dy;
    const Index N = p.states, chunks = p.chunks(), shared = p.shared(slice);
    read_rates(work, p, slice);
    clear<T>(work.hidden, SLICE / Vector<T>::lanes * N);
    for (Index c = 0; c < chunks; c++) {
        const Index start = c * CHUNK;
        const int tokens = int(std::min<Index>(CHUNK, p.length - start));
        const T *B = p.B + shared + start, *C = p.C + shared + start;
        for_vectors<T>(slice, [&](Index i, Index channel, int valid) TARGET {
            const Index row = slice.batch * p.channels + channel;
            Real<T>*hidden = work.hidden + i * N, *rate = work.rate + i * N;
            const T largest_step = read_inputs<T, false>(chunk, p, row, start, valid, tokens, CHUNK);
            const bool bounded = work.largest_rate[i] * largest_step <= Number<T>::largest_exponent;
            const Real<T> direct = p.D ? load_some(p.D + channel, valid) : broadcast<T>(0);
            for (int l = 0; l < tokens; l++) y[l] = p.D ? direct * chunk.u[l] : direct;
            for_states(N, [&](auto states, Index n) TARGET {
                find_decays<T, states>(chunk, rate + n, bounded, tokens);
                advance<T, states>(chunk, y, hidden + n, B + n * p.length, C + n * p.length, p.length, tokens);
            });
            scatter(p.y + row * p.length + start, y, p.length, valid, tokens, CHUNK);
            if (!p.kept) return;
            T* kept = p.kept + (slice.batch * chunks + c) * N * p.channels + channel;
            for (Index n = 0; n < N; n++) store_some(kept + n * p.channels, hidden[n], valid);
        });
    }
}

template <class T>
TARGET void backward_slice(const Problem<T>& p, const Gradients<T>& d, const Slice& slice, char* memory) {
    constexpr int lanes = Vector<T>::lanes;
    Workspace<T> work(memory, p.states);
    Chunk<T>& chunk = *work.chunk;
    const Index N = p.states, chunks = p.chunks(), shared = p.shared(slice);
    const Index partial = shared + slice.number * p.batch * p.groups * N * p.length;
    Real<T> d_direct[SLICE / lanes] = {}, d_bias[SLICE / lanes] = {};
    read_rates(work, p, slice);
    clear<T>(work.carry, SLICE / lanes * N);
    clear<T>(work.d_rate, SLICE / lanes * N);
    for (Index c = chunks - 1; c >= 0; c--) {
        const Index start = c * CHUNK;
        const int tokens = int(std::min<Index>(CHUNK, p.length - start));
        const T *B = p.B + shared + start, *C = p.C + shared + start;
        clear<T>(work.dB, tokens * N);
        clear<T>(work.dC, tokens * N);
        for_vectors<T>(slice, [&](Index i, Index channel, int valid) TARGET {
            const Index row = slice.batch * p.channels + channel, at = row * p.length + start;
            const T largest_step = read_inputs<T, true>(chunk, p, row, start, valid, tokens, -CHUNK);
            const bool bounded = work.largest_rate[i] * largest_step <= Number<T>::largest_exponent;
            gather(chunk.dy, d.dy + at, p.length, valid, tokens, -CHUNK);
            const T* kept = p.kept + (slice.batch * chunks + c - 1) * N * p.channels + channel;
            for (Index n = 0; n < N; n++)
                work.hidden[n] = c ? load_some(kept + n * p.channels, valid) : broadcast<T>(0);
            clear<T>(chunk.d_input, tokens);
            clear<T>(chunk.d_step, tokens);
            const Adjoints<T> all{work.hidden,         work.carry + i * N, work.rate + i * N,
                                  work.d_rate + i * N, work.dB,            work.dC};
            for_states(N, [&](auto states, Index n) TARGET {
                const Adjoints<T> some = all.from(n);
                find_decays<T, states>(chunk, some.rate, bounded, tokens);
                recompute<T, states>(chunk, some.entering, B + n * p.length, p.length, tokens);
                retreat<T, states>(chunk, some, B + n * p.length, C + n * p.length, p.length, N, tokens);
            });
            const Real<T> direct = p.D ? load_some(p.D + channel, valid) : broadcast<T>(0);
            finish_gradients<T>(chunk, direct, d_direct[i], d_bias[i], tokens);
            scatter(d.u + at, chunk.d_input, p.length, valid, tokens, -CHUNK);
            scatter(d.delta + at, chunk.d_step, p.length, valid, tokens, -CHUNK);
        });
        add_lanes<T>(d.B + partial + start, work.dB, N, p.length, tokens);
        add_lanes<T>(d.C + partial + start, work.dC, N, p.length, tokens);
    }
    for_vectors<T>(slice, [&](Index i, Index channel, int valid) TARGET {
        const Index row = slice.batch * p.channels + channel;
        scatter(d.A + row * N, work.d_rate + i * N, N, valid, int(N), 0);
        store_some(d.D + row, d_direct[i], valid);
        store_some(d.delta_bias + row, d_bias[i], valid);
    });
}

template <class T>
struct Variant {
    static constexpr auto bytes = Workspace<T>::bytes;
    static constexpr auto forward = forward_slice<T>;
    static constexpr auto backward = backward_slice<T>;
};

#undef INLINE
#undef APART
