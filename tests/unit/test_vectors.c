/* The codec against tests/vectors/messages.json, which an independent program wrote from PROTOCOL.md. */
#include "tests/support/recode.h"
#include "tests/support/run_suite.h"
#include "tests/support/vectors.h"

#include <stdlib.h>
#include <string.h>

static json_t *file;

static void load(void)
{
    file = ek_vectors_load();
}

static void unload(void)
{
    json_decref(file);
}

#define EACH_VECTOR(group, index, vector) json_array_foreach(json_object_get(file, group), index, vector)

static const char *name_of(const json_t *vector)
{
    return ek_vector_text(vector, "name");
}

static enum ek_status status_of(const json_t *vector)
{
    const char *word = ek_vector_text(vector, "status");
    return strcmp(word, "malformed") == 0 ? EK_MALFORMED : strcmp(word, "too_large") == 0 ? EK_TOO_LARGE : EK_NEWER;
}

/* ---- structs against fields by name ---- */

enum kind { U16, U32, U64, BOOL, TEXT, ID, OPTIONAL_ID, BYTES, WORDS };

struct field {
    const char *name;
    enum kind kind;
    size_t offset;
};

#define FIELD(type, member, kind)                                                                                                  \
    {                                                                                                                              \
#member, kind, offsetof(struct type, member)                                                                               \
    }
#define AS(name, type, member, kind)                                                                                               \
    {                                                                                                                              \
        name, kind, offsetof(struct type, member)                                                                                  \
    }
#define END                                                                                                                        \
    {                                                                                                                              \
        NULL, U64, 0                                                                                                               \
    }

static const struct field hello_fields[] = {FIELD(ek_hello, id, U64), FIELD(ek_hello, name, TEXT),
                                            FIELD(ek_hello, wants_producer, BOOL), END};
static const struct field welcome_fields[] = {
    FIELD(ek_welcome, id, U64),          FIELD(ek_welcome, cluster, ID),          FIELD(ek_welcome, generation, U64),
    FIELD(ek_welcome, connection, U64),  FIELD(ek_welcome, shards, U32),          FIELD(ek_welcome, producer, U64),
    FIELD(ek_welcome, now_unix_ms, U64), FIELD(ek_welcome, stats_endpoint, TEXT), END};
static const struct field job_fields[] = {FIELD(ek_job, id, U64), FIELD(ek_job, kind, U32), FIELD(ek_job, deadline_ms, U32),
                                          FIELD(ek_job, body, BYTES), END};
static const struct field route_fields[] = {FIELD(ek_route, shard, U16),           FIELD(ek_route, producer, U64),
                                            FIELD(ek_route, number, U64),          FIELD(ek_route, lowest, U64),
                                            AS("flags", ek_route, repeated, BOOL), END};
static const struct field reply_fields[] = {FIELD(ek_reply, id, U64),       FIELD(ek_reply, status, U32),
                                            FIELD(ek_reply, position, U64), FIELD(ek_reply, retry_ms, U32),
                                            FIELD(ek_reply, body, BYTES),   END};
static const struct field query_fields[] = {FIELD(ek_query, id, U64), FIELD(ek_query, what, TEXT), END};
static const struct field answer_fields[] = {FIELD(ek_answer, id, U64), FIELD(ek_answer, status, U32),
                                             FIELD(ek_answer, text, BYTES), END};
static const struct field refusal_fields[] = {FIELD(ek_refusal, status, U32), FIELD(ek_refusal, text, TEXT), END};
static const struct field link_fields[] = {FIELD(ek_link, link, U64), FIELD(ek_link, generation, U64), END};
static const struct field worker_hello_fields[] = {FIELD(ek_worker_hello, worker, ID),
                                                   FIELD(ek_worker_hello, incarnation, U64),
                                                   FIELD(ek_worker_hello, generation, U64),
                                                   FIELD(ek_worker_hello, cluster, OPTIONAL_ID),
                                                   FIELD(ek_worker_hello, shards, U32),
                                                   FIELD(ek_worker_hello, capacity_milli, U32),
                                                   FIELD(ek_worker_hello, name, TEXT),
                                                   FIELD(ek_worker_hello, endpoint, TEXT),
                                                   END};
