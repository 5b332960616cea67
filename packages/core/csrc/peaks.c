/**
 * The limits of this machine, for the benchmarks: multiply-adds in registers, and a copy through memory.
 */
#include "fwp.h"
#include "simd.h"

/** Independent chains: enough to hide the latency of two fused units, few enough for 16 registers with two operands. */
#define PEAK_CHAINS 12

typedef struct {
  f32 *result;
  i64 rounds;
} peak_fma_job;

static void peak_fma_range(const void *context, i64 begin, i64 end, i64 thread UNUSED) {
  const peak_fma_job *job = context;
  for (i64 chunk = begin; chunk < end; chunk++) {
    /* Read from memory, so that nothing can be computed in advance; the chains stay bounded because |factor| < 1. */
    const vf factor = vset(job->result[0]), term = vset(job->result[1]);
    vf chain[PEAK_CHAINS];
    UNROLL for (int i = 0; i < PEAK_CHAINS; i++) chain[i] = vset((f32)i);
    for (i64 round = 0; round < job->rounds; round++) {
      UNROLL for (int i = 0; i < PEAK_CHAINS; i++) chain[i] = vfma(chain[i], factor, term);
    }
    vf sum = vset(0);
    UNROLL for (int i = 0; i < PEAK_CHAINS; i++) sum += chain[i];
    job->result[2 + chunk] = vsum(sum);
  }
}

/**
 * (result, chunks, operations): `operations` floating-point operations (a multiplication and an addition count two)
 * in each of `chunks` parallel chunks. `result` holds the factor, the term, and room for one float per chunk.
 */
KERNEL(peak_fma) {
  const peak_fma_job job = {.result = F32(0), .rounds = INT(2) / (2 * VF * PEAK_CHAINS)};
  fwp_parallel_for(INT(1), 1, peak_fma_range, &job);
  return OK;
}

typedef struct {
  f32 *target;
  const f32 *source;
} peak_copy_job;

static void peak_copy_range(const void *context, i64 begin, i64 end, i64 thread UNUSED) {
  const peak_copy_job *job = context;
  i64 i = begin;
  for (; i + 4 * VF <= end; i += 4 * VF) {
    UNROLL for (int j = 0; j < 4; j++) vstore(job->target + i + j * VF, vload(job->source + i + j * VF));
  }
  for (; i < end; i++) job->target[i] = job->source[i];
}

/** (source, target, count): copies `count` floats with ordinary loads and stores, as an elementwise kernel would. */
KERNEL(peak_copy) {
  const peak_copy_job job = {.source = F32(0), .target = F32(1)};
  fwp_parallel_for(INT(2), 1 << 16, peak_copy_range, &job);
  return OK;
}

#define PEAKS_KERNELS(ENTRY) ENTRY(peak_fma, 3) ENTRY(peak_copy, 3)
