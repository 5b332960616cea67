/**
 * Matrix products over any number of batches on all threads:
 *
 *   C[i] = activation(alpha · A[i] · B[i] (+ C[i]) (+ bias)),  A[i] [m, k], B[i] [k, n], C[i] [m, n]
 *
 * The work is cut into blocks of C by the sizes alone; gemm.h computes a block.
 */
#include "gemm.h"

/** Multiply-adds worth a chunk of their own: some 20 µs natively. */
#define MATMUL_CHUNK_PRODUCTS 1e6
/** Matrix elements that a chunk of a matrix-vector product reads, which memory limits. */
#define MATMUL_CHUNK_ELEMENTS 131072
/** Least columns of a block: narrow strips of a matrix fill only parts of cache lines and tiles; or are short streams. */
#define MATMUL_COLUMNS 64
#define MATMUL_COLUMNS_OF_ROWS 256
/** More chunks per matrix than this gain nothing. */
#define MATMUL_CHUNKS 16

typedef struct {
  gemm first;
  /** Three batch dimensions, and how far A and B advance with each (0: shared). */
  i64 batch[3], a_stride[3], b_stride[3];
  /** Blocks of C per matrix, and their sizes. */
  i64 row_blocks, column_blocks, rows, columns;
} matmul_job;

static void matmul_chunk(const void *context, i64 begin, i64 end, i64 thread) {
  const matmul_job *job = context;
  const i64 blocks = job->row_blocks * job->column_blocks;
  for (i64 unit = begin; unit < end; unit++) {
    const i64 matrix = unit / blocks, block = unit % blocks;
    const i64 i2 = matrix % job->batch[2], i1 = matrix / job->batch[2] % job->batch[1];
    const i64 i0 = matrix / (job->batch[2] * job->batch[1]);
    gemm task = job->first;
    const i64 row = block / job->column_blocks * job->rows, column = block % job->column_blocks * job->columns;
    task.a += i0 * job->a_stride[0] + i1 * job->a_stride[1] + i2 * job->a_stride[2] + row * task.a_row;
    task.b += i0 * job->b_stride[0] + i1 * job->b_stride[1] + i2 * job->b_stride[2] + column * task.b_column;
    task.c += matrix * task.m * task.n + row * task.c_row + column;
    if (task.bias) task.bias += column;
    task.m = MIN(job->rows, task.m - row);
    task.n = MIN(job->columns, task.n - column);
    gemm_block(&task, fwp_scratch(thread), GEMM_SCRATCH);
  }
}

/**
 * Chooses the blocks of C: as many as are worth a chunk, cut such that little is read or packed twice. Compares estimates
 * of the time: multiply-adds, elements read (1) or packed (6 multiply-adds) by every block that needs them, and the share
 * of the last block, while which other threads may be idle.
 */
static void matmul_divide(matmul_job *job) {
  const gemm *task = &job->first;
  const i64 m = task->m, n = task->n, k = MAX(task->k, 1), depth = MIN(k, GEMM_DEPTH);
  const i64 narrow = m <= GEMM_FEW_ROWS || n <= GEMM_FEW_COLUMNS;
  const f64 products = (f64)m * (f64)n * (f64)k;
  const f64 wanted = narrow ? products / (f64)MIN(m, n) / MATMUL_CHUNK_ELEMENTS : products / MATMUL_CHUNK_PRODUCTS;
  const i64 most = wanted >= MATMUL_CHUNKS ? MATMUL_CHUNKS : wanted >= 1 ? MAX(2, (i64)wanted) : 1;
  const f64 read_a = (gemm_a_in_place(task, depth) ? 1 : 6) * (f64)m * (f64)k;
  const f64 read_b = (gemm_b_in_place(task, depth) ? 1 : 6) * (f64)n * (f64)k;
  const i64 least_columns = m <= 2 && task->b_column == 1 ? MATMUL_COLUMNS_OF_ROWS : MATMUL_COLUMNS;
  job->rows = m, job->columns = n, job->row_blocks = job->column_blocks = 1;
  f64 least = 2 * (products + read_a + read_b);
  for (i64 row_cuts = 1; row_cuts <= most; row_cuts *= 2) {
    for (i64 column_cuts = 1; row_cuts * column_cuts <= most; column_cuts *= 2) {
      const i64 rows = MIN(m, ROUND_UP(CEIL_DIV(m, row_cuts), GEMM_ROWS));
      const i64 columns = MIN(n, MAX(least_columns, ROUND_UP(CEIL_DIV(n, column_cuts), VF)));
      const i64 row_blocks = CEIL_DIV(m, rows), column_blocks = CEIL_DIV(n, columns);
      const f64 work = products + read_a * (f64)column_blocks + read_b * (f64)row_blocks;
      const f64 time = work * (1 + 1.0 / (f64)(row_blocks * column_blocks));
      if (time >= least) continue;
      least = time;
      job->rows = rows, job->columns = columns, job->row_blocks = row_blocks, job->column_blocks = column_blocks;
    }
  }
}

/**
 * a, b, c, m, n, k, row and column stride of A, of B, three batch sizes, three batch strides of A, three of B,
 * bias [n] or 0, activation, slope of the leaky ReLU, alpha, whether to add to C. Strides count elements.
 */
KERNEL(matmul) {
  matmul_job job = {
      .first = {.m = INT(3), .n = INT(4), .k = INT(5),
                .a = F32(0), .a_row = INT(6), .a_column = INT(7),
                .b = F32(1), .b_row = INT(8), .b_column = INT(9),
                .c = F32(2), .c_row = INT(4),
                .bias = OPTIONAL_F32(19), .activation = (i32)INT(20), .slope = NUM(21),
                .alpha = NUM(22), .accumulate = FLAG(23)},
      .batch = {INT(10), INT(11), INT(12)},
      .a_stride = {INT(13), INT(14), INT(15)},
      .b_stride = {INT(16), INT(17), INT(18)},
  };
  const i64 m = job.first.m, n = job.first.n;
  const i64 matrices = job.batch[0] * job.batch[1] * job.batch[2];
  if (m == 0 || n == 0 || matrices == 0) return OK;
  matmul_divide(&job);
  const i64 blocks = job.row_blocks * job.column_blocks;
  i64 grain = 1;
  if (blocks == 1) {
    const f64 products = (f64)m * (f64)n * (f64)job.first.k + 50;
    grain = MAX(1, (i64)(MATMUL_CHUNK_PRODUCTS / 2 / products));
  }
  fwp_parallel_for(matrices * blocks, grain, matmul_chunk, &job);
  return OK;
}

#define GEMM_KERNELS(ENTRY) ENTRY(matmul, 24)
