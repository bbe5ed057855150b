// The selective scan of one slice of channels, forward and backward: see recurrence.hpp for its arithmetic.
//
// Arrays are channel-major, (B, K*D, L) and (B, K, N, L), whose chunks are transposed into vectors of channels, or
// token-major, (B, L, K*D) and (B, L, K, N). Of these all of a slice's channels are read token by token, because memory
// is fastest where much of it is side by side.
//
// Slices do not depend on the number of threads, and what they share is added up in their order: results do not depend
// on the number of threads either.

template <class T>
struct ScanWorkspace {
    static constexpr int lanes = Vector<T>::lanes;
    static constexpr Index STAGE = SLICE / lanes * CHUNK;
    Chunk<T>* chunk;
    Real<T>*rate, *hidden, *carry, *d_rate;  // (vectors of the slice, N)
    Real<T>*dB, *dC;                         // partial sums over channels
    Real<T>* transposed;                     // (CHUNK,) vectors of states
    Real<T>* staged[3];                      // (vectors of the slice, CHUNK), where arrays are token-major
    T* shared;                               // (CHUNK, 2 N): B and C where they are transposed, and their gradients
    const T **row_of_B, **row_of_C;          // (CHUNK,)
    T largest_rate[SLICE / lanes];

    static Index bytes(Index N) {
        const Index vectors = 4 * (SLICE / lanes) * N + 2 * sum_vectors<T>(N) + CHUNK + 3 * STAGE;
        return sizeof(Chunk<T>) + vectors * sizeof(Real<T>) + 2 * CHUNK * N * sizeof(T) + 2 * CHUNK * sizeof(T*);
    }

    ScanWorkspace(char* memory, Index N) {
        const Index vectors = (SLICE / lanes) * N;
        chunk = reinterpret_cast<Chunk<T>*>(memory);
        rate = reinterpret_cast<Real<T>*>(chunk + 1);
        hidden = rate + vectors;
        carry = hidden + vectors;
        d_rate = carry + vectors;
        dB = d_rate + vectors;
        dC = dB + sum_vectors<T>(N);
        transposed = dC + sum_vectors<T>(N);
        for (int i = 0; i < 3; i++) staged[i] = transposed + CHUNK + i * STAGE;
        row_of_B = reinterpret_cast<const T**>(transposed + CHUNK + 3 * STAGE);
        row_of_C = row_of_B + CHUNK;
        shared = reinterpret_cast<T*>(row_of_C + CHUNK);
    }
};

// The chunk `tokens` long from `start` on, of `valid` channels from `channel` on, which are a slice's `vector`.
struct Part {
    Index batch, vector, channel, start;
    int valid, tokens;
};

template <class V>
INLINE void copy(V* to, const V* from, int count) {
    for (int i = 0; i < count; i++) to[i] = from[i];
}

// Calls work(i, channel, lanes in use) for every vector of channels of a slice.
template <class T, class Work>
INLINE void for_vectors(const Slice& slice, Work work) {
    constexpr int lanes = Vector<T>::lanes;
    for (Index channel = slice.first, i = 0; channel < slice.last; channel += lanes, i++)
        work(i, channel, int(std::min<Index>(lanes, slice.last - channel)));
}

// All of a slice's channels at the tokens from `start` on, of a token-major array.
template <class T>
INLINE void stage(Real<T>* staged, const T* array, const Scan<T>& p, const Slice& slice, Index start, int tokens) {
    if (!p.token_major) return;
    for (int l = 0; l < tokens; l++) {
        const T* token = array + (slice.batch * p.length + start + l) * p.channels;
        for_vectors<T>(slice, [&](Index i, Index channel, int valid) TARGET {
            staged[i * CHUNK + l] = load_some(token + channel, valid);
        });
    }
}

