#include "broker/plan_json.h"

#include "common/json.h"

static const char *const resource_names[EK_PLAN_RESOURCES] = {
    [EK_PLAN_BUSY] = "busy", [EK_PLAN_WRITES] = "writes", [EK_PLAN_NET] = "network", [EK_PLAN_STORED] = "bytes"};

static const char *reason_name(const struct ek_plan_entry *entry)
{
    static const char *const names[] = {[EK_PLAN_REPAIR] = "repair",
                                        [EK_PLAN_DRAIN] = "drain",
                                        [EK_PLAN_FULL] = "full_disk",
                                        [EK_PLAN_BALANCE] = "balance",
                                        [EK_PLAN_EXCHANGE] = "exchange"};
    return entry->trims ? "trim" : names[entry->reason];
}

static void worker_name(struct ek_buffer *out, const char *member, const struct ek_snapshot *snapshot, int worker)
{
    if (worker < 0 || (size_t)worker >= snapshot->worker_count)
        ek_json_null(out, member);
    else
        ek_json_text(out, member, snapshot->workers[worker].name);
}

static void entry_json(struct ek_buffer *out, const struct ek_snapshot *snapshot, const struct ek_plan_entry *entry)
{
    ek_json_open(out, NULL, '{');
    ek_json_uint(out, "shard", entry->shard);
    worker_name(out, "source", snapshot, entry->source);
    worker_name(out, "target", snapshot, entry->target);
    ek_json_text(out, "reason", reason_name(entry));
    ek_json_text(out, "resource", resource_names[entry->resource]);
    ek_json_real(out, "source_load_before", entry->source_before);
    ek_json_real(out, "source_load_after", entry->source_after);
    ek_json_real(out, "target_load_before", entry->target_before);
    ek_json_real(out, "target_load_after", entry->target_after);
    ek_json_real(out, "gain", entry->gain);
    ek_json_uint(out, "bytes", entry->bytes);
    ek_json_uint(out, "bytes_per_second", entry->bytes_per_second);
    ek_json_bool(out, "cooldown_waived", entry->waived);
    if (entry->rule == EK_RULE_NONE)
        ek_json_null(out, "held_back_by");
    else
        ek_json_text(out, "held_back_by", ek_plan_rule_text(entry->rule));
    ek_json_close(out, '{');
}

static void entries_json(struct ek_buffer *out, const char *member, const struct ek_snapshot *snapshot,
                         const struct ek_plan_entry *entries, size_t count)
{
    ek_json_open(out, member, '[');
    for (size_t i = 0; i < count; i++)
        entry_json(out, snapshot, &entries[i]);
    ek_json_close(out, '[');
}

static void worker_json(struct ek_buffer *out, const struct ek_worker_view *worker)
{
    const struct ek_plan_load *load = &worker->load;
    ek_json_open(out, NULL, '{');
    ek_json_text(out, "worker", worker->name);
    for (size_t r = 0; r < EK_PLAN_RESOURCES; r++) {
        char name[32];
        (void)snprintf(name, sizeof name, "%s_utilisation", resource_names[r]);
        ek_json_real(out, name, load->utilisation[r]);
        (void)snprintf(name, sizeof name, "%s_load_ratio", resource_names[r]);
        ek_json_real(out, name, load->ratio[r]);
    }
    ek_json_real(out, "noise", load->noise);
    if (load->hot_shard >= 0)
        ek_json_uint(out, "hot_shard", (uint64_t)load->hot_shard);
    else
        ek_json_null(out, "hot_shard");
    ek_json_close(out, '{');
}

static void round_json(struct ek_buffer *out, const struct ek_plan *plan, uint64_t age_ms)
{
    ek_json_uint(out, "round", plan->round);
    ek_json_uint(out, "age_ms", age_ms);
    ek_json_bool(out, "balancing", plan->balancing);
    ek_json_bool(out, "urgent", plan->urgent);
    if (plan->quiet == EK_RULE_NONE)
        ek_json_null(out, "quiet_because");
    else
        ek_json_text(out, "quiet_because", ek_plan_rule_text(plan->quiet));
    ek_json_open(out, "resources_balanced", '[');
    for (size_t r = 0; r < EK_PLAN_RESOURCES; r++)
        if (plan->active[r])
            ek_json_text(out, NULL, resource_names[r]);
    ek_json_close(out, '[');
    ek_json_real(out, "max_over_mean_load", plan->max_over_mean);
    ek_json_real(out, "objective", plan->objective);
    ek_json_uint(out, "workers_wanted", plan->workers_wanted);
    ek_json_uint(out, "moves_planned", plan->count);
}

char *ek_plan_json(const struct ek_snapshot *snapshot)
{
    const struct ek_plan_view *view = &snapshot->plan;
    struct ek_buffer out = {0};
    ek_json_open(&out, NULL, '{');
    ek_json_text(&out, "balance", view->balance ? "on" : "off");
    ek_json_bool(&out, "moves_paused", view->paused);
    ek_json_uint(&out, "moves_active", snapshot->moves_active);
    round_json(&out, &view->plan, view->age_ms);
    entries_json(&out, "moves", snapshot, view->plan.entries, view->entry_count);
    entries_json(&out, "held", snapshot, view->plan.held, view->held_count);
    ek_json_open(&out, "workers", '[');
    for (size_t i = 0; i < snapshot->worker_count; i++)
        if (snapshot->workers[i].planned)
            worker_json(&out, &snapshot->workers[i]);
    ek_json_close(&out, '[');
    ek_json_close(&out, '{');
    ek_buffer_append(&out, "", 1);
    return (char *)out.data;
}
