// All outputs of a call in one pass over the device's memory: each sample is read once from it, each
// result written once.
//
// A thread owns WIDTH neighbouring results of a row, 16 bytes where memory allows, and marches with
// them along the slowest axis. The samples before and behind stay in registers, those beside come
// from the first-level cache, where neighbouring threads have brought them. There is no shared
// memory and a single barrier, so that this file, as it stands, is also C++ for the host, where it is
// tested: there each thread of a block comes up to the barrier before the first goes on.
//
// What the code depends on is in the types: dtypes, the number of axes, and for each term the
// formula between the ends. Numbers are arguments: weights, lengths, strides, and all formulas at
// the ends. So a new spacing, shape or boundary needs no new code. `program.py` writes
// both; the two must agree on `Call`.
//
// Compile with --fmad=false: a product that is fused into a sum has other bits than NumPy's. CuPy adds
// -ftz=true, whatever is asked for, which takes float numbers below 1.2e-38 for zero. So no float is
// added, multiplied, divided or converted by an operator of C++ here: the functions below name the
// instruction of PTX that keeps small numbers.

using Word = long long;

constexpr int THREADS = 256;
constexpr int WIDEST_WINDOW = 4;  // samples before and behind that are kept in registers, at most

// ---- Numbers ----------------------------------------------------------------------------------

struct Half {
    unsigned short bits;
};

template <class Real>
struct alignas(2 * sizeof(Real)) Complex {
    Real re, im;
};

#ifdef __CUDACC__  // elsewhere whoever includes this file brings these
// The same number, of which the compiler knows nothing: what depends on it is not kept in registers.
__device__ inline int forget(int x) {
    asm volatile("" : "+r"(x));
    return x;
}
__device__ inline long long forget(long long x) {
    asm volatile("" : "+l"(x));
    return x;
}
// Whether a thread is before the barrier (0) or behind it (1): here it comes through both at once.
__device__ inline bool is_phase(int) { return true; }
__device__ inline float half_to_float(unsigned short bits) {
    float x;
    asm("cvt.f32.f16 %0, %1;" : "=f"(x) : "h"(bits));
    return x;
}
__device__ inline unsigned short float_to_half(float x) {
    unsigned short bits;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(x));
    return bits;
}
__device__ inline unsigned short double_to_half(double x) {
    unsigned short bits;
    asm("cvt.rn.f16.f64 %0, %1;" : "=h"(bits) : "d"(x));
    return bits;
}
#define KEEPS_SMALL_NUMBERS(name, instruction)                          \
    __device__ inline float name(float a, float b) {                    \
        float x;                                                        \
        asm(instruction ".f32 %0, %1, %2;" : "=f"(x) : "f"(a), "f"(b)); \
        return x;                                                       \
    }
KEEPS_SMALL_NUMBERS(add, "add.rn")
KEEPS_SMALL_NUMBERS(subtract, "sub.rn")
KEEPS_SMALL_NUMBERS(multiply, "mul.rn")
KEEPS_SMALL_NUMBERS(divide, "div.rn")
#undef KEEPS_SMALL_NUMBERS
__device__ inline float negate(float a) {
    float x;
    asm("neg.f32 %0, %1;" : "=f"(x) : "f"(a));
    return x;
}
__device__ inline float take_root(float a) {
    float x;
    asm("sqrt.rn.f32 %0, %1;" : "=f"(x) : "f"(a));
    return x;
}
__device__ inline double take_root(double x) { return __dsqrt_rn(x); }
__device__ inline float fuse(float a, float b, float c) {
    float x;
    asm("fma.rn.f32 %0, %1, %2, %3;" : "=f"(x) : "f"(a), "f"(b), "f"(c));
    return x;
}
__device__ inline double fuse(double a, double b, double c) { return __fma_rn(a, b, c); }
template <class To, class From> __device__ To cast(From x) { return static_cast<To>(x); }
template <> __device__ inline float cast<float, double>(double a) {
    float x;
    asm("cvt.rn.f32.f64 %0, %1;" : "=f"(x) : "d"(a));
    return x;
}
template <> __device__ inline double cast<double, float>(float a) {
    double x;
    asm("cvt.f64.f32 %0, %1;" : "=d"(x) : "f"(a));
    return x;
}
#endif

// `Working` is the type in which samples are subtracted: integers would wrap around, halves overflow.
template <class Sample> struct Working { using Type = double; };
template <> struct Working<Half> { using Type = float; };
template <> struct Working<float> { using Type = float; };
template <class Real> struct Working<Complex<Real>> { using Type = Complex<Real>; };

// `Like<X, Real>` is a real or complex number like X, with parts of type Real.
template <class X, class Real> struct LikeOf { using Type = Real; };
template <class X, class Real> struct LikeOf<Complex<X>, Real> { using Type = Complex<Real>; };
template <class X, class Real> using Like = typename LikeOf<X, Real>::Type;

template <bool CONDITION, class A, class B> struct Choose { using Type = A; };
template <class A, class B> struct Choose<false, A, B> { using Type = B; };

template <class X> struct RealOf { using Type = X; };
template <class Real> struct RealOf<Complex<Real>> { using Type = Real; };

template <class To> struct Convert {
    template <class From> static __device__ To from(From x) { return cast<To>(x); }
    static __device__ To from(Half x) { return cast<To>(half_to_float(x.bits)); }
};
template <class Real> struct Convert<Complex<Real>> {
    template <class From> static __device__ Complex<Real> from(Complex<From> x) {
        return {cast<Real>(x.re), cast<Real>(x.im)};
    }
};
template <> struct Convert<Half> {
    static __device__ Half from(Half x) { return x; }
    static __device__ Half from(float x) { return {float_to_half(x)}; }
    static __device__ Half from(double x) { return {double_to_half(x)}; }
};

template <class Real> __device__ Real negate(Real x) { return -x; }
template <class Real> __device__ Real add(Real a, Real b) { return a + b; }
template <class Real> __device__ Real subtract(Real a, Real b) { return a - b; }
template <class Real> __device__ Real multiply(Real w, Real x) { return w * x; }
template <class Real> __device__ Real divide(Real a, Real b) { return a / b; }
template <class Real> __device__ Real square(Real x) { return multiply(x, x); }

