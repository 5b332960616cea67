/**
 * The Node-API add-on: reserves the heap, picks the widest instruction set that the processor has, runs
 * the thread pool on pthreads and calls kernels. One engine per process.
 *
 * JavaScript sees:
 *   open(heapBytes, variant?)   -> { buffer, variant, names: string[], arities: number[] }
 *   start(threads, scratch, arguments)   starts threads - 1 workers
 *   run(kernel) -> number       runs a kernel on the argument block
 *   close()                     joins the workers, detaches the buffer, returns the memory
 */
#define NAPI_VERSION 8
#include <node_api.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>

#include "../threads.c"

#define MAX_THREADS 64

char *fwp_heap;

#if defined(__x86_64__)
#define VARIANTS(X) X(avx512) X(avx2) X(baseline)
#elif defined(__aarch64__)
#define VARIANTS(X) X(neon)
#else
#error "no native kernels for this processor"
#endif

#define DECLARE(name) const fwp_kernel *fwp_kernels_##name(i32 *count);
VARIANTS(DECLARE)

static int supports(const char *variant) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (!strcmp(variant, "avx512"))
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("fma");
  if (!strcmp(variant, "avx2")) return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  return __builtin_cpu_supports("sse4.2");
#else
  (void)variant;
  return 1;
#endif
}

static struct {
  int open;
  size_t heap_bytes;
  const char *variant;
  const fwp_kernel *kernels;
  i32 kernel_count;
  const f64 *arguments;
  int workers;
  pthread_t worker[MAX_THREADS];
  napi_ref buffer;
} state;
static pthread_mutex_t state_mutex = PTHREAD_MUTEX_INITIALIZER;

static napi_value fail(napi_env env, const char *message) {
  napi_throw_error(env, "FWP_NATIVE", message);
  return NULL;
}