static const struct field admin_fields[] = {FIELD(ek_admin, id, U64), FIELD(ek_admin, words, WORDS), END};
static const struct field closed_fields[] = {FIELD(ek_closed, shard, U16), FIELD(ek_closed, producer, U64), END};
static const struct field loss_fields[] = {FIELD(ek_loss, shard, U16), FIELD(ek_loss, epoch, U64), FIELD(ek_loss, position, U64),
                                           FIELD(ek_loss, floor, U64), END};
static const struct field worker_welcome_fields[] = {
    AS("link", ek_worker_welcome, link.link, U64), AS("generation", ek_worker_welcome, link.generation, U64),
    FIELD(ek_worker_welcome, cluster, ID),         FIELD(ek_worker_welcome, shards, U32),
    FIELD(ek_worker_welcome, liveness_ms, U32),    END};
static const struct field holding_fields[] = {FIELD(ek_holding, shard, U16), FIELD(ek_holding, epoch, U64),
                                              FIELD(ek_holding, position, U64), FIELD(ek_holding, state, U32), END};
static const struct field worker_job_fields[] = {FIELD(ek_worker_job, token, U64),
                                                 FIELD(ek_worker_job, shard, U16),
                                                 FIELD(ek_worker_job, epoch, U64),
                                                 FIELD(ek_worker_job, kind, U32),
                                                 FIELD(ek_worker_job, position, U64),
                                                 FIELD(ek_worker_job, stamp_unix_ms, U64),
                                                 FIELD(ek_worker_job, producer, U64),
                                                 FIELD(ek_worker_job, number, U64),
                                                 FIELD(ek_worker_job, lowest, U64),
                                                 FIELD(ek_worker_job, confirmed, U64),
                                                 FIELD(ek_worker_job, closed, U64),
                                                 FIELD(ek_worker_job, body, BYTES),
                                                 END};
static const struct field worker_reply_fields[] = {
    FIELD(ek_worker_reply, token, U64),           FIELD(ek_worker_reply, status, U32), FIELD(ek_worker_reply, position, U64),
    AS("flags", ek_worker_reply, repeated, BOOL), FIELD(ek_worker_reply, body, BYTES), END};
static const struct field heartbeat_fields[] = {AS("link", ek_heartbeat, link.link, U64),
                                                AS("generation", ek_heartbeat, link.generation, U64),
                                                FIELD(ek_heartbeat, stalled_ms, U32),
                                                FIELD(ek_heartbeat, credit_jobs, U32),
                                                FIELD(ek_heartbeat, credit_bytes, U32),
                                                FIELD(ek_heartbeat, credit_reads, U32),
                                                FIELD(ek_heartbeat, disk_free_bytes, U64),
                                                FIELD(ek_heartbeat, disk_total_bytes, U64),
                                                FIELD(ek_heartbeat, disk_reserve_bytes, U64),
                                                FIELD(ek_heartbeat, rate_bytes, U64),
                                                FIELD(ek_heartbeat, stored_bytes, U64),
                                                FIELD(ek_heartbeat, stored_keys, U64),
                                                FIELD(ek_heartbeat, commit_p50_us, U32),
                                                FIELD(ek_heartbeat, commit_p99_us, U32),
                                                FIELD(ek_heartbeat, busy_us, U64),
                                                FIELD(ek_heartbeat, dead_kept, U64),
                                                FIELD(ek_heartbeat, alarm, TEXT),
                                                END};
static const struct field bye_fields[] = {AS("link", ek_bye, link.link, U64), AS("generation", ek_bye, link.generation, U64),
                                          FIELD(ek_bye, cause, U32), END};
static const struct field load_fields[] = {FIELD(ek_shard_load, shard, U16),           FIELD(ek_shard_load, stored_bytes, U64),
                                           FIELD(ek_shard_load, operations, U64),      FIELD(ek_shard_load, bytes_in, U64),
                                           FIELD(ek_shard_load, bytes_out, U64),       FIELD(ek_shard_load, busy_us, U64),
                                           FIELD(ek_shard_load, expires_unix_ms, U64), END};