template <class T>
INLINE void unstage(T* array, const Real<T>* staged, const Scan<T>& p, const Slice& slice, Index start, int tokens) {
    if (!p.token_major) return;
    for (int l = 0; l < tokens; l++) {
        T* token = array + (slice.batch * p.length + start + l) * p.channels;
        for_vectors<T>(slice, [&](Index i, Index channel, int valid) TARGET {
            store_some(token + channel, staged[i * CHUNK + l], valid);
        });
    }
}

// The channels of a part: of `staged`, its vector's, where the array is token-major.
template <class T>
INLINE void read_channels(Real<T>* vectors, const T* array, const Real<T>* staged, const Scan<T>& p, const Part& part) {
    if (p.token_major) return copy(vectors, staged + part.vector * CHUNK, part.tokens);
    gather(vectors, array + (part.batch * p.channels + part.channel) * p.length + part.start, p.length, part.valid,
           part.tokens);
}

template <class T>
INLINE void write_channels(T* array, Real<T>* staged, const Real<T>* vectors, const Scan<T>& p, const Part& part) {
    if (p.token_major) return copy(staged + part.vector * CHUNK, vectors, part.tokens);
    scatter(array + (part.batch * p.channels + part.channel) * p.length + part.start, vectors, p.length, part.valid,
            part.tokens);
}

// The next chunk, or the one before, of a part's array.
template <class T>
INLINE Soon soon(const T* array, const Scan<T>& p, const Part& part, Index tokens) {
    constexpr Index bytes = sizeof(T);
    const Index start = part.start + tokens;
    if (p.token_major)
        return {reinterpret_cast<const char*>(array + (part.batch * p.length + start) * p.channels + part.channel),
                p.channels * bytes, 0};
    const T* row = array + (part.batch * p.channels + part.channel) * p.length + start;
    return {reinterpret_cast<const char*>(row), p.length * bytes, bytes == 4 ? 2 : 3};  // 64 tokens are 4 or 8 lines
}

// Where the B or C of a slice's group begins at token `start`.
template <class T>
INLINE Index shared_at(const Scan<T>& p, const Slice& slice, Index start) {
    if (p.token_major) return ((slice.batch * p.length + start) * p.groups + slice.group) * p.states;
    return (slice.batch * p.groups + slice.group) * p.states * p.length + start;
}

template <class T>
INLINE void transpose_states(T* rows, const T* array, const Scan<T>& p, Real<T>* vectors, int tokens) {
    constexpr int lanes = Vector<T>::lanes;
    for (Index n = 0; n < p.states; n += lanes) {
        const int valid = int(std::min<Index>(lanes, p.states - n));
        gather(vectors, array + n * p.length, p.length, valid, tokens);
        for (int l = 0; l < tokens; l++) store_some(rows + l * 2 * p.states + n, vectors[l], valid);
    }
}

template <class T>
INLINE Rows<T> read_states(ScanWorkspace<T>& work, const Scan<T>& p, const Slice& slice, Index start, int tokens) {
    const Index at = shared_at(p, slice, start);
    if (!p.token_major) {
        transpose_states(work.shared, p.B + at, p, work.transposed, tokens);
        transpose_states(work.shared + p.states, p.C + at, p, work.transposed, tokens);
    }
    for (int l = 0; l < tokens; l++) {
        const T *transposed = work.shared + l * 2 * p.states, *B = p.B + at, *C = p.C + at;
        const Index token = l * p.groups * p.states;
        work.row_of_B[l] = p.token_major ? B + token : transposed;
        work.row_of_C[l] = p.token_major ? C + token : transposed + p.states;
    }
    return {work.row_of_B, work.row_of_C, 0, 0};
}

// The gradient of B or C of a chunk from its partial sums; work.shared is overwritten.
template <class T>
INLINE void write_states(T* array, const Real<T>* sums, ScanWorkspace<T>& work, const Scan<T>& p, int tokens) {
    constexpr int lanes = Vector<T>::lanes;
    if (p.token_major) return add_sums(array, p.groups * p.states, sums, p.states, tokens);
    add_sums(work.shared, p.states, sums, p.states, tokens);
    for (Index n = 0; n < p.states; n += lanes) {
        const int valid = int(std::min<Index>(lanes, p.states - n));
        for (int l = 0; l < tokens; l++) work.transposed[l] = load_some(work.shared + l * p.states + n, valid);
        scatter(array + n * p.length, work.transposed, p.length, valid, tokens);
    }
}

