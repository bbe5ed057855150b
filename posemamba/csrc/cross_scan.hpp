// PoseMamba's K selective scans of a (frames x joints) plane and their sum, forward and backward, without sequences:
// the walks are ways of reading the plane, and what is put back in place is added to it.
//
// The projection to step, B and C commutes with adding limbs, so that it was done once, in the plane's own order
// (`selection`), and a limb is added to its few numbers here. See block.py for the formulas and recurrence.hpp for the
// scan's.

template <class T>
struct CrossWorkspace {
    static constexpr int lanes = Vector<T>::lanes;
    static constexpr int vectors = SLICE / lanes;
    Chunk<T>* chunk;
    Real<T>*rate, *hidden;                       // (vectors of the slice, N)
    Real<T>*step_weight, *d_step_weight;         // (vectors of the slice, R)
    Real<T>*carry, *d_rate;                      // (vectors of the slice, N)
    Real<T>*d_step, *dB, *dC;                    // partial sums over channels
    T *rows, *d_rows;                            // (CHUNK, R + 2 N), the first where limbs are added
    const T* row[CHUNK];                         // step, B and C of the chunk's tokens
    Index at[CHUNK], limb[CHUNK];                // tokens of the plane
    T largest_rate[vectors];

    static Index bytes(Index N, Index R) {
        const Index of_slice = vectors * (4 * N + 2 * R), sums = sum_vectors<T>(R) + 2 * sum_vectors<T>(N);
        return sizeof(CrossWorkspace) + ALIGNMENT + sizeof(Chunk<T>) + (of_slice + sums) * sizeof(Real<T>) +
               2 * CHUNK * (R + 2 * N) * sizeof(T);
    }

    static CrossWorkspace& in(char* memory, Index N, Index R) {
        CrossWorkspace& work = *reinterpret_cast<CrossWorkspace*>(memory);
        work.chunk = reinterpret_cast<Chunk<T>*>(memory + (sizeof(CrossWorkspace) / ALIGNMENT + 1) * ALIGNMENT);
        work.rate = reinterpret_cast<Real<T>*>(work.chunk + 1);
        work.hidden = work.rate + vectors * N;
        work.carry = work.hidden + vectors * N;
        work.d_rate = work.carry + vectors * N;
        work.step_weight = work.d_rate + vectors * N;
        work.d_step_weight = work.step_weight + vectors * R;
        work.d_step = work.d_step_weight + vectors * R;
        work.dB = work.d_step + sum_vectors<T>(R);
        work.dC = work.dB + sum_vectors<T>(N);
        work.rows = reinterpret_cast<T*>(work.dC + sum_vectors<T>(N));
        work.d_rows = work.rows + CHUNK * (R + 2 * N);
        return work;
    }
};

// About where a plane's channels are that the walk comes to in the chunk that is `tokens` away.
template <class T>
INLINE Soon soon(const CrossWorkspace<T>& work, const T* plane, Index stride, Index tokens) {
    const Index step = work.at[1] - work.at[0];
    return {reinterpret_cast<const char*>(plane + (work.at[0] + step * tokens) * stride),
            step * stride * Index(sizeof(T)), 0};
}

// Where the walk's tokens from `start` on lie in the plane, and the joints that are added to them.
template <class T>
INLINE void find_tokens(CrossWorkspace<T>& work, const CrossScan<T>& p, const Walk& walk, Index start, int tokens) {
    const Index inner = walk.along_joints ? p.joints : p.frames;
    Index outer = start / inner, position = start % inner;
    for (int l = 0; l < tokens; l++) {
        Index frame = walk.along_joints ? outer : position, joint = walk.along_joints ? position : outer;
        if (walk.last_frame_first) frame = p.frames - 1 - frame;
        if (walk.last_joint_first) joint = p.joints - 1 - joint;
        work.at[l] = frame * p.joints + joint;
        work.limb[l] = walk.limbs ? frame * p.joints + p.limbs[joint] : 0;
        if (++position == inner) position = 0, outer++;
    }
    if (tokens == 1) work.at[1] = work.at[0];
}

template <class T>
INLINE void add(T* sum, const T* a, const T* b, Index size) {
    constexpr int lanes = Vector<T>::lanes;
    Index i = 0;
    for (; i + lanes <= size; i += lanes) store(sum + i, load(a + i) + load(b + i));
    for (; i < size; i++) sum[i] = a[i] + b[i];
}