static const struct field move_fields[] = {AS("link", ek_move_order, link.link, U64),
                                           AS("generation", ek_move_order, link.generation, U64),
                                           AS("shard", ek_move_order, attempt.shard, U16),
                                           AS("attempt", ek_move_order, attempt.number, U64),
                                           FIELD(ek_move_order, step, U32),
                                           FIELD(ek_move_order, epoch, U64),
                                           FIELD(ek_move_order, position, U64),
                                           FIELD(ek_move_order, bytes_per_second, U64),
                                           FIELD(ek_move_order, endpoint, TEXT),
                                           END};
static const struct field moved_fields[] = {AS("link", ek_move_report, link.link, U64),
                                            AS("generation", ek_move_report, link.generation, U64),
                                            AS("shard", ek_move_report, attempt.shard, U16),
                                            AS("attempt", ek_move_report, attempt.number, U64),
                                            FIELD(ek_move_report, step, U32),
                                            FIELD(ek_move_report, position, U64),
                                            FIELD(ek_move_report, bytes, U64),
                                            FIELD(ek_move_report, text, TEXT),
                                            END};
static const struct field order_fields[] = {AS("link", ek_check_order, link.link, U64),
                                            AS("generation", ek_check_order, link.generation, U64),
                                            FIELD(ek_check_order, check, U64), END};
static const struct field report_fields[] = {AS("link", ek_check_report, link.link, U64),
                                             AS("generation", ek_check_report, link.generation, U64),
                                             FIELD(ek_check_report, check, U64), FIELD(ek_check_report, last, BOOL), END};
static const struct field checked_fields[] = {FIELD(ek_checked, shard, U16),    FIELD(ek_checked, state, U32),
                                              FIELD(ek_checked, epoch, U64),    FIELD(ek_checked, position, U64),
                                              FIELD(ek_checked, rows, U64),     FIELD(ek_checked, expired_rows, U64),
                                              FIELD(ek_checked, bad_rows, U64), FIELD(ek_checked, bad_entries, U64),
                                              FIELD(ek_checked, hash, U64),     END};
static const struct field ask_fields[] = {FIELD(ek_copy_ask, generation, U64), AS("shard", ek_copy_ask, attempt.shard, U16),
                                          AS("attempt", ek_copy_ask, attempt.number, U64), FIELD(ek_copy_ask, chunk, U64), END};
static const struct field chunk_fields[] = {FIELD(ek_copy_chunk, generation, U64),
                                            AS("shard", ek_copy_chunk, attempt.shard, U16),
                                            AS("attempt", ek_copy_chunk, attempt.number, U64),
                                            FIELD(ek_copy_chunk, chunk, U64),
                                            FIELD(ek_copy_chunk, last, BOOL),
                                            FIELD(ek_copy_chunk, entries, U64),
                                            FIELD(ek_copy_chunk, hash, U64),
                                            FIELD(ek_copy_chunk, memory, BYTES),
                                            FIELD(ek_copy_chunk, checksum, U64),
                                            FIELD(ek_copy_chunk, body, BYTES),
                                            END};
/* Its job and its reply are checked by their own fields. */
static const struct field fed_fields[] = {END};

/* What a message type shows: the struct of its fixed fields, and, of an envelope, where its items stand and their struct. */
struct schema {
    enum ek_message_type type;
    const struct field *fields;
    const char *items_name;
    const struct field *item_fields;
};

