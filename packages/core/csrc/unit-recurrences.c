/** Recurrences over time whose steps wait for each other's outputs. One of the translation units that `kernels.c` joins. */
#include "fwp.h"
#include "simd.h"

#include "lstm.c"
#include "elementwise-lstm.c"
#include "self-referential.c"

FWP_UNIT(recurrences,
    LSTM_KERNELS(FWP_ENTRY)
    ELEMENTWISE_LSTM_KERNELS(FWP_ENTRY)
    SELF_REFERENTIAL_KERNELS(FWP_ENTRY)
)