static void choose_variant(const char *wanted) {
  state.kernels = NULL;
#define TRY(name)                                                                      \
  if (!state.kernels && (!wanted[0] || !strcmp(wanted, #name)) && supports(#name)) {   \
    state.kernels = fwp_kernels_##name(&state.kernel_count);                           \
    state.variant = #name;                                                             \
  }
  VARIANTS(TRY)
}

static void at_exit(void *data);

static void release(napi_env env) {
  fwp_pool_stop();
  for (int i = 0; i < state.workers; i++) pthread_join(state.worker[i], NULL);
  state.workers = 0;
  if (state.buffer) {
    napi_value buffer = NULL;
    napi_get_reference_value(env, state.buffer, &buffer);
    if (buffer) napi_detach_arraybuffer(env, buffer);
    napi_delete_reference(env, state.buffer);
    state.buffer = NULL;
  }
  if (fwp_heap) munmap(fwp_heap, state.heap_bytes);
  fwp_heap = NULL;
  state.open = 0;
  napi_remove_env_cleanup_hook(env, at_exit, NULL);
}

/** A worker thread or the process of the engine ends without close(). */
static void at_exit(void *data) {
  (void)data;
  pthread_mutex_lock(&state_mutex);
  if (state.open) {
    fwp_pool_stop();
    for (int i = 0; i < state.workers; i++) pthread_join(state.worker[i], NULL);
    state.workers = 0;
    state.open = 0; /* the buffer may outlive this moment: its memory is left to the system */
    fwp_heap = NULL;
    state.buffer = NULL;
  }
  pthread_mutex_unlock(&state_mutex);
}

static napi_value open_engine(napi_env env, napi_callback_info info) {
  size_t argc = 2;
  napi_value argv[2];
  napi_get_cb_info(env, info, &argc, argv, NULL, NULL);
  double bytes = 0;
  char wanted[32] = "";
  napi_get_value_double(env, argv[0], &bytes);
  if (argc > 1) napi_get_value_string_utf8(env, argv[1], wanted, sizeof wanted, NULL);

  pthread_mutex_lock(&state_mutex);
  const char *problem = NULL;
  napi_value result = NULL;
  if (state.open) {
    problem = "the native engine is already in use in this process";
    goto done;
  }
  choose_variant(wanted);
  if (!state.kernels) {
    problem = wanted[0] ? "this processor cannot run the requested instruction set"
                        : "this processor has none of the instruction sets of the native engine";
    goto done;
  }
  state.heap_bytes = (size_t)bytes;
  int flags = MAP_PRIVATE | MAP_ANONYMOUS;
#ifdef MAP_NORESERVE
  flags |= MAP_NORESERVE;
#endif
  void *memory = mmap(NULL, state.heap_bytes, PROT_READ | PROT_WRITE, flags, -1, 0);
  if (memory == MAP_FAILED) {
    problem = "the system refused to reserve address space for the heap; lower heapLimit";
    goto done;
  }
#ifdef MADV_HUGEPAGE
  madvise(memory, state.heap_bytes, MADV_HUGEPAGE);
#endif
  fwp_heap = memory;
  napi_value buffer;
  if (napi_create_external_arraybuffer(env, memory, state.heap_bytes, NULL, NULL, &buffer) != napi_ok) {
    napi_value pending; /* older Node versions throw for more than 4 GiB */
    bool thrown = false;
    if (napi_is_exception_pending(env, &thrown) == napi_ok && thrown) napi_get_and_clear_last_exception(env, &pending);
    munmap(memory, state.heap_bytes);
    fwp_heap = NULL;
    problem = "this runtime does not allow external memory of that size; lower heapLimit";
    goto done;
  }
  napi_create_reference(env, buffer, 1, &state.buffer);
  state.open = 1;
  napi_add_env_cleanup_hook(env, at_exit, NULL);

  napi_value variant, names, arities;
  napi_create_object(env, &result);
  napi_create_string_utf8(env, state.variant, NAPI_AUTO_LENGTH, &variant);
  napi_create_array_with_length(env, (size_t)state.kernel_count, &names);
  napi_create_array_with_length(env, (size_t)state.kernel_count, &arities);
  for (i32 i = 0; i < state.kernel_count; i++) {
    napi_value name, arity;
    napi_create_string_utf8(env, state.kernels[i].name, NAPI_AUTO_LENGTH, &name);
    napi_create_int32(env, state.kernels[i].arity, &arity);
    napi_set_element(env, names, (uint32_t)i, name);
    napi_set_element(env, arities, (uint32_t)i, arity);
  }
  napi_set_named_property(env, result, "buffer", buffer);
  napi_set_named_property(env, result, "variant", variant);
  napi_set_named_property(env, result, "names", names);
  napi_set_named_property(env, result, "arities", arities);
done:
  pthread_mutex_unlock(&state_mutex);
  return problem ? fail(env, problem) : result;
}

static void *work(void *thread) {
  fwp_pool_work((i64)(intptr_t)thread);
  return NULL;
}

static napi_value start_engine(napi_env env, napi_callback_info info) {
  size_t argc = 3;
  napi_value argv[3];
  double value[3] = {0};
  napi_get_cb_info(env, info, &argc, argv, NULL, NULL);
  for (size_t i = 0; i < argc && i < 3; i++) napi_get_value_double(env, argv[i], &value[i]);
  if (!state.open) return fail(env, "start() before open()");
  const i64 threads = (i64)value[0];
  if (threads < 1 || threads > MAX_THREADS) return fail(env, "the number of threads must be 1 to 64");
  state.arguments = FWP_POINTER(f64, value[2]);
  fwp_pool_configure(threads, FWP_POINTER(char, value[1]), 1);
  for (i64 thread = 1; thread < threads; thread++) {
    if (pthread_create(&state.worker[state.workers], NULL, work, (void *)(intptr_t)thread) != 0)
      return fail(env, "the system refused to start a thread");
    state.workers++;
  }
  return NULL;
}

static napi_value run_kernel(napi_env env, napi_callback_info info) {
  size_t argc = 1;
  napi_value argv[1], result;
  int32_t kernel = -1;
  napi_get_cb_info(env, info, &argc, argv, NULL, NULL);
  napi_get_value_int32(env, argv[0], &kernel);
  if (!state.open || kernel < 0 || kernel >= state.kernel_count) return fail(env, "run() of a closed engine");
  napi_create_double(env, (double)state.kernels[kernel].function(state.arguments), &result);
  return result;
}

static napi_value close_engine(napi_env env, napi_callback_info info) {
  (void)info;
  pthread_mutex_lock(&state_mutex);
  if (state.open) release(env);
  pthread_mutex_unlock(&state_mutex);
  return NULL;
}

static napi_value initialize(napi_env env, napi_value exports) {
  const napi_property_descriptor properties[] = {
      {"open", NULL, open_engine, NULL, NULL, NULL, napi_enumerable, NULL},
      {"start", NULL, start_engine, NULL, NULL, NULL, napi_enumerable, NULL},
      {"run", NULL, run_kernel, NULL, NULL, NULL, napi_enumerable, NULL},
      {"close", NULL, close_engine, NULL, NULL, NULL, napi_enumerable, NULL},
  };
  napi_define_properties(env, exports, sizeof properties / sizeof properties[0], properties);
  return exports;
}

NAPI_MODULE(NODE_GYP_MODULE_NAME, initialize)
