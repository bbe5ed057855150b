// The recurrence of the selective scan over a chunk of tokens of one vector of channels: a lane is a channel.
//
// A few states at a time pass through the chunk in registers. The backward pass takes the chunks in reverse and
// recomputes the states of each from the checkpoint before it, so that it holds those of one chunk only.
// The formulas are those of reference.py and chunked.py.

template <class T>
struct Chunk {
    Real<T> u[CHUNK], step[CHUNK], input[CHUNK], y[CHUNK];  // input: step u
    // Backward only. slope: of softplus.
    Real<T> slope[CHUNK], dy[CHUNK], d_input[CHUNK], d_step[CHUNK];
    Real<T> hidden[CHUNK * TOGETHER], decay[CHUNK * TOGETHER];
};

// What all channels of a group share at the chunk's tokens: where B and C of each token begin, and how far into them.
template <class T>
struct Rows {
    const T *const *B, *const *C;  // (tokens,)
    Index in_B, in_C;

    TARGET Rows from(Index n) const { return {B, C, in_B + n, in_C + n}; }
};

// Memory that the walk comes to soon, a cache line for every token that is worked on meanwhile: 2^bits lines side by
// side, then `stride` bytes on. A slice has more rows than the processor foresees the use of by itself.
struct Soon {
    const char* from;
    Index stride;
    int bits;
};

TARGET static inline void fetch(const Soon& soon, int l) {
    __builtin_prefetch(soon.from + (l >> soon.bits) * soon.stride + (l & ((1 << soon.bits) - 1)) * 64);
}

// What is fetched while the first, second, ... group of states is worked on.
constexpr int SOON = 3;

// From delta with its bias, which is in chunk.step, to the step itself. Returns the largest |step|.
template <class T, bool with_slope>
APART T prepare(Chunk<T>& chunk, bool with_softplus, int tokens) {
    Real<T> largest = broadcast<T>(0);
    for (int l = 0; l < tokens; l++) {
        Real<T> step = chunk.step[l];
        if (with_slope) chunk.slope[l] = broadcast<T>(1);
        if (with_softplus) {
            const Real<T> z = exp_negative<T>(negative_size<T>(step));
            if (with_slope) chunk.slope[l] = logistic<T>(step, z);
            step = softplus<T>(step, z);
        }
        const Real<T> size = -negative_size<T>(step);
        largest = size > largest ? size : largest;
        chunk.step[l] = step;
        chunk.input[l] = step * chunk.u[l];
    }
    return largest_lane<T>(largest);
}

// `states` states through a chunk: y += <C, h>. `rate` is A / ln 2. Where `kept`, decays and states stay in the chunk.
template <class T, int states, bool bounded, bool kept>
APART void advance(Chunk<T>& chunk, Real<T>* hidden, const Real<T>* rate, Rows<T> rows, const Soon* soon, int tokens) {
    Real<T> h[states];
    for (int n = 0; n < states; n++) h[n] = hidden[n];
    for (int l = 0; l < tokens; l++) {
        const Real<T> step = chunk.step[l], input = chunk.input[l];
        const T *B = rows.B[l] + rows.in_B, *C = rows.C[l] + rows.in_C;
        if (soon) fetch(*soon, l);
        Real<T> sum = kept ? broadcast<T>(0) : chunk.y[l];
#pragma GCC unroll 8
        for (int n = 0; n < states; n++) {
            const Real<T> decay = exp2<T, bounded>(step * rate[n]);
            h[n] = decay * h[n] + input * B[n];
            if (kept) {
                chunk.decay[l * states + n] = decay;
                chunk.hidden[l * states + n] = h[n];
            } else {
                sum += h[n] * C[n];
            }
        }
        if (!kept) chunk.y[l] = sum;
    }
    for (int n = 0; n < states; n++) hidden[n] = h[n];
}

// Where no exponent of the chunk can leave the range of numbers, `bounded`, exp2 need not look.
template <class T, int states, bool kept>
INLINE void advance(Chunk<T>& chunk, Real<T>* hidden, const Real<T>* rate, Rows<T> rows, bool bounded,
                    const Soon* soon, int tokens) {
    if (bounded)
        advance<T, states, true, kept>(chunk, hidden, rate, rows, soon, tokens);
    else
        advance<T, states, false, kept>(chunk, hidden, rate, rows, soon, tokens);
}

// Sums over channels of the gradients of B and C. A vector holds `states` of them as partial sums, lanes / states each:
// lane i belongs to state i % states.
template <class T, int states>
INLINE Real<T> partial_sums(Real<T>* terms) {
    constexpr int lanes = Vector<T>::lanes;
    if constexpr (states == 1) return terms[0];
    static_assert(states == 1 || (states == 4 && lanes >= 4) || (states == 2 && lanes >= 2));
    if constexpr (states >= 2) {
        for (int n = 0; n < states; n += 2) {
            exchange<T, 1>(terms[n], terms[n + 1], std::make_integer_sequence<int, lanes>());
            terms[n] += terms[n + 1];
        }
    }
    if constexpr (states == 4) {
        exchange<T, 2>(terms[0], terms[2], std::make_integer_sequence<int, lanes>());
        terms[0] += terms[2];
    }
    return terms[0];
}

