#include "broker/idle.h"

#include "broker/door.h"
#include "common/operations.h"

static bool is_due(const struct ek_shard *shard, uint64_t now_us)
{
    return shard->load.expires_unix_ms && shard->state == EK_SHARD_SERVING && shard->queue.count == 0 && shard->writes.count == 0 &&
           shard->wrote_us + EK_IDLE_US <= now_us;
}

void ek_idle_check(struct ek_broker *broker, uint64_t now_us)
{
    struct ek_buffer body = {0};
    for (uint32_t i = 0; i < broker->config.shards && !broker->stopping; i++) {
        if (!is_due(&broker->shards[i], now_us))
            continue;
        if (body.size == 0)
            ek_encode_cause(&body, EK_WIRE_OK);
        struct ek_job empty = {.kind = EK_JOB_CANCEL, .body = ek_buffer_slice(&body), .count = 1};
        ek_door_enqueue(broker, &broker->self, &broker->shards[i], &empty, now_us);
    }
    ek_buffer_done(&body);
}
