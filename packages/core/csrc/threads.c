/**
 * The thread pool behind fwp_parallel_for, for WebAssembly workers on a shared memory and for pthreads.
 *
 * One job runs at a time. Its chunks are claimed by compare-and-swap on a ticket that holds the job's
 * generation (high half) and the next chunk (low half). Threads claim chunks as they become free, so a
 * worker that the system has put aside costs nothing, and a chunk's content never depends on who runs it.
 * Idle workers spin for some 50 µs, because the next job usually comes at once, and then sleep.
 */
#include "threads.h"

#define CLOSED 0xffffffffu

#if defined(__wasm__)
#define SPINS_BEFORE_SLEEP 20000
#define SPINS_BEFORE_YIELD 4000
INLINE void pool_relax(void) {}
static void pool_sleep(u32 *word, u32 value, i64 nanoseconds) {
  __builtin_wasm_memory_atomic_wait32((int *)word, (int)value, nanoseconds);
}
static void pool_wake(u32 *word, u32 count) {
  __builtin_wasm_memory_atomic_notify((int *)word, count);
}
INLINE u32 pool_pages(void) { return (u32)__builtin_wasm_memory_size(0); }
#else
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <time.h>
#define SPINS_BEFORE_SLEEP 2500
#define SPINS_BEFORE_YIELD 2500
INLINE void pool_relax(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}
static pthread_mutex_t pool_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t pool_condition = PTHREAD_COND_INITIALIZER;
static void pool_sleep(u32 *word, u32 value, i64 nanoseconds) {
  if (nanoseconds >= 0) { /* only the caller of a job waits with a limit, and briefly */
    sched_yield();
    return;
  }
  pthread_mutex_lock(&pool_mutex);
  while (__atomic_load_n(word, __ATOMIC_SEQ_CST) == value) pthread_cond_wait(&pool_condition, &pool_mutex);
  pthread_mutex_unlock(&pool_mutex);
}
static void pool_wake(u32 *word, u32 count) {
  (void)word;
  pthread_mutex_lock(&pool_mutex);
  if (count == 1) pthread_cond_signal(&pool_condition);
  else pthread_cond_broadcast(&pool_condition);
  pthread_mutex_unlock(&pool_mutex);
}
INLINE u32 pool_pages(void) { return 0; }
#endif

static struct {
  /* The job, valid while the ticket is open. */
  fwp_body body;
  const void *context;
  i64 count, grain;
  u32 chunks;
  u32 pages; /* of the caller's memory */

  i64 threads;
  char *scratch;
  u32 may_block; /* false on a browser's main thread, where waiting on memory is forbidden */
  u32 stop;
  u32 alive;
  u32 failed; /* a worker trapped, and will not finish its chunk */

  _Alignas(64) u64 ticket;
  _Alignas(64) u32 generation; /* the word that idle workers sleep on */
  u32 sleepers;
  _Alignas(64) u32 finished;
} pool = {.threads = 1, .ticket = CLOSED}; /* a worker that starts finds no job, not even half of the first */

void fwp_pool_configure(i64 threads, char *scratch, i64 may_block) {
  pool.threads = threads;
  pool.scratch = scratch;
  pool.may_block = may_block != 0;
  __atomic_store_n(&pool.stop, 0, __ATOMIC_SEQ_CST);
  __atomic_store_n(&pool.failed, 0, __ATOMIC_SEQ_CST);
}

i64 fwp_thread_count(void) { return pool.threads; }
void *fwp_scratch(i64 thread) { return pool.scratch + thread * FWP_SCRATCH_BYTES; }

INLINE void run_chunk(fwp_body body, const void *context, i64 count, i64 grain, i64 chunk, i64 thread) {
  const i64 begin = chunk * grain;
  body(context, begin, MIN(begin + grain, count), thread);
}

