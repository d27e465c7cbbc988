/*
 * hlqcomm/cuda.h from outside, with memory of the host: a status and a sentence, whether or not
 * this machine has a GPU.
 */
#include <hlqcomm/cuda.h>

#include <stdio.h>

int main(void)
{
    hlq_quantizer_params params = HLQ_QUANTIZER_INIT;
    hlq_quantizer *quantizer = NULL;
    float x[4] = {1, 2, 3, 4};
    uint8_t digits[8], overload;
    if (hlq_quantizer_create(&params, &quantizer) != HLQ_OK) return 1;
    hlq_status status =
        hlq_cuda_encode(quantizer, x, 1, NULL, digits, NULL, &overload, NULL, NULL, NULL);
    printf("%s: %s\n", hlq_status_string(status), hlq_quantizer_error());
    hlq_quantizer_destroy(quantizer);
    return status == HLQ_OK || !*hlq_quantizer_error();
}