// A / ln 2 of a vector of channels, from rows (channels, N). Returns the largest.
template <class T>
INLINE T read_rates(Real<T>* rate, const T* A, Index N, int valid) {
    gather(rate, A, N, valid, int(N));
    Real<T> largest = broadcast<T>(0);
    for (Index n = 0; n < N; n++) {
        rate[n] *= Number<T>::log2_e;
        const Real<T> size = -negative_size<T>(rate[n]);
        largest = size > largest ? size : largest;
    }
    return largest_lane<T>(largest);
}

template <class T>
INLINE void read_all_rates(ScanWorkspace<T>& work, const Scan<T>& p, const Slice& slice) {
    for_vectors<T>(slice, [&](Index i, Index channel, int valid) TARGET {
        work.largest_rate[i] = read_rates(work.rate + i * p.states, p.A + channel * p.states, p.states, valid);
    });
}

// Reads and prepares a chunk of u and delta. Returns the largest |step|.
template <class T, bool with_slope>
INLINE T read_inputs(ScanWorkspace<T>& work, const Scan<T>& p, const Part& part) {
    Chunk<T>& chunk = *work.chunk;
    read_channels(chunk.u, p.u, work.staged[0], p, part);
    read_channels(chunk.step, p.delta, work.staged[1], p, part);
    if (p.delta_bias) {
        const Real<T> bias = load_some(p.delta_bias + part.channel, part.valid);
        for (int l = 0; l < part.tokens; l++) chunk.step[l] += bias;
    }
    return prepare<T, with_slope>(chunk, p.softplus, part.tokens);
}

// The states before the first token, of all of a slice's channels.
template <class T>
INLINE void read_before(ScanWorkspace<T>& work, const Scan<T>& p, const Slice& slice) {
    if (!p.before) return clear<T>(work.hidden, SLICE / Vector<T>::lanes * p.states);
    for_vectors<T>(slice, [&](Index i, Index channel, int valid) TARGET {
        const T* before = p.before + slice.batch * p.states * p.channels + channel;
        for (Index n = 0; n < p.states; n++)
            work.hidden[i * p.states + n] = load_some(before + n * p.channels, valid);
    });
}

template <class T>
TARGET void forward_slice(const Scan<T>& p, const Slice& slice, char* memory) {
    ScanWorkspace<T> work(memory, p.states);
    Chunk<T>& chunk = *work.chunk;
    const Index N = p.states, chunks = p.chunks();
    read_all_rates(work, p, slice);
    read_before(work, p, slice);
    for (Index c = 0; c < chunks; c++) {
        const Index start = c * CHUNK;
        const int tokens = int(std::min<Index>(CHUNK, p.length - start));
        const Rows<T> rows = read_states(work, p, slice, start, tokens);
        stage(work.staged[0], p.u, p, slice, start, tokens);
        stage(work.staged[1], p.delta, p, slice, start, tokens);
        for_vectors<T>(slice, [&](Index i, Index channel, int valid) TARGET {
            const Part part{slice.batch, i, channel, start, valid, tokens};
            Real<T>* hidden = work.hidden + i * N;
            const T largest_step = read_inputs<T, false>(work, p, part);
            const bool bounded = work.largest_rate[i] * largest_step <= Number<T>::largest_exponent;
            const Real<T> direct = p.D ? load_some(p.D + channel, valid) : broadcast<T>(0);
            for (int l = 0; l < tokens; l++) chunk.y[l] = p.D ? direct * chunk.u[l] : direct;
            const Soon next[SOON] = {soon(p.u, p, part, CHUNK), soon(p.delta, p, part, CHUNK),
                                     soon<T>(p.y, p, part, CHUNK)};
            advance_all(chunk, hidden, work.rate + i * N, rows, N, bounded, next, tokens);
            write_channels(p.y, work.staged[2], chunk.y, p, part);
            if (!p.kept) return;
            T* kept = p.kept + (slice.batch * chunks + c) * N * p.channels + channel;
            for (Index n = 0; n < N; n++) store_some(kept + n * p.channels, hidden[n], valid);
        });
        unstage(p.y, work.staged[2], p, slice, start, tokens);
    }
}

