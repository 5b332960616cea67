/**
 * Geometric attention (Csordás, Irie and Schmidhuber 2022, equations 6 to 9), per batch element and head: each query
 * looks at the other positions from near to far, right before left, and stops at the first that matches:
 *
 *   z_ij = c₀ q_i·k_j + c₁ D_ij + c₂     D_ij = left_i if j < i, right_i if j > i     P = σ(z), 0 where i = j or excluded
 *   A_ij = P_ij · Π (1 − P_ik) over the k that are visited before j                   O = A V, or A V / Σ_j A_ij
 *
 * The product is carried along as `rest`, what has not been matched yet. The backward goes from far to near with the
 * gradient g of `rest`; nothing is divided by 1 − P:
 *
 *   dP_k = rest_k (dA_k − g)     g ← dA_k P_k + g (1 − P_k)     dz = dP P (1 − P)
 *
 * Queries, keys, values and directions lie side by side in the rows of one projection, [batch, time, row]:
 * q [heads, dim], k [heads, dim], v [heads, dim], left [heads], right [heads]. Of each head they are copied out first, with
 * zeros for padding, so that whatever padding holds has no influence; dropout of keys happens there, too.
 */
#include "gemm.h"
#include "random.h"

/** Most floats of one head's tiles; the rest of the scratch memory is for matrix products. */
#define GEOMETRIC_FLOATS (GEMM_SCRATCH - GEMM_SCRATCH_LEAST)
/** Floating-point operations per chunk of a parallel loop. */
#define GEOMETRIC_GRAIN 1e6
/** Longest row of queries, keys and values. */
#define GEOMETRIC_DIM 1024

typedef struct {
  i64 batch, heads, time, dim, row;
  const f32 *x, *coefficients;
  /** Optional [batch, time]: false for padding. */
  const u8 *key_mask;
  i32 normalize;
  /** Dropout of keys, element (b, t, h, d) by that word of the stream; no dropout if `kept_scale` is 0. */
  random_job random;
  u32 threshold;
  f32 kept_scale;
  /** [batch, time, heads, dim]. */
  f32 *out;
  /** P [batch, heads, time, time]; the forward needs no place for it where no gradient follows. */
  f32 *matches;
  /* Backward. */
  const f32 *d_out;
  f32 *dx;
  /** Gradients of the coefficients of each head: [batch, heads, 3]. */
  f32 *partial;
} geometric;

/** One head's copies and tiles. */
typedef struct {
  const geometric *task;
  i64 b, h;
  /** [time, dim] each. */
  f32 *q, *k, *v, *d_out, *product;
  /** [time, time] each. */
  f32 *matches, *weights, *d_weights;
  f32 *scratch;
} geometric_head;

static geometric_head geometric_begin(const geometric *task, i64 thread) {
  const i64 matrix = task->time * task->dim, square = task->time * task->time;
  f32 *scratch = fwp_scratch(thread);
  geometric_head head = {.task = task};
  head.q = scratch, scratch += matrix;
  head.k = scratch, scratch += matrix;
  head.v = scratch, scratch += matrix;
  head.d_out = scratch, scratch += matrix;
  head.product = scratch, scratch += matrix;
  head.matches = scratch, scratch += square;
  head.weights = scratch, scratch += square;
  head.d_weights = scratch, scratch += square;
  head.scratch = (f32 *)fwp_scratch(thread) + GEOMETRIC_FLOATS;
  return head;
}

INLINE i32 geometric_is_padding(const geometric_head *head, i64 t) {
  const geometric *task = head->task;
  return task->key_mask && !task->key_mask[head->b * task->time + t];
}

/** First number of position t in the projection. */
INLINE i64 geometric_at(const geometric_head *head, i64 t) {
  return (head->b * head->task->time + t) * head->task->row;
}

/** The factors of one key that dropout leaves: 0 or 1 / (1 − rate). */
static void geometric_key_factors(const geometric_head *head, i64 t, f32 *factors) {
  const geometric *task = head->task;
  _Alignas(64) u32 words[GEOMETRIC_DIM + 4 + 4 * VF + PHILOX_WORDS];
  const i64 first = ((head->b * task->time + t) * task->heads + head->h) * task->dim, skipped = first % 4;
  random_words(&task->random, first - skipped, task->dim + skipped, words);
  for (i64 d = 0; d < task->dim; d++) factors[d] = words[d + skipped] < task->threshold ? task->kept_scale : 0;
}

