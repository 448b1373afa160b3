/*
 * Keeps the calling thread and a context's I/O thread on one processor while jobs come one at a time (nearness.h). It restricts
 * both to the processor that the caller is on, and gives them back what they were allowed before, unless somebody else has changed
 * that meanwhile. Belongs to the thread that made it.
 */
#ifndef EK_COMMON_TOGETHER_H
#define EK_COMMON_TOGETHER_H

#include "common/transport.h"

struct ek_together;

/* The context must outlive it. */
struct ek_together *ek_together_new(const struct ek_context *context);
void ek_together_destroy(struct ek_together **together);
/* A pass in which so many jobs came, or replies to jobs, in so many bytes of messages. */
void ek_together_pass(struct ek_together *together, size_t jobs, size_t bytes);

#endif
