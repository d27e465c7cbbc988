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

/* One copy, where each lattice's loop over blocks would have one of its own: for what few blocks
   need, or what takes longer than to put rows into memory. A thread of a GPU has no memory to pass
   rows in. */
#ifndef HLQ_APART
#define HLQ_APART static __attribute__((noinline, unused))
#endif

#endif
