/**
 * Feature maps of linear attention with fused normalisation, forward and backward. φ(x) is a row of features:
 *
 *   identity       φ = x                              elu + 1     φ = x + 1 for x > 0, else e^x
 *   ReLU           φ = max(x, 0)                      (Katharopoulos et al. 2020, equation 7)
 *   DPFP           r = [max(x, 0), max(-x, 0)], φ_j = r ∘ (r rolled right by j), j = 1 … ν, one after the other
 *                                                     (Schlag et al. 2021, equation 37)
 *   FAVOR+         φ = ([e^(u - h), e^(-u - h)] + floor) / √(2m), u = x Ω, h = |x|² / 2
 *                                                     (Choromanski et al. 2021, lemma 1)
 *
 *   y = φ / norm:  none  1            sum  norm = Σφ + ε              l2  norm = √(Σφ² + ε)
 *                  dφ = dy            dφ = (dy - Σ dy y) / norm       dφ = (dy - y Σ dy y) / norm
 *
 * `norm` [rows] is an output, so that the gradients of all but DPFP need y and not x. A row stays in the first-level cache.
 */
#include "rows.h"
#include "vector-math.h"

/** The order of `FEATURE_NORMALIZATIONS` in TypeScript. */
enum { NORMALIZE_NONE, NORMALIZE_SUM, NORMALIZE_L2 };
/** The order of `ELEMENTWISE_MAPS` in TypeScript. */
enum { MAP_IDENTITY, MAP_ELU_PLUS_ONE, MAP_RELU };

typedef struct {
  const f32 *x, *u, *y_in, *dy;
  f32 *y, *norm, *dx, *du;
  /** Elements of a row of x; DPFP: ν; FAVOR+: columns of Ω. */
  i64 n, nu, m;
  f32 epsilon, scale, floor;
  i64 map, normalization;
} feature_plan;

/* ---- normalisation --------------------------------------------------------------------------- */

/** What one vector of features adds to the sum that the normalisation divides by. */
INLINE vf feature_sum(vf sum, vf phi, const int normalization) {
  return normalization == NORMALIZE_SUM ? sum + phi : vfma(phi, phi, sum);
}

/** Divides a row of features by its norm, which it returns. */
INLINE f32 feature_divide(f32 *y, i64 n, f32 total, f32 epsilon, const int normalization) {
  const f32 norm = normalization == NORMALIZE_SUM ? total + epsilon : __builtin_sqrtf(total + epsilon);
  const f32 inverse = 1.0f / norm;
#define BODY(j, count) ROW_STORE(y, j, count, ROW_LOAD(y, j, count, 0) * inverse);
  ROW_EACH(n, BODY);
#undef BODY
  return norm;
}

/** Σ dy y of a row. */
INLINE f32 feature_dot(const f32 *dy, const f32 *y, i64 n) {
  vf total;
#define JOIN(s, j, count) s = vfma(ROW_LOAD(dy, j, count, 0), ROW_LOAD(y, j, count, 0), s);
  ROW_REDUCE(total, n, vset(0), JOIN, ROW_PLUS);
#undef JOIN
  return vsum(total);
}

/** dφ from dy and y, with dot = Σ dy y and inverse = 1 / norm. */
INLINE vf feature_grad(vf dy, vf y, f32 dot, f32 inverse, const int normalization) {
  if (normalization == NORMALIZE_NONE) return dy;
  return (normalization == NORMALIZE_SUM ? dy - dot : vfma(y, vset(-dot), dy)) * inverse;
}

/** Calls each_row(arguments, normalization), with a constant, for the rows of a chunk; an argument is `row`. */
#define FEATURE_ROWS(each_row, ...)                                                                              \
  switch (plan->normalization) {                                                                                 \
    case NORMALIZE_NONE: for (i64 row = begin; row < end; row++) each_row(__VA_ARGS__, NORMALIZE_NONE); break;   \
    case NORMALIZE_SUM: for (i64 row = begin; row < end; row++) each_row(__VA_ARGS__, NORMALIZE_SUM); break;     \
    default: for (i64 row = begin; row < end; row++) each_row(__VA_ARGS__, NORMALIZE_L2);                        \
  }

/* ---- elementwise maps ------------------------------------------------------------------------ */

INLINE vf elementwise_features(vf x, const int map) {
  if (map == MAP_IDENTITY) return x;
  vf positive = vmax(vset(0), x);
  return map == MAP_RELU ? positive : positive + vexp_nonpositive(vat_most(x, 0));
}

