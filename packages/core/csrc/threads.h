/** The thread pool's life: configured by the engine, worked by its threads, stopped at disposal. */
#ifndef FWP_THREADS_H
#define FWP_THREADS_H

#include "fwp.h"

/**
 * Sets the number of threads (the caller of fwp_parallel_for included), the base of their scratch memory
 * (threads × FWP_SCRATCH_BYTES) and whether the caller may sleep while it waits for the others.
 */
void fwp_pool_configure(i64 threads, char *scratch, i64 may_block);
/** Works as thread `thread` (1 …) until the pool stops. */
void fwp_pool_work(i64 thread);
/** Says that a thread left fwp_pool_work in the middle of a chunk: the caller of the job traps instead of waiting for it. */
void fwp_pool_fail(void);
/** Number of threads inside fwp_pool_work. */
i64 fwp_pool_alive(void);
/** Makes every fwp_pool_work return. */
void fwp_pool_stop(void);

#endif
