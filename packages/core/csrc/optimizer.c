/**
 * Optimisers: all parameters of a model in one call and one pass over memory.
 *
 * A call works on a list of tensors, given as a table of float64 numbers with a fixed number of columns. Column
 * 0 is where the tensor starts in the joined index space (starts are multiples of LIST_ALIGNMENT, so that
 * vectors never cross tensors), column 1 its number of elements; the others are byte offsets and numbers.
 * Chunks are ranges of the joined index space: small tensors share one, large ones are split.
 *
 * Where an old value is read and its new one written are separate columns. Usually they are equal; they differ
 * when somebody else holds the old data and must not see them change.
 */
#include "fwp.h"
#include "simd.h"
#include "vector-math.h"

#define LIST_ALIGNMENT 16
/* A multiple of LIST_ALIGNMENT. Seven streams of four bytes: 0.9 MB per chunk for Adam. */
#define LIST_GRAIN (1 << 15)

typedef struct list_job list_job;
typedef void (*list_body)(const list_job *job, const f64 *row, i64 begin, i64 end, f64 *partial);
struct list_job {
  const f64 *table;
  i64 rows;
  i64 columns;
  list_body body;
  /** One slot per chunk, or absent. */
  f64 *partials;
  /** What is the same for all tensors. */
  f32 a, b, c, scale;
  i64 flag;
};

/** The last row that starts at or before `index`. */
static i64 list_row(const list_job *job, i64 index) {
  i64 low = 0, high = job->rows;
  while (high - low > 1) {
    i64 middle = (low + high) / 2;
    if (job->table[middle * job->columns] <= (f64)index) low = middle;
    else high = middle;
  }
  return low;
}

/** Calls the body for the part of every tensor that lies in [begin, end). */
static void list_chunk(const void *context, i64 begin, i64 end, i64 thread UNUSED) {
  const list_job *job = context;
  f64 *partial = job->partials ? job->partials + begin / LIST_GRAIN : 0;
  if (partial) *partial = 0;
  for (i64 r = list_row(job, begin); r < job->rows; r++) {
    const f64 *row = job->table + r * job->columns;
    i64 start = (i64)row[0];
    if (start >= end) break;
    i64 first = MAX(begin - start, 0);
    i64 last = MIN(end - start, (i64)row[1]);
    if (first < last) job->body(job, row, first, last, partial);
  }
}

static void list_run(const list_job *job, i64 extent) { fwp_parallel_for(extent, LIST_GRAIN, list_chunk, job); }

/* ---- Adam ----------------------------------------------------------------------------------- */

/*
 * g = scale grad + l2 p        m += (1 - beta1)(g - m)        v += (1 - beta2)(g^2 - v)
 * p = keep p - rate m / (sqrt(v) correction + epsilon)
 */
typedef struct {
  vf gradient_scale, l2, keep, rate, correction, one_minus_beta1, one_minus_beta2, epsilon;
} adam_numbers;

INLINE void adam_vector(const adam_numbers *n, vf g, vf *p, vf *m, vf *v) {
  g = vfma(n->l2, *p, g * n->gradient_scale);
  *m = vfma(n->one_minus_beta1, g - *m, *m);
  *v = vfma(n->one_minus_beta2, vfma(g, g, -*v), *v);
  *p = vfma(n->keep, *p, -(n->rate * *m / vfma(vsqrt(*v), n->correction, n->epsilon)));
}

static void adam_body(const list_job *job, const f64 *row, i64 begin, i64 end, f64 *partial UNUSED) {
  const f32 *gradient = FWP_POINTER(f32, row[2]);
  const f32 *p_from = FWP_POINTER(f32, row[3]), *m_from = FWP_POINTER(f32, row[5]), *v_from = FWP_POINTER(f32, row[7]);
  f32 *p_to = FWP_POINTER(f32, row[4]), *m_to = FWP_POINTER(f32, row[6]), *v_to = FWP_POINTER(f32, row[8]);
  const adam_numbers numbers = {
      .gradient_scale = vset(job->scale),
      .rate = vset((f32)row[9]),
      .keep = vset((f32)row[10]),
      .l2 = vset((f32)row[11]),
      .correction = vset((f32)row[12]),
      .one_minus_beta1 = vset(job->a),
      .one_minus_beta2 = vset(job->b),
      .epsilon = vset(job->c),
  };
  i64 i = begin;
  for (; i + VF <= end; i += VF) {
    vf p = vload(p_from + i), m = vload(m_from + i), v = vload(v_from + i);
    adam_vector(&numbers, vload(gradient + i), &p, &m, &v);
    vstore(p_to + i, p);
    vstore(m_to + i, m);
    vstore(v_to + i, v);
  }
  if (i < end) {
    i64 n = end - i;
    vf p = vload_first(p_from + i, n, 0), m = vload_first(m_from + i, n, 0), v = vload_first(v_from + i, n, 0);
    adam_vector(&numbers, vload_first(gradient + i, n, 0), &p, &m, &v);
    vstore_first(p_to + i, p, n);
    vstore_first(m_to + i, m, n);
    vstore_first(v_to + i, v, n);
  }
}