/** φ'(x), given φ. */
INLINE vf elementwise_slope(vf phi, const int map) {
  if (map == MAP_IDENTITY) return vset(1);
  return map == MAP_RELU ? vselect(phi > 0.0f, vset(1), vset(0)) : vat_most(phi, 1);
}

INLINE void elementwise_row(const feature_plan *plan, i64 row, const int map, const int normalization) {
  const i64 n = plan->n;
  const f32 *x = plan->x + row * n;
  f32 *y = plan->y + row * n;
  /* What lies beyond a row has no feature. */
  const f32 nothing = map == MAP_ELU_PLUS_ONE ? -VM_INFINITY : 0;
  if (normalization == NORMALIZE_NONE) {
#define BODY(j, count) ROW_STORE(y, j, count, elementwise_features(ROW_LOAD(x, j, count, nothing), map));
    ROW_EACH(n, BODY);
#undef BODY
    return;
  }
  vf total;
#define JOIN(s, j, count)                                                      \
  {                                                                            \
    vf phi = elementwise_features(ROW_LOAD(x, j, count, nothing), map);        \
    s = feature_sum(s, phi, normalization);                                    \
    ROW_STORE(y, j, count, phi);                                               \
  }
  ROW_REDUCE(total, n, vset(0), JOIN, ROW_PLUS);
#undef JOIN
  plan->norm[row] = feature_divide(y, n, vsum(total), plan->epsilon, normalization);
}

INLINE void elementwise_grad_row(const feature_plan *plan, i64 row, const int map, const int normalization) {
  const i64 n = plan->n;
  const f32 *y = plan->y_in + row * n, *dy = plan->dy + row * n;
  f32 *dx = plan->dx + row * n;
  const f32 norm = normalization == NORMALIZE_NONE ? 1 : plan->norm[row], inverse = 1.0f / norm;
  const f32 dot = normalization == NORMALIZE_NONE ? 0 : feature_dot(dy, y, n);
#define BODY(j, count)                                                                                  \
  {                                                                                                     \
    vf v = ROW_LOAD(y, j, count, 0);                                                                    \
    vf dphi = feature_grad(ROW_LOAD(dy, j, count, 0), v, dot, inverse, normalization);                  \
    ROW_STORE(dx, j, count, dphi * elementwise_slope(v * norm, map));                                   \
  }
  ROW_EACH(n, BODY);
#undef BODY
}

#define ELEMENTWISE_CHUNK(name, each_row)                                                  \
  static void name(const void *context, i64 begin, i64 end, UNUSED i64 thread) {           \
    const feature_plan *plan = context;                                                    \
    switch (plan->map) {                                                                   \
      case MAP_IDENTITY: FEATURE_ROWS(each_row, plan, row, MAP_IDENTITY); break;           \
      case MAP_ELU_PLUS_ONE: FEATURE_ROWS(each_row, plan, row, MAP_ELU_PLUS_ONE); break;   \
      default: FEATURE_ROWS(each_row, plan, row, MAP_RELU);                                \
    }                                                                                      \
  }
ELEMENTWISE_CHUNK(elementwise_chunk, elementwise_row)
ELEMENTWISE_CHUNK(elementwise_grad_chunk, elementwise_grad_row)

/* ---- DPFP ------------------------------------------------------------------------------------ */

/*
 * r lies in scratch memory between ν elements of its own end and ν of its own beginning, so that a rolled r is a plain
 * unaligned load. Behind that there is a whole vector, which loads may touch.
 */

/** Length of a row of scratch memory for n = 2 · size of x. */
#define DPFP_STRIDE(n, nu) ((n) + 2 * (nu) + 16)

/** Fills r; what is behind it is its beginning if `wrap`, else 0. Returns its first element. */
INLINE f32 *dpfp_rectify(const f32 *x, f32 *buffer, i64 size, i64 nu, const int wrap) {
  f32 *r = buffer + nu;
#define BODY(j, count)                                                                       \
  {                                                                                          \
    vf v = ROW_LOAD(x, j, count, 0);                                                         \
    ROW_STORE(r, j, count, vmax(vset(0), v));                                                \
    ROW_STORE(r + size, j, count, vmax(vset(0), vneg(v)));                                   \
  }
  ROW_EACH(size, BODY);
#undef BODY
  const i64 n = 2 * size;
  for (i64 i = 0; i < nu; i++) buffer[i] = r[n - nu + i];
  zero_bytes(r + n, (nu + 16) * 4);
  if (wrap) for (i64 i = 0; i < nu; i++) r[n + i] = r[i];
  return r;
}

