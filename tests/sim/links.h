/*
 * Who may write: what a worker puts on its disk after it has reported to a link was sent over that link. A job of an earlier link,
 * or of a broker that is no longer in office, must not be carried out any more, since the report said that it would not be.
 */
#ifndef EK_TESTS_SIM_LINKS_H
#define EK_TESTS_SIM_LINKS_H

#include "common/messages.h"
#include "common/reader.h"
#include "tests/sim/world.h"

/* WORKER_JOBS as they are sent to a worker; `fields` are those behind the type. */
void sim_links_sent(const struct sim_process *to, struct ek_reader fields);
/* A WORKER_REPORT as it is sent. */
void sim_links_reported(const struct sim_process *from, struct ek_reader fields);
/* The link of the last one. */
struct ek_link sim_links_of(const struct sim_process *worker);
/* A record of the book-keeping came to the disk of the running worker. */
void sim_links_recorded(struct ek_slice record);

#endif