// Step, B and C of scan k at the chunk's tokens.
template <class T>
INLINE void read_rows(CrossWorkspace<T>& work, const CrossScan<T>& p, Index batch, Index k, int tokens) {
    const Index width = p.width(), stride = p.scans * width;
    const T* selection = p.selection + batch * p.length() * stride + k * width;
    for (int l = 0; l < tokens; l++) {
        work.row[l] = selection + work.at[l] * stride;
        if (!p.walks[k].limbs) continue;
        add(work.rows + l * width, work.row[l], selection + work.limb[l] * stride, width);
        work.row[l] = work.rows + l * width;
    }
}

// What scan k has for each channel of a slice.
template <class T>
INLINE void read_weights(CrossWorkspace<T>& work, const CrossScan<T>& p, const Slice& slice, Index k) {
    for_vectors<T>(slice, [&](Index i, Index channel, int valid) TARGET {
        const Index row = k * p.channels + channel, N = p.states, R = p.rank;
        work.largest_rate[i] = read_rates(work.rate + i * N, p.A + row * N, N, valid);
        gather(work.step_weight + i * R, p.step_weight + row * R, R, valid, int(R));
    });
}

// Reads u of scan k at the chunk's tokens and finds the steps of a slice's `vector` of channels. Returns the largest.
template <class T, bool with_slope>
INLINE T read_plane(CrossWorkspace<T>& work, const CrossScan<T>& p, const Channels& of, Index k, Index vector,
                    int tokens) {
    Chunk<T>& chunk = *work.chunk;
    const Real<T>* step_weight = work.step_weight + vector * p.rank;
    const T* u = p.u + of.batch * p.length() * p.channels + of.first;
    const Real<T> bias = load_some(p.step_bias + k * p.channels + of.first, of.valid);
    for (int l = 0; l < tokens; l++) chunk.u[l] = load_some(u + work.at[l] * p.channels, of.valid);
    if (p.walks[k].limbs)
        for (int l = 0; l < tokens; l++) chunk.u[l] += load_some(u + work.limb[l] * p.channels, of.valid);
    for (int l = 0; l < tokens; l++) chunk.step[l] = bias;
    for_states<TOGETHER>(p.rank, [&](auto together, Index r) TARGET {
        Real<T> weight[together];
        for (int i = 0; i < together; i++) weight[i] = step_weight[r + i];
        for (int l = 0; l < tokens; l++) {
            const T* row = work.row[l] + r;
            Real<T> step = chunk.step[l];
            for (int i = 0; i < together; i++) step += weight[i] * row[i];
            chunk.step[l] = step;
        }
    });
    return prepare<T, with_slope>(chunk, true, tokens);
}

template <class T>
INLINE Rows<T> states_of(CrossWorkspace<T>& work, const CrossScan<T>& p) {
    return {work.row, work.row, p.rank, p.rank + p.states};
}

// The states of scan k before a line's first token, of all of a slice's channels.
template <class T>
INLINE void read_before(CrossWorkspace<T>& work, const CrossScan<T>& p, const Slice& slice, Index k, Index line) {
    if (!p.before) return clear<T>(work.hidden, work.vectors * p.states);
    const T* before = p.before + p.line_at(slice.batch, k, line);
    for_vectors<T>(slice, [&](Index i, Index channel, int valid) TARGET {
        for (Index n = 0; n < p.states; n++)
            work.hidden[i * p.states + n] = load_some(before + n * p.channels + channel, valid);
    });
}

template <class T>
INLINE void write_after(CrossWorkspace<T>& work, const CrossScan<T>& p, const Slice& slice, Index k, Index line) {
    if (!p.after) return;
    T* after = p.after + p.line_at(slice.batch, k, line);
    for_vectors<T>(slice, [&](Index i, Index channel, int valid) TARGET {
        for (Index n = 0; n < p.states; n++)
            store_some(after + n * p.channels + channel, work.hidden[i * p.states + n], valid);
    });
}