static const struct schema schemas[] = {
    {EK_MESSAGE_HELLO, hello_fields, NULL, NULL},
    {EK_MESSAGE_WELCOME, welcome_fields, NULL, NULL},
    {EK_MESSAGE_JOBS, NULL, "jobs", job_fields},
    {EK_MESSAGE_REPLIES, NULL, "replies", reply_fields},
    {EK_MESSAGE_QUERY, query_fields, NULL, NULL},
    {EK_MESSAGE_ANSWER, answer_fields, NULL, NULL},
    {EK_MESSAGE_ADMIN, admin_fields, NULL, NULL},
    {EK_MESSAGE_CLOSE, NULL, "closed_producers", closed_fields},
    {EK_MESSAGE_ERROR, refusal_fields, NULL, NULL},
    {EK_MESSAGE_WORKER_HELLO, worker_hello_fields, NULL, NULL},
    {EK_MESSAGE_WORKER_WELCOME, worker_welcome_fields, NULL, NULL},
    {EK_MESSAGE_WORKER_REFUSED, refusal_fields, NULL, NULL},
    {EK_MESSAGE_WORKER_REPORT, link_fields, "holdings", holding_fields},
    {EK_MESSAGE_WORKER_ASSIGN, link_fields, "holdings", holding_fields},
    {EK_MESSAGE_WORKER_ASSIGNED, link_fields, "holdings", holding_fields},
    {EK_MESSAGE_WORKER_JOBS, link_fields, "worker_jobs", worker_job_fields},
    {EK_MESSAGE_WORKER_REPLIES, link_fields, "worker_replies", worker_reply_fields},
    {EK_MESSAGE_WORKER_HEARTBEAT, heartbeat_fields, "loads", load_fields},
    {EK_MESSAGE_WORKER_PULSE, link_fields, NULL, NULL},
    {EK_MESSAGE_WORKER_BYE, bye_fields, NULL, NULL},
    {EK_MESSAGE_WORKER_LOSS, link_fields, "losses", loss_fields},
    {EK_MESSAGE_WORKER_MOVE, move_fields, NULL, NULL},
    {EK_MESSAGE_WORKER_FEED, link_fields, "fed", fed_fields},
    {EK_MESSAGE_WORKER_MOVED, moved_fields, NULL, NULL},
    {EK_MESSAGE_WORKER_CHECK, order_fields, NULL, NULL},
    {EK_MESSAGE_WORKER_CHECKED, report_fields, "checked", checked_fields},
    {EK_MESSAGE_COPY_ASK, ask_fields, NULL, NULL},
    {EK_MESSAGE_COPY_CHUNK, chunk_fields, NULL, NULL},
};
enum { SCHEMAS = sizeof schemas / sizeof *schemas };

static const struct schema *schema_of(enum ek_message_type type)
{
    for (size_t i = 0; i < SCHEMAS; i++)
        if (schemas[i].type == type)
            return &schemas[i];
    ck_abort_msg("no schema for message type %d", (int)type);
}

static uint64_t number_at(const void *at, enum kind kind)
{
    uint16_t small;
    uint32_t middle;
    uint64_t large;
    switch (kind) {
    case U16:
        memcpy(&small, at, sizeof small);
        return small;
    case U32:
        memcpy(&middle, at, sizeof middle);
        return middle;
    default:
        memcpy(&large, at, sizeof large);
        return large;
    }
}

static bool bytes_equal(const json_t *wanted, struct ek_slice bytes)
{
    struct ek_buffer buffer = {0};
    bool equal = json_is_null(wanted) ? bytes.data == NULL : ek_slice_equal(ek_vector_bytes(wanted, "bin", &buffer), bytes);
    ek_buffer_done(&buffer);
    return equal;
}

/* An id with a flag before it, as ek_worker_hello has its cluster. */
static bool optional_id_equal(const json_t *wanted, const struct ek_worker_hello *hello)
{
    if (json_is_null(wanted))
        return !hello->has_cluster;
    return hello->has_cluster && bytes_equal(wanted, ek_slice_of(hello->cluster.bytes, sizeof hello->cluster.bytes));
}

static bool words_equal(const json_t *wanted, const struct ek_admin *admin)
{
    bool equal = json_array_size(wanted) == admin->count;
    for (uint32_t i = 0; equal && i < admin->count; i++)
        equal = strcmp(json_string_value(json_array_get(wanted, i)), admin->words[i]) == 0;
    return equal;
}