template <class T>
TARGET void backward_slice(const Scan<T>& p, const ScanGradients<T>& d, const Slice& slice, char* memory) {
    constexpr int lanes = Vector<T>::lanes;
    ScanWorkspace<T> work(memory, p.states);
    Chunk<T>& chunk = *work.chunk;
    const Index N = p.states, chunks = p.chunks(), partial = slice.number * p.batch * p.groups * N * p.length;
    Real<T> d_direct[SLICE / lanes] = {}, d_bias[SLICE / lanes] = {};
    read_all_rates(work, p, slice);
    clear<T>(work.carry, SLICE / lanes * N);
    clear<T>(work.d_rate, SLICE / lanes * N);
    for (Index c = chunks - 1; c >= 0; c--) {
        const Index start = c * CHUNK, shared = partial + shared_at(p, slice, start);
        const int tokens = int(std::min<Index>(CHUNK, p.length - start));
        const Rows<T> rows = read_states(work, p, slice, start, tokens);
        clear<T>(work.dB, sum_vectors<T>(N));
        clear<T>(work.dC, sum_vectors<T>(N));
        stage(work.staged[0], p.u, p, slice, start, tokens);
        stage(work.staged[1], p.delta, p, slice, start, tokens);
        stage(work.staged[2], d.dy, p, slice, start, tokens);
        for_vectors<T>(slice, [&](Index i, Index channel, int valid) TARGET {
            const Part part{slice.batch, i, channel, start, valid, tokens};
            const T largest_step = read_inputs<T, true>(work, p, part);
            const bool bounded = work.largest_rate[i] * largest_step <= Number<T>::largest_exponent;
            read_channels(chunk.dy, d.dy, work.staged[2], p, part);
            const T* kept = p.kept + (slice.batch * chunks + c - 1) * N * p.channels + channel;
            for (Index n = 0; n < N; n++)
                work.hidden[n] = c ? load_some(kept + n * p.channels, valid) : broadcast<T>(0);
            const Adjoints<T> all{work.hidden,         work.carry + i * N, work.rate + i * N,
                                  work.d_rate + i * N, work.dB,            work.dC};
            const Soon next[SOON] = {soon(p.u, p, part, -CHUNK), soon(p.delta, p, part, -CHUNK),
                                     soon(d.dy, p, part, -CHUNK)};
            retreat_all(chunk, work.hidden, all, rows, N, bounded, next, tokens);
            const Real<T> direct = p.D ? load_some(p.D + channel, valid) : broadcast<T>(0);
            finish_gradients<T>(chunk, direct, d_direct[i], d_bias[i], tokens);
            write_channels(d.u, work.staged[0], chunk.d_input, p, part);
            write_channels(d.delta, work.staged[1], chunk.d_step, p, part);
        });
        unstage(d.u, work.staged[0], p, slice, start, tokens);
        unstage(d.delta, work.staged[1], p, slice, start, tokens);
        write_states(d.B + shared, work.dB, work, p, tokens);
        write_states(d.C + shared, work.dC, work, p, tokens);
    }
    for_vectors<T>(slice, [&](Index i, Index channel, int valid) TARGET {
        const Index row = slice.batch * p.channels + channel;
        scatter(d.A + row * N, work.d_rate + i * N, N, valid, int(N));
        store_some(d.D + row, d_direct[i], valid);
        store_some(d.delta_bias + row, d_bias[i], valid);
    });
}