template <class Real> __device__ Complex<Real> negate(Complex<Real> x) {
    return {negate(x.re), negate(x.im)};
}
template <class Real> __device__ Complex<Real> add(Complex<Real> a, Complex<Real> b) {
    return {add(a.re, b.re), add(a.im, b.im)};
}
template <class Real> __device__ Complex<Real> subtract(Complex<Real> a, Complex<Real> b) {
    return {subtract(a.re, b.re), subtract(a.im, b.im)};
}
template <class Real> __device__ Real square(Complex<Real> x) {
    return add(square(x.re), square(x.im));
}
// NumPy multiplies by w + 0j. The zeros matter to infinities and to the sign of zero.
template <class Real> __device__ Complex<Real> multiply(Real w, Complex<Real> x) {
    const Real zero = 0;
    return {subtract(multiply(w, x.re), multiply(zero, x.im)),
            add(multiply(w, x.im), multiply(zero, x.re))};
}

// The sign, the exponent and the first digits of a number, as a whole number.
__device__ inline int head(float x) { return __float_as_int(x); }
__device__ inline int head(double x) { return __double2hiint(x); }
__device__ inline bool is_zero(float x) { return (__float_as_int(x) & 0x7fffffff) == 0; }
__device__ inline bool is_zero(double x) { return x == 0; }

// A divisor, ready to divide many numbers by. With the rounded reciprocal r, the quotient q = x * r
// is nearly right, and q + (x - q * d) * r is rounded as the true quotient is (Markstein 1990;
// Brisebarre, Muller and Raina 2004), where nothing on the way is too large or too small to be a
// number of full precision: for sizes of x from `least` to `least` + `range`, compared by their heads.
template <class Value> struct Divisor {
    Value value, reciprocal;
    unsigned least, range;

    __device__ Divisor() = default;
    __device__ explicit Divisor(Value d) : value(d), least(0x7fffffff), range(0) {
        constexpr int BIAS = sizeof(Value) == 8 ? 1023 : 127, DIGITS = sizeof(Value) == 8 ? 52 : 23;
        constexpr int SHIFT = sizeof(Value) == 8 ? 20 : 23;
        const int exponent = (head(d) >> SHIFT & (2 * BIAS + 1)) - BIAS;
        if (exponent > DIGITS - BIAS && exponent < BIAS - DIGITS) {
            reciprocal = ::divide(Value(1), d);
            const int low = 2 * DIGITS + 4 - BIAS + (exponent > 0 ? exponent : 0);
            const int high = BIAS - 2 + (exponent < 0 ? exponent : 0);
            least = static_cast<unsigned>(low + BIAS) << SHIFT;
            range = (static_cast<unsigned>(high + BIAS) << SHIFT) - least;
            if (high <= low) least = 0x7fffffff, range = 0;
        } else {
            reciprocal = 0;  // which nobody asks for, where no size of x is sure
        }
    }
    // How far the size of x is above the least, or far more where it is below.
    __device__ unsigned find_excess(Value x) const {
        return (static_cast<unsigned>(head(x)) & 0x7fffffff) - least;
    }
    __device__ Value divide_surely(Value x) const {
        const Value q = multiply(x, reciprocal);
        return fuse(fuse(negate(q), value, x), reciprocal, q);
    }
    // Zeros are common in fields, and need no division where there is a reciprocal.
    __device__ Value divide(Value x) const {
        return range && is_zero(x) ? multiply(x, reciprocal) : ::divide(x, value);
    }
};
// NumPy divides complex numbers in Smith's way, here by d + 0j: the ratio 0 / d is not a number where
// d is zero, as a spacing is that underflows, and there each part is divided by its magnitude.
template <class Real> struct Divisor<Complex<Real>> {
    Real ratio, reciprocal;
    __device__ Divisor() = default;
    __device__ explicit Divisor(Real d)
        : ratio(::divide(Real(0), d)), reciprocal(::divide(Real(1), is_zero(d) ? Real(0) : d)) {}
    __device__ Complex<Real> divide(Complex<Real> x) const {
        if (ratio != ratio) return {multiply(x.re, reciprocal), multiply(x.im, reciprocal)};
        return {multiply(add(x.re, multiply(x.im, ratio)), reciprocal),
                multiply(subtract(x.im, multiply(x.re, ratio)), reciprocal)};
    }
};

__device__ inline double as_double(Word word) {
    union {
        Word word;
        double value;
    } both{word};
    return both.value;
}
// A number of an argument lies in the lowest bytes of its word, in the dtype that reads it: no number
// is converted on the way.
template <class Real> __device__ Real as_real(Word word) {
    if constexpr (sizeof(Real) == sizeof(Word)) {
        return as_double(word);
    } else {
        union {
            unsigned bits;
            float value;
        } both{static_cast<unsigned>(word)};
        return both.value;
    }
}

template <class Value> struct FromWord {
    static __device__ Value from(Word word) { return as_real<Value>(word); }
};
template <class Real> struct FromWord<Complex<Real>> {
    static __device__ Complex<Real> from(Word word) { return {as_real<Real>(word), Real(0)}; }
};

// ---- Memory -----------------------------------------------------------------------------------

template <class X, int N> struct alignas(N * sizeof(X)) Vector {
    X lane[N];
};

template <int BYTES> struct RawOf;
template <> struct RawOf<1> { using Type = unsigned char; };
template <> struct RawOf<2> { using Type = unsigned short; };
template <> struct RawOf<4> { using Type = unsigned int; };
template <> struct RawOf<8> { using Type = uint2; };
template <> struct RawOf<16> { using Type = uint4; };

template <class X, int N> union Bits {
    typename RawOf<N * sizeof(X)>::Type raw;
    Vector<X, N> vector;
    __device__ Bits() {}
};

template <class X, int N> __device__ Vector<X, N> load_whole(const X* p) {
    Bits<X, N> bits;
    bits.raw = __ldg(reinterpret_cast<const typename RawOf<N * sizeof(X)>::Type*>(p));
    return bits.vector;
}

// Past the caches' habits: what is written is not read again soon, and should leave first.
template <class X, int N> __device__ void store_whole(X* p, const Vector<X, N>& vector) {
    Bits<X, N> bits;
    bits.vector = vector;
    __stcs(reinterpret_cast<typename RawOf<N * sizeof(X)>::Type*>(p), bits.raw);
}

