#include "tests/sim/tally.h"

#include "common/messages.h"

#include <inttypes.h>

#define KILLED_BETWEEN(gap, steps)                                                                                                 \
    [SIM_COUNT_STEP_KILLED + (gap)*3] = "broker killed between " steps,                                                            \
                             [SIM_COUNT_STEP_KILLED + (gap)*3 + 1] = "source killed between " steps,                               \
                             [SIM_COUNT_STEP_KILLED + (gap)*3 + 2] = "target killed between " steps

static const char *const words[SIM_COUNTS] = {
    [SIM_COUNT_KILL_WORKER] = "fault: a worker killed",
    [SIM_COUNT_KILL_BROKER] = "fault: the broker killed",
    [SIM_COUNT_KILL_CLIENT] = "fault: a client killed",
    [SIM_COUNT_KILL_ALL] = "fault: all killed at once",
    [SIM_COUNT_BREAK] = "fault: connections replaced",
    [SIM_COUNT_PART] = "fault: partition",
    [SIM_COUNT_PAUSE] = "fault: pause",
    [SIM_COUNT_SLOW_DISK] = "fault: slow disk",
    [SIM_COUNT_STOP] = "fault: orderly stop",
    [SIM_COUNT_WALL_CLOCK] = "fault: wall clock set",
    [SIM_COUNT_COMPACT] = "fault: compaction",
    [SIM_COUNT_FULL_DISK] = "fault: full disk",
    [SIM_COUNT_SUSPEND] = "fault: a client suspended, others renewed",
    [SIM_COUNT_PAST] = "fault: messages of the past",
    [SIM_COUNT_CUT] = "fault: cut between workers",
    [SIM_COUNT_PART_ONE_WAY] = "partitions one way only",
    [SIM_COUNT_LOST_UP] = "messages lost towards a listener",
    [SIM_COUNT_LOST_DOWN] = "messages lost from a listener",
    [SIM_COUNT_LOST_INSIDE] = "of these, with later ones that arrive",
    [SIM_COUNT_TWICE] = "messages delivered twice",
    [SIM_COUNT_LATE_UP] = "messages behind a newer connection's, towards a listener",
    [SIM_COUNT_LATE_DOWN] = "messages behind a newer connection's, from a listener",
    [SIM_COUNT_JOINED_LATE] = "workers that join late, with an empty disk",
    [SIM_COUNT_POWER_CUT] = "ends by a power cut",
    [SIM_COUNT_UNSYNCED] = "groups that can be read without their sync",
    [SIM_COUNT_UNSYNCED_LOST] = "of these, lost by a later power cut",
    [SIM_COUNT_RECORDS_LOST] = "writes of the broker lost by a power cut",
    [SIM_COUNT_ROW_FILTERED] = "expired rows that the filter dropped",
    [SIM_COUNT_DISK_FULL_SAID] = "figures of a full disk",
    [SIM_COUNT_SNAPSHOT_WRITTEN] = "snapshots written",
    [SIM_COUNT_SNAPSHOT_READ] = "snapshots read at a start",
    [SIM_COUNT_RECORD_READ] = "records replayed at a start",
    [SIM_COUNT_SENT_AGAIN] = "writes sent to a worker again",
    [SIM_COUNT_STORED_REPLY] = "stored replies",
    [SIM_COUNT_OUT_OF_ORDER] = "positions refused",
    [SIM_COUNT_STALE] = "jobs refused as stale",
    [SIM_COUNT_LINK_REFUSED] = "links refused",
    [SIM_COUNT_REPETITION] = "answers repeated to clients",
    [SIM_COUNT_PAST_REPLIES] = "replies of an earlier link on a later one",
    [SIM_COUNT_PAST_JOB] = "jobs of an epoch that is over",
    [SIM_COUNT_WORKER_DEATH] = "deaths of workers",
    [SIM_COUNT_POISON] = "of these, by a job",
    [SIM_COUNT_WORKER_STOPPED] = "orderly ends of workers",
    [SIM_COUNT_LETTER] = "dead letters",
    [SIM_COUNT_REPLAYED] = "of these, replayed",
    [SIM_COUNT_ROLLED_BACK] = "disks rolled back",
    [SIM_COUNT_WIPED] = "disks gone",
    [SIM_COUNT_CLONED] = "workers cloned",
    [SIM_COUNT_OLD_DIRECTORY] = "starts of the broker on an old copy of its directory",
    [SIM_COUNT_LOSS] = "losses accepted",
    [SIM_COUNT_MOVE_ASKED] = "moves asked for",
    [SIM_COUNT_MOVE_CANCELLED] = "of these, cancelled",
    [SIM_COUNT_MOVE_DONE] = "moves done under the last broker",
    [SIM_COUNT_MOVE_SWITCHED] = "shards with data that changed hands",
    [SIM_COUNT_CHECK] = "checks, which found everything in order",
    [SIM_COUNT_MOVE_TRIED_AGAIN] = "further attempts at a move",
    [SIM_COUNT_MOVE_FAILED] = "moves given up",
    [SIM_COUNT_MOVE_REFILLED] = "learners' ranges emptied of rows of an earlier role",
    [SIM_COUNT_MOVED_BACK] = "shards that went back inside the grace period",
    [SIM_COUNT_HOLD_UNDONE] = "holds undone",
    [SIM_COUNT_CANCELLED_IN + 0] = "moves cancelled while queued",
    [SIM_COUNT_CANCELLED_IN + 1] = "moves cancelled while copying",
    [SIM_COUNT_CANCELLED_IN + 2] = "moves cancelled while catching up",
    [SIM_COUNT_CANCELLED_IN + 3] = "moves cancelled while holding",
    [SIM_COUNT_CUT_IN_MOVE] = "cuts between the two workers of a move",
    [SIM_COUNT_FULL_SOURCE] = "full disks of a move's source only",
    [SIM_COUNT_FULL_TARGET] = "full disks of a move's target only",
    [SIM_COUNT_FILTERED_AT_SOURCE] = "rows that the filter dropped at the source of a move",
    [SIM_COUNT_FILTERED_AT_TARGET] = "rows that the filter dropped at the target of a move",
    [SIM_COUNT_FED] = "envelopes of writes for learners",
    [SIM_COUNT_LEARNER_GAP] = "learners that missed some of these",
    [SIM_COUNT_COMPARED] = "comparisons of a shard on two disks",
    [SIM_COUNT_COMPARED_ROWS] = "rows in these",
    [SIM_COUNT_ROW_READ_AND_STORED] = "rows that were compared with what was read",
    KILLED_BETWEEN(0, "empty and flush"),
    KILLED_BETWEEN(1, "flush and ingest"),
    KILLED_BETWEEN(2, "ingest and record"),
    KILLED_BETWEEN(3, "record and hold"),
    KILLED_BETWEEN(4, "hold and switch"),
    KILLED_BETWEEN(5, "switch and announce"),
    KILLED_BETWEEN(6, "announce and release"),
    KILLED_BETWEEN(7, "release and delete"),
};

