#include "worker/serve.h"

#include "common/clock.h"

#include <stdlib.h>

struct ek_serve *ek_serve_new(struct ek_store *store, const struct ek_stamps *stamps, struct ek_load *load)
{
    struct ek_serve *serve = ek_alloc_zero(1, sizeof *serve);
    serve->store = store;
    serve->stamps = stamps;
    serve->load = load;
    return serve;
}

void ek_serve_destroy(struct ek_serve **reference)
{
    struct ek_serve *serve = *reference;
    if (!serve)
        return;
    for (size_t i = 0; i < serve->wait_count; i++)
        ek_parcel_release(serve->waits[i].parcel);
    free(serve->waits);
    free(serve->ready);
    free(serve->ready_parcels);
    free(serve->ready_bytes);
    ek_reads_done(&serve->reads);
    free(serve);
    *reference = NULL;
}

void ek_serve_adopt(struct ek_serve *serve, struct ek_link link, uint32_t shards, const struct ek_holding *holdings, size_t count)
{
    serve->link = link;
    serve->shard_count = shards;
    ek_serve_assign(serve, holdings, count);
}

void ek_serve_assign(struct ek_serve *serve, const struct ek_holding *holdings, size_t count)
{
    for (size_t i = 0; i < count; i++)
        serve->shards[holdings[i].shard] = (struct ek_serve_shard){
            .epoch = holdings[i].epoch, .position = holdings[i].position, .serving = holdings[i].state == EK_HOLDING_SERVING};
}

void ek_serve_synced(struct ek_serve *serve, const struct ek_commit_position *positions, size_t count)
{
    for (size_t i = 0; i < count; i++)
        serve->shards[positions[i].shard].position = positions[i].position;
}

void ek_serve_add(struct ek_serve *serve, struct ek_parcel *parcel, const struct ek_worker_job *job)
{
    ek_parcel_hold(parcel);
    serve->waits = ek_grow(serve->waits, &serve->wait_capacity, serve->wait_count + 1, sizeof *serve->waits);
    serve->waits[serve->wait_count++] = (struct ek_serve_wait){.parcel = parcel, .job = job};
}

static bool is_current(const struct ek_serve *serve, const struct ek_serve_wait *wait)
{
    struct ek_link link = wait->parcel->link;
    if (link.link != serve->link.link || link.generation != serve->link.generation || wait->job->shard >= serve->shard_count)
        return false;
    const struct ek_serve_shard *shard = &serve->shards[wait->job->shard];
    return shard->serving && shard->epoch == wait->job->epoch;
}

static void make_ready(struct ek_serve *serve, const struct ek_serve_wait *wait, size_t index)
{
    serve->ready = ek_grow(serve->ready, &serve->ready_capacity, index + 1, sizeof *serve->ready);
    serve->ready_parcels = ek_grow(serve->ready_parcels, &serve->parcels_capacity, index + 1, sizeof *serve->ready_parcels);
    serve->ready_bytes = ek_grow(serve->ready_bytes, &serve->bytes_capacity, index + 1, sizeof *serve->ready_bytes);
    serve->ready[index] = (struct ek_read){.link = wait->parcel->link, .job = wait->job};
    serve->ready_parcels[index] = wait->parcel;
}

/* Sorts the waiting reads into stale ones, which are answered, ready ones, and those that wait on. Returns how many are ready. */
static size_t sort(struct ek_serve *serve, struct ek_answers *answers)
{
    size_t ready = 0;
    size_t left = 0;
    for (size_t i = 0; i < serve->wait_count; i++) {
        const struct ek_serve_wait *wait = &serve->waits[i];
        if (!is_current(serve, wait)) {
            struct ek_worker_reply stale = {.token = wait->job->token, .status = EK_WIRE_STALE};
            ek_answers_add(answers, wait->parcel->link, &stale);
            ek_parcel_release(wait->parcel);
        } else if (wait->job->position > serve->shards[wait->job->shard].position)
            serve->waits[left++] = *wait;
        else
            make_ready(serve, wait, ready++);
    }
    serve->wait_count = left;
    return ready;
}

static void account(struct ek_serve *serve, size_t done, uint64_t took_us)
{
    uint64_t operations = 0;
    for (size_t i = 0; i < done; i++)
        operations += serve->ready[i].job->count;
    for (size_t i = 0; i < done; i++) {
        const struct ek_worker_job *job = serve->ready[i].job;
        ek_load_add(serve->load, job->shard, job->count, 0, serve->ready_bytes[i], took_us * 1000 * job->count / operations);
    }
    serve->busy_us += took_us;
}

enum ek_status ek_serve_run(struct ek_serve *serve, struct ek_answers *answers, bool *ret_more, struct ek_error *error)
{
    *ret_more = false;
    if (serve->wait_count == 0)
        return EK_OK;
    size_t ready = sort(serve, answers);
    size_t done = 0;
    if (ready) {
        struct ek_reads_source source = {.store = serve->store, .stamps = serve->stamps, .shards = serve->shard_count};
        uint64_t began_us = ek_clock_monotonic_us();
        enum ek_status status = ek_reads_run(&serve->reads, source, serve->ready, ready, answers, serve->ready_bytes, &done, error);
        if (status != EK_OK)
            return status;
        account(serve, done, ek_clock_monotonic_us() - began_us);
    }
    ek_answers_seal(answers);
    for (size_t i = 0; i < ready; i++) {
        if (i >= done)
            ek_serve_add(serve, serve->ready_parcels[i], serve->ready[i].job);
        ek_parcel_release(serve->ready_parcels[i]);
    }
    *ret_more = done < ready;
    return EK_OK;
}
