/*
 * A check of everything that a worker has stored, as of one moment: what each shard's role is, how many rows lie in its range, a
 * hash over them, and what cannot be right. It judges nothing beyond that and changes nothing; whether a shard ought to be here is
 * the broker's to say. Opened on the storage thread, between two groups, so that roles, positions and rows belong together; then
 * run part by part on one thread, beside the service.
 *
 * The hash of a shard is that of a copy (worker/copy.h) over its rows in key order, without those that had expired at the shard's
 * last stamp: two workers that have the shard at the same position have the same. Limits: a part looks at 2,048 entries or 512 KiB.
 * The files of the moment stay on the disk until the survey is destroyed.
 */
#ifndef EK_WORKER_SURVEY_H
#define EK_WORKER_SURVEY_H

#include "worker/engine.h"

struct ek_survey;

/* NULL when `link` is not the engine's. `check` comes back in the reports. */
struct ek_survey *ek_survey_open(const struct ek_engine *engine, struct ek_link link, uint64_t check);
void ek_survey_destroy(struct ek_survey **survey);
struct ek_link ek_survey_link(const struct ek_survey *survey);
/* Looks at the next part and appends the report about it; not once more after `ret_last`. A failure is the store's. */
EK_MUST enum ek_status ek_survey_run(struct ek_survey *survey, struct ek_buffer *out, bool *ret_last, struct ek_error *error);

#endif
