/** Learning while a sequence goes on. One of the translation units that `kernels.c` joins. */
#include "fwp.h"
#include "simd.h"

#include "elementwise-lstm-rtrl.c"
#include "v-trace.c"

FWP_UNIT(real_time,
    ELEMENTWISE_LSTM_RTRL_KERNELS(FWP_ENTRY)
    V_TRACE_KERNELS(FWP_ENTRY)
)