static bool field_equal(const json_t *wanted, const struct field *field, const void *decoded)
{
    const uint8_t *at = (const uint8_t *)decoded + field->offset;
    switch (field->kind) {
    case BOOL:
        return *(const bool *)at == (json_is_boolean(wanted) ? json_is_true(wanted) : ek_vector_number(wanted) != 0);
    case TEXT:
        return strcmp((const char *)at, json_string_value(wanted)) == 0;
    case ID:
        return bytes_equal(wanted, ek_slice_of(at, 16));
    case WORDS:
        return words_equal(wanted, decoded);
    case OPTIONAL_ID:
        return optional_id_equal(wanted, decoded);
    case BYTES:
        return bytes_equal(wanted, *(const struct ek_slice *)(const void *)at);
    default:
        return number_at(at, field->kind) == ek_vector_number(wanted);
    }
}

static void check_fields(const json_t *wanted, const struct field *fields, const void *decoded)
{
    for (; fields->name; fields++) {
        const json_t *value = json_object_get(wanted, fields->name);
        ck_assert_msg(value != NULL, "the vector lacks %s", fields->name);
        ck_assert_msg(field_equal(value, fields, decoded), "field %s", fields->name);
    }
}

struct expected {
    const json_t *fields;
    uint32_t items_seen;
};

static void check_route(const json_t *wanted, const struct ek_route *route)
{
    ck_assert_int_eq(route->present, !json_is_null(wanted));
    if (route->present)
        check_fields(wanted, route_fields, route);
}

static void check_part(void *context, enum ek_message_type type, enum ek_part part, uint32_t index, const void *decoded)
{
    struct expected *expected = context;
    const struct schema *schema = schema_of(type);
    if (part != EK_PART_ITEM) {
        check_fields(expected->fields, schema->fields, decoded);
        return;
    }
    const json_t *item = json_array_get(json_object_get(expected->fields, schema->items_name), index);
    ck_assert_msg(item != NULL, "item %u is too many", index);
    check_fields(item, schema->item_fields, decoded);
    if (type == EK_MESSAGE_JOBS)
        check_route(json_object_get(item, "route"), &((const struct ek_job *)decoded)->route);
    if (type == EK_MESSAGE_WORKER_FEED) {
        check_fields(json_object_get(item, "job"), worker_job_fields, &((const struct ek_fed *)decoded)->job);
        check_fields(json_object_get(item, "reply"), worker_reply_fields, &((const struct ek_fed *)decoded)->reply);
    }
    expected->items_seen++;
}

START_TEST(every_message_decodes_to_its_fields_and_encodes_to_its_bytes)
{
    struct ek_buffer bytes = {0}, again = {0};
    size_t i;
    json_t *vector;
    EACH_VECTOR("messages", i, vector)
    {
        struct expected expected = {.fields = json_object_get(vector, "fields")};
        struct ek_slice message = ek_vector_bytes(vector, "hex", &bytes);
        ek_buffer_clear(&again);
        enum ek_status status = ek_recode_message(message, &again, check_part, &expected);
        ck_assert_msg(status == EK_OK, "%s: status %d", name_of(vector), (int)status);
        ck_assert_msg(ek_slice_equal(message, ek_buffer_slice(&again)), "%s: other bytes", name_of(vector));
        const struct schema *schema = schema_of((enum ek_message_type)ek_vector_number(json_object_get(vector, "type")));
        size_t items = schema->items_name ? json_array_size(json_object_get(expected.fields, schema->items_name)) : 0;
        ck_assert_msg(expected.items_seen == items, "%s: %u items", name_of(vector), expected.items_seen);
    }
    ek_buffer_done(&bytes);
    ek_buffer_done(&again);
}
END_TEST

START_TEST(every_message_type_and_operation_has_a_vector)
{
    bool types[EK_MESSAGE_LAST + 1] = {false};
    bool codes[EK_OPERATION_CODE_MAX + 1] = {false};
    bool results[EK_OPERATION_CODE_MAX + 1] = {false};
    size_t i;
    json_t *vector;
    EACH_VECTOR("messages", i, vector)
    types[ek_vector_number(json_object_get(vector, "type"))] = true;
    EACH_VECTOR("operations", i, vector)
    codes[ek_vector_number(json_array_get(json_object_get(vector, "array"), 0))] = true;
    EACH_VECTOR("results", i, vector)
    results[ek_vector_number(json_object_get(vector, "operation"))] = true;
    for (i = 0; i < SCHEMAS; i++)
        ck_assert_msg(types[schemas[i].type], "message type %d", (int)schemas[i].type);
    for (i = EK_OPERATION_PUT; i <= EK_OPERATION_CODE_MAX; i++)
        ck_assert_msg(codes[i] && results[i], "operation %zu", i);
}
END_TEST