/** Copies the head's rows of `x`; padding becomes 0. */
static void geometric_copy(const geometric_head *head, const f32 *x, i64 start, i64 row, f32 *y) {
  const i64 time = head->task->time, dim = head->task->dim;
  const f32 *from = x + head->b * time * row + start;
  for (i64 t = 0; t < time; t++, from += row, y += dim) {
    if (geometric_is_padding(head, t)) zero_bytes(y, dim * 4);
    else copy_bytes(y, from, dim * 4);
  }
}

static void geometric_load(const geometric_head *head) {
  const geometric *task = head->task;
  const i64 dim = task->dim, width = task->heads * dim, at = head->h * dim;
  geometric_copy(head, task->x, at, task->row, head->q);
  geometric_copy(head, task->x, width + at, task->row, head->k);
  geometric_copy(head, task->x, 2 * width + at, task->row, head->v);
  if (task->kept_scale == 0) return;
  f32 factors[GEOMETRIC_DIM];
  for (i64 t = 0; t < task->time; t++) {
    geometric_key_factors(head, t, factors);
    for (i64 d = 0; d < dim; d++) head->k[t * dim + d] *= factors[d];
  }
}

/** P from the head's queries and keys. */
static void geometric_match(const geometric_head *head, f32 *matches) {
  const geometric *task = head->task;
  const i64 time = task->time, dim = task->dim;
  const gemm product = {
      .m = time, .n = time, .k = dim, .a = head->q, .a_row = dim, .a_column = 1, .b = head->k, .b_row = 1, .b_column = dim,
      .c = matches, .c_row = time, .alpha = task->coefficients[0],
  };
  gemm_block(&product, head->scratch, GEMM_SCRATCH_LEAST);
  vi lanes;
  UNROLL for (int lane = 0; lane < VF; lane++) lanes[lane] = lane;
  for (i64 i = 0; i < time; i++) {
    f32 *p = matches + i * time;
    if (geometric_is_padding(head, i)) {
      zero_bytes(p, time * 4);
      continue;
    }
    const f32 *directions = task->x + geometric_at(head, i) + 3 * task->heads * dim + head->h;
    const vf left = vset(task->coefficients[1] * directions[0] + task->coefficients[2]);
    const vf right = vset(task->coefficients[1] * directions[task->heads] + task->coefficients[2]);
    for (i64 j = 0; j < time; j += VF) {
      const vf preference = vselect(lanes + viset((i32)j) < viset((i32)i), left, right);
      if (j + VF <= time) vstore(p + j, vsigmoid(vload(p + j) + preference));
      else vstore_first(p + j, vsigmoid(vload_first(p + j, time - j, 0) + preference), time - j);
    }
    p[i] = 0;
    for (i64 j = 0; task->key_mask && j < time; j++) {
      if (geometric_is_padding(head, j)) p[j] = 0;
    }
  }
}

/** A of query i, and what was not matched yet when each position was visited. */
INLINE void geometric_walk(const f32 *p, i64 i, i64 time, f32 *weights, f32 *rests) {
  f32 rest = 1;
  weights[i] = 0;
  for (i64 distance = 1; distance < time; distance++) {
    const i64 right = i + distance, left = i - distance;
    if (right < time) {
      rests[right] = rest;
      weights[right] = rest * p[right];
      rest *= 1 - p[right];
    }
    if (left >= 0) {
      rests[left] = rest;
      weights[left] = rest * p[left];
      rest *= 1 - p[left];
    }
  }
}

/** Divides the weights of a query by their sum, if there is any; returns the factor. */
INLINE f32 geometric_normalize(const geometric *task, f32 *weights) {
  if (!task->normalize) return 1;
  f32 sum = 0;
  for (i64 j = 0; j < task->time; j++) sum += weights[j];
  const f32 factor = 1 / MAX(sum, 1e-12f);
  for (i64 j = 0; j < task->time; j++) weights[j] *= factor;
  return factor;
}

