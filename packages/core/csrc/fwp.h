/**
 * What every kernel file sees: number types, heap access, the kernel signature and parallel loops.
 *
 * All tensors live in one linear memory (the heap). A kernel is a function of numbers only: TypeScript
 * writes byte offsets into the heap, sizes and scalars as float64 into an argument block, then calls
 * `fwp_run(kernel)`. The same sources compile to WebAssembly and, once per instruction set, to the
 * native add-on, so nothing here may use the C library or allocate.
 */
#ifndef FWP_H
#define FWP_H

#include <stddef.h>
#include <stdint.h>

typedef float f32;
typedef double f64;
typedef int8_t i8;
typedef uint8_t u8;
typedef int32_t i32;
typedef uint32_t u32;
typedef int64_t i64;
typedef uint64_t u64;

#define INLINE static inline __attribute__((always_inline))
#define NOINLINE static __attribute__((noinline))
#define UNUSED __attribute__((unused))
#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)
/** Unrolls the next loop completely. clang for wasm32 leaves register-array loops rolled otherwise. */
#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 64")
#endif

#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))
#define CEIL_DIV(a, b) (((a) + (b)-1) / (b))
#define ROUND_UP(a, b) (CEIL_DIV(a, b) * (b))

/* ---- the heap ------------------------------------------------------------------------------- */

#if defined(__wasm__)
#define FWP_POINTER(type, offset) ((type *)(uintptr_t)(offset))
#else
/** First byte of the native heap, set once by the add-on when the heap is reserved. */
extern char *fwp_heap;
#define FWP_POINTER(type, offset) ((type *)(fwp_heap + (uintptr_t)(offset)))
#endif

/* ---- kernels -------------------------------------------------------------------------------- */

/**
 * Every kernel is `KERNEL(name) { … return OK; }` and reads its arguments by position from `arg`:
 * F32(0) is a float pointer, I32(1) an int32 pointer, U8(2) a byte pointer (bool tensors),
 * INT(3) an integer, NUM(4) a number, FLAG(5) a truth value.
 * It returns OK, or a positive number whose meaning its comment states (for example 1 + the position of
 * the first index that is out of range); the engine hands that number to its caller.
 */
#define KERNEL(name) static i64 kernel_##name(const f64 *arg)
#define OK 0
#define F32(i) FWP_POINTER(f32, arg[i])
#define I32(i) FWP_POINTER(i32, arg[i])
#define U32(i) FWP_POINTER(u32, arg[i])
#define U8(i) FWP_POINTER(u8, arg[i])
#define INT(i) ((i64)arg[i])
#define NUM(i) ((f32)arg[i])
#define FLAG(i) (arg[i] != 0)
/** True if an optional pointer argument was given (offset 0 means absent). */
#define PRESENT(i) (arg[i] != 0)
#define OPTIONAL_F32(i) (PRESENT(i) ? F32(i) : (f32 *)0)
#define OPTIONAL_I32(i) (PRESENT(i) ? I32(i) : (i32 *)0)

typedef i64 (*fwp_kernel_function)(const f64 *arg);

typedef struct {
  const char *name;
  /** Number of arguments; the engine checks it on every call. */
  i32 arity;
  fwp_kernel_function function;
} fwp_kernel;

/** Each file ends with `#define <FILE>_KERNELS(ENTRY) ENTRY(name, arity) …`; its unit lists them, and kernels.c joins the units. */
#define FWP_ENTRY(name, arity) {#name, arity, kernel_##name},
#define FWP_UNIT(name, ...) \
  const fwp_kernel FWP_NAME(fwp_unit_##name)[] = {__VA_ARGS__}; \
  const i32 FWP_NAME(fwp_count_##name) = sizeof FWP_NAME(fwp_unit_##name) / sizeof(fwp_kernel);

/** What several files see has a name of its own for each instruction set: `name_avx2`, say. */
#define FWP_NAME(name) FWP_JOIN(name, FWP_VARIANT)
#define FWP_JOIN(a, b) FWP_JOIN_(a, b)
#define FWP_JOIN_(a, b) a##_##b

/* ---- parallel loops ------------------------------------------------------------------------- */

/**
 * Runs `body` over [0, count) in chunks of exactly `grain` iterations (the last one may be shorter).
 * Chunk boundaries depend on `count` and `grain` only, never on the number of threads, so a kernel that
 * writes disjoint outputs per chunk gives the same bits for every thread count. Chunks are handed out
 * dynamically; `thread` (0 … fwp_thread_count() - 1) says who runs one and is for scratch memory only.
 * A single chunk runs on the caller. Give a chunk at least ~20 µs of work: waking a thread costs 5-10 µs.
 * Must not be nested.
 */
typedef void (*fwp_body)(const void *context, i64 begin, i64 end, i64 thread);
void fwp_parallel_for(i64 count, i64 grain, fwp_body body, const void *context);

/** Number of threads that may run chunks, the caller included. */
i64 fwp_thread_count(void);

/**
 * Scratch memory of one thread: FWP_SCRATCH_BYTES bytes, 64-byte aligned, contents undefined, private to
 * the chunk that is running. Larger work space is allocated in TypeScript and passed as an argument.
 */
#define FWP_SCRATCH_BYTES (1 << 20)
void *fwp_scratch(i64 thread);

/* ---- memory --------------------------------------------------------------------------------- */

INLINE void copy_bytes(void *target, const void *source, i64 bytes) {
  __builtin_memcpy(target, source, (size_t)bytes);
}
INLINE void zero_bytes(void *target, i64 bytes) { __builtin_memset(target, 0, (size_t)bytes); }

/** Asks for `count` floats that will be read or (`write`) written a little later. An address that doesn't exist does no harm. */
#define prefetch_floats(at, count, write)                                          \
  do {                                                                             \
    for (i64 i_ = 0; i_ < (count); i_ += 16) __builtin_prefetch((at) + i_, write); \
  } while (0)

#endif
