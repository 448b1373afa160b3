#include "broker/drain.h"

#include "broker/balance.h"
#include "broker/durable.h"
#include "broker/links.h"
#include "common/json.h"

#define SECOND_US UINT64_C(1000000)

enum ek_status ek_drain_load(struct ek_broker *broker, const struct ek_record *record)
{
    int worker = ek_links_find_worker(broker, &record->worker);
    if (worker == EK_NOBODY)
        return EK_CORRUPT;
    broker->workers[worker].drain.wanted = true;
    return EK_OK;
}

static uint64_t held_bytes(const struct ek_broker *broker, int worker)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < broker->config.shards; i++)
        if (broker->shards[i].holder == worker)
            bytes += broker->shards[i].load.stored_bytes;
    return bytes;
}

const char *ek_drain_begin(struct ek_broker *broker, int index)
{
    struct ek_worker *worker = &broker->workers[index];
    if (worker->drain.wanted)
        return NULL;
    const char *wrong = worker->shards ? ek_balance_why_no_drain(broker, index) : NULL;
    if (wrong)
        return wrong;
    worker->drain = (struct ek_drain){.wanted = true, .began_us = broker->now_us, .began_bytes = held_bytes(broker, index)};
    ek_durable_add(broker, EK_RECORD_DRAIN)->worker = worker->id;
    ek_durable_write(broker);
    ek_moves_target_leaves(broker, index);
    return NULL;
}

void ek_drain_cancel(struct ek_broker *broker, int index)
{
    struct ek_worker *worker = &broker->workers[index];
    if (!worker->drain.wanted)
        return;
    worker->drain = (struct ek_drain){0};
    ek_durable_add(broker, EK_RECORD_DRAIN_OVER)->worker = worker->id;
    ek_durable_write(broker);
    ek_moves_drain_cancelled(broker, index);
}

bool ek_drain_is_safe_to_stop(const struct ek_broker *broker, int worker)
{
    return broker->workers[worker].shards == 0 && !ek_moves_involve(broker, worker, EK_MOVE_RELEASING);
}

bool ek_drain_is_over(const struct ek_broker *broker, int worker)
{
    return broker->workers[worker].drain.wanted && broker->workers[worker].shards == 0 &&
           !ek_moves_involve(broker, worker, EK_MOVE_CLEANING);
}

/* Why it does not get on, or NULL. */
static const char *what_hinders(struct ek_broker *broker, int index)
{
    const struct ek_worker *worker = &broker->workers[index];
    if (!worker->drain.wanted || worker->shards == 0)
        return NULL;
    if (broker->settings[EK_SETTING_MOVES_PAUSED])
        return "moves are paused: evenkeel balance resume";
    return ek_balance_why_no_drain(broker, index);
}

static void append_known(struct ek_buffer *out, const char *name, bool known, uint64_t value)
{
    if (known)
        ek_json_uint(out, name, value);
    else
        ek_json_null(out, name);
}

void ek_drain_describe(struct ek_broker *broker, int index, struct ek_buffer *out)
{
    const struct ek_worker *worker = &broker->workers[index];
    const struct ek_drain *drain = &worker->drain;
    uint64_t left = held_bytes(broker, index);
    uint64_t gone = drain->began_bytes > left ? drain->began_bytes - left : 0;
    uint64_t took_us = drain->began_us ? broker->now_us - drain->began_us : 0;
    uint64_t rate = took_us ? gone * SECOND_US / took_us : 0;
    bool over = ek_drain_is_over(broker, index);
    const char *hindrance = what_hinders(broker, index);
    ek_json_open(out, NULL, '{');
    ek_json_text(out, "status", "ok");
    ek_json_text(out, "worker", worker->name);
    ek_json_text(out, "state", over ? "drained" : drain->wanted ? "draining" : "cancelled");
    ek_json_uint(out, "shards_left", worker->shards);
    ek_json_uint(out, "bytes_left", left);
    append_known(out, "bytes_per_second", drain->wanted && took_us, rate);
    append_known(out, "eta_ms", over || (rate && left), rate ? left * 1000 / rate : 0);
    ek_json_bool(out, "safe_to_stop", ek_drain_is_safe_to_stop(broker, index));
    if (hindrance)
        ek_json_text(out, "error", hindrance);
    else
        ek_json_null(out, "error");
    ek_json_close(out, '{');
}

/* What it held when it began, as far as it is known: after a start of the broker only once the worker has told. */
static void note_progress(struct ek_broker *broker, int index)
{
    struct ek_drain *drain = &broker->workers[index].drain;
    if (drain->began_us || !broker->workers[index].has_credit)
        return;
    drain->began_us = broker->now_us;
    drain->began_bytes = held_bytes(broker, index);
}

void ek_drain_tick(struct ek_broker *broker)
{
    for (size_t i = 0; i < broker->worker_count; i++) {
        struct ek_worker *worker = &broker->workers[i];
        if (!worker->drain.wanted)
            continue;
        note_progress(broker, (int)i);
        bool over = ek_drain_is_over(broker, (int)i);
        if (over && !worker->drain.told_over)
            ek_broker_say(broker, EK_ACTION_NOTICE, "worker %s is drained: it can be stopped and forgotten", worker->name);
        worker->drain.told_over = over;
    }
}