/**
 * (table, rows, extent, 1 - beta1, 1 - beta2, epsilon, gradient scale). Columns: start, count, gradient, parameter
 * from, to, first moment from, to, second moment from, to, rate, keep, l2, correction.
 */
KERNEL(adam) {
  const list_job job = {.table = FWP_POINTER(f64, arg[0]), .rows = INT(1), .columns = 13, .body = adam_body,
                        .a = NUM(3), .b = NUM(4), .c = NUM(5), .scale = NUM(6)};
  list_run(&job, INT(2));
  return OK;
}

/* ---- RMSProp --------------------------------------------------------------------------------- */

/* g = scale grad + l2 p;  v += (1 - alpha)(g^2 - v);  p -= rate g / (sqrt(v) + epsilon) */
typedef struct {
  vf gradient_scale, l2, rate, one_minus_alpha, epsilon;
} rmsprop_numbers;

INLINE void rmsprop_vector(const rmsprop_numbers *n, vf g, vf *p, vf *v) {
  g = vfma(n->l2, *p, g * n->gradient_scale);
  *v = vfma(n->one_minus_alpha, vfma(g, g, -*v), *v);
  *p -= n->rate * g / (vsqrt(*v) + n->epsilon);
}

static void rmsprop_body(const list_job *job, const f64 *row, i64 begin, i64 end, f64 *partial UNUSED) {
  const f32 *gradient = FWP_POINTER(f32, row[2]);
  const f32 *p_from = FWP_POINTER(f32, row[3]), *v_from = FWP_POINTER(f32, row[5]);
  f32 *p_to = FWP_POINTER(f32, row[4]), *v_to = FWP_POINTER(f32, row[6]);
  const rmsprop_numbers numbers = {
      .gradient_scale = vset(job->scale),
      .rate = vset((f32)row[7]),
      .l2 = vset((f32)row[8]),
      .one_minus_alpha = vset(job->a),
      .epsilon = vset(job->b),
  };
  i64 i = begin;
  for (; i + VF <= end; i += VF) {
    vf p = vload(p_from + i), v = vload(v_from + i);
    rmsprop_vector(&numbers, vload(gradient + i), &p, &v);
    vstore(p_to + i, p);
    vstore(v_to + i, v);
  }
  if (i < end) {
    i64 n = end - i;
    vf p = vload_first(p_from + i, n, 0), v = vload_first(v_from + i, n, 0);
    rmsprop_vector(&numbers, vload_first(gradient + i, n, 0), &p, &v);
    vstore_first(p_to + i, p, n);
    vstore_first(v_to + i, v, n);
  }
}

/**
 * (table, rows, extent, 1 - alpha, epsilon, gradient scale). Columns: start, count, gradient, parameter from, to, mean square
 * from, to, rate, l2.
 */
KERNEL(rmsprop) {
  const list_job job = {.table = FWP_POINTER(f64, arg[0]), .rows = INT(1), .columns = 9, .body = rmsprop_body,
                        .a = NUM(3), .b = NUM(4), .scale = NUM(5)};
  list_run(&job, INT(2));
  return OK;
}

/* ---- stochastic gradient descent ------------------------------------------------------------ */

/* g = scale grad + l2 p;  u = momentum u + g;  p -= rate (nesterov ? g + momentum u : u) */
typedef struct {
  vf gradient_scale, l2, rate, momentum;
  i64 nesterov;
} sgd_numbers;

INLINE void sgd_vector(const sgd_numbers *n, vf g, vf *p, vf *u) {
  g = vfma(n->l2, *p, g * n->gradient_scale);
  *u = vfma(n->momentum, *u, g);
  vf direction = n->nesterov ? vfma(n->momentum, *u, g) : *u;
  *p -= n->rate * direction;
}

