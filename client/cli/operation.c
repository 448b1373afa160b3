#include "client/cli/operation.h"

#include "common/base64.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const struct ek_operation_options ek_operation_defaults = {.if_version = EK_VERSION_UNASKED, .limit = EK_SCAN_DEFAULT};

#define AT(member) offsetof(struct ek_operation_options, member)

const struct ek_option ek_put_option_table[] = {
    {"ttl", EK_OPTION_DURATION, AT(ttl_ms), 1, EK_TTL_MS_MAX, "TIME", "the key disappears after this time, such as 30s"},
    {"if-absent", EK_OPTION_SWITCH, AT(if_absent), 0, 0, NULL, "only when the key does not exist"},
    {"if-version", EK_OPTION_NUMBER, AT(if_version), 0, UINT64_MAX - 1, "N", "only when the key has this version; 0 = absent"},
    {.name = NULL},
};

const struct ek_option ek_scan_option_table[] = {
    {"prefix", EK_OPTION_TEXT, AT(prefix), 0, 0, "P", "only keys that begin so; one that begins with a {tag} is answered in order"},
    {"values", EK_OPTION_SWITCH, AT(values), 0, 0, NULL, "with the values"},
    {"limit", EK_OPTION_NUMBER, AT(limit), 1, UINT64_MAX, "N", "entries in all (default 1000)"},
    {"cursor", EK_OPTION_TEXT, AT(cursor), 0, 0, "C", "go on where an earlier scan ended"},
    {.name = NULL},
};

static const struct verb {
    const char *word;
    enum ek_operation_kind kind;
    const struct ek_option *options;
    size_t words_min, words_max;
    const char *synopsis;
} verbs[] = {
    {"put", EK_PUT, ek_put_option_table, 2, 2, "put KEY VALUE [--ttl 30s] [--if-absent] [--if-version N]"},
    {"get", EK_GET, NULL, 1, 1, "get KEY"},
    {"del", EK_DELETE, NULL, 1, SIZE_MAX, "del KEY..."},
    {"exists", EK_EXISTS, NULL, 1, SIZE_MAX, "exists KEY..."},
    {"incr", EK_INCREMENT, NULL, 1, 2, "incr KEY [BY]"},
    {"scan", EK_SCAN, ek_scan_option_table, 0, 0, "scan [--prefix P] [--values] [--limit N] [--cursor C]"},
};

static const struct verb *find(const char *word)
{
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        if (strcmp(verbs[i].word, word) == 0)
            return &verbs[i];
    return NULL;
}

const char *ek_verb_of(const char *word)
{
    const struct verb *verb = find(word);
    return verb ? verb->word : NULL;
}

enum ek_status ek_key_check(struct ek_slice key, struct ek_error *error)
{
    if (key.size == 0)
        return ek_error_set(error, EK_MALFORMED, "the key is empty: a key has 1 to %u bytes", EK_KEY_BYTES_MAX);
    if (key.size > EK_KEY_BYTES_MAX)
        return ek_error_set(error, EK_TOO_LARGE, "the key has %zu bytes: a key has 1 to %u", key.size, EK_KEY_BYTES_MAX);
    return EK_OK;
}

enum ek_status ek_value_check(size_t value_size, struct ek_error *error)
{
    if (value_size > EK_VALUE_BYTES_MAX)
        return ek_error_set(error, EK_TOO_LARGE, "the value has more than %u bytes (16 MiB): split it over several keys",
                            EK_VALUE_BYTES_MAX);
    return EK_OK;
}

static enum ek_status take_keys(char **words, size_t count, struct ek_instruction *ret, struct ek_error *error)
{
    for (size_t i = 0; i < count; i++) {
        enum ek_status status = ek_key_check(ek_slice_text(words[i]), error);
        if (status)
            return status;
    }
    ret->keys = words;
    ret->key_count = count;
    ret->request.key = words[0];
    ret->request.key_size = strlen(words[0]);
    return EK_OK;
}