/* ---- operations and results ---- */

static void check_operation(const json_t *fields, const struct ek_operation *operation)
{
    static const struct field put[] = {FIELD(ek_operation, key, BYTES), FIELD(ek_operation, value, BYTES), END};
    static const struct field key_only[] = {FIELD(ek_operation, key, BYTES), END};
    static const struct field increment[] = {FIELD(ek_operation, key, BYTES), FIELD(ek_operation, by, U64), END};
    static const struct field scan[] = {FIELD(ek_operation, key, BYTES), FIELD(ek_operation, cursor, BYTES),
                                        FIELD(ek_operation, limit, U32), AS("flags", ek_operation, values, BOOL), END};
    static const struct field list[] = {FIELD(ek_operation, cursor, BYTES), FIELD(ek_operation, limit, U32),
                                        AS("flags", ek_operation, values, BOOL), END};
    static const struct field *const tables[] = {NULL,      put,  key_only, key_only, key_only,
                                                 increment, scan, list,     key_only, key_only};
    ck_assert_uint_eq(operation->code, ek_vector_number(json_object_get(fields, "code")));
    check_fields(fields, tables[operation->code], operation);
    const json_t *ttl = json_object_get(fields, "ttl_ms");
    ck_assert_uint_eq(operation->ttl_ms, ttl ? ek_vector_number(ttl) : 0);
    const json_t *condition = json_object_get(fields, "condition");
    uint64_t version = condition ? ek_vector_number(condition) : 0;
    ck_assert_int_eq(operation->condition, !condition ? EK_CONDITION_NONE : version ? EK_CONDITION_VERSION : EK_CONDITION_ABSENT);
    ck_assert_uint_eq(operation->version, version);
}

START_TEST(every_operation_decodes_to_its_fields_and_encodes_to_its_bytes)
{
    struct ek_buffer bytes = {0}, again = {0};
    size_t i;
    json_t *vector;
    EACH_VECTOR("operations", i, vector)
    {
        struct ek_slice given = ek_vector_bytes(vector, "hex", &bytes);
        struct ek_reader reader = ek_reader_of(given);
        struct ek_operation operation;
        ck_assert_msg(ek_decode_operation(&reader, &operation) == EK_OK && ek_reader_ended(&reader), "%s", name_of(vector));
        check_operation(json_object_get(vector, "fields"), &operation);
        ek_buffer_clear(&again);
        ek_encode_operation(&again, &operation);
        ck_assert_msg(ek_slice_equal(given, ek_buffer_slice(&again)), "%s: other bytes", name_of(vector));
    }
    ek_buffer_done(&bytes);
    ek_buffer_done(&again);
}
END_TEST

START_TEST(other_forms_are_taken_and_written_in_the_shortest)
{
    struct ek_buffer bytes = {0}, shortest = {0}, again = {0};
    size_t i;
    json_t *vector;
    EACH_VECTOR("accepted_operations", i, vector)
    {
        struct ek_reader reader = ek_reader_of(ek_vector_bytes(vector, "hex", &bytes));
        ek_buffer_clear(&again);
        ck_assert_msg(ek_recode_operation(&reader, &again) == EK_OK && ek_reader_ended(&reader), "%s", name_of(vector));
        ck_assert_msg(ek_slice_equal(ek_vector_bytes(vector, "shortest", &shortest), ek_buffer_slice(&again)), "%s",
                      name_of(vector));
    }
    ek_buffer_done(&bytes);
    ek_buffer_done(&shortest);
    ek_buffer_done(&again);
}
END_TEST

static enum ek_operation_code code_of(const json_t *vector)
{
    return (enum ek_operation_code)ek_vector_number(json_object_get(vector, "operation"));
}

