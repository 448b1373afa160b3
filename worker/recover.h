/*
 * Rebuilds a worker's memory from its book-keeping at the start. Reads only. One thread at a time.
 */
#ifndef EK_WORKER_RECOVER_H
#define EK_WORKER_RECOVER_H

#include "worker/book.h"
#include "worker/judge.h"
#include "worker/live.h"
#include "worker/store.h"

/* Fills the all-zero `ret_identity`, and roles, memories and live records of fresh modules. EK_NOT_FOUND: the store has no
 * book-keeping at all. EK_NEWER, EK_CORRUPT, EK_IO. */
EK_MUST enum ek_status ek_recover(struct ek_store *store, struct ek_identity *ret_identity, struct ek_judge *judge,
                                  struct ek_live *live, struct ek_error *error);

#endif