static uint64_t counts[SIM_COUNTS];

void sim_count(enum sim_count what)
{
    counts[what]++;
}

uint64_t sim_counted(enum sim_count what)
{
    return counts[what];
}

void sim_tally_add(struct sim_tally *sum)
{
    for (size_t i = 0; i < SIM_COUNTS; i++) {
        sum->counts[i] += counts[i];
        sum->seeds[i] += counts[i] > 0;
    }
}

void sim_tally_print(const struct sim_tally *sum, FILE *out)
{
    _Static_assert(SIM_COUNT_ANSWER_LAST - SIM_COUNT_ANSWER + 1 >= EK_WIRE_STATUS_COUNT, "an answer has no place");
    for (size_t i = 0; i < SIM_COUNTS; i++) {
        bool answer = i >= SIM_COUNT_ANSWER && i < SIM_COUNT_ANSWER + EK_WIRE_STATUS_COUNT;
        /* Results and what is between worker and broker are no answers to clients. */
        if (words[i] || (answer && sum->counts[i]))
            (void)fprintf(out, "%10" PRIu64 " in %6" PRIu64 " seeds  %s%s\n", sum->counts[i], sum->seeds[i],
                          answer ? "answer: " : "",
                          answer ? ek_wire_status_name((enum ek_wire_status)(i - SIM_COUNT_ANSWER)) : words[i]);
    }
}

/* Only programs that disagree bring it about; they hardly ever do. */
static bool may_lack(size_t what)
{
    return what == SIM_COUNT_OUT_OF_ORDER;
}

size_t sim_tally_lacks(const struct sim_tally *sum, FILE *out)
{
    size_t lacking = 0;
    for (size_t i = 0; i < SIM_COUNTS; i++)
        if (words[i] && sum->counts[i] == 0 && !may_lack(i)) {
            (void)fprintf(out, "NEVER HAPPENED %s\n", words[i]);
            lacking++;
        }
    return lacking;
}
