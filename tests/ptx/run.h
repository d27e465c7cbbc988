/*
 * For C: runs a kernel of a PTX text.
 */
#ifndef HLQ_TEST_PTX_RUN_H
#define HLQ_TEST_PTX_RUN_H

#ifdef __cplusplus
extern "C" {
#endif

/* NULL, or what is wrong, until this thread's next call. */
const char *ptx_run(const char *text, const char *kernel, unsigned blocks, unsigned threads,
                    const void *parameters);

#ifdef __cplusplus
}
#endif

#endif
