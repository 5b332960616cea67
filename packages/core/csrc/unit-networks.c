/** Networks: matrix products and what layers are made of. One of the translation units that `kernels.c` joins. */
#include "fwp.h"
#include "simd.h"

#include "gemm.c"
#include "convolution.c"
#include "depthwise.c"
#include "pooling.c"
#include "softmax.c"
#include "normalization.c"
#include "loss.c"
#include "linear.c"
#include "attention.c"
#include "attention-gradient.c"

FWP_UNIT(networks,
    GEMM_KERNELS(FWP_ENTRY)
    CONVOLUTION_KERNELS(FWP_ENTRY)
    DEPTHWISE_KERNELS(FWP_ENTRY)
    POOLING_KERNELS(FWP_ENTRY)
    SOFTMAX_KERNELS(FWP_ENTRY)
    NORMALIZATION_KERNELS(FWP_ENTRY)
    LOSS_KERNELS(FWP_ENTRY)
    LINEAR_KERNELS(FWP_ENTRY)
    ATTENTION_KERNELS(FWP_ENTRY)
    ATTENTION_GRADIENT_KERNELS(FWP_ENTRY)
)