// The last vector of a row may reach beyond it: `count` lanes of it exist.
template <class X, int N> __device__ Vector<X, N> load(const X* p, int count) {
    if (N == 1 || count == N) return load_whole<X, N>(p);
    Vector<X, N> vector = {};
#pragma unroll
    for (int i = 0; i < N; ++i)
        if (i < count) vector.lane[i] = load_whole<X, 1>(p + i).lane[0];
    return vector;
}

template <class X, int N> __device__ void store(X* p, const Vector<X, N>& vector, int count) {
    if (N == 1 || count == N) return store_whole<X, N>(p, vector);
#pragma unroll
    for (int i = 0; i < N; ++i)
        if (i < count) store_whole<X, 1>(p + i, {{vector.lane[i]}});
}

// ---- What to compute: types -------------------------------------------------------------------

// A sample of a formula: where, from the row on, and '+' or '-' to add or subtract it, 'n' for a
// number as its weight, 'a' for an array with one for each row.
template <int OFFSET_, char KIND_> struct Tap {
    static constexpr int OFFSET = OFFSET_;
    static constexpr char KIND = KIND_;
    static constexpr bool WEIGHTED = KIND == 'n' || KIND == 'a';
};

// The weighted sum of taps over a divisor: '1' for none, 'n' for a number, 'a' for an array.
// `Real` is the precision of products and quotients.
template <class Real_, char DIVISOR_, class... Taps_> struct Formula {
    using Real = Real_;
    static constexpr char DIVISOR = DIVISOR_;
    static constexpr int TAPS = sizeof...(Taps_);
    static constexpr bool VARIES = DIVISOR == 'a' || ((Taps_::KIND == 'a') || ...);
    // Its arrays of weights take more registers than there are beside the samples.
    static constexpr bool IS_HEAVY = VARIES && TAPS * sizeof(Real) > 64;
    static __device__ constexpr int reach() {
        int reach = 0;
        ((reach = Taps_::OFFSET > reach ? Taps_::OFFSET : reach), ...);
        ((reach = -Taps_::OFFSET > reach ? -Taps_::OFFSET : reach), ...);
        return reach;
    }
};

// A field differentiated along an axis. Terms are numbered; FACTOR is the number of its first factor.
template <int SIGN_, int FIELD_, int AXIS_, int NUMBER_, int FACTOR_, class Formula_> struct Term {
    static constexpr int SIGN = SIGN_, FIELD = FIELD_, AXIS = AXIS_;
    static constexpr int NUMBER = NUMBER_, FACTOR = FACTOR_;
    using Formula = Formula_;
    static constexpr bool MARCHES = AXIS == 0 && Formula::reach() <= WIDEST_WINDOW;
    static constexpr int MASK = -1, ALTERNATIVES = 0;
};

// A term of a masked field: where the mask with number MASK is false, a sample is not valid. Where a
// formula would read such a sample, the first of the alternatives is taken that reads none. The
// alternatives follow the term in `terms`.
template <int MASK_, int ALTERNATIVES_, class Term> struct Masked : Term {
    static constexpr int MASK = MASK_, ALTERNATIVES = ALTERNATIVES_;
};

// The signed sum of terms.
template <class... Terms> struct Output {
    static constexpr bool SINGLE = sizeof...(Terms) == 1 && ((Terms::SIGN == 1) && ...);
    static constexpr int TERMS = sizeof...(Terms);
    // How far the samples of a field that are kept in registers reach.
    static __device__ constexpr int window(int field) {
        int reach = 0;
        ((reach = Terms::MARCHES && Terms::FIELD == field && Terms::Formula::reach() > reach
                      ? Terms::Formula::reach()
                      : reach),
         ...);
        return reach;
    }
};

// The root of the sum of their squared magnitudes.
template <class... Terms> struct Norm : Output<Terms...> {};

// ---- Where to compute it: arguments -----------------------------------------------------------

// A number; or an address and the step from row to row.
struct Factor {
    Word value, other;
};

// The address of an array's first element, and its strides, in elements.
template <int AXES> struct Operand {
    Word address, strides[AXES];
};

// How many rows at the ends of an axis have formulas of their own, and where those are in `ends`:
// each takes `size` words, the first begins at `first`. Of an alternative, the formula between the
// ends comes after these.
struct Ends {
    int lower, upper, first, size;
};

template <int AXES, int FIELDS, int OUTPUTS, int TERMS, int FACTORS, int WORDS> struct Call {
    Word lengths[AXES];  // from the slowest axis to the fastest
    Word middle;         // the product of all but the first and the last
    Word planes;         // steps along the slowest axis for each thread
    int tile;            // log2 of the vectors of a row that a block has
    int tiles;           // blocks for each row
    Operand<AXES> fields[FIELDS], outputs[OUTPUTS];  // masks come after the outputs
    Ends terms[TERMS];
    Factor factors[FACTORS];
    Word ends[WORDS];
};

// In `ends`, a row at an end is five words (see `Row`) and two for each sample: position and kind, and
// a weight. A position counts from the start of the axis or, if negative, from its end. Kinds of
// weights: 0 adds, 1 subtracts, 2 is a number, 3 an address. Kinds of divisors: 0 is none, 2, 3.
// The formula of an alternative between the ends has positions that count from the row, and kind 4:
// the address of an array with one for each row.
constexpr int HEADER = 5;

struct Row {
    int count, is_weighted, divisor, has_constant;
    Factor factor;
    Word constant;

    __device__ explicit Row(const Word* words)
        : count(static_cast<int>(words[0])),
          is_weighted(static_cast<int>(words[0] >> 32)),
          divisor(static_cast<int>(words[1])),
          has_constant(static_cast<int>(words[1] >> 32)),
          factor{words[2], words[3]},
          constant(words[4]) {}
};

template <class Real> __device__ Real read_factor(int kind, Word word) {
    return kind == 3 ? *reinterpret_cast<const Real*>(word) : as_real<Real>(word);
}

// ---- A thread's work --------------------------------------------------------------------------

// The factors of a formula for N results: one for each tap and one for the divisor. Those in arrays
// are read from `row` on, counted from the first row between the ends; VARIES says that they differ
// from result to result, as they do along the fastest axis.
template <class Work, class Formula, int N> struct Factors;

template <class Work, class Real, char DIVISOR, class... Taps, int N>
struct Factors<Work, Formula<Real, DIVISOR, Taps...>, N> {
    using Value = Like<Work, Real>;
    Vector<Real, N> weights[sizeof...(Taps)];
    Divisor<Value> divisors[N];

