#include "worker/parcel.h"

#include "common/codec.h"

#include <stdlib.h>

enum { SMALL_FRAME_BYTES = 2048 };

bool ek_job_is_plain_read(const struct ek_worker_job *job)
{
    return job->kind == EK_JOB_READ && (job->producer == 0 || job->number == 0);
}

static enum ek_status decode_jobs(struct ek_reader *fields, struct ek_parcel *parcel)
{
    for (uint32_t i = 0; i < parcel->count; i++) {
        struct ek_worker_job *job = &parcel->jobs[i];
        enum ek_status status = ek_decode_worker_job(fields, job);
        if (status != EK_OK)
            return status;
        parcel->for_commit += !ek_job_is_plain_read(job);
        if (job->kind != EK_JOB_READ) /* a probe has none */
            parcel->operations += job->count;
        if (job->kind != EK_JOB_READ && job->kind != EK_JOB_CANCEL && job->kind != EK_JOB_PROBE) {
            parcel->work_jobs++;
            parcel->work_bytes += job->body.size;
        }
    }
    return ek_decode_end(fields);
}

static enum ek_status decode(struct ek_slice bytes, struct ek_parcel **ret)
{
    enum ek_message_type type;
    struct ek_reader fields;
    struct ek_link link;
    uint32_t count;
    enum ek_status status = ek_decode_type(bytes, &type, &fields);
    if (status == EK_OK)
        status = ek_decode_link(&fields, &link);
    if (status == EK_OK)
        status = ek_decode_count(&fields, EK_ENVELOPE_JOBS_MAX, &count);
    if (status != EK_OK)
        return status;
    struct ek_parcel *parcel = ek_alloc_zero(1, sizeof *parcel + count * sizeof *parcel->jobs);
    parcel->users = 1;
    parcel->link = link;
    parcel->count = count;
    parcel->bytes = bytes.size + sizeof *parcel + count * sizeof *parcel->jobs;
    status = decode_jobs(&fields, parcel);
    if (status == EK_OK)
        *ret = parcel;
    else
        free(parcel);
    return status;
}

enum ek_status ek_parcel_take(struct ek_frame *frame, struct ek_parcel **ret)
{
    struct ek_slice bytes = ek_frame_bytes(frame);
    uint8_t *copy = bytes.size <= SMALL_FRAME_BYTES ? ek_slice_copy(bytes) : NULL;
    enum ek_status status = decode(copy ? ek_slice_of(copy, bytes.size) : bytes, ret);
    if (status == EK_OK && !copy)
        (*ret)->frame = *frame;
    else
        ek_frame_done(frame);
    if (status == EK_OK)
        (*ret)->copy = copy;
    else
        free(copy);
    return status;
}

void ek_parcel_hold(struct ek_parcel *parcel)
{
    parcel->users++;
}

void ek_parcel_release(struct ek_parcel *parcel)
{
    if (--parcel->users)
        return;
    if (parcel->copy)
        free(parcel->copy);
    else
        ek_frame_done(&parcel->frame);
    free(parcel);
}
