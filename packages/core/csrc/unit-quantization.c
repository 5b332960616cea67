/** Vector quantisation. One of the translation units that `kernels.c` joins. */
#include "fwp.h"
#include "simd.h"

#include "segment-sums.c"
#include "vector-quantization.c"
#include "codebook.c"

FWP_UNIT(quantization,
    SEGMENT_SUMS_KERNELS(FWP_ENTRY)
    VECTOR_QUANTIZATION_KERNELS(FWP_ENTRY)
    CODEBOOK_KERNELS(FWP_ENTRY)
)
