/*
 * Between the checker's calls and the client library: the request that a step makes, and what a completion says about a call's
 * steps. Nothing here runs on a clock or says anything to anybody, so that programs of the simulation and of the chaos run share
 * it.
 */
#ifndef EK_TESTS_SIM_ANSWERS_H
#define EK_TESTS_SIM_ANSWERS_H

#include "client/evenkeel.h"
#include "common/bytes.h"
#include "tests/sim/checker.h"

enum { ANSWERS_NUMBER_ROOM = 32 }; /* bytes for a value's text without its padding */

/* Where a key's text is; it stays valid. */
typedef const char *(*answers_key)(unsigned tag, unsigned key);

/* Puts write `v` and the step's own number, then `padding` bytes; `text` has room for that and ANSWERS_NUMBER_ROOM, and is
 * borrowed. */
struct ek_request answers_request(const struct check_step *step, const char *key, char *text, size_t padding);

/* The number of a text that a put wrote; 0: it is none. */
int64_t answers_text_number(struct ek_slice value);
/* What stands in a row: a put's text, or a number. */
void answers_value(struct check_step *step, struct ek_slice value);

/*
 * Puts what was answered into the call's steps, `refused` and `refused_at`. A read of several steps is a scan of the tag. The
 * outcome of the whole call comes back: OK for a transaction that was applied. NULL, or what is wrong with the answer itself.
 */
const char *answers_take(struct check_call *call, unsigned tag, answers_key key_of, const struct ek_completion *completions,
                         size_t count, enum ek_outcome *ret_outcome);

/* The outcome decides what the call did. */
bool answers_is_verdict(enum ek_outcome outcome);

#endif
