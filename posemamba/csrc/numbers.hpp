// Constants of the elementary functions, the same for every instruction set.

#pragma once

#include <cstdint>

template <class T>
struct Number;

template <>
struct Number<float> {
    using Integer = int32_t;
    static constexpr int mantissa_bits = 23;
    static constexpr float shift = 12582912.0f;  // 1.5 * 2^23
    static constexpr float exponent_of_zero = -127.0f, exponent_of_huge = 127.0f, log_of_zero = -88.0f;
    static constexpr float largest_exponent = 126.0f;
    static constexpr float log2_e = 1.44269504f, ln2 = 0.69314718f, ln2_high = 0.693359375f, ln2_low = -2.12194440e-4f;
    // log(1 + z) / z on [0, 1], least maximal relative error: 3e-8.
    static constexpr float log_1_plus[] = {1.0f,          -0.499996483f, 0.33321324f,    -0.248571634f, 0.191536561f,
                                           -0.137538046f, 0.0792045668f, -0.0300658103f, 0.00536482921f};
    // Least maximal relative error on [-1/2, 1/2] with value 1 at 0: 2e-9, coefficients rounded 2e-8.
    static constexpr int exp2_degree = 6;
    static constexpr float exp2[] = {1.0f,           0.69314718246f,   0.24022647738f,  0.05550332367f,
                                     0.00961843692f, 0.00133988750f, 0.00015353362f};
    // The same on [-1/16, 1/16] without the 1: 3e-8.
    static constexpr float narrow_exp2[] = {0.69314724207f, 0.24025763571f, 0.05549622327f};
    // The bits of 2^(i/8), less i << 20; twice, for vectors of 16.
    static constexpr Integer eighths[] = {0x3f800000, 0x3f7b95c2, 0x3f7837f0, 0x3f75fed7, 0x3f7504f3, 0x3f75672a,
                                          0x3f7744fd, 0x3f7ac0c7, 0x3f800000, 0x3f7b95c2, 0x3f7837f0, 0x3f75fed7,
                                          0x3f7504f3, 0x3f75672a, 0x3f7744fd, 0x3f7ac0c7};
};

template <>
struct Number<double> {
    using Integer = int64_t;
    static constexpr int mantissa_bits = 52;
    static constexpr double shift = 6755399441055744.0;  // 1.5 * 2^52
    static constexpr double exponent_of_zero = -1023.0, exponent_of_huge = 1023.0, log_of_zero = -709.0;
    static constexpr double largest_exponent = 1022.0;
    static constexpr double log2_e = 1.4426950408889634, ln2 = 0.6931471805599453, ln2_high = 0.6931471803691238,
                            ln2_low = 1.9082149292705877e-10;
    static constexpr int artanh_terms = 18;
    // Taylor's: ln(2)^k / k!
    static constexpr int exp2_degree = 13;
    static constexpr double exp2[] = {1.0,
                                      0.6931471805599453,
                                      0.2402265069591007,
                                      0.055504108664821576,
                                      0.009618129107628477,
                                      0.0013333558146428441,
                                      0.00015403530393381606,
                                      1.5252733804059838e-05,
                                      1.3215486790144305e-06,
                                      1.0178086009239696e-07,
                                      7.054911620801121e-09,
                                      4.44553827187081e-10,
                                      2.5678435993488196e-11,
                                      1.3691488853904124e-12};
};
