/** Plain memory: copies inside the heap. */
#include "fwp.h"

typedef struct {
  char *target;
  const char *source;
} copy_job;

static void copy_range(const void *context, i64 begin, i64 end, i64 thread UNUSED) {
  const copy_job *job = context;
  copy_bytes(job->target + begin, job->source + begin, end - begin);
}

/** (source, target, bytes): copies between blocks that do not overlap. */
KERNEL(copy) {
  const copy_job job = {.target = (char *)U8(1), .source = (const char *)U8(0)};
  fwp_parallel_for(INT(2), 1 << 19, copy_range, &job);
  return OK;
}

#define MEMORY_KERNELS(ENTRY) ENTRY(copy, 3)
