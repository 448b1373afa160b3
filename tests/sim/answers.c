#include "tests/sim/answers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct ek_request answers_request(const struct check_step *step, const char *key, char *text, size_t padding)
{
    static const enum ek_operation_kind kinds[] = {EK_PUT, EK_DELETE, EK_EXISTS, EK_INCREMENT, EK_GET};
    struct ek_request request = {.kind = kinds[step->kind], .key = key, .key_size = strlen(key), .by = step->value};
    if (step->kind == CHECK_PUT) {
        int length = snprintf(text, ANSWERS_NUMBER_ROOM, "v%lld ", (long long)step->value);
        memset(text + length, '.', padding);
        request.value = text;
        request.value_size = (size_t)length + padding;
        request.put = (struct ek_put_options){
            .ttl_ms = step->ttl_ms, .if_absent = step->condition == CHECK_IF_ABSENT, .if_version = step->if_version};
    }
    return request;
}

int64_t answers_text_number(struct ek_slice value)
{
    char text[ANSWERS_NUMBER_ROOM] = {0};
    memcpy(text, value.data, value.size < sizeof text ? value.size : sizeof text - 1);
    return text[0] == 'v' ? strtoll(text + 1, NULL, 10) : 0;
}

void answers_value(struct check_step *step, struct ek_slice value)
{
    char text[ANSWERS_NUMBER_ROOM] = {0};
    step->value = answers_text_number(value);
    step->is_number = step->value == 0;
    if (!step->is_number)
        return;
    memcpy(text, value.data, value.size < sizeof text ? value.size : sizeof text - 1);
    step->value = strtoll(text, NULL, 10);
}

static const char *answer_step(struct check_step *step, const struct ek_completion *completion)
{
    switch (completion->outcome) {
    case EK_OUTCOME_OK:
        step->answer = CHECK_OK;
        step->version = step->kind == CHECK_DELETE || step->kind == CHECK_EXISTS ? 0 : completion->version;
        step->result = completion->number;
        if (step->kind == CHECK_GET) {
            answers_value(step, ek_slice_of(completion->reading.value, completion->reading.value_size));
            step->version = completion->reading.version;
        }
        return NULL;
    case EK_OUTCOME_NOT_FOUND:
        step->answer = CHECK_NOT_FOUND;
        return NULL;
    case EK_OUTCOME_CONDITION_FAILED:
        step->answer = CHECK_REFUSED;
        step->version = completion->version;
        return NULL;
    case EK_OUTCOME_FAILED:
        step->answer = CHECK_FAILED;
        return step->kind == CHECK_INCREMENT ? NULL : "a call that is in order FAILED";
    default:
        return "a step ended as no step can";
    }
}

/* The scan's reply was full before it came to this key. */
static bool is_behind(const struct ek_completion *completion, const char *key)
{
    enum { PREFIX_BYTES = 2 };
    if (!completion->cursor)
        return false;
    struct ek_slice cursor =
        ek_slice_of((const uint8_t *)completion->cursor + PREFIX_BYTES, completion->cursor_size - PREFIX_BYTES);
    return ek_slice_compare(ek_slice_text(key), cursor) > 0;
}

/* A scan of a whole tag: a get of every key. */
static const char *answer_scan(struct check_call *call, unsigned tag, answers_key key_of, const struct ek_completion *completion)
{
    for (size_t i = 0; i < call->step_count; i++) {
        struct check_step *step = &call->steps[i];
        const char *key = key_of(tag, step->key);
        step->answer = is_behind(completion, key) ? CHECK_UNSEEN : CHECK_NOT_FOUND;
        for (size_t k = 0; k < completion->found_count; k++) {
            const struct ek_found *found = &completion->found[k];
            if (found->key_size != strlen(key) || memcmp(found->key, key, found->key_size) != 0)
                continue;
            if (step->answer == CHECK_OK)
                return "a scan shows a key twice";
            step->answer = CHECK_OK;
            step->version = found->version;
            answers_value(step, ek_slice_of(found->value, found->value_size));
        }
    }
    return NULL;
}

static const char *answer_transaction(struct check_call *call, const struct ek_completion *completion)
{
    call->refused = completion->outcome == EK_OUTCOME_CONDITION_FAILED || completion->outcome == EK_OUTCOME_FAILED;
    call->refused_at = completion->failed_index;
    if (!call->refused)
        return NULL;
    if (call->refused_at >= call->step_count)
        return "a transaction was refused because of a step that it does not have";
    return answer_step(&call->steps[call->refused_at], completion);
}

bool answers_is_verdict(enum ek_outcome outcome)
{
    return outcome == EK_OUTCOME_OK || outcome == EK_OUTCOME_NOT_FOUND || outcome == EK_OUTCOME_CONDITION_FAILED ||
           outcome == EK_OUTCOME_FAILED;
}

const char *answers_take(struct check_call *call, unsigned tag, answers_key key_of, const struct ek_completion *completions,
                         size_t count, enum ek_outcome *ret_outcome)
{
    bool transaction = call->writes && call->step_count > 1;
    *ret_outcome = completions->outcome;
    if (transaction && count == 1)
        return answer_transaction(call, completions);
    if (transaction)
        *ret_outcome = EK_OUTCOME_OK;
    else if (!answers_is_verdict(completions->outcome))
        return NULL;
    if (!call->writes && call->step_count > 1)
        return answer_scan(call, tag, key_of, completions);
    const char *wrong = NULL;
    for (size_t i = 0; i < count && !wrong; i++)
        wrong = answer_step(&call->steps[i], &completions[i]);
    return wrong;
}
