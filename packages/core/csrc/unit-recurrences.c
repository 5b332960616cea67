/**
 * Recurrences over time whose steps wait for each other's outputs, and what is learned through them. One of the translation units
 * that `kernels.c` joins.
 */
#include "fwp.h"
#include "simd.h"

#include "affine-scan.c"
#include "lstm.c"
#include "elementwise-lstm.c"
#include "elementwise-lstm-rtrl.c"
#include "v-trace.c"
#include "self-referential.c"

FWP_UNIT(recurrences,
    AFFINE_SCAN_KERNELS(FWP_ENTRY)
    LSTM_KERNELS(FWP_ENTRY)
    ELEMENTWISE_LSTM_KERNELS(FWP_ENTRY)
    ELEMENTWISE_LSTM_RTRL_KERNELS(FWP_ENTRY)
    V_TRACE_KERNELS(FWP_ENTRY)
    SELF_REFERENTIAL_KERNELS(FWP_ENTRY)
)