static void sgd_body(const list_job *job, const f64 *row, i64 begin, i64 end, f64 *partial UNUSED) {
  const f32 *gradient = FWP_POINTER(f32, row[2]);
  const f32 *p_from = FWP_POINTER(f32, row[3]), *u_from = row[5] != 0 ? FWP_POINTER(f32, row[5]) : 0;
  f32 *p_to = FWP_POINTER(f32, row[4]), *u_to = row[6] != 0 ? FWP_POINTER(f32, row[6]) : 0;
  const sgd_numbers numbers = {
      .gradient_scale = vset(job->scale),
      .rate = vset((f32)row[7]),
      .l2 = vset((f32)row[8]),
      .momentum = vset(job->a),
      .nesterov = job->flag,
  };
  i64 i = begin;
  for (; i + VF <= end; i += VF) {
    vf p = vload(p_from + i), u = u_from ? vload(u_from + i) : vset(0);
    sgd_vector(&numbers, vload(gradient + i), &p, &u);
    vstore(p_to + i, p);
    if (u_to) vstore(u_to + i, u);
  }
  if (i < end) {
    i64 n = end - i;
    vf p = vload_first(p_from + i, n, 0), u = u_from ? vload_first(u_from + i, n, 0) : vset(0);
    sgd_vector(&numbers, vload_first(gradient + i, n, 0), &p, &u);
    vstore_first(p_to + i, p, n);
    if (u_to) vstore_first(u_to + i, u, n);
  }
}

/**
 * (table, rows, extent, momentum, nesterov, gradient scale). Columns: start, count, gradient, parameter from, to,
 * velocity from, to (0: none), rate, l2.
 */
KERNEL(sgd) {
  const list_job job = {.table = FWP_POINTER(f64, arg[0]), .rows = INT(1), .columns = 9, .body = sgd_body,
                        .a = NUM(3), .flag = FLAG(4), .scale = NUM(5)};
  list_run(&job, INT(2));
  return OK;
}

/* ---- sums of gradients ---------------------------------------------------------------------- */

static void add_scaled_body(const list_job *job, const f64 *row, i64 begin, i64 end, f64 *partial UNUSED) {
  const f32 *source = FWP_POINTER(f32, row[2]);
  const f32 *from = row[3] != 0 ? FWP_POINTER(f32, row[3]) : 0;
  f32 *to = FWP_POINTER(f32, row[4]);
  const vf scale = vset(job->scale);
  i64 i = begin;
  for (; i + VF <= end; i += VF) {
    vf x = vload(source + i) * scale;
    vstore(to + i, from ? vload(from + i) + x : x);
  }
  if (i < end) {
    i64 n = end - i;
    vf x = vload_first(source + i, n, 0) * scale;
    vstore_first(to + i, from ? vload_first(from + i, n, 0) + x : x, n);
  }
}

/** (table, rows, extent, scale): to = from + scale source. Columns: start, count, source, from (0: zeros), to. */
KERNEL(add_scaled) {
  const list_job job = {.table = FWP_POINTER(f64, arg[0]), .rows = INT(1), .columns = 5, .body = add_scaled_body,
                        .scale = NUM(3)};
  list_run(&job, INT(2));
  return OK;
}

INLINE vd squares(vf x) {
  vf_halves halves = {.whole = x};
  vd low = __builtin_convertvector(halves.half[0], vd), high = __builtin_convertvector(halves.half[1], vd);
  return low * low + high * high;
}

/* In double precision, so that neither a large nor a small gradient is lost. */
static void squared_norm_body(const list_job *job UNUSED, const f64 *row, i64 begin, i64 end, f64 *partial) {
  const f32 *x = FWP_POINTER(f32, row[2]);
  vd sum[2] = {{0}, {0}};
  i64 i = begin;
  for (; i + 2 * VF <= end; i += 2 * VF) {
    sum[0] += squares(vload(x + i));
    sum[1] += squares(vload(x + i + VF));
  }
  if (i + VF <= end) {
    sum[0] += squares(vload(x + i));
    i += VF;
  }
  if (i < end) sum[1] += squares(vload_first(x + i, end - i, 0));
  union { vd v; f64 s[VF / 2]; } total = {.v = sum[0] + sum[1]};
  for (int k = 0; k < VF / 2; k++) *partial += total.s[k];
}

/**
 * (table, rows, extent, partials): the sum of all squares is the float64 at `partials`, which has room for
 * max(1, ceil(extent / LIST_GRAIN)) numbers. Columns: start, count, tensor.
 */
KERNEL(squared_norm) {
  f64 *partials = FWP_POINTER(f64, arg[3]);
  const list_job job = {.table = FWP_POINTER(f64, arg[0]), .rows = INT(1), .columns = 3, .body = squared_norm_body,
                        .partials = partials};
  partials[0] = 0;
  list_run(&job, INT(2));
  for (i64 k = 1; k < CEIL_DIV(INT(2), LIST_GRAIN); k++) partials[0] += partials[k];
  return OK;
}

#define OPTIMIZER_KERNELS(ENTRY) ENTRY(adam, 7) ENTRY(rmsprop, 6) ENTRY(sgd, 6) ENTRY(add_scaled, 4) ENTRY(squared_norm, 4)
