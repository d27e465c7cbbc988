/*
 * What functions and tables of body/ are that need no lane words: ordinary C, unless the vocabulary
 * has said otherwise (lanes/cuda.h has).
 */
#ifndef HLQ_BODY_PLAIN_H
#define HLQ_BODY_PLAIN_H

#ifndef HLQ_PLAIN
#define HLQ_PLAIN static inline
#define HLQ_TABLE static const
#endif

#endif
