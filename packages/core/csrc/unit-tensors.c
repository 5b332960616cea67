/** Tensors: moving, combining and reducing their elements, random numbers, and what optimisers do to them. One of the translation units that `kernels.c` joins. */
#include "fwp.h"
#include "simd.h"

#include "memory.c"
#include "peaks.c"
#include "movement.c"
#include "indexing.c"
#include "elementwise.c"
#include "binary.c"
#include "convert.c"
#include "reduce.c"
#include "scan.c"
#include "random.c"
#include "dropout.c"
#include "optimizer.c"

FWP_UNIT(tensors,
    MEMORY_KERNELS(FWP_ENTRY)
    PEAKS_KERNELS(FWP_ENTRY)
    MOVEMENT_KERNELS(FWP_ENTRY)
    INDEXING_KERNELS(FWP_ENTRY)
    ELEMENTWISE_KERNELS(FWP_ENTRY)
    BINARY_KERNELS(FWP_ENTRY)
    CONVERT_KERNELS(FWP_ENTRY)
    REDUCE_KERNELS(FWP_ENTRY)
    SCAN_KERNELS(FWP_ENTRY)
    RANDOM_KERNELS(FWP_ENTRY)
    DROPOUT_KERNELS(FWP_ENTRY)
    OPTIMIZER_KERNELS(FWP_ENTRY)
)