    // There are `rows` between the ends: what a lane beyond them has for factors is not used.
    template <bool VARIES, class Index>
    static __device__ Factors read(const Factor* factor, Index row, Index rows) {
        using Place = typename Choose<Formula<Real, DIVISOR, Taps...>::IS_HEAVY, Index, Word>::Type;
        return read_from<VARIES, Place>(factor, row, rows);
    }

  private:
    template <bool VARIES, class Place>
    static __device__ Factors read_from(const Factor* factor, Place row, Place rows) {
        Factors factors;
        Vector<Real, N>* weight = factors.weights;
        (read_lanes<Taps::KIND, VARIES>(*weight++, factor, row, rows), ...);
        if constexpr (DIVISOR != '1') {
            Vector<Real, N> values;
            read_lanes<DIVISOR, VARIES>(values, factor, row, rows);
#pragma unroll
            for (int i = 0; i < N; ++i) {
                if (i == 0 || DIVISOR == 'a') factors.divisors[i] = Divisor<Value>(values.lane[i]);
            }
        }
        return factors;
    }

    template <char KIND, bool VARIES, class Place>
    static __device__ void read_lanes(Vector<Real, N>& lanes, const Factor*& factor, Place row,
                                      Place rows) {
        if constexpr (KIND == 'n') {
            const Real value = as_real<Real>(factor++->value);
#pragma unroll
            for (int i = 0; i < N; ++i) lanes.lane[i] = value;
        } else if constexpr (KIND == 'a') {
            const Factor& f = *factor++;
            const Real* first = reinterpret_cast<const Real*>(f.value);
            const Place step = static_cast<Place>(f.other);
#pragma unroll
            for (int i = 0; i < N; ++i) {
                const Place at = !VARIES || row + i < rows ? row + i : rows - 1;
                const Word place = static_cast<Word>(at > 0 ? at : 0) * step;
                lanes.lane[i] = VARIES || i == 0 ? __ldg(first + place) : lanes.lane[0];
            }
        }
    }
};

// The formula between the ends, for one lane. Sums of bare samples have the precision of the samples,
// products and quotients that of the formula.
template <class Work, class Formula> struct Combine;

template <class Work, class Real, char DIVISOR, class... Taps>
struct Combine<Work, Formula<Real, DIVISOR, Taps...>> {
    using Value = Like<Work, Real>;
    using Sum = typename Choose<(Taps::WEIGHTED || ...), Value, Work>::Type;

    template <class Samples, class FactorsOf>
    static __device__ Value lane(const Samples& samples, const FactorsOf& factors, int i) {
        Sum total;
        int tap = 0;
        (append<Taps::KIND>(total, Convert<Sum>::from(samples[tap].lane[i]),
                            factors.weights[tap].lane[i], tap == 0, tap),
         ...);
        return Convert<Value>::from(total);
    }

    template <class FactorsOf, int N>
    static __device__ void divide(Vector<Value, N>& values, const FactorsOf& factors) {
        if constexpr (DIVISOR == 'n' && sizeof(Value) == sizeof(Real)) {
            const Divisor<Value>& divisor = factors.divisors[0];
            unsigned most = 0;  // of the lanes together: one question for all
#pragma unroll
            for (int i = 0; i < N; ++i) {
                const unsigned excess = divisor.find_excess(values.lane[i]);
                most = excess > most ? excess : most;
            }
            if (most < divisor.range) {
#pragma unroll
                for (int i = 0; i < N; ++i) values.lane[i] = divisor.divide_surely(values.lane[i]);
            } else {
                divide_one_by_one(values, divisor);
            }
        } else if constexpr (DIVISOR != '1') {
#pragma unroll
            for (int i = 0; i < N; ++i)
                values.lane[i] = factors.divisors[DIVISOR == 'a' ? i : 0].divide(values.lane[i]);
        }
    }

  private:
    // Lanes change places, so that the long code of a division is there once.
    template <int N>
    static __device__ void divide_one_by_one(Vector<Value, N>& values, const Divisor<Value>& divisor) {
#pragma unroll 1
        for (int i = 0; i < N; ++i) {
            const Value x = values.lane[0];
#pragma unroll
            for (int k = 1; k < N; ++k) values.lane[k - 1] = values.lane[k];
            values.lane[N - 1] = divisor.divide(x);
        }
    }

    template <char KIND>
    static __device__ void append(Sum& total, Sum sample, Real weight, bool is_first, int& tap) {
        if constexpr (KIND == 'n' || KIND == 'a') sample = multiply(weight, sample);
        if (is_first) total = KIND == '-' ? negate(sample) : sample;
        else total = KIND == '-' ? subtract(total, sample) : add(total, sample);
        ++tap;
    }
};

// A thread has WIDTH results side by side. At the ends of the fastest axis one thread in 32 would go
// its own way, and the others wait for it at each step: so it writes what the formula between the ends
// makes of any samples of the row. When a block has marched, its threads share the results at these
// ends among themselves, and write over it. IS_END says that this is such a result, alone.
template <class Sample, class Result, class Index, int WIDTH, bool IS_END, class CallOf,
          class... Outputs>
struct Thread;

template <class Sample, class Result, class Index, int WIDTH, bool IS_END, int AXES, int FIELDS, int OUTPUTS,
          int TERMS, int FACTORS, int WORDS, class... Outputs>
