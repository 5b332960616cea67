/** Vector quantisation. One of the translation units that `kernels.c` joins. */
#include "fwp.h"
#include "simd.h"

#include "vector-quantization.c"

FWP_UNIT(quantization,
    VECTOR_QUANTIZATION_KERNELS(FWP_ENTRY)
)
