#include "broker/office.h"

enum ek_status ek_office_take(const struct ek_office *office, struct ek_meta *meta, const struct ek_meta_state *state,
                              struct ek_broker **ret, struct ek_error *error)
{
    struct ek_broker_config config = {
        .cluster = state->cluster,
        .generation = state->generation + 1,
        .shards = state->shards,
        .queue_bytes_max = office->queue_bytes_max,
        .liveness_us = office->liveness_us,
        .started_us = office->now_us,
        .started_unix_ms = office->now_unix_ms,
        .ceiling_unix_ms = state->ceiling_unix_ms,
        .random = office->random,
        .stats_endpoint = office->stats_endpoint,
    };
    struct ek_broker *broker;
    if (ek_broker_new(&config, state->records, state->record_count, &broker) != EK_OK)
        return ek_error_set(error, EK_CORRUPT, "the records in the data directory contradict each other: restore it from a copy");
    struct ek_event durable = {.type = EK_EVENT_CEILING_DURABLE, .now_us = config.started_us};
    durable.ceiling_unix_ms = ek_broker_wanted_ceiling(broker, config.started_us);
    enum ek_status status = ek_meta_write_office(meta, config.generation, durable.ceiling_unix_ms, error);
    if (status != EK_OK) {
        ek_broker_destroy(&broker);
        return status;
    }
    size_t ignored;
    (void)ek_broker_step(broker, &durable, &ignored);
    *ret = broker;
    return EK_OK;
}
