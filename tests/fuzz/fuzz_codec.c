/*
 * libFuzzer's entry to everything that reads bytes of a peer. Each input is taken as a message, as an operation, as results of
 * every operation, as a refusal and as a cause. What is taken must be taken again, to the same bytes, once it has been encoded.
 */
#include "tests/support/recode.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require_same(struct ek_slice first, struct ek_slice second)
{
    if (!ek_slice_equal(first, second))
        abort();
}

static void require_ok(enum ek_status status)
{
    if (status != EK_OK)
        abort();
}

/* The operations of a job, each as far as it can be read; their bytes borrow from the message. */
static void try_body(struct ek_slice bytes)
{
    struct ek_reader body = ek_reader_of(bytes);
    struct ek_buffer once = {0}, twice = {0};
    uint32_t count;
    if (ek_decode_operation_count(&body, &count) != EK_OK)
        return;
    while (count-- > 0) {
        ek_buffer_clear(&once);
        ek_buffer_clear(&twice);
        if (ek_recode_operation(&body, &once) != EK_OK)
            break;
        struct ek_reader again = ek_reader_of(ek_buffer_slice(&once));
        require_ok(ek_recode_operation(&again, &twice));
        require_same(ek_buffer_slice(&once), ek_buffer_slice(&twice));
    }
    ek_buffer_done(&once);
    ek_buffer_done(&twice);
}

static void try_parts(void *context, enum ek_message_type type, enum ek_part part, uint32_t index, const void *decoded)
{
    (void)context;
    (void)index;
    if (part == EK_PART_ITEM && type == EK_MESSAGE_JOBS)
        try_body(((const struct ek_job *)decoded)->body);
    if (part == EK_PART_ITEM && type == EK_MESSAGE_WORKER_JOBS)
        try_body(((const struct ek_worker_job *)decoded)->body);
    if (part == EK_PART_ITEM && type == EK_MESSAGE_WORKER_FEED)
        try_body(((const struct ek_fed *)decoded)->job.body);
}

static void try_message(struct ek_slice bytes)
{
    struct ek_buffer once = {0}, twice = {0};
    if (ek_recode_message(bytes, &once, try_parts, NULL) == EK_OK) {
        require_ok(ek_recode_message(ek_buffer_slice(&once), &twice, NULL, NULL));
        require_same(ek_buffer_slice(&once), ek_buffer_slice(&twice));
    }
    ek_buffer_done(&once);
    ek_buffer_done(&twice);
}

static void try_operation(struct ek_slice bytes)
{
    struct ek_reader body = ek_reader_of(bytes);
    struct ek_operation operation;
    if (ek_decode_operation(&body, &operation) != EK_OK)
        return;
    (void)ek_operation_prefix(&operation);
    (void)ek_result_bytes_max(&operation);
    struct ek_buffer once = {0}, twice = {0};
    ek_encode_operation(&once, &operation);
    struct ek_reader again = ek_reader_of(ek_buffer_slice(&once));
    require_ok(ek_recode_operation(&again, &twice));
    require_same(ek_buffer_slice(&once), ek_buffer_slice(&twice));
    ek_buffer_done(&once);
    ek_buffer_done(&twice);
}

static void try_results(struct ek_slice bytes)
{
    struct ek_buffer once = {0}, twice = {0};
    for (int code = EK_OPERATION_PUT; code <= EK_OPERATION_CODE_MAX; code++) {
        struct ek_reader body = ek_reader_of(bytes);
        ek_buffer_clear(&once);
        ek_buffer_clear(&twice);
        if (ek_recode_result(&body, (enum ek_operation_code)code, &once, NULL) != EK_OK)
            continue;
        struct ek_reader again = ek_reader_of(ek_buffer_slice(&once));
        require_ok(ek_recode_result(&again, (enum ek_operation_code)code, &twice, NULL));
        require_same(ek_buffer_slice(&once), ek_buffer_slice(&twice));
    }
    ek_buffer_done(&once);
    ek_buffer_done(&twice);
}

static void try_refusal_and_cause(struct ek_slice bytes)
{
    struct ek_reader body = ek_reader_of(bytes);
    struct ek_result result;
    enum ek_wire_status cause;
    uint32_t index;
    if (ek_decode_refused(&body, &index) == EK_OK && ek_decode_result(&body, EK_OPERATION_PUT, &result) == EK_OK &&
        index > EK_JOB_OPERATIONS_MAX)
        abort();
    if (ek_decode_cause(bytes, &cause) == EK_OK && cause >= EK_WIRE_STATUS_COUNT)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ek_slice bytes = ek_slice_of(data, size);
    try_message(bytes);
    try_operation(bytes);
    try_results(bytes);
    try_refusal_and_cause(bytes);
    return 0;
}