// A chunk of scan k of one slice; `kept` is where its last states go, or null.
template <class T>
INLINE void forward_chunk(CrossWorkspace<T>& work, const CrossScan<T>& p, const Slice& slice, Index k, Index start,
                          int tokens, T* y, bool added, T* kept) {
    Chunk<T>& chunk = *work.chunk;
    const Index N = p.states, clip = slice.batch * p.length();
    find_tokens(work, p, p.walks[k], start, tokens);
    read_rows(work, p, slice.batch, k, tokens);
    for_vectors<T>(slice, [&](Index i, Index channel, int valid) TARGET {
        Real<T>* hidden = work.hidden + i * N;
        const T largest_step = read_plane<T, false>(work, p, {slice.batch, channel, valid}, k, i, tokens);
        const bool bounded = work.largest_rate[i] * largest_step <= Number<T>::largest_exponent;
        const Real<T> direct = load_some(p.skip + k * p.channels + channel, valid);
        for (int l = 0; l < tokens; l++) chunk.y[l] = direct * chunk.u[l];
        T* out = y + clip * p.channels + channel;
        const T* selection = p.selection + (clip * p.scans + k) * p.width() + i * 16;  // a line for each vector
        const Soon next[SOON] = {soon(work, p.u + clip * p.channels + channel, p.channels, CHUNK),
                                 soon<T>(work, out, p.channels, CHUNK),
                                 soon(work, selection, p.scans * p.width(), CHUNK)};
        advance_all(chunk, hidden, work.rate + i * N, states_of(work, p), N, bounded, next, tokens);
        for (int l = 0; l < tokens; l++) {
            T* to = out + work.at[l] * p.channels;
            store_some(to, added ? load_some(to, valid) + chunk.y[l] : chunk.y[l], valid);
        }
        for (Index n = 0; kept && n < N; n++) store_some(kept + n * p.channels + channel, hidden[n], valid);
    });
}

// Scan k of one slice; y is written or, where `added`, added to.
template <class T>
TARGET void forward_across(const CrossScan<T>& p, const Slice& slice, Index k, T* y, bool added, char* memory) {
    CrossWorkspace<T>& work = CrossWorkspace<T>::in(memory, p.states, p.rank);
    const Index lines = p.lines(k), length = p.length() / lines;
    read_weights(work, p, slice, k);
    for (Index line = 0; line < lines; line++) {
        read_before(work, p, slice, k, line);
        for (Index start = 0; start < length; start += CHUNK) {
            const int tokens = int(std::min<Index>(CHUNK, length - start));
            T* kept = p.kept ? p.kept + p.kept_at(slice.batch, k, line, start / CHUNK) : nullptr;
            forward_chunk(work, p, slice, k, line * length + start, tokens, y, added, kept);
        }
        write_after(work, p, slice, k, line);
    }
}

// Puts the gradient of one vector of channels of u back in place.
template <class T>
INLINE void add_to_plane(CrossWorkspace<T>& work, const CrossScan<T>& p, T* d_u, const Channels& of, bool limbs,
                         int tokens) {
    d_u += of.batch * p.length() * p.channels + of.first;
    for (int l = 0; l < tokens; l++) {
        T* own = d_u + work.at[l] * p.channels;
        store_some(own, load_some(own, of.valid) + work.chunk->d_input[l], of.valid);
        if (!limbs) continue;
        T* limb = d_u + work.limb[l] * p.channels;
        store_some(limb, load_some(limb, of.valid) + work.chunk->d_input[l], of.valid);
    }
}

// The gradients of the low-rank step (summed over channels into d_step) and of its weight (summed over tokens).
template <class T>
APART void retreat_steps(CrossWorkspace<T>& work, const CrossScan<T>& p, const Real<T>* weight, Real<T>* d_weight,
                         int tokens) {
    for_states<summed_together<T>>(p.rank, [&](auto together, Index r) TARGET {
        Real<T>* sums = work.d_step + sums_of<T>(r);
        for (int l = 0; l < tokens; l++) {
            const Real<T> d_step = work.chunk->d_step[l];
            const T* row = work.row[l] + r;
            Real<T> terms[together];
            for (int i = 0; i < together; i++) {
                terms[i] = d_step * weight[r + i];
                d_weight[r + i] += d_step * row[i];
            }
            sums[l] += partial_sums<T, together>(terms);
        }
    });
}

