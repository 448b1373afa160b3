#include "broker/settings.h"

#include "broker/durable.h"
#include "common/json.h"

enum ek_status ek_settings_load(struct ek_broker *broker, const struct ek_record *record)
{
    if (record->setting >= EK_SETTINGS)
        return EK_CORRUPT;
    broker->settings[record->setting] = record->number;
    return EK_OK;
}

void ek_settings_set(struct ek_broker *broker, enum ek_setting setting, uint64_t value)
{
    if (broker->settings[setting] == value)
        return;
    broker->settings[setting] = value;
    struct ek_record *record = ek_durable_add(broker, EK_RECORD_SETTING);
    record->setting = setting;
    record->number = value;
    ek_durable_write(broker);
}

void ek_settings_describe(const struct ek_broker *broker, struct ek_buffer *out)
{
    const uint64_t *settings = broker->settings;
    ek_json_text(out, "balance", settings[EK_SETTING_BALANCE_OFF] ? "off" : "on");
    ek_json_bool(out, "moves_paused", settings[EK_SETTING_MOVES_PAUSED]);
    if (settings[EK_SETTING_COPY_BYTES_PER_SECOND])
        ek_json_uint(out, "copy_limit_bytes_per_second", settings[EK_SETTING_COPY_BYTES_PER_SECOND]);
    else
        ek_json_null(out, "copy_limit_bytes_per_second");
}
