/**
 * All kernels in one table: joins the units, translation units of some files each, which are compiled apart from each other so
 * that a change to one costs seconds. WebAssembly exports the table's access functions; for the native add-on everything is
 * compiled once per instruction set (FWP_VARIANT), and the add-on chooses among the tables when it is loaded.
 */
#include "fwp.h"
#if defined(__wasm__)
#include "threads.c"
#endif

/** For each file `unit-….c`. */
#define UNITS(UNIT) UNIT(tensors) UNIT(networks) UNIT(fast_weights) UNIT(recurrences) \
  UNIT(quantization) UNIT(routing) UNIT(experts)
#define MOST_KERNELS 1024

#define DECLARE_UNIT(name) extern const fwp_kernel FWP_NAME(fwp_unit_##name)[]; extern const i32 FWP_NAME(fwp_count_##name);
UNITS(DECLARE_UNIT)

/** Filled on the first look at it, before threads start. */
static fwp_kernel fwp_kernels[MOST_KERNELS];

static i32 kernel_count(void) {
  static i32 count = 0;
  if (count > 0) return count;
#define JOIN_UNIT(name) \
  for (i32 i = 0; i < FWP_NAME(fwp_count_##name) && count < MOST_KERNELS; i++) { \
    fwp_kernels[count++] = FWP_NAME(fwp_unit_##name)[i]; \
  }
  UNITS(JOIN_UNIT)
  return count;
}

#if defined(__wasm__)

#define EXPORT(name) __attribute__((export_name(name)))

static const f64 *wasm_arguments;

EXPORT("configure") void wasm_configure(f64 threads, f64 scratch, f64 arguments, i32 may_block) {
  fwp_pool_configure((i64)threads, FWP_POINTER(char, scratch), may_block);
  wasm_arguments = FWP_POINTER(f64, arguments);
}
EXPORT("run") f64 wasm_run(i32 kernel) { return (f64)fwp_kernels[kernel].function(wasm_arguments); }
EXPORT("kernelCount") i32 wasm_kernel_count(void) { return kernel_count(); }
EXPORT("kernelName") u32 wasm_kernel_name(i32 kernel) { return (u32)(uintptr_t)fwp_kernels[kernel].name; }
EXPORT("kernelArity") i32 wasm_kernel_arity(i32 kernel) { return fwp_kernels[kernel].arity; }
EXPORT("work") void wasm_work(i32 thread) { fwp_pool_work(thread); }
EXPORT("fail") void wasm_fail(void) { fwp_pool_fail(); }
EXPORT("stop") void wasm_stop(void) { fwp_pool_stop(); }
EXPORT("alive") i32 wasm_alive(void) { return (i32)fwp_pool_alive(); }

#else

/** The table of this instruction set, and its length. */
const fwp_kernel *FWP_NAME(fwp_kernels)(i32 *count) {
  *count = kernel_count();
  return fwp_kernels;
}

#endif
