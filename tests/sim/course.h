/*
 * How far each move has come, by what can be seen of it from outside: orders and reports on the wire, roles on the workers' disks,
 * records on the broker's, and the broker's own view after each of its steps. Between every two of these steps it ends, by chance,
 * the broker, the source or the target.
 *
 *     empty flush ingest record hold switch announce release delete
 *
 * Until the switch another attempt begins at the first one. What is between the two in time only, and not in the steps of one
 * attempt, is not counted: a program ends between two steps when the first is done and the second has not begun.
 */
#ifndef EK_TESTS_SIM_COURSE_H
#define EK_TESTS_SIM_COURSE_H

#include "broker/records.h"
#include "common/messages.h"
#include "common/reader.h"
#include "tests/sim/world.h"

struct sim_disk;
struct ek_broker;

enum sim_course_step {
    SIM_COURSE_ORDERED,
    SIM_COURSE_EMPTY,    /* the learner's range is emptied, and the role that says so is on its disk */
    SIM_COURSE_FLUSH,    /* it was seen to be empty, and the broker is told */
    SIM_COURSE_INGEST,   /* rows of the copy are on the learner's disk */
    SIM_COURSE_RECORD,   /* so is "complete" */
    SIM_COURSE_HOLD,     /* nothing goes out */
    SIM_COURSE_SWITCH,   /* the broker's record is on its disk */
    SIM_COURSE_ANNOUNCE, /* the new owner is told */
    SIM_COURSE_RELEASE,  /* the former one has it on its disk that it is none */
    SIM_COURSE_DELETE,   /* its rows are gone */
    SIM_COURSE_STEPS
};

/* Of a hundred steps so many are followed by an end. */
void sim_course_open(unsigned kill_percent);
void sim_course_heal(void);

/* Messages as they are sent; `fields` are those behind the type. */
void sim_course_ordered(const struct sim_process *to, struct ek_reader fields);
void sim_course_reported(const struct sim_process *from, struct ek_reader fields);
void sim_course_assigned(const struct sim_process *to, struct ek_reader fields);
/* Writes go to a learner; some are lost. No network does that inside a connection; a fault in either program might. */
void sim_course_fed(const struct sim_process *to);
/* A role comes to a disk. */
void sim_course_adopted(const struct sim_disk *disk, const struct ek_holding *role);
/* A record is on the broker's disk, and is there to stay. */
void sim_course_durable(const struct ek_record *record);

/* A move has begun, and has not come to its switch. */
bool sim_course_any(void);
/* The two workers of a move before its switch; false: there is none. */
bool sim_course_some(struct sim_process **ret_source, struct sim_process **ret_target);
/* The filter drops a row of this shard. */
void sim_course_filtered(const struct sim_disk *disk, uint16_t shard);

#endif
