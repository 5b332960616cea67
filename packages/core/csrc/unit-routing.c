/** Neural data routers: who attends to whom by distance, and gates that copy. One of the translation units that `kernels.c` joins. */
#include "fwp.h"
#include "simd.h"

#include "relative-scores.c"
#include "geometric-attention.c"
#include "copy-gate.c"

FWP_UNIT(routing,
    RELATIVE_SCORES_KERNELS(FWP_ENTRY)
    GEOMETRIC_ATTENTION_KERNELS(FWP_ENTRY)
    COPY_GATE_KERNELS(FWP_ENTRY)
)