INLINE void dpfp_row(const feature_plan *plan, i64 row, f32 *scratch, const int normalization) {
  const i64 size = plan->n, n = 2 * size, nu = plan->nu;
  const f32 *r = dpfp_rectify(plan->x + row * size, scratch, size, nu, 0);
  f32 *y = plan->y + row * n * nu;
  vf total = vset(0);
  for (i64 roll = 1; roll <= nu; roll++) {
    f32 *to = y + (roll - 1) * n;
    vf part;
#define JOIN(s, j, count)                                      \
  {                                                            \
    vf phi = vload(r + (j)) * vload(r + (j)-roll);             \
    s = feature_sum(s, phi, normalization);                    \
    ROW_STORE(to, j, count, phi);                              \
  }
    ROW_REDUCE(part, n, vset(0), JOIN, ROW_PLUS);
#undef JOIN
    total += part;
  }
  if (normalization == NORMALIZE_NONE) return;
  plan->norm[row] = feature_divide(y, n * nu, vsum(total), plan->epsilon, normalization);
}

/**
 * With dφ_j = the gradient of φ_j:  dr_i = Σ_j dφ_j,i r_(i - j) + dφ_j,(i + j) r_(i + j).  dφ_j goes to scratch memory,
 * followed by its beginning.
 */
INLINE void dpfp_grad_row(const feature_plan *plan, i64 row, f32 *scratch, const int normalization) {
  const i64 size = plan->n, n = 2 * size, nu = plan->nu, stride = DPFP_STRIDE(n, nu);
  const f32 *x = plan->x + row * size, *dy = plan->dy + row * n * nu;
  f32 *dx = plan->dx + row * size, *dphi = scratch + stride, *dr = dphi + nu * stride;
  const f32 *r = dpfp_rectify(x, scratch, size, nu, 1);
  f32 inverse = 1, dot = 0;
  if (normalization != NORMALIZE_NONE) {
    inverse = 1.0f / plan->norm[row];
    vf total = vset(0);
    for (i64 roll = 1; roll <= nu; roll++) {
      const f32 *from = dy + (roll - 1) * n;
      vf part;
#define JOIN(s, j, count) s = vfma(ROW_LOAD(from, j, count, 0), vload(r + (j)) * vload(r + (j)-roll), s);
      ROW_REDUCE(part, n, vset(0), JOIN, ROW_PLUS);
#undef JOIN
      total += part;
    }
    dot = vsum(total) * inverse;
  }
  for (i64 roll = 1; roll <= nu; roll++) {
    const f32 *from = dy + (roll - 1) * n;
    f32 *to = dphi + (roll - 1) * stride;
#define BODY(j, count)                                                                                    \
  {                                                                                                       \
    vf y = vload(r + (j)) * vload(r + (j)-roll) * inverse;                                                \
    vstore(to + (j), feature_grad(ROW_LOAD(from, j, count, 0), y, dot, inverse, normalization));          \
  }
    ROW_EACH(n, BODY);
#undef BODY
    for (i64 i = 0; i < roll; i++) to[n + i] = to[i];
  }
#define BODY(j, count)                                                                                    \
  {                                                                                                       \
    vf sum = vset(0);                                                                                     \
    for (i64 roll = 1; roll <= nu; roll++) {                                                              \
      const f32 *d = dphi + (roll - 1) * stride + (j);                                                    \
      sum = vfma(vload(d), vload(r + (j)-roll), sum);                                                     \
      sum = vfma(vload(d + roll), vload(r + (j) + roll), sum);                                            \
    }                                                                                                     \
    vstore(dr + (j), sum);                                                                                \
  }
  ROW_EACH(n, BODY);
#undef BODY
#define BODY(j, count)                                                                                    \
  {                                                                                                       \
    vf v = ROW_LOAD(x, j, count, 0);                                                                      \
    vf positive = vselect(v > 0.0f, vload(dr + (j)), vset(0));                                            \
    ROW_STORE(dx, j, count, positive - vselect(v < 0.0f, vload(dr + size + (j)), vset(0)));               \
  }
  ROW_EACH(size, BODY);
#undef BODY
}