// What some states have from and give to the chunks around and the other vectors of channels.
template <class T>
struct Adjoints {
    const Real<T>* entering;  // states before the chunk
    Real<T>* carry;           // a_{l+1} g_{l+1} of the chunk after; left as that of this one
    const Real<T>* rate;      // A / ln 2
    Real<T>* d_rate;          // sums over tokens, to be added to
    Real<T>*dB, *dC;          // (CHUNK,) partial sums over channels, to be added to
};

// The adjoints of `states` states back through a chunk.
template <class T, int states>
APART void retreat(Chunk<T>& chunk, const Adjoints<T>& of, Rows<T> rows, int tokens) {
    Real<T> carry[states], d_rate[states], h[states], rate[states];
    for (int n = 0; n < states; n++) {
        carry[n] = of.carry[n];
        d_rate[n] = broadcast<T>(0);
        h[n] = chunk.hidden[(tokens - 1) * states + n];
        rate[n] = of.rate[n];
    }
    for (int l = tokens - 1; l >= 0; l--) {
        const Real<T>* before = l ? chunk.hidden + (l - 1) * states : of.entering;
        const T *B = rows.B[l] + rows.in_B, *C = rows.C[l] + rows.in_C;
        const Real<T> dy = chunk.dy[l], input = chunk.input[l], step = chunk.step[l];
        Real<T> d_input = chunk.d_input[l], d_step = chunk.d_step[l], dB[states], dC[states];
        for (int n = 0; n < states; n++) {
            const Real<T> g = dy * C[n] + carry[n];
            dC[n] = dy * h[n];
            dB[n] = input * g;
            d_input += g * B[n];
            carry[n] = chunk.decay[l * states + n] * g;
            h[n] = before[n];
            const Real<T> d_exponent = carry[n] * h[n];
            d_rate[n] += step * d_exponent;
            d_step += rate[n] * d_exponent;
        }
        of.dB[l] += partial_sums<T, states>(dB);
        of.dC[l] += partial_sums<T, states>(dC);
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

// ---- all states ----

// How many states the backward pass has in one vector of partial sums.
template <class T>
constexpr int summed_together = Vector<T>::lanes >= TOGETHER ? TOGETHER : Vector<T>::lanes;

// Calls work(number of states, first state): `most` at a time, the rest singly.
template <int most, class Work>
INLINE void for_states(Index N, Work work) {
    Index n = 0;
    for (; n + most <= N; n += most) work(std::integral_constant<int, most>(), n);
    for (; n < N; n++) work(std::integral_constant<int, 1>(), n);
}

// Partial sums over channels of dB or dC of a chunk: for each call of for_states (CHUNK,) vectors.
template <class T>
constexpr Index sum_vectors(Index N) {
    constexpr Index most = summed_together<T>;
    return (N / most + N % most) * CHUNK;
}

template <class T>
constexpr Index sums_of(Index n) {
    constexpr Index most = summed_together<T>;
    return (n / most + n % most) * CHUNK;
}

// The chunk's outputs (in y, which begins as 0 or as the direct path) and the states after it.
template <class T>
INLINE void advance_all(Chunk<T>& chunk, Real<T>* hidden, const Real<T>* rate, Rows<T> rows, Index N, bool bounded,
                        const Soon* soon, int tokens) {
    for_states<TOGETHER>(N, [&](auto states, Index n) TARGET {
        const Soon* now = states == TOGETHER && n / TOGETHER < SOON ? soon + n / TOGETHER : nullptr;
        advance<T, states, false>(chunk, hidden + n, rate + n, rows.from(n), bounded, now, tokens);
    });
}

// The chunk's gradients from the states that enter it. dB and dC: see sum_vectors.
template <class T>
INLINE void retreat_all(Chunk<T>& chunk, Real<T>* entering, const Adjoints<T>& of, Rows<T> rows, Index N, bool bounded,
                        const Soon* soon, int tokens) {
    for (int l = 0; l < tokens; l++) chunk.d_input[l] = chunk.d_step[l] = broadcast<T>(0);
    for_states<summed_together<T>>(N, [&](auto states, Index n) TARGET {
        Real<T> hidden[states];
        for (int i = 0; i < states; i++) hidden[i] = entering[n + i];
        const Soon* now = states == TOGETHER && n / TOGETHER < SOON ? soon + n / TOGETHER : nullptr;
        advance<T, states, true>(chunk, hidden, of.rate + n, rows.from(n), bounded, now, tokens);
        const Adjoints<T> some{entering + n,       of.carry + n,           of.rate + n,
                               of.d_rate + n, of.dB + sums_of<T>(n), of.dC + sums_of<T>(n)};
        retreat<T, states>(chunk, some, rows.from(n), tokens);
    });
}

// Adds the partial sums up: rows (tokens, N).
template <class T>
APART void add_sums(T* rows, Index stride, const Real<T>* sums, Index N, int tokens) {
    constexpr int lanes = Vector<T>::lanes;
    for_states<summed_together<T>>(N, [&](auto states, Index n) TARGET {
        const Real<T>* vectors = sums + sums_of<T>(n);
        for (int l = 0; l < tokens; l++) {
            T total[states] = {}, parts[lanes];
            store(parts, vectors[l]);
            for (int lane = 0; lane < lanes; lane += states)
                for (int i = 0; i < states; i++) total[i] += parts[lane + i];
            for (int i = 0; i < states; i++) rows[l * stride + n + i] = total[i];
        }
    });
}

template <class T>
INLINE void clear(Real<T>* vectors, Index count) {
    for (Index i = 0; i < count; i++) vectors[i] = broadcast<T>(0);
}