static void geometric_forward_chunk(const void *context, i64 begin, i64 end, i64 thread) {
  const geometric *task = context;
  const i64 time = task->time, dim = task->dim, width = task->heads * dim;
  geometric_head head = geometric_begin(task, thread);
  for (i64 unit = begin; unit < end; unit++) {
    head.b = unit / task->heads, head.h = unit % task->heads;
    geometric_load(&head);
    f32 *matches = task->matches ? task->matches + unit * time * time : head.matches;
    geometric_match(&head, matches);
    for (i64 i = 0; i < time; i++) {
      f32 *weights = head.weights + i * time;
      geometric_walk(matches + i * time, i, time, weights, head.d_weights);
      geometric_normalize(task, weights);
    }
    const gemm product = {
        .m = time, .n = dim, .k = time, .a = head.weights, .a_row = time, .a_column = 1, .b = head.v, .b_row = dim,
        .b_column = 1, .c = task->out + head.b * time * width + head.h * dim, .c_row = width, .alpha = 1,
    };
    gemm_block(&product, head.scratch, GEMM_SCRATCH_LEAST);
  }
}

/** Turns dA of query i into dz. */
static void geometric_differentiate(const geometric_head *head, i64 i, const f32 *p) {
  const geometric *task = head->task;
  const i64 time = task->time;
  f32 *weights = head->weights + i * time, *d = head->d_weights + i * time, *rests = head->matches;
  geometric_walk(p, i, time, weights, rests);
  const f32 factor = geometric_normalize(task, weights);
  if (task->normalize) {
    f32 sum = 0;
    for (i64 j = 0; j < time; j++) sum += d[j] * weights[j];
    /* Where the sum was too small to divide by it, the divisor is a constant. */
    if (factor == 1 / 1e-12f) sum = 0;
    for (i64 j = 0; j < time; j++) d[j] = (d[j] - sum) * factor;
  }
  f32 g = 0;
  for (i64 distance = time - 1; distance > 0; distance--) {
    const i64 visited[2] = {i - distance, i + distance};
    UNROLL for (int side = 0; side < 2; side++) {
      const i64 j = visited[side];
      if (j < 0 || j >= time) continue;
      const f32 dp = rests[j] * (d[j] - g);
      g = d[j] * p[j] + g * (1 - p[j]);
      d[j] = dp * p[j] * (1 - p[j]);
    }
  }
  d[i] = 0;
}

/** Writes the gradients of the directions, and of the coefficients but the first. */
static void geometric_direct(const geometric_head *head, f32 *d_coefficients) {
  const geometric *task = head->task;
  const i64 time = task->time, start = 3 * task->heads * task->dim + head->h;
  for (i64 i = 0; i < time; i++) {
    const f32 *dz = head->d_weights + i * time;
    f32 left = 0, right = 0;
    for (i64 j = 0; j < i; j++) left += dz[j];
    for (i64 j = i + 1; j < time; j++) right += dz[j];
    f32 *d = task->dx + geometric_at(head, i) + start;
    d[0] = task->coefficients[1] * left;
    d[task->heads] = task->coefficients[1] * right;
    if (geometric_is_padding(head, i)) continue;
    const f32 *x = task->x + geometric_at(head, i) + start;
    d_coefficients[1] += left * x[0] + right * x[task->heads];
    d_coefficients[2] += left + right;
  }
}