// Puts the gradients of step, B and C back in place.
template <class T>
INLINE void add_rows(CrossWorkspace<T>& work, const CrossScan<T>& p, T* d_selection, Index k, bool limbs, int tokens) {
    const Index width = p.width(), stride = p.scans * width;
    add_sums(work.d_rows, width, work.d_step, p.rank, tokens);
    add_sums(work.d_rows + p.rank, width, work.dB, p.states, tokens);
    add_sums(work.d_rows + p.rank + p.states, width, work.dC, p.states, tokens);
    for (int l = 0; l < tokens; l++) {
        const T* row = work.d_rows + l * width;
        T *own = d_selection + work.at[l] * stride + k * width, *limb = d_selection + work.limb[l] * stride + k * width;
        add(own, own, row, width);
        if (limbs) add(limb, limb, row, width);
    }
}

// Scan k of one slice.
template <class T>
TARGET void backward_across(const CrossScan<T>& p, const CrossGradients<T>& d, const Slice& slice, Index k,
                           char* memory) {
    constexpr int lanes = Vector<T>::lanes, vectors = SLICE / lanes;
    CrossWorkspace<T>& work = CrossWorkspace<T>::in(memory, p.states, p.rank);
    Chunk<T>& chunk = *work.chunk;
    const Index N = p.states, R = p.rank, length = p.length(), line_length = length / p.lines(k);
    const bool limbs = p.walks[k].limbs;
    T* d_selection = d.selection + (slice.number * p.batch + slice.batch) * length * p.scans * p.width();
    Real<T> d_direct[vectors] = {}, d_bias[vectors] = {};
    read_weights(work, p, slice, k);
    clear<T>(work.d_rate, vectors * N);
    clear<T>(work.d_step_weight, vectors * R);
    for (Index number = p.lines(k) * p.chunks_of_line(k) - 1; number >= 0; number--) {
        const Index line = number / p.chunks_of_line(k), c = number % p.chunks_of_line(k);
        const Index start = line * line_length + c * CHUNK;
        const int tokens = int(std::min<Index>(CHUNK, line_length - c * CHUNK));
        if (c == p.chunks_of_line(k) - 1) clear<T>(work.carry, vectors * N);
        find_tokens(work, p, p.walks[k], start, tokens);
        read_rows(work, p, slice.batch, k, tokens);
        clear<T>(work.d_step, sum_vectors<T>(R));
        clear<T>(work.dB, sum_vectors<T>(N));
        clear<T>(work.dC, sum_vectors<T>(N));
        for_vectors<T>(slice, [&](Index i, Index channel, int valid) TARGET {
            const Channels of{slice.batch, channel, valid};
            const T largest_step = read_plane<T, true>(work, p, of, k, i, tokens);
            const bool bounded = work.largest_rate[i] * largest_step <= Number<T>::largest_exponent;
            const T* dy = d.y + slice.batch * length * p.channels + channel;
            for (int l = 0; l < tokens; l++) chunk.dy[l] = load_some(dy + work.at[l] * p.channels, valid);
            const T* kept = c ? p.kept + p.kept_at(slice.batch, k, line, c - 1) + channel : nullptr;
            for (Index n = 0; n < N; n++)
                work.hidden[n] = c ? load_some(kept + n * p.channels, valid) : broadcast<T>(0);
            const Adjoints<T> all{work.hidden,         work.carry + i * N, work.rate + i * N,
                                  work.d_rate + i * N, work.dB,            work.dC};
            const Soon next[SOON] = {
                soon(work, p.u + slice.batch * length * p.channels + channel, p.channels, -CHUNK),
                soon(work, dy, p.channels, -CHUNK),
                soon<T>(work, d.u + slice.batch * length * p.channels + channel, p.channels, -CHUNK)};
            retreat_all(chunk, work.hidden, all, states_of(work, p), N, bounded, next, tokens);
            const Real<T> direct = load_some(p.skip + k * p.channels + channel, valid);
            finish_gradients<T>(chunk, direct, d_direct[i], d_bias[i], tokens);
            add_to_plane(work, p, d.u, of, limbs, tokens);
            retreat_steps(work, p, work.step_weight + i * R, work.d_step_weight + i * R, tokens);
        });
        add_rows(work, p, d_selection, k, limbs, tokens);
    }
    for_vectors<T>(slice, [&](Index i, Index channel, int valid) TARGET {
        const Index row = (slice.batch * p.scans + k) * p.channels + channel;
        scatter(d.A + row * N, work.d_rate + i * N, N, valid, int(N));
        scatter(d.step_weight + row * R, work.d_step_weight + i * R, R, valid, int(R));
        store_some(d.skip + row, d_direct[i], valid);
        store_some(d.step_bias + row, d_bias[i], valid);
    });
}