static void check_result(const json_t *fields, const struct ek_result *result)
{
    ck_assert_uint_eq(result->status, ek_vector_number(json_object_get(fields, "status")));
    const json_t *value;
    if ((value = json_object_get(fields, "version")))
        ck_assert_uint_eq(result->version, ek_vector_number(value));
    if ((value = json_object_get(fields, "value")))
        ck_assert(bytes_equal(value, result->value));
    if ((value = json_object_get(fields, "number")))
        ck_assert_int_eq(result->number, (int64_t)ek_vector_number(value));
    if ((value = json_object_get(fields, "text")))
        ck_assert_str_eq(result->text, json_string_value(value));
    if ((value = json_object_get(fields, "entries")))
        ck_assert_uint_eq(result->entries, json_array_size(value));
    if ((value = json_object_get(fields, "letters")))
        ck_assert_uint_eq(result->entries, json_array_size(value));
    value = json_object_get(fields, "ttl_ms");
    ck_assert_int_eq(result->has_ttl, value && !json_is_null(value));
    if (result->has_ttl)
        ck_assert_uint_eq(result->ttl_ms, ek_vector_number(value));
}

START_TEST(every_result_decodes_to_its_fields_and_encodes_to_its_bytes)
{
    struct ek_buffer bytes = {0}, again = {0};
    size_t i;
    json_t *vector;
    EACH_VECTOR("results", i, vector)
    {
        struct ek_slice given = ek_vector_bytes(vector, "hex", &bytes);
        struct ek_reader reader = ek_reader_of(given);
        struct ek_result result;
        ek_buffer_clear(&again);
        ck_assert_msg(ek_recode_result(&reader, code_of(vector), &again, &result) == EK_OK && ek_reader_ended(&reader), "%s",
                      name_of(vector));
        check_result(json_object_get(vector, "fields"), &result);
        ck_assert_msg(ek_slice_equal(given, ek_buffer_slice(&again)), "%s: other bytes", name_of(vector));
    }
    ek_buffer_done(&bytes);
    ek_buffer_done(&again);
}
END_TEST

/* ---- damage ---- */

/* How one group of vectors is taken apart. Reads from memory of exactly the right size, so that a sanitizer sees a byte too far. */
typedef enum ek_status (*recoder)(struct ek_slice bytes, enum ek_operation_code code, struct ek_buffer *out);

static enum ek_status whole_message(struct ek_slice bytes, enum ek_operation_code code, struct ek_buffer *out)
{
    (void)code;
    return ek_recode_message(bytes, out, NULL, NULL);
}

static enum ek_status whole_operation(struct ek_slice bytes, enum ek_operation_code code, struct ek_buffer *out)
{
    (void)code;
    struct ek_reader reader = ek_reader_of(bytes);
    enum ek_status status = ek_recode_operation(&reader, out);
    return status == EK_OK ? ek_decode_end(&reader) : status;
}

static enum ek_status whole_result(struct ek_slice bytes, enum ek_operation_code code, struct ek_buffer *out)
{
    struct ek_reader reader = ek_reader_of(bytes);
    enum ek_status status = ek_recode_result(&reader, code, out, NULL);
    return status == EK_OK ? ek_decode_end(&reader) : status;
}

static enum ek_status recode_copy(recoder recode, struct ek_slice bytes, enum ek_operation_code code, struct ek_buffer *out)
{
    uint8_t *copy = ek_alloc(bytes.size);
    memcpy(copy, bytes.data, bytes.size);
    ek_buffer_clear(out);
    enum ek_status status = recode(ek_slice_of(copy, bytes.size), code, out);
    free(copy);
    return status;
}

static void truncate_each(const char *group, recoder recode)
{
    struct ek_buffer bytes = {0}, out = {0};
    size_t i;
    json_t *vector;
    EACH_VECTOR(group, i, vector)
    {
        struct ek_slice whole = ek_vector_bytes(vector, "hex", &bytes);
        enum ek_operation_code code = json_object_get(vector, "operation") ? code_of(vector) : EK_OPERATION_GET;
        for (size_t size = 0; size < whole.size; size++) {
            enum ek_status status = recode_copy(recode, ek_slice_of(whole.data, size), code, &out);
            ck_assert_msg(status == EK_MALFORMED, "%s, %zu of %zu bytes: status %d", name_of(vector), size, whole.size,
                          (int)status);
        }
    }
    ek_buffer_done(&bytes);
    ek_buffer_done(&out);
}

