/*
 * The planner's last round as JSON, for people: what it would have moved next and why, what it would have liked to move and what
 * held that back, and what each worker carries. Any thread.
 */
#ifndef EK_BROKER_PLAN_JSON_H
#define EK_BROKER_PLAN_JSON_H

#include "broker/metrics.h"

/* The caller frees it. */
char *ek_plan_json(const struct ek_snapshot *snapshot);

#endif
