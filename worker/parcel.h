/*
 * A received envelope of jobs, decoded once and shared by everything that still works on one of them: bodies borrow from the frame.
 * The count of users and the end of its life belong to the loop thread; the jobs are read-only and may be read by others meanwhile.
 */
#ifndef EK_WORKER_PARCEL_H
#define EK_WORKER_PARCEL_H

#include "common/messages.h"
#include "common/reader.h"
#include "common/status.h"
#include "common/transport.h"

struct ek_parcel {
    struct ek_frame frame;
    uint8_t *copy; /* of a small frame: a frame may pin 8 KiB of receive buffer; NULL when `frame` is held */
    size_t bytes;  /* what it counts for while it waits */
    uint32_t users;
    struct ek_link link;
    uint32_t count;
    uint32_t for_commit; /* writes, and reads that name a number */
    uint32_t operations; /* of the writes */
    uint32_t work_jobs;  /* writes that are no cancellations */
    size_t work_bytes;   /* of their bodies */
    struct ek_worker_job jobs[];
};

/* Takes the frame, whose type was found to be WORKER_JOBS, in any case. The parcel has one user.
 * EK_MALFORMED, EK_TOO_LARGE. */
EK_MUST enum ek_status ek_parcel_take(struct ek_frame *frame, struct ek_parcel **ret);
void ek_parcel_hold(struct ek_parcel *parcel);
/* The last one frees it. */
void ek_parcel_release(struct ek_parcel *parcel);

/* A read that no storage thread has to look at first. */
bool ek_job_is_plain_read(const struct ek_worker_job *job);

#endif