static void dpfp_chunk(const void *context, i64 begin, i64 end, i64 thread) {
  const feature_plan *plan = context;
  f32 *scratch = fwp_scratch(thread);
  FEATURE_ROWS(dpfp_row, plan, row, scratch);
}
static void dpfp_grad_chunk(const void *context, i64 begin, i64 end, i64 thread) {
  const feature_plan *plan = context;
  f32 *scratch = fwp_scratch(thread);
  FEATURE_ROWS(dpfp_grad_row, plan, row, scratch);
}

/* ---- FAVOR+ ---------------------------------------------------------------------------------- */

/** e^x, at most e^80, so that sums of features stay finite. */
INLINE vf favor_exp(vf x) { return vexp_normal(vat_least(vat_most(x, 80), -88)); }
/** e^(80 - 4e-6): halfway from the greatest exponent to the next smaller float, further than rounding takes its feature. */
#define FAVOR_CUT 5.54060022e+34f
/** The slope E of a feature E, times `scale` both: what has been cut has none. */
INLINE vf favor_slope(vf e, f32 scale) { return vselect(e >= FAVOR_CUT * scale, vset(0), e); }

INLINE void favor_row(const feature_plan *plan, i64 row, const int normalization) {
  const i64 n = plan->n, m = plan->m;
  const f32 *x = plan->x + row * n, *u = plan->u + row * m;
  f32 *y = plan->y + row * 2 * m;
  const f32 h = feature_dot(x, x, n) * 0.5f, scale = plan->scale, shift = plan->floor * scale;
  vf total;
#define JOIN(s, j, count)                                                                             \
  {                                                                                                   \
    vf v = ROW_LOAD(u, j, count, 0);                                                                  \
    vf plus = vfma(favor_exp(v - h), vset(scale), vset(shift));                                       \
    vf minus = vfma(favor_exp(vneg(v) - h), vset(scale), vset(shift));                                \
    ROW_STORE(y, j, count, plus);                                                                     \
    ROW_STORE(y + m, j, count, minus);                                                                \
    /* Lanes beyond the row have features too, which must not count. */                               \
    if ((count) != VF) plus = vload_first(y + (j), count, 0), minus = vload_first(y + m + (j), count, 0);  \
    s = feature_sum(feature_sum(s, plus, normalization), minus, normalization);                       \
  }
  ROW_REDUCE(total, m, vset(0), JOIN, ROW_PLUS);
#undef JOIN
  if (normalization == NORMALIZE_NONE) return;
  plan->norm[row] = feature_divide(y, 2 * m, vsum(total), plan->epsilon, normalization);
}

/** With E = e^… / √(2m):  du = dφ₊ E₊ - dφ₋ E₋,  dx = -x Σ (dφ₊ E₊ + dφ₋ E₋)  besides what x gets through u; no E at the cut. */
INLINE void favor_grad_row(const feature_plan *plan, i64 row, const int normalization) {
  const i64 n = plan->n, m = plan->m;
  const f32 *x = plan->x + row * n, *y = plan->y_in + row * 2 * m, *dy = plan->dy + row * 2 * m;
  f32 *du = plan->du + row * m, *dx = plan->dx + row * n;
  const f32 norm = normalization == NORMALIZE_NONE ? 1 : plan->norm[row], inverse = 1.0f / norm;
  const f32 dot = normalization == NORMALIZE_NONE ? 0 : feature_dot(dy, y, 2 * m);
  const f32 shift = plan->floor * plan->scale;
  vf total;
#define JOIN(s, j, count)                                                                              \
  {                                                                                                    \
    vf plus = ROW_LOAD(y, j, count, 0), minus = ROW_LOAD(y + m, j, count, 0);                          \
    vf d_plus = feature_grad(ROW_LOAD(dy, j, count, 0), plus, dot, inverse, normalization);            \
    vf d_minus = feature_grad(ROW_LOAD(dy + m, j, count, 0), minus, dot, inverse, normalization);      \
    d_plus *= favor_slope(plus * norm - shift, plan->scale);                                           \
    d_minus *= favor_slope(minus * norm - shift, plan->scale);                                         \
    ROW_STORE(du, j, count, d_plus - d_minus);                                                         \
    vf both = d_plus + d_minus;                                                                        \
    if ((count) != VF) {                                                                               \
      f32 kept[VF];                                                                                    \
      vstore(kept, both);                                                                              \
      both = vload_first(kept, count, 0);                                                              \
    }                                                                                                  \
    s += both;                                                                                         \
  }
  ROW_REDUCE(total, m, vset(0), JOIN, ROW_PLUS);
#undef JOIN
  const f32 dh = -vsum(total);
#define BODY(j, count) ROW_STORE(dx, j, count, ROW_LOAD(x, j, count, 0) * dh);
  ROW_EACH(n, BODY);
#undef BODY
}