static enum ek_status take_put(const struct ek_operation_options *options, char **words, struct ek_instruction *ret,
                               struct ek_error *error)
{
    struct ek_put_options *put = &ret->request.put;
    if (options->if_absent && options->if_version != EK_VERSION_UNASKED)
        return ek_error_set(error, EK_MALFORMED, "--if-absent and --if-version exclude each other");
    put->ttl_ms = options->ttl_ms;
    put->if_absent = options->if_absent || options->if_version == 0;
    put->if_version = options->if_version == EK_VERSION_UNASKED ? 0 : options->if_version;
    ret->request.value = words[1];
    ret->request.value_size = strlen(words[1]);
    return ek_value_check(ret->request.value_size, error);
}

static enum ek_status take_by(const char *text, int64_t *ret, struct ek_error *error)
{
    char *end;
    errno = 0;
    long long by = strtoll(text, &end, 10);
    if (errno || end == text || *end || *text == ' ')
        return ek_error_set(error, EK_MALFORMED, "incr adds a whole 64-bit number such as 5 or -5, not `%.80s`", text);
    *ret = by;
    return EK_OK;
}

static enum ek_status take_cursor(const char *text, struct ek_instruction *ret, struct ek_error *error)
{
    struct ek_buffer bytes = {0};
    struct ek_slice hex = ek_slice_text(text);
    enum ek_status status = hex.size <= 2u * EK_CURSOR_BYTES_MAX ? ek_hex_decode(&bytes, hex) : EK_MALFORMED;
    if (status || bytes.size < 2) {
        ek_buffer_done(&bytes);
        return ek_error_set(error, EK_MALFORMED, "--cursor takes what an earlier scan printed as its cursor");
    }
    memcpy(ret->cursor, bytes.data, bytes.size);
    ret->request.cursor = ret->cursor;
    ret->request.cursor_size = bytes.size;
    ek_buffer_done(&bytes);
    return EK_OK;
}

static enum ek_status take_scan(const struct ek_operation_options *options, struct ek_instruction *ret, struct ek_error *error)
{
    struct ek_request *request = &ret->request;
    request->key = options->prefix ? options->prefix : "";
    request->key_size = strlen(request->key);
    request->values = options->values;
    ret->limit = options->limit;
    request->limit = options->limit < EK_SCAN_ENTRIES_MAX ? (uint32_t)options->limit : EK_SCAN_ENTRIES_MAX;
    if (request->key_size > EK_KEY_BYTES_MAX)
        return ek_error_set(error, EK_TOO_LARGE, "the prefix has %zu bytes: no key has more than %u", request->key_size,
                            EK_KEY_BYTES_MAX);
    return options->cursor ? take_cursor(options->cursor, ret, error) : EK_OK;
}

enum ek_status ek_instruction_make(const char *word, const struct ek_operation_options *options, char **words, size_t count,
                                   struct ek_instruction *ret, struct ek_error *error)
{
    const struct verb *verb = find(word);
    if (!verb)
        return ek_error_set(error, EK_MALFORMED, "there is no operation `%.80s`: put, get, del, exists, incr or scan", word);
    if (count < verb->words_min || count > verb->words_max)
        return ek_error_set(error, EK_MALFORMED, "too %s words: %s", count < verb->words_min ? "few" : "many", verb->synopsis);
    ret->kind = verb->kind;
    ret->verb = verb->word;
    ret->request = (struct ek_request){.kind = verb->kind, .by = 1};
    ret->keys = NULL;
    ret->key_count = 0;
    if (verb->kind == EK_SCAN)
        return take_scan(options, ret, error);
    enum ek_status status = take_keys(words, verb->words_max == SIZE_MAX ? count : 1, ret, error);
    if (status)
        return status;
    if (verb->kind == EK_PUT)
        return take_put(options, words, ret, error);
    if (verb->kind == EK_INCREMENT && count == 2)
        return take_by(words[1], &ret->request.by, error);
    return EK_OK;
}

enum ek_status ek_instruction_parse(char **words, size_t count, struct ek_instruction *ret, struct ek_error *error)
{
    const struct verb *verb = find(words[0]);
    struct ek_operation_options options = ek_operation_defaults;
    struct ek_option_set set = {.options = verb ? verb->options : NULL, .target = &options};
    size_t left = count - 1;
    enum ek_status status = ek_options_take(&set, verb ? 1 : 0, words + 1, &left, false, error);
    if (status && verb)
        return status;
    return ek_instruction_make(words[0], &options, words + 1, left, ret, error);
}