/* What was taken must be taken again, and to the same bytes, once it is in the shortest form. */
static void check_stable(recoder recode, const char *name, enum ek_operation_code code, const struct ek_buffer *out)
{
    struct ek_buffer again = {0};
    enum ek_status status = recode_copy(recode, ek_buffer_slice(out), code, &again);
    ck_assert_msg(status == EK_OK, "%s: what was encoded is not taken, status %d", name, (int)status);
    ck_assert_msg(ek_slice_equal(ek_buffer_slice(out), ek_buffer_slice(&again)), "%s: not stable", name);
    ek_buffer_done(&again);
}

enum { EVERY_VALUE_BYTES_MAX = 600 };

static void corrupt_each(const char *group, recoder recode)
{
    struct ek_buffer bytes = {0}, out = {0};
    size_t i;
    json_t *vector;
    EACH_VECTOR(group, i, vector)
    {
        struct ek_slice whole = ek_vector_bytes(vector, "hex", &bytes);
        enum ek_operation_code code = json_object_get(vector, "operation") ? code_of(vector) : EK_OPERATION_GET;
        /* The middle of a long key looks like the rest of it: one value a byte is enough there. */
        unsigned step = whole.size > EVERY_VALUE_BYTES_MAX ? 85 : 1;
        for (size_t at = 0; at < whole.size; at++)
            for (unsigned change = 1; change < 256; change += step) {
                bytes.data[at] ^= (uint8_t)change;
                if (recode_copy(recode, whole, code, &out) == EK_OK)
                    check_stable(recode, name_of(vector), code, &out);
                bytes.data[at] ^= (uint8_t)change;
            }
    }
    ek_buffer_done(&bytes);
    ek_buffer_done(&out);
}

START_TEST(no_truncation_is_taken)
{
    truncate_each("messages", whole_message);
    truncate_each("operations", whole_operation);
    truncate_each("results", whole_result);
}
END_TEST

START_TEST(every_corrupt_byte_of_a_message_is_refused_or_means_something)
{
    corrupt_each("messages", whole_message);
}
END_TEST

START_TEST(every_corrupt_byte_of_a_body_is_refused_or_means_something)
{
    corrupt_each("operations", whole_operation);
    corrupt_each("results", whole_result);
}
END_TEST

static void refuse_each(const char *group, recoder recode)
{
    struct ek_buffer bytes = {0}, out = {0};
    size_t i;
    json_t *vector;
    EACH_VECTOR(group, i, vector)
    {
        enum ek_status status = recode_copy(recode, ek_vector_bytes(vector, "hex", &bytes), EK_OPERATION_GET, &out);
        ck_assert_msg(status == status_of(vector), "%s: status %d", name_of(vector), (int)status);
    }
    ek_buffer_done(&bytes);
    ek_buffer_done(&out);
}

START_TEST(hostile_bytes_are_refused_with_their_status)
{
    refuse_each("refused_messages", whole_message);
    refuse_each("refused_operations", whole_operation);
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("vectors");
    TCase *tests = tcase_create("vectors");
    tcase_add_checked_fixture(tests, load, unload);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, every_message_type_and_operation_has_a_vector);
    tcase_add_test(tests, every_message_decodes_to_its_fields_and_encodes_to_its_bytes);
    tcase_add_test(tests, every_operation_decodes_to_its_fields_and_encodes_to_its_bytes);
    tcase_add_test(tests, other_forms_are_taken_and_written_in_the_shortest);
    tcase_add_test(tests, every_result_decodes_to_its_fields_and_encodes_to_its_bytes);
    tcase_add_test(tests, no_truncation_is_taken);
    tcase_add_test(tests, every_corrupt_byte_of_a_message_is_refused_or_means_something);
    tcase_add_test(tests, every_corrupt_byte_of_a_body_is_refused_or_means_something);
    tcase_add_test(tests, hostile_bytes_are_refused_with_their_status);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return ek_run_suite(suite());
}