static void geometric_backward_chunk(const void *context, i64 begin, i64 end, i64 thread) {
  const geometric *task = context;
  const i64 time = task->time, dim = task->dim, width = task->heads * dim;
  geometric_head head = geometric_begin(task, thread);
  f32 factors[GEOMETRIC_DIM];
  for (i64 unit = begin; unit < end; unit++) {
    head.b = unit / task->heads, head.h = unit % task->heads;
    f32 *d_coefficients = task->partial + 3 * unit, *dx = task->dx + geometric_at(&head, 0) + head.h * dim;
    d_coefficients[0] = d_coefficients[1] = d_coefficients[2] = 0;
    geometric_load(&head);
    geometric_copy(&head, task->d_out, head.h * dim, width, head.d_out);
    const gemm d_weights = {
        .m = time, .n = time, .k = dim, .a = head.d_out, .a_row = dim, .a_column = 1, .b = head.v, .b_row = 1,
        .b_column = dim, .c = head.d_weights, .c_row = time, .alpha = 1,
    };
    gemm_block(&d_weights, head.scratch, GEMM_SCRATCH_LEAST);
    for (i64 i = 0; i < time; i++) geometric_differentiate(&head, i, task->matches + (unit * time + i) * time);
    geometric_direct(&head, d_coefficients);
    const gemm d_values = {
        .m = time, .n = dim, .k = time, .a = head.weights, .a_row = 1, .a_column = time, .b = head.d_out, .b_row = dim,
        .b_column = 1, .c = dx + 2 * width, .c_row = task->row, .alpha = 1,
    };
    gemm_block(&d_values, head.scratch, GEMM_SCRATCH_LEAST);
    const gemm d_queries = {
        .m = time, .n = dim, .k = time, .a = head.d_weights, .a_row = time, .a_column = 1, .b = head.k, .b_row = dim,
        .b_column = 1, .c = head.product, .c_row = dim, .alpha = 1,
    };
    gemm_block(&d_queries, head.scratch, GEMM_SCRATCH_LEAST);
    for (i64 t = 0; t < time; t++) {
      const f32 *q = head.q + t * dim, *product = head.product + t * dim;
      f32 sum = 0;
      for (i64 d = 0; d < dim; d++) {
        sum += q[d] * product[d];
        dx[t * task->row + d] = task->coefficients[0] * product[d];
      }
      d_coefficients[0] += sum;
    }
    const gemm d_keys = {
        .m = time, .n = dim, .k = time, .a = head.d_weights, .a_row = 1, .a_column = time, .b = head.q, .b_row = dim,
        .b_column = 1, .c = dx + width, .c_row = task->row, .alpha = task->coefficients[0],
    };
    gemm_block(&d_keys, head.scratch, GEMM_SCRATCH_LEAST);
    for (i64 t = 0; task->kept_scale != 0 && t < time; t++) {
      geometric_key_factors(&head, t, factors);
      for (i64 d = 0; d < dim; d++) dx[width + t * task->row + d] *= factors[d];
    }
  }
}

/* ---- kernels -------------------------------------------------------------------------------- */

/** The arguments that both kernels begin with: the first eight are those of `random_job_of`. */
#define GEOMETRIC_ARGUMENTS 18
static geometric geometric_read(const f64 *arg) {
  const geometric task = {
      .random = random_job_of(arg), .threshold = (u32)arg[8], .kept_scale = NUM(9),
      .batch = INT(10), .time = INT(11), .heads = INT(12), .dim = INT(13), .row = 3 * INT(12) * INT(13) + 2 * INT(12),
      .x = F32(14), .coefficients = F32(15), .key_mask = PRESENT(16) ? U8(16) : 0, .normalize = FLAG(17),
  };
  return task;
}

static void geometric_run(const geometric *task, fwp_body body, f64 products) {
  const f64 cost = products * 2 * (f64)task->time * (f64)task->time * (f64)task->dim + 20.0 * (f64)task->time * (f64)task->time;
  fwp_parallel_for(task->batch * task->heads, MAX(1, (i64)(GEOMETRIC_GRAIN / (cost + 1))), body, task);
}

/** geometric_attention(random stream (8), threshold, kept scale, batch, time, heads, dim, x, coefficients, mask?, normalize, out, matches?) */
KERNEL(geometric_attention) {
  geometric task = geometric_read(arg);
  arg += GEOMETRIC_ARGUMENTS;
  task.out = F32(0), task.matches = OPTIONAL_F32(1);
  geometric_run(&task, geometric_forward_chunk, 2);
  return OK;
}

/** geometric_attention_gradient(…the same up to normalize, matches, d_out, dx, d_coefficients, partial [batch, heads, 3]) */
KERNEL(geometric_attention_gradient) {
  geometric task = geometric_read(arg);
  arg += GEOMETRIC_ARGUMENTS;
  task.matches = F32(0), task.d_out = F32(1), task.dx = F32(2), task.partial = F32(4);
  geometric_run(&task, geometric_backward_chunk, 4);
  f32 *total = F32(3);
  for (i64 c = 0; c < 3; c++) {
    f64 sum = 0;
    for (i64 unit = 0; unit < task.batch * task.heads; unit++) sum += task.partial[3 * unit + c];
    total[c] = (f32)sum;
  }
  return OK;
}

#define GEOMETRIC_ATTENTION_KERNELS(ENTRY) ENTRY(geometric_attention, 20) ENTRY(geometric_attention_gradient, 23)