static void favor_chunk(const void *context, i64 begin, i64 end, UNUSED i64 thread) {
  const feature_plan *plan = context;
  FEATURE_ROWS(favor_row, plan, row);
}
static void favor_grad_chunk(const void *context, i64 begin, i64 end, UNUSED i64 thread) {
  const feature_plan *plan = context;
  FEATURE_ROWS(favor_grad_row, plan, row);
}

/* ---- kernels --------------------------------------------------------------------------------- */

/** Rows of a chunk, for rows of `elements` features. */
INLINE i64 feature_grain(i64 elements) { return CEIL_DIV(ROWS_GRAIN, MAX(elements, 1)); }

/** elementwise_features(x, y, norm, rows, n, map, normalization, epsilon): x, y [rows, n], norm [rows] unless 'none' */
KERNEL(elementwise_features) {
  feature_plan plan = {.x = F32(0), .y = F32(1), .norm = F32(2), .n = INT(4), .map = INT(5), .normalization = INT(6),
                       .epsilon = NUM(7)};
  fwp_parallel_for(INT(3), feature_grain(plan.n), elementwise_chunk, &plan);
  return OK;
}
/** elementwise_features_grad(y, norm, dy, dx, rows, n, map, normalization) */
KERNEL(elementwise_features_grad) {
  feature_plan plan = {.y_in = F32(0), .norm = F32(1), .dy = F32(2), .dx = F32(3), .n = INT(5), .map = INT(6),
                       .normalization = INT(7)};
  fwp_parallel_for(INT(4), feature_grain(plan.n), elementwise_grad_chunk, &plan);
  return OK;
}
/**
 * dpfp(x, y, norm, rows, n, nu, normalization, epsilon): x [rows, n], y [rows, 2 n ν]. dpfp and dpfp_grad need
 * (ν + 2) (2 n + 2 ν + 16) floats of scratch memory.
 */
KERNEL(dpfp) {
  feature_plan plan = {.x = F32(0), .y = F32(1), .norm = F32(2), .n = INT(4), .nu = INT(5), .normalization = INT(6),
                       .epsilon = NUM(7)};
  fwp_parallel_for(INT(3), feature_grain(2 * plan.n * plan.nu), dpfp_chunk, &plan);
  return OK;
}
/** dpfp_grad(x, norm, dy, dx, rows, n, nu, normalization) */
KERNEL(dpfp_grad) {
  feature_plan plan = {.x = F32(0), .norm = F32(1), .dy = F32(2), .dx = F32(3), .n = INT(5), .nu = INT(6),
                       .normalization = INT(7)};
  fwp_parallel_for(INT(4), feature_grain(2 * plan.n * plan.nu), dpfp_grad_chunk, &plan);
  return OK;
}
/** favor_plus(x, u, y, norm, rows, n, m, scale, floor, normalization, epsilon): u = x Ω [rows, m], y [rows, 2 m] */
KERNEL(favor_plus) {
  feature_plan plan = {.x = F32(0), .u = F32(1), .y = F32(2), .norm = F32(3), .n = INT(5), .m = INT(6),
                       .scale = NUM(7), .floor = NUM(8), .normalization = INT(9), .epsilon = NUM(10)};
  fwp_parallel_for(INT(4), feature_grain(2 * plan.m), favor_chunk, &plan);
  return OK;
}
/** favor_plus_grad(x, y, norm, dy, dx, du, rows, n, m, scale, floor, normalization): dx without what comes through u */
KERNEL(favor_plus_grad) {
  feature_plan plan = {.x = F32(0), .y_in = F32(1), .norm = F32(2), .dy = F32(3), .dx = F32(4), .du = F32(5),
                       .n = INT(7), .m = INT(8), .scale = NUM(9), .floor = NUM(10), .normalization = INT(11)};
  fwp_parallel_for(INT(6), feature_grain(2 * plan.m), favor_grad_chunk, &plan);
  return OK;
}

#define FEATURE_MAPS_KERNELS(ENTRY) \
  ENTRY(elementwise_features, 8) \
  ENTRY(elementwise_features_grad, 8) \
  ENTRY(dpfp, 8) \
  ENTRY(dpfp_grad, 8) \
  ENTRY(favor_plus, 11) \
  ENTRY(favor_plus_grad, 12)