struct Thread<Sample, Result, Index, WIDTH, IS_END, Call<AXES, FIELDS, OUTPUTS, TERMS, FACTORS, WORDS>,
              Outputs...> {
    using Work = typename Working<Sample>::Type;
    template <class Term> using ValueOf = Like<Work, typename Term::Formula::Real>;
    static constexpr int FASTEST = AXES - 1;
    static constexpr int RESULTS = sizeof...(Outputs);  // OUTPUTS counts masks as well

    static __device__ constexpr int window_of(int field) {
        int reach = 0;
        ((reach = Outputs::window(field) > reach ? Outputs::window(field) : reach), ...);
        return reach;
    }
    static __device__ constexpr int widest_window() {
        int widest = 0;
        for (int f = 0; f < FIELDS; ++f) widest = window_of(f) > widest ? window_of(f) : widest;
        return widest;
    }
    static constexpr int REACH = widest_window();

    const Call<AXES, FIELDS, OUTPUTS, TERMS, FACTORS, WORDS>& call;
    Index at[AXES];  // the index of the first lane along each axis
    int count;       // how many lanes are within the row
    const Sample* here[FIELDS];
    Result* there[RESULTS];
    Vector<Sample, WIDTH> window[FIELDS][2 * REACH + 1];  // along the slowest axis; here is [REACH]

    __device__ explicit Thread(const Call<AXES, FIELDS, OUTPUTS, TERMS, FACTORS, WORDS>& call)
        : call(call) {}

    __device__ Index stride(int field, int axis) const {
        if (WIDTH > 1 && axis == FASTEST) return 1;
        return static_cast<Index>(call.fields[field].strides[axis]);
    }

    // ---- Between the ends

    template <class Term, int N> using FactorsOf = Factors<Work, typename Term::Formula, N>;

    template <class Term, bool VARIES = false>
    __device__ FactorsOf<Term, WIDTH> read_factors(Index row, Index rows) const {
        return FactorsOf<Term, WIDTH>::template read<VARIES, Index>(call.factors + Term::FACTOR, row, rows);
    }

    // Factors that stay the same on the way along the slowest axis are read once, if they are not too
    // many to be kept.
    template <class Term>
    static constexpr bool READS_EACH_STEP =
        Term::Formula::VARIES && Term::AXIS != FASTEST &&
        (Term::AXIS == 0 || Term::Formula::IS_HEAVY);

    template <class Term> __device__ FactorsOf<Term, WIDTH> read_ahead() const {
        constexpr int axis = Term::AXIS;
        const Index row = at[axis] - call.terms[Term::NUMBER].lower;
        const Index rows = static_cast<Index>(call.lengths[axis]) - call.terms[Term::NUMBER].lower -
                           call.terms[Term::NUMBER].upper;
        const bool is_inside = rows > 0 && (axis == FASTEST || (row >= 0 && row < rows));
        if (READS_EACH_STEP<Term> || (Term::Formula::VARIES && !is_inside)) return {};
        return read_factors<Term, axis == FASTEST>(row, rows);
    }

    template <class Term, int OFFSET, bool DEEP> __device__ Vector<Sample, WIDTH> sample() const {
        constexpr int field = Term::FIELD;
        if constexpr (OFFSET == 0 || Term::MARCHES) {
            return window[field][REACH + OFFSET];
        } else if constexpr (Term::AXIS == FASTEST && !IS_END) {
            // Of two samples or more beside the vector, whole vectors are fewer loads.
            constexpr bool WHOLE = DEEP && Term::Formula::reach() > 1;
            const Index beside = stride(field, FASTEST);
            Vector<Sample, WIDTH> lanes;
#pragma unroll
            for (int i = 0; i < WIDTH; ++i) {
                const int from = i + OFFSET, lane = from & (WIDTH - 1);
                if (from == lane) lanes.lane[i] = window[field][REACH].lane[lane];
                else if (WHOLE)
                    lanes.lane[i] =
                        load_whole<Sample, WIDTH>(here[field] + within<WIDTH>(from - lane) * beside)
                            .lane[lane];
                else
                    lanes.lane[i] =
                        load_whole<Sample, 1>(here[field] + within<1>(from) * beside).lane[0];
            }
            return lanes;
        } else {
            const Sample* p = here[field] + OFFSET * stride(field, Term::AXIS);
            return DEEP ? load_whole<Sample, WIDTH>(p) : load<Sample, WIDTH>(p, count);
        }
    }

    // A distance along the fastest axis to N samples; 0 where they are not all in the row.
    template <int N> __device__ Index within(int distance) const {
        const Index to = at[FASTEST] + distance;
        return to >= 0 && to + N <= static_cast<Index>(call.lengths[FASTEST]) ? distance : 0;
    }

    template <class Term, bool DEEP = false, class Real, char DIVISOR, class... Taps>
    __device__ Vector<ValueOf<Term>, WIDTH> inside(
        Formula<Real, DIVISOR, Taps...>, const FactorsOf<Term, WIDTH>& factors) const {
        const Vector<Sample, WIDTH> samples[] = {sample<Term, Taps::OFFSET, DEEP>()...};
        Vector<ValueOf<Term>, WIDTH> values;
#pragma unroll
        for (int i = 0; i < WIDTH; ++i)
            values.lane[i] = Combine<Work, typename Term::Formula>::lane(samples, factors, i);
        Combine<Work, typename Term::Formula>::divide(values, factors);
        return values;
    }

    // ---- At the ends

    template <class Term, int N>
    __device__ Vector<ValueOf<Term>, N> at_end(const Sample* first, int number, int lanes) const {
        const Ends& ends = call.terms[Term::NUMBER];
        return follow<Term, N>(call.ends + ends.first + number * ends.size, first,
                               static_cast<Index>(call.lengths[Term::AXIS]), lanes);
    }

    // The formula in `words`, whose positions count from `first`, and from `length` behind it. With
    // ALTERNATIVE, it may have arrays of which the entry with number `place` is meant.
    template <class Term, int N, bool ALTERNATIVE = false>
    __device__ Vector<ValueOf<Term>, N> follow(const Word* words, const Sample* first, Index length,
                                               int lanes, Index place = 0) const {
        using Real = typename Term::Formula::Real;
        using Value = ValueOf<Term>;
        const Row row(words);
        const Index step = stride(Term::FIELD, Term::AXIS);
        const auto read = [place](int kind, Word word) {
            if constexpr (ALTERNATIVE)
                if (kind == 4) return reinterpret_cast<const Real*>(word)[place];
            return read_factor<Real>(kind, word);
        };
        Vector<Work, N> bare = {};
        Vector<Value, N> values = {};
#pragma unroll 1
        for (int s = 0; s < row.count; ++s) {
            const int position = static_cast<int>(words[HEADER + 2 * s]);
            const int kind = static_cast<int>(words[HEADER + 2 * s] >> 32);
            const Real weight = kind < 2 ? Real(1) : read(kind, words[HEADER + 1 + 2 * s]);
            const Vector<Sample, N> samples =
                load<Sample, N>(first + (position < 0 ? length + position : position) * step, lanes);
#pragma unroll
            for (int i = 0; i < N; ++i) {
                if (row.is_weighted) {
                    Value sample = Convert<Value>::from(samples.lane[i]);
                    if (kind >= 2) sample = multiply(weight, sample);
                    accumulate(values.lane[i], sample, kind == 1, s == 0);
                } else {
                    accumulate(bare.lane[i], Convert<Work>::from(samples.lane[i]), kind == 1, s == 0);
                }
            }
        }
        const Divisor<Value> divisor(row.divisor ? read(row.divisor, row.factor.value) : Real(1));
#pragma unroll
        for (int i = 0; i < N; ++i) {
            if (row.has_constant) {
                // Of the two sums one is meant, and the constant has its dtype.
                bare.lane[i] = add(bare.lane[i], FromWord<Work>::from(row.constant));
                values.lane[i] = add(values.lane[i], FromWord<Value>::from(row.constant));
            }
            const Value value = row.is_weighted ? values.lane[i] : Convert<Value>::from(bare.lane[i]);
            values.lane[i] = row.divisor ? divisor.divide(value) : value;
        }
        return values;
    }

    template <class X>
    static __device__ void accumulate(X& total, X sample, bool is_subtracted, bool is_first) {
        if (is_first) total = is_subtracted ? negate(sample) : sample;
        else total = is_subtracted ? subtract(total, sample) : add(total, sample);
    }

    // ---- Beside masked samples

    // Tells whether all samples are valid that the formula in `words` reads; see `follow`.
    __device__ bool is_usable(const Word* words, const unsigned char* first, Index step,
                              Index length) const {
        const int count = static_cast<int>(words[0]);
#pragma unroll 1
        for (int s = 0; s < count; ++s) {
            const int position = static_cast<int>(words[HEADER + 2 * s]);
            if (!first[(position < 0 ? length + position : position) * step]) return false;
        }
        return count > 0;
    }

    template <class Real, char DIVISOR, class... Taps>
    static __device__ bool is_usable_inside(Formula<Real, DIVISOR, Taps...>,
                                            const unsigned char* p, Index step) {
        return (p[Taps::OFFSET * step] && ...);
    }

    // Replaces what has been made of masked samples.
    template <class Term>
    __device__ void mend(Vector<ValueOf<Term>, WIDTH>& values) const {
        constexpr int axis = Term::AXIS;
        const Operand<AXES>& mask = call.outputs[RESULTS + Term::MASK];
        const unsigned char* valid = go<const unsigned char>(mask);
        const Index step = static_cast<Index>(mask.strides[axis]);
        const Index beside = static_cast<Index>(mask.strides[FASTEST]);
        const Index length = static_cast<Index>(call.lengths[axis]);
        const Ends& ends = call.terms[Term::NUMBER];
#pragma unroll
        for (int i = 0; i < WIDTH; ++i) {
            if (i >= count) break;
            const Index k = at[axis] + (axis == FASTEST ? i : 0);
            const unsigned char* p = valid + i * beside;
            bool is_whole = *p;
            if (k >= ends.lower && k < length - ends.upper) {
                is_whole = is_whole && is_usable_inside(typename Term::Formula(), p, step);
            } else {
                const Index number = k < ends.lower ? k : ends.lower + ends.upper + k - length;
                const Word* words = call.ends + ends.first + number * ends.size;
                is_whole = is_whole && is_usable(words, p - k * step, step, length);
            }
            if (!is_whole) values.lane[i] = evaluate_beside_masked<Term>(k, i, p, step);
        }
    }

    // A single result: of the first alternative that reads valid samples only, or NaN.
    template <class Term>
    __device__ ValueOf<Term> evaluate_beside_masked(Index k, int i,
                                                    const unsigned char* valid,
                                                    Index step) const {
        using Value = ValueOf<Term>;
        const Index length = static_cast<Index>(call.lengths[Term::AXIS]);
        const Sample* here_alone = here[Term::FIELD] + i * stride(Term::FIELD, FASTEST);
        const Sample* first = here_alone - k * stride(Term::FIELD, Term::AXIS);
#pragma unroll 1
        for (int j = 1; *valid && j <= Term::ALTERNATIVES; ++j) {
            const Ends& ends = call.terms[Term::NUMBER + j];
            const Word* words = call.ends + ends.first;
            const Index to = length - ends.upper;
            if (k >= ends.lower && k < to) {
                words += (ends.lower + ends.upper) * ends.size;
                if (is_usable(words, valid, step, 0))
                    return follow<Term, 1, true>(words, here_alone, 0, 1, k - ends.lower).lane[0];
            } else {
                words += (k < ends.lower ? k : ends.lower + k - to) * ends.size;
                if (is_usable(words, valid - k * step, step, length))
                    return follow<Term, 1, true>(words, first, length, 1).lane[0];
            }
        }
        return not_a_number<Value>();
    }

    template <class Value> static __device__ Value not_a_number() {
        using Real = typename RealOf<Value>::Type;
        const Real nan = as_real<Real>(sizeof(Real) == 8 ? 0x7ff8000000000000 : 0x7fc00000);
        if constexpr (sizeof(Value) == sizeof(Real)) return nan;
        else return {nan, nan};
    }

    // ---- Terms and outputs

    // With DEEP, all lanes are known to be within the row, and terms between the ends.
    template <class Term, bool DEEP>
    __device__ Vector<ValueOf<Term>, WIDTH> differentiate(
        const FactorsOf<Term, WIDTH>& ahead) const {
        Vector<ValueOf<Term>, WIDTH> values = as_if_unmasked<Term, DEEP>(ahead);
        if constexpr (Term::MASK >= 0) mend<Term>(values);
        return values;
    }

    template <class Term, bool DEEP>
    __device__ Vector<ValueOf<Term>, WIDTH> as_if_unmasked(
        const FactorsOf<Term, WIDTH>& ahead) const {
        constexpr int axis = Term::AXIS, field = Term::FIELD;
        const typename Term::Formula formula;
        if constexpr (axis == FASTEST && !IS_END) {
            return inside<Term, DEEP>(formula, ahead);
        } else {
            const Index i = at[axis];
            const Index from = call.terms[Term::NUMBER].lower;
            const Index to = static_cast<Index>(call.lengths[axis]) - call.terms[Term::NUMBER].upper;
            if (!DEEP && (i < from || i >= to)) {
                const int number = static_cast<int>(i < from ? i : from + i - to);
                return at_end<Term, WIDTH>(here[field] - i * stride(field, axis), number, count);
            }
            if constexpr (READS_EACH_STEP<Term>) {
                const Index row = Term::Formula::IS_HEAVY ? forget(i) : i;
                return inside<Term, DEEP>(formula, read_factors<Term>(row - from, to - from));
            } else {
                return inside<Term, DEEP>(formula, ahead);
            }
        }
    }

    template <class Term, bool DEEP, class Ahead>
    __device__ void append(Vector<Work, WIDTH>& total, const Ahead& ahead, bool& is_first) const {
        const auto values = differentiate<Term, DEEP>(ahead);
#pragma unroll
        for (int i = 0; i < WIDTH; ++i)
            accumulate(total.lane[i], Convert<Work>::from(values.lane[i]), Term::SIGN < 0, is_first);
        is_first = false;
    }

    template <class Term, bool DEEP, class Real, class Ahead>
    __device__ void append_square(Vector<Real, WIDTH>& total, const Ahead& ahead) const {
        const auto values = differentiate<Term, DEEP>(ahead);
#pragma unroll
        for (int i = 0; i < WIDTH; ++i)
            total.lane[i] = add(total.lane[i], square(Convert<Work>::from(values.lane[i])));
    }

    // A term alone is rounded once, from the precision of its formula; parts of a sum, and the sum.
    template <class Values> static __device__ Vector<Result, WIDTH> round(const Values& values) {
        Vector<Result, WIDTH> results;
#pragma unroll
        for (int i = 0; i < WIDTH; ++i) results.lane[i] = Convert<Result>::from(values.lane[i]);
        return results;
    }

    template <bool DEEP, class... Terms, class Ahead>
    __device__ Vector<Result, WIDTH> evaluate(Output<Terms...>, const Ahead& ahead) const {
        if constexpr (Output<Terms...>::SINGLE) {
            return (round(differentiate<Terms, DEEP>(ahead.template of<Terms>())), ...);
        } else {
            Vector<Work, WIDTH> total = {};
            bool is_first = true;
            (append<Terms, DEEP>(total, ahead.template of<Terms>(), is_first), ...);
            return round(total);
        }
    }

    // Squares are not negative: to begin with zero changes no bit of their sum.
    template <bool DEEP, class... Terms, class Ahead>
    __device__ Vector<Result, WIDTH> evaluate(Norm<Terms...>, const Ahead& ahead) const {
        Vector<typename RealOf<Work>::Type, WIDTH> total = {};
        (append_square<Terms, DEEP>(total, ahead.template of<Terms>()), ...);
#pragma unroll
        for (int i = 0; i < WIDTH; ++i) total.lane[i] = take_root(total.lane[i]);
        return round(total);
    }

    // The factors of all terms, each a base.
    template <class Term> struct AheadOf {
        FactorsOf<Term, WIDTH> factors;
    };
    template <class Output> struct AheadOfAll;
    template <template <class...> class Kind, class... Terms>
    struct AheadOfAll<Kind<Terms...>> : AheadOf<Terms>... {
        __device__ explicit AheadOfAll(const Thread& thread)
            : AheadOf<Terms>{thread.template read_ahead<Terms>()}... {}
        template <class Term> __device__ const FactorsOf<Term, WIDTH>& of() const {
            return static_cast<const AheadOf<Term>&>(*this).factors;
        }
    };
    struct Ahead : AheadOfAll<Outputs>... {
        __device__ explicit Ahead(const Thread& thread) : AheadOfAll<Outputs>(thread)... {}
    };

    // ---- The way along the slowest axis

    // Finds the thread's place; false where there is nothing for it to do.
    __device__ bool locate() {
        const Index across = blockIdx.x % call.tiles, down = blockIdx.x / call.tiles;
        const Index inside = threadIdx.x & ((1 << call.tile) - 1);
        at[FASTEST] = ((across << call.tile) + inside) * WIDTH;
        const Index left = static_cast<Index>(call.lengths[FASTEST]) - at[FASTEST];
        if (left <= 0) return false;
        count = left < WIDTH ? static_cast<int>(left) : WIDTH;
        return locate_row(down * (THREADS >> call.tile) + (threadIdx.x >> call.tile));
    }

    __device__ bool locate_row(Index row) {
        const Index middle = static_cast<Index>(call.middle);
        at[0] = row / middle * static_cast<Index>(call.planes);
        Index rest = row % middle;
#pragma unroll
        for (int axis = FASTEST - 1; axis > 0; --axis) {
            const Index length = static_cast<Index>(call.lengths[axis]);
            at[axis] = rest % length;
            rest /= length;
        }
        return at[0] < static_cast<Index>(call.lengths[0]);
    }

    template <class X> __device__ X* go(const Operand<AXES>& operand) const {
        Index offset = 0;
#pragma unroll
        for (int axis = 0; axis < AXES; ++axis)
            offset += at[axis] * static_cast<Index>(operand.strides[axis]);
        return reinterpret_cast<X*>(operand.address) + offset;
    }

    // Between the ends: rows along the slowest axis, none where the thread is at the end of an axis in
    // the middle or at a broken end of a row; and results along the fastest.
    struct Depth {
        Index first, stop, left, right;
    };

    template <class Term> __device__ void limit(Depth& depth) const {
        constexpr int axis = Term::AXIS;
        const Index length = static_cast<Index>(call.lengths[axis]);
        const Index from = call.terms[Term::NUMBER].lower;
        const Index to = length - call.terms[Term::NUMBER].upper;
        if constexpr (axis == FASTEST) {
            // Vectors beside this one are loaded whole, and the last of a row may be broken.
            constexpr int reach = Term::Formula::reach();
            constexpr int beside = reach > 1 ? (reach + WIDTH - 1) / WIDTH * WIDTH : 0;
            if (length % WIDTH != 0 && at[axis] + WIDTH + beside > length) depth.stop = 0;
            depth.left = from > depth.left ? from : depth.left;
            depth.right = to < depth.right ? to : depth.right;
        } else if constexpr (axis == 0) {
            // A window may reach beyond the last sample of a formula that is longer before than behind.
            const Index whole = length - (Term::MARCHES ? Term::Formula::reach() : 0);
            depth.first = from > depth.first ? from : depth.first;
            depth.stop = to < depth.stop ? to : depth.stop;
            depth.stop = whole < depth.stop ? whole : depth.stop;
        } else if (at[axis] < from || at[axis] >= to) {
            depth.stop = 0;
        }
    }

    template <template <class...> class Kind, class... Terms>
    __device__ void limit_all(Kind<Terms...>, Depth& depth) const {
        (limit<Terms>(depth), ...);
    }

    __device__ void run() {
#pragma unroll
        for (int f = 0; f < FIELDS; ++f) here[f] = go<const Sample>(call.fields[f]);
#pragma unroll
        for (int o = 0; o < RESULTS; ++o) there[o] = go<Result>(call.outputs[o]);
        const Index length = static_cast<Index>(call.lengths[0]);
        const Index planes = static_cast<Index>(call.planes);
        const Index stop = length - at[0] > planes ? at[0] + planes : length;
        Depth depth = {0, count == WIDTH ? stop : 0, 0, static_cast<Index>(call.lengths[FASTEST])};
        (limit_all(Outputs(), depth), ...);
        const Ahead ahead(*this);
#pragma unroll
        for (int o = -REACH; o < REACH; ++o) look(o, length);
        while (at[0] < stop) {
            if (at[0] >= depth.first && at[0] < depth.stop) {
                march(depth.stop, ahead);
            } else {
                look(REACH, length);
                int o = 0;
                (store<Result, WIDTH>(
                     there[o++],
                     evaluate<false>(Outputs(), static_cast<const AheadOfAll<Outputs>&>(ahead)), count),
                 ...);
                step();
            }
        }
    }

    // Evaluates those results at the ends of the fastest axis that the block's own vectors, of `width`
    // each, have been written over: nothing else would order the two.
    __device__ void run_ends(int width) {
        const Index length = static_cast<Index>(call.lengths[FASTEST]);
        Depth depth = {0, 0, 0, length};
        (limit_all(Outputs(), depth), ...);
        const Index across = blockIdx.x % call.tiles, down = blockIdx.x / call.tiles;
        const Index first = (across << call.tile) * width;
        const Index room = static_cast<Index>(width) << call.tile;
        const Index stop = length - first > room ? first + room : length;
        const Index left = depth.left < stop ? depth.left : stop;
        const Index right = depth.right > left ? depth.right : left;
        const Index lower = left > first ? left - first : 0;
        const Index upper = stop > right ? stop - (right > first ? right : first) : 0;
        const Index ends = lower + upper, planes = static_cast<Index>(call.planes);
        const Index rows = THREADS >> call.tile;
        count = 1;
        for (Index i = threadIdx.x; i < rows * planes * ends; i += THREADS) {
            const Index end = i % ends, plane = i / ends % planes;
            at[FASTEST] = end < lower ? first + end : stop - ends + end;
            if (!locate_row(down * rows + i / ends / planes)) continue;
            at[0] += plane;
            if (at[0] < static_cast<Index>(call.lengths[0])) run_alone();
        }
    }

    __device__ void run_alone() {
#pragma unroll
        for (int f = 0; f < FIELDS; ++f) here[f] = go<const Sample>(call.fields[f]);
        const Ahead ahead(*this);
#pragma unroll
        for (int o = -REACH; o <= REACH; ++o) look(o, static_cast<Index>(call.lengths[0]));
        int o = 0;
        (store_whole<Result, 1>(
             go<Result>(call.outputs[o++]),
             evaluate<false>(Outputs(), static_cast<const AheadOfAll<Outputs>&>(ahead))),
         ...);
    }

    // The way between the ends. What the next step needs is asked for before this one computes, and
    // results are written when all are there: a thread has as many requests under way as it can.
    __device__ void march(Index stop, const Ahead& ahead) {
        Vector<Sample, WIDTH> next[FIELDS];
#pragma unroll
        for (int f = 0; f < FIELDS; ++f) next[f] = load_whole<Sample, WIDTH>(last_of(f));
#pragma unroll 1
        for (; at[0] < stop; step()) {
            const bool goes_on = at[0] + 1 < stop;
#pragma unroll
            for (int f = 0; f < FIELDS; ++f) {
                window[f][REACH + window_of(f)] = next[f];
                if (goes_on) next[f] = load_whole<Sample, WIDTH>(last_of(f) + stride(f, 0));
            }
            Vector<Result, WIDTH> results[RESULTS];
            int o = 0;
            ((results[o++] =
                  evaluate<true>(Outputs(), static_cast<const AheadOfAll<Outputs>&>(ahead))),
             ...);
#pragma unroll
            for (o = 0; o < RESULTS; ++o) store_whole<Result, WIDTH>(there[o], results[o]);
        }
    }

    // The last sample of a field's window.
    __device__ const Sample* last_of(int field) const {
        return here[field] + window_of(field) * stride(field, 0);
    }

    __device__ void step() {
        ++at[0];
#pragma unroll
        for (int f = 0; f < FIELDS; ++f) {
            here[f] += stride(f, 0);
#pragma unroll
            for (int o = 0; o < 2 * REACH; ++o) window[f][o] = window[f][o + 1];
        }
#pragma unroll
        for (int o = 0; o < RESULTS; ++o) there[o] += call.outputs[o].strides[0];
    }

    // Reads ahead along the slowest axis: what `offset` steps on is the last that a window holds.
    __device__ void look(int offset, Index length) {
#pragma unroll
        for (int f = 0; f < FIELDS; ++f) {
            const int o = offset - REACH + window_of(f);
            if (o < -window_of(f)) continue;
            const Index i = at[0] + o;
            if (i >= 0 && i < length)
                window[f][REACH + o] = load<Sample, WIDTH>(here[f] + o * stride(f, 0), count);
        }
    }
};

template <class Sample, class Result, class Index, int WIDTH, class CallOf, class... Outputs>
__device__ void evaluate(const CallOf& call) {
    if (is_phase(0)) {
        Thread<Sample, Result, Index, WIDTH, false, CallOf, Outputs...> thread(call);
        if (thread.locate()) thread.run();
    }
    __syncthreads();
    if (is_phase(1)) Thread<Sample, Result, Index, 1, true, CallOf, Outputs...>(call).run_ends(WIDTH);
}

template <class Function> struct CallOfFunction;
template <class CallOf> struct CallOfFunction<void (*)(const CallOf&)> { using Type = CallOf; };

// A kernel by a name of its own, which calls an instantiation of `evaluate`. CuPy before 14.2 looks for
// no kernel on disk that is asked for as an instantiation.
#define KERNEL(name, ...)                                                                        \
    extern "C" __global__ void __launch_bounds__(THREADS, 2)                                     \
        name(const __grid_constant__ typename CallOfFunction<decltype(&__VA_ARGS__)>::Type call) { \
        __VA_ARGS__(call);                                                                       \
    }
