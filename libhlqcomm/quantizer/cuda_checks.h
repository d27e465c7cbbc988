/*
 * What the calls of hlqcomm/cuda.h check alike: that memory is the current device's and aligned,
 * and what CUDA said of a launch. Shared by cuda*.c.
 */
#ifndef HLQ_QUANTIZER_CUDA_CHECKS_H
#define HLQ_QUANTIZER_CUDA_CHECKS_H

#include "quantizer.h"

/* HLQ_OK for 0; else HLQ_E_TRANSPORT, and CUDA's sentence. */
hlq_status hlq_cuda_launched(int error);

/* HLQ_E_INVALID unless p is aligned memory of the current device; `what` names it in the sentence.
   NULL passes: whether it may be is for others to say. */
hlq_status hlq_cuda_check_memory(const char *what, const void *p, size_t alignment);

/* The same, for arrays of digits, and of float or uint32_t. */
hlq_status hlq_cuda_check_digits(const char *what, const void *p);
hlq_status hlq_cuda_check_numbers(const char *what, const void *p);

#endif
