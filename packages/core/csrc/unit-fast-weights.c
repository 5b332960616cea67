/** Scans of fast weights, and their feature maps. One of the translation units that `kernels.c` joins. */
#include "fwp.h"
#include "simd.h"

#include "feature-maps.c"
#include "delta-rule.c"
#include "delta-rnn.c"
#include "recurrent-delta.c"
#include "linear-attention.c"

FWP_UNIT(fast_weights,
    FEATURE_MAPS_KERNELS(FWP_ENTRY)
    DELTA_RULE_KERNELS(FWP_ENTRY)
    DELTA_RNN_KERNELS(FWP_ENTRY)
    RECURRENT_DELTA_KERNELS(FWP_ENTRY)
    LINEAR_ATTENTION_KERNELS(FWP_ENTRY)
)