/** Claims and runs chunks of the job `generation` until none is left. */
static void run_chunks(u32 generation, i64 thread) {
  const fwp_body body = __atomic_load_n(&pool.body, __ATOMIC_ACQUIRE);
  const void *context = __atomic_load_n(&pool.context, __ATOMIC_ACQUIRE);
  const i64 count = __atomic_load_n(&pool.count, __ATOMIC_ACQUIRE);
  const i64 grain = __atomic_load_n(&pool.grain, __ATOMIC_ACQUIRE);
  const u32 chunks = __atomic_load_n(&pool.chunks, __ATOMIC_ACQUIRE);
  u64 ticket = __atomic_load_n(&pool.ticket, __ATOMIC_SEQ_CST);
  /* The job was read before the ticket is claimed, and the claim fails unless the ticket is still this
     job's, so what was read belongs to it: the caller closes the ticket before it writes another job. */
  while ((u32)(ticket >> 32) == generation && (u32)ticket < chunks) {
    if (!__atomic_compare_exchange_n(&pool.ticket, &ticket, ticket + 1, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) continue;
    run_chunk(body, context, count, grain, (i64)(u32)ticket, thread);
    __atomic_fetch_add(&pool.finished, 1, __ATOMIC_SEQ_CST);
    ticket = __atomic_load_n(&pool.ticket, __ATOMIC_SEQ_CST);
  }
}

void fwp_parallel_for(i64 count, i64 grain, fwp_body body, const void *context) {
  if (count <= 0) return;
  if (grain < 1) grain = 1;
  const i64 chunks = CEIL_DIV(count, grain);
  if (chunks == 1 || pool.threads == 1 || chunks >= (i64)CLOSED) {
    for (i64 chunk = 0; chunk < chunks; chunk++) run_chunk(body, context, count, grain, chunk, 0);
    return;
  }
  __atomic_store_n(&pool.body, body, __ATOMIC_RELEASE);
  __atomic_store_n(&pool.context, context, __ATOMIC_RELEASE);
  __atomic_store_n(&pool.count, count, __ATOMIC_RELEASE);
  __atomic_store_n(&pool.grain, grain, __ATOMIC_RELEASE);
  __atomic_store_n(&pool.chunks, (u32)chunks, __ATOMIC_RELEASE);
  __atomic_store_n(&pool.pages, pool_pages(), __ATOMIC_RELEASE);
  __atomic_store_n(&pool.finished, 0, __ATOMIC_SEQ_CST);
  const u32 generation = pool.generation + 1;
  __atomic_store_n(&pool.ticket, (u64)generation << 32, __ATOMIC_SEQ_CST);
  __atomic_store_n(&pool.generation, generation, __ATOMIC_SEQ_CST);
  const u32 sleepers = __atomic_load_n(&pool.sleepers, __ATOMIC_SEQ_CST);
  if (sleepers > 0) pool_wake(&pool.generation, (u32)MIN((i64)sleepers, chunks - 1));

  run_chunks(generation, 0);
  for (i64 spins = 0; __atomic_load_n(&pool.finished, __ATOMIC_SEQ_CST) != (u32)chunks; spins++) {
    if (__atomic_load_n(&pool.failed, __ATOMIC_SEQ_CST)) __builtin_trap();
    if (spins < SPINS_BEFORE_YIELD || !pool.may_block) pool_relax();
    else pool_sleep(&pool.stop, 0, 20000);
  }
  __atomic_store_n(&pool.ticket, ((u64)generation << 32) | CLOSED, __ATOMIC_SEQ_CST);
}

void fwp_pool_work(i64 thread) {
  /* The generation before which no job can have been posted for this worker. */
  u32 seen = (u32)(__atomic_load_n(&pool.ticket, __ATOMIC_SEQ_CST) >> 32) - 1;
  __atomic_fetch_add(&pool.alive, 1, __ATOMIC_SEQ_CST);
  while (!__atomic_load_n(&pool.stop, __ATOMIC_SEQ_CST)) {
    u32 generation = __atomic_load_n(&pool.generation, __ATOMIC_SEQ_CST);
    for (i64 spins = 0; generation == seen && spins < SPINS_BEFORE_SLEEP; spins++) {
      pool_relax();
      generation = __atomic_load_n(&pool.generation, __ATOMIC_SEQ_CST);
    }
    if (generation == seen) {
      __atomic_fetch_add(&pool.sleepers, 1, __ATOMIC_SEQ_CST);
      pool_sleep(&pool.generation, seen, -1);
      __atomic_fetch_sub(&pool.sleepers, 1, __ATOMIC_SEQ_CST);
      continue;
    }
    seen = generation;
    /* JavaScript engines tell a worker that the memory has grown when it comes round a loop. Until then memory.fill and
       memory.copy, unlike loads and stores, trap beyond the size that it knows. */
    while (pool_pages() < __atomic_load_n(&pool.pages, __ATOMIC_ACQUIRE)) pool_relax();
    run_chunks(generation, thread);
  }
  __atomic_fetch_sub(&pool.alive, 1, __ATOMIC_SEQ_CST);
}

void fwp_pool_fail(void) { __atomic_store_n(&pool.failed, 1, __ATOMIC_SEQ_CST); }

i64 fwp_pool_alive(void) { return __atomic_load_n(&pool.alive, __ATOMIC_SEQ_CST); }

void fwp_pool_stop(void) {
  __atomic_store_n(&pool.stop, 1, __ATOMIC_SEQ_CST);
  __atomic_fetch_add(&pool.generation, 1, __ATOMIC_SEQ_CST);
  pool_wake(&pool.generation, CLOSED);
}
