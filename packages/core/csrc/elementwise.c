/**
 * Elementwise functions of one tensor, and the products with a gradient that their derivatives need.
 *
 *   name       (x, y, count)           y = f(x)
 *   name       (x, y, count, p[, q])   y = f(x; p, q)
 *   name_grad  (dy, s, dx, count)      dx = dy f'(·), s being the saved input or output
 *
 * float32 unless the name says _i32 or _bool. Semantics are those of tfjs's CPU backend; accuracy is that of
 * vector-math.h. x and y may be the same block.
 */
#include "elementwise.h"

#define UNARY(name, grain, expression)                                                                \
  RANGE_FUNCTION(name) UNARY_LOOP(expression)                                                         \
  KERNEL(name) {                                                                                      \
    const elementwise_job job = {.a = F32(0), .out = F32(1)};                                         \
    fwp_parallel_for(INT(2), grain, name##_range, &job);                                              \
    return OK;                                                                                        \
  }

#define UNARY_GUARDED(name, special, fast, full)                                                      \
  RANGE_FUNCTION(name) GUARDED_LOOP(special, fast, full)                                              \
  KERNEL(name) {                                                                                      \
    const elementwise_job job = {.a = F32(0), .out = F32(1)};                                         \
    fwp_parallel_for(INT(2), HEAVY_GRAIN, name##_range, &job);                                        \
    return OK;                                                                                        \
  }

#define UNARY_P(name, grain, expression)                                                              \
  RANGE_FUNCTION(name) UNARY_LOOP(expression)                                                         \
  KERNEL(name) {                                                                                      \
    const elementwise_job job = {.a = F32(0), .out = F32(1), .p = NUM(3)};                            \
    fwp_parallel_for(INT(2), grain, name##_range, &job);                                              \
    return OK;                                                                                        \
  }

#define PAIR(name, grain, expression)                                                                 \
  RANGE_FUNCTION(name) PAIR_LOOP(expression)                                                          \
  KERNEL(name) {                                                                                      \
    const elementwise_job job = {.a = F32(0), .b = F32(1), .out = F32(2)};                            \
    fwp_parallel_for(INT(3), grain, name##_range, &job);                                              \
    return OK;                                                                                        \
  }

#define UNARY_SCALAR(name, in_type, out_type, expression)                                             \
  RANGE_FUNCTION(name) SCALAR_LOOP(in_type, out_type, expression)                                     \
  KERNEL(name) {                                                                                      \
    const elementwise_job job = {.a = U8(0), .out = U8(1)};                                           \
    fwp_parallel_for(INT(2), LIGHT_GRAIN, name##_range, &job);                                        \
    return OK;                                                                                        \
  }

/* ---- helpers -------------------------------------------------------------------------------- */

/** x with the lanes where `mask` is set replaced by +0. */
INLINE vf zero_where(vi mask, vf x) { return (vf)(~mask & (vi)x); }

/** 1, 0 or -1; NaN gives 0. */
INLINE vf vsign(vf x) {
  return (vf)(((x > 0.0f) & (vi)vset(1.0f)) | ((x < 0.0f) & (vi)vset(-1.0f)));
}

/** max(x, 0): NaN stays, -0 becomes 0. */
INLINE vf vrelu(vf x) { return zero_where(x <= 0.0f, x); }

#define SELU_SCALE 1.0507009873554805f
#define SELU_SCALE_ALPHA 1.7580993408473768f

/* ---- float32 -------------------------------------------------------------------------------- */

UNARY(abs, LIGHT_GRAIN, vabs(x))
UNARY(neg, LIGHT_GRAIN, vneg(x))
UNARY(sign, LIGHT_GRAIN, vsign(x))
UNARY(square, LIGHT_GRAIN, x * x)
UNARY(reciprocal, LIGHT_GRAIN, 1.0f / x)
UNARY(sqrt, LIGHT_GRAIN, vsqrt(x))
UNARY(rsqrt, LIGHT_GRAIN, 1.0f / vsqrt(x))
UNARY(floor, LIGHT_GRAIN, vfloor(x))
UNARY(ceil, LIGHT_GRAIN, vceil(x))
UNARY(round, LIGHT_GRAIN, vround(x))

UNARY(exp, HEAVY_GRAIN, vexp(x))
UNARY(expm1, HEAVY_GRAIN, vexpm1(x))
UNARY_GUARDED(log, vm_log_special, vm_log_normal, vlog)
UNARY_GUARDED(log1p, vm_log1p_special, vm_log1p_normal, vlog1p)
UNARY_GUARDED(sin, vm_angle_special, vm_sin_small, vsin)
UNARY_GUARDED(cos, vm_angle_special, vm_cos_small, vcos)
UNARY(tanh, HEAVY_GRAIN, vtanh(x))
UNARY(erf, HEAVY_GRAIN, verf(x))
UNARY(sigmoid, HEAVY_GRAIN, vsigmoid(x))
UNARY(softplus, HEAVY_GRAIN, vsoftplus(x))
UNARY(gelu, HEAVY_GRAIN, vgelu(x))
UNARY(gelu_tanh, HEAVY_GRAIN, vgelu_tanh(x))
UNARY(elu, HEAVY_GRAIN, vselect(x >= 0.0f, x, vexpm1(x)))
UNARY(selu, HEAVY_GRAIN, vselect(x >= 0.0f, x * SELU_SCALE, vexpm1(x) * SELU_SCALE_ALPHA))

UNARY(relu, LIGHT_GRAIN, vrelu(x))
UNARY(relu6, LIGHT_GRAIN, vat_most(vrelu(x), 6.0f))
/** p: slope left of 0. */
UNARY_P(leaky_relu, LIGHT_GRAIN, vselect(x < 0.0f, x * p, x))
/** p: value left of 0 (and at it). */
UNARY_P(step, LIGHT_GRAIN, vselect(x > 0.0f, vset(1.0f), vselect(x == x, p, x)))

RANGE_FUNCTION(clip) UNARY_LOOP(vselect(x > q, q, vselect(x < p, p, x)))
/** (x, y, count, p, q): limits x to [p, q]. */
KERNEL(clip) {
  const elementwise_job job = {.a = F32(0), .out = F32(1), .p = NUM(3), .q = NUM(4)};
  fwp_parallel_for(INT(2), LIGHT_GRAIN, clip_range, &job);
  return OK;
}

/* ---- gradients ------------------------------------------------------------------------------ */

/* x is dy; y is the saved output of the first group, and the saved input of the second. */
PAIR(tanh_grad, LIGHT_GRAIN, x * (1.0f - y * y))
PAIR(sigmoid_grad, LIGHT_GRAIN, x * y * (1.0f - y))
PAIR(elu_grad, LIGHT_GRAIN, vselect(y >= 0.0f, x, x * (y + 1.0f)))
PAIR(sqrt_grad, LIGHT_GRAIN, x / (y * 2.0f))

PAIR(relu_grad, LIGHT_GRAIN, (vf)((vi)x & (y > 0.0f)))
PAIR(gelu_grad, HEAVY_GRAIN, x * vgelu_grad(y))
PAIR(gelu_tanh_grad, HEAVY_GRAIN, x * vgelu_tanh_grad(y))
PAIR(softplus_grad, HEAVY_GRAIN, x * vsigmoid(y))

/* ---- int32 and bool ------------------------------------------------------------------------- */

/* Arithmetic wraps, as JavaScript's conversion to int32 does. */
UNARY_SCALAR(abs_i32, u32, u32, (i32)x < 0 ? 0u - x : x)
UNARY_SCALAR(neg_i32, u32, u32, 0u - x)
UNARY_SCALAR(square_i32, u32, u32, x * x)
UNARY_SCALAR(sign_i32, i32, i32, (x > 0) - (x < 0))
UNARY_SCALAR(relu_i32, i32, i32, x > 0 ? x : 0)
UNARY_SCALAR(relu6_i32, i32, i32, x > 6 ? 6 : x > 0 ? x : 0)
UNARY_SCALAR(logical_not, u8, u8, x == 0)

UNARY_SCALAR(is_nan, u32, u8, (x & 0x7fffffffu) > 0x7f800000u)
UNARY_SCALAR(is_inf, u32, u8, (x & 0x7fffffffu) == 0x7f800000u)
UNARY_SCALAR(is_finite, u32, u8, (x & 0x7fffffffu) < 0x7f800000u)

#define ELEMENTWISE_KERNELS(ENTRY)                                                                    \
  ENTRY(abs, 3) ENTRY(neg, 3) ENTRY(sign, 3) ENTRY(square, 3) ENTRY(reciprocal, 3) ENTRY(sqrt, 3)     \
  ENTRY(rsqrt, 3) ENTRY(floor, 3) ENTRY(ceil, 3) ENTRY(round, 3) ENTRY(exp, 3) ENTRY(expm1, 3)        \
  ENTRY(log, 3) ENTRY(log1p, 3) ENTRY(sin, 3) ENTRY(cos, 3) ENTRY(tanh, 3) ENTRY(erf, 3)              \
  ENTRY(sigmoid, 3) ENTRY(softplus, 3) ENTRY(gelu, 3) ENTRY(gelu_tanh, 3) ENTRY(elu, 3)               \
  ENTRY(selu, 3) ENTRY(relu, 3) ENTRY(relu6, 3) ENTRY(leaky_relu, 4) ENTRY(step, 4) ENTRY(clip, 5)    \
  ENTRY(tanh_grad, 4) ENTRY(sigmoid_grad, 4) ENTRY(elu_grad, 4) ENTRY(sqrt_grad, 4)                   \
  ENTRY(relu_grad, 4) ENTRY(gelu_grad, 4) ENTRY(gelu_tanh_grad, 4) ENTRY(softplus_grad, 4)            \
  ENTRY(abs_i32, 3) ENTRY(neg_i32, 3) ENTRY(square_i32, 3) ENTRY(sign_i32, 3) ENTRY(relu_i32, 3)      \
  ENTRY(relu6_i32, 3) ENTRY(logical_not, 3) ENTRY(is_nan, 3) ENTRY(is_inf, 3) ENTRY(is_finite, 3)
