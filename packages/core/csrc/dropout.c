/**
 * Dropout: element i is kept, scaled, where word i of a random stream is below the threshold, else it is 0. Draws with
 * the generator of random.c, which comes before this file in their unit.
 */

typedef struct {
  random_job random;
  const f32 *x;
  u32 threshold;
  f32 scale;
} dropout_job;

static void dropout_range(const void *context, i64 begin, i64 end, i64 thread UNUSED) {
  const dropout_job *job = context;
  const u32 threshold = job->threshold;
  const f32 scale = job->scale;
  _Alignas(64) u32 words[RANDOM_BATCH + 2 * VF];
  for (i64 i = begin; i < end; i += RANDOM_BATCH) {
    const i64 n = MIN(RANDOM_BATCH, end - i);
    const f32 *restrict x = job->x + i;
    f32 *restrict y = (f32 *)job->random.out + i;
    random_words(&job->random, i, n, words);
    for (i64 k = 0; k < n; k++) {
      const f32 scaled = x[k] * scale;
      y[k] = words[k] < threshold ? scaled : 0.0f;
    }
  }
}

/** (out, count, block low, block high, stream low, stream high, key low, key high, x, threshold, scale). */
KERNEL(dropout) {
  const dropout_job job = {.random = random_job_of(arg), .x = F32(8), .threshold = (u32)arg[9], .scale = NUM(10)};
  fwp_parallel_for(job.random.count, RANDOM_GRAIN, dropout_range, &job);
  return OK;
}

#define DROPOUT_KERNELS(ENTRY) ENTRY(dropout, 11)
