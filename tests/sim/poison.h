/*
 * Jobs that kill their worker, whoever it is and as often as it tries, and the producer that publishes them beside innocent ones:
 * it adds to two counters, of which one is deadly, and lists, replays and drops the dead letters that come of it. What it was
 * told, the letters that it saw and what the counters hold in the end must agree: every operation took effect once, or never, or
 * lies in a letter.
 */
#ifndef EK_TESTS_SIM_POISON_H
#define EK_TESTS_SIM_POISON_H

#include "client/evenkeel.h"
#include "common/bytes.h"

/* From now on the deadly counter kills; until then, and once it is cured, it does not. */
void sim_poison_begin(void);
void sim_poison_cure(void);
/* A store looks a row up, or writes it: the program that asks for a deadly one ends here, as by SIGKILL. */
void sim_poison_touch(struct ek_slice physical_key);
/* Somebody else's job may have been set aside: so many workers ended otherwise that it may have been alone each time. */
bool sim_poison_may_hit_others(void);

/* Submits something. */
void sim_poison_submit(struct ek_client *client, uint32_t timeout_ms);
/* Replays and drops what is left, and compares. All is healed, and nothing of this producer is under way. */
void sim_poison_finish(struct ek_client *client);

#endif
