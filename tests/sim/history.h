/*
 * What clients did and saw: each call from its submission to its answer, by hash tag, and the judgement over all of it at the end.
 * Calls belong to the run; programs that are killed leave theirs without an answer.
 */
#ifndef EK_TESTS_SIM_HISTORY_H
#define EK_TESTS_SIM_HISTORY_H

#include "client/evenkeel.h"
#include "common/bytes.h"
#include "tests/sim/checker.h"
#include "tests/sim/world.h"

enum { SIM_TAGS = 4, SIM_TAG_KEYS = 4, SIM_STEPS_MAX = 4 };

struct sim_call {
    struct check_call call;
    struct check_step steps[SIM_STEPS_MAX];
    unsigned tag;
    uint64_t called_us;
    uint64_t returned_us;
    bool ended;
    bool never; /* certain: it did not take effect */
    bool thin;  /* without a number */
};

/* The key's text; static. Key 0 and 1 hold texts, 2 a number, 3 what expires. */
const char *sim_key(unsigned tag, unsigned key);

/* A new call of `session`, in which nothing is known yet but its steps, which the caller fills in (`count` of them, kinds and all).
 */
struct sim_call *sim_history_begin(unsigned session, unsigned tag, size_t count);
/* It is a write, whose steps are filled in. */
void sim_history_writes(struct sim_call *call, bool thin);
/* It was never sent: forget it. */
void sim_history_refused(struct sim_call *call);
/* Its answer, as an ek_callback with the call as its context. */
void sim_history_end(void *call, const struct ek_completion *completions, size_t count);
/* An answer that the caller has put into the steps itself. */
void sim_history_answered(struct sim_call *call, enum ek_outcome outcome);

size_t sim_history_calls(void);
size_t sim_history_acknowledged(void);
/* Judges everything; says sim_fail. */
void sim_history_judge(void);
/* The judgement found neither an order of some tag's calls nor that there is none. */
bool sim_history_is_undecided(void);

#endif
