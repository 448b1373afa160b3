#include "client/cli/options.h"

#include "common/args.h"

#include <string.h>

static const struct ek_option *find(const struct ek_option_set *sets, size_t set_count, const char *name, size_t size,
                                    void **ret_target)
{
    for (size_t i = 0; i < set_count; i++)
        for (const struct ek_option *option = sets[i].options; option && option->name; option++)
            if (strncmp(option->name, name, size) == 0 && option->name[size] == '\0') {
                *ret_target = (char *)sets[i].target + option->at;
                return option;
            }
    return NULL;
}

static enum ek_status choose(const char *choices, const char *text, uint64_t *ret)
{
    size_t size = strlen(text);
    for (uint64_t i = 0; *choices; i++) {
        size_t length = strcspn(choices, "|");
        if (length == size && memcmp(choices, text, size) == 0) {
            *ret = i;
            return EK_OK;
        }
        choices += length + (choices[length] == '|');
    }
    return EK_MALFORMED;
}

static enum ek_status refuse(const struct ek_option *option, const char *text, struct ek_error *error)
{
    const char *name = option->name;
    unsigned long long min = option->min;
    unsigned long long max = option->max;
    switch (option->type) {
    case EK_OPTION_CHOICE:
        return ek_error_set(error, EK_MALFORMED, "--%s is one of %s, not `%.80s`", name, option->argument, text);
    case EK_OPTION_DURATION:
        return ek_error_set(error, EK_MALFORMED, "--%s takes a time such as 250ms, 5s or 10m, from %llu ms to %llu ms, not `%.80s`",
                            name, min, max, text);
    case EK_OPTION_SIZE:
        return ek_error_set(error, EK_MALFORMED, "--%s takes a size such as 512, 64K or 1M, from %llu to %llu bytes, not `%.80s`",
                            name, min, max, text);
    default:
        return ek_error_set(error, EK_MALFORMED, "--%s takes a whole number from %llu to %llu, not `%.80s`", name, min, max, text);
    }
}

static enum ek_status store(const struct ek_option *option, const char *text, void *target, struct ek_error *error)
{
    uint64_t value = 0;
    enum ek_status status = EK_OK;
    switch (option->type) {
    case EK_OPTION_SWITCH:
        *(bool *)target = true;
        return EK_OK;
    case EK_OPTION_TEXT:
        *(const char **)target = text;
        return EK_OK;
    case EK_OPTION_NUMBER:
        status = ek_parse_number(text, option->min, option->max, &value);
        break;
    case EK_OPTION_SIZE:
        status = ek_parse_size(text, &value);
        break;
    case EK_OPTION_DURATION:
        status = ek_parse_duration(text, &value);
        break;
    case EK_OPTION_CHOICE:
        status = choose(option->argument, text, &value);
        break;
    }
    bool bounded = option->type == EK_OPTION_SIZE || option->type == EK_OPTION_DURATION;
    if (status || (bounded && (value < option->min || value > option->max)))
        return refuse(option, text, error);
    *(uint64_t *)target = value;
    return EK_OK;
}

/* Takes the option at words[*at], and its value when that is the next word. */
static enum ek_status take_one(const struct ek_option_set *sets, size_t set_count, char **words, size_t count, size_t *at,
                               struct ek_error *error)
{
    char *name = words[*at] + 2;
    size_t size = strcspn(name, "=");
    char *value = name[size] ? name + size + 1 : NULL;
    void *target = NULL;
    const struct ek_option *option = find(sets, set_count, name, size, &target);
    if (!option)
        return ek_error_set(error, EK_MALFORMED, "there is no option --%.*s here (write `--` before words that begin with dashes)",
                            (int)(size < 80 ? size : 80), name);
    if (option->type == EK_OPTION_SWITCH && value)
        return ek_error_set(error, EK_MALFORMED, "--%s takes no value", option->name);
    if (option->type != EK_OPTION_SWITCH && !value) {
        if (*at + 1 >= count)
            return ek_error_set(error, EK_MALFORMED, "--%s lacks its value %s", option->name, option->argument);
        value = words[++*at];
    }
    return store(option, value, target, error);
}

enum ek_status ek_options_take(const struct ek_option_set *sets, size_t set_count, char **words, size_t *count, bool stop_at_word,
                               struct ek_error *error)
{
    size_t kept = 0;
    size_t at = 0;
    for (; at < *count; at++) {
        if (strncmp(words[at], "--", 2) != 0) {
            if (stop_at_word)
                break;
            words[kept++] = words[at];
            continue;
        }
        if (words[at][2] == '\0') {
            at++;
            break;
        }
        enum ek_status status = take_one(sets, set_count, words, *count, &at, error);
        if (status)
            return status;
    }
    while (at < *count)
        words[kept++] = words[at++];
    *count = kept;
    return EK_OK;
}
