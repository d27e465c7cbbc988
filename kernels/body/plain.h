/*
 * What functions and tables of body/ are that need no lane words: ordinary C, unless the vocabulary
 * has said otherwise (lanes/cuda.h has). And what those are that are called, not inlined.
 */
#ifndef HLQ_BODY_PLAIN_H
#define HLQ_BODY_PLAIN_H

#ifndef HLQ_PLAIN
#define HLQ_PLAIN static inline
#define HLQ_TABLE static const
#endif

/* One copy with registers of its own, where each loop over blocks would have one inlined: for what
   few blocks need, or what takes much longer than to pass rows by way of memory. On a GPU rows are
   registers, and nothing is apart. */
#ifndef HLQ_APART
#define HLQ_APART static __attribute__((noinline, unused))
#endif

#endif
