/*
 * What really happened, counted: in a run, and summed over all of them, so that nobody believes in a fault that never strikes.
 */
#ifndef EK_TESTS_SIM_TALLY_H
#define EK_TESTS_SIM_TALLY_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Each with its words in tally.c. */
enum sim_count {
    SIM_COUNT_KILL_WORKER, /* from here on in the order of enum sim_fault */
    SIM_COUNT_KILL_BROKER,
    SIM_COUNT_KILL_CLIENT,
    SIM_COUNT_KILL_ALL,
    SIM_COUNT_BREAK,
    SIM_COUNT_PART,
    SIM_COUNT_PAUSE,
    SIM_COUNT_SLOW_DISK,
    SIM_COUNT_STOP,
    SIM_COUNT_WALL_CLOCK,
    SIM_COUNT_COMPACT,
    SIM_COUNT_FULL_DISK,
    SIM_COUNT_SUSPEND,
    SIM_COUNT_PAST,
    SIM_COUNT_CUT,
    SIM_COUNT_PART_ONE_WAY,
    SIM_COUNT_LOST_UP,
    SIM_COUNT_LOST_DOWN,
    SIM_COUNT_LOST_INSIDE,
    SIM_COUNT_TWICE,
    SIM_COUNT_LATE_UP,
    SIM_COUNT_LATE_DOWN,
    SIM_COUNT_JOINED_LATE,
    SIM_COUNT_POWER_CUT,
    SIM_COUNT_UNSYNCED,
    SIM_COUNT_UNSYNCED_LOST,
    SIM_COUNT_RECORDS_LOST,
    SIM_COUNT_ROW_FILTERED,
    SIM_COUNT_DISK_FULL_SAID,
    SIM_COUNT_SNAPSHOT_WRITTEN,
    SIM_COUNT_SNAPSHOT_READ,
    SIM_COUNT_RECORD_READ,
    SIM_COUNT_SENT_AGAIN,
    SIM_COUNT_STORED_REPLY,
    SIM_COUNT_OUT_OF_ORDER,
    SIM_COUNT_STALE,
    SIM_COUNT_LINK_REFUSED,
    SIM_COUNT_REPETITION,
    SIM_COUNT_PAST_REPLIES,
    SIM_COUNT_PAST_JOB,
    SIM_COUNT_WORKER_DEATH,
    SIM_COUNT_POISON,
    SIM_COUNT_WORKER_STOPPED,
    SIM_COUNT_LETTER,
    SIM_COUNT_REPLAYED,
    SIM_COUNT_ROLLED_BACK,
    SIM_COUNT_WIPED,
    SIM_COUNT_CLONED,
    SIM_COUNT_OLD_DIRECTORY,
    SIM_COUNT_LOSS,
    SIM_COUNT_MOVE_ASKED,
    SIM_COUNT_MOVE_CANCELLED,
    SIM_COUNT_MOVE_DONE,
    SIM_COUNT_MOVE_SWITCHED,
    SIM_COUNT_MOVE_TRIED_AGAIN,
    SIM_COUNT_MOVE_FAILED,
    SIM_COUNT_MOVE_REFILLED,
    SIM_COUNT_MOVED_BACK,
    SIM_COUNT_HOLD_UNDONE,
    SIM_COUNT_CANCELLED_IN, /* the first four phases of enum ek_move_phase */
    SIM_COUNT_CUT_IN_MOVE = SIM_COUNT_CANCELLED_IN + 4,
    SIM_COUNT_FULL_SOURCE,
    SIM_COUNT_FULL_TARGET,
    SIM_COUNT_FILTERED_AT_SOURCE,
    SIM_COUNT_FILTERED_AT_TARGET,
    SIM_COUNT_FED,
    SIM_COUNT_CHECK,
    SIM_COUNT_LEARNER_GAP,
    SIM_COUNT_COMPARED,
    SIM_COUNT_COMPARED_ROWS,
    SIM_COUNT_ROW_READ_AND_STORED,
    SIM_COUNT_STEP_KILLED, /* for each two steps of enum sim_course_step the broker, the source, the target */
    SIM_COUNT_ANSWER = SIM_COUNT_STEP_KILLED + 8 * 3, /* from here on in the order of enum ek_wire_status */
    SIM_COUNT_ANSWER_LAST = SIM_COUNT_ANSWER + 31,
    SIM_COUNTS
};

struct sim_tally {
    uint64_t counts[SIM_COUNTS];
    uint64_t seeds[SIM_COUNTS]; /* in which it happened at all */
};

void sim_count(enum sim_count what);
uint64_t sim_counted(enum sim_count what);
/* Adds what this run counted. */
void sim_tally_add(struct sim_tally *sum);
/* Every line, those without anything too. */
void sim_tally_print(const struct sim_tally *sum, FILE *out);
/* What never happened, as lines of text; returns their number. */
size_t sim_tally_lacks(const struct sim_tally *sum, FILE *out);

#endif
