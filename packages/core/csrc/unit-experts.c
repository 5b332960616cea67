/** Mixtures of experts. One of the translation units that `kernels.c` joins. */
#include "fwp.h"
#include "simd.h"

#include "experts.c"

FWP_UNIT(experts,
    EXPERTS_KERNELS(FWP_ENTRY)
)
