#include "broker/durable.h"

struct ek_record *ek_durable_add(struct ek_broker *broker, enum ek_record_type type)
{
    broker->records = ek_grow(broker->records, &broker->record_capacity, broker->record_count + 1, sizeof *broker->records);
    struct ek_record *record = &broker->records[broker->record_count++];
    *record = (struct ek_record){.type = type};
    return record;
}

void ek_durable_add_assignment(struct ek_broker *broker, const struct ek_shard *shard)
{
    struct ek_record *record = ek_durable_add(broker, EK_RECORD_ASSIGNMENT);
    record->shard = shard->number;
    record->number = shard->epoch;
    record->worker = broker->workers[shard->holder].id;
    record->quarantined = shard->state == EK_SHARD_QUARANTINED;
    record->loss = shard->loss;
}

void ek_durable_write(struct ek_broker *broker)
{
    if (broker->record_count == broker->records_asked)
        return;
    struct ek_action *action = ek_broker_act(broker, EK_ACTION_PERSIST, 0);
    action->persist.records = broker->records + broker->records_asked;
    action->persist.count = broker->record_count - broker->records_asked;
    broker->records_asked = broker->record_count;
}
