#include "common/args.h"

#include "common/bytes.h"

#include <argp.h>
#include <ctype.h>
#include <czmq.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

struct unit {
    const char *name;
    double factor;
};

static enum ek_status parse_with_unit(const char *text, const struct unit *units, size_t unit_count, uint64_t *ret)
{
    if (!isdigit((unsigned char)*text))
        return EK_MALFORMED;
    char *end;
    errno = 0;
    double value = strtod(text, &end);
    /* strtod would take exponents and hexadecimal numbers too. */
    if (errno || end != text + strspn(text, "0123456789."))
        return EK_MALFORMED;
    for (size_t i = 0; i < unit_count; i++)
        if (strcmp(end, units[i].name) == 0) {
            double scaled = value * units[i].factor;
            if (!(scaled >= 0 && scaled < 9e18))
                return EK_MALFORMED;
            *ret = (uint64_t)llround(scaled);
            return EK_OK;
        }
    return EK_MALFORMED;
}

enum ek_status ek_parse_size(const char *text, uint64_t *ret_bytes)
{
    static const struct unit units[] = {{"", 1}, {"K", 1024.0}, {"M", 1048576.0}, {"G", 1073741824.0}, {"T", 1099511627776.0}};
    return parse_with_unit(text, units, sizeof units / sizeof *units, ret_bytes);
}

enum ek_status ek_parse_duration(const char *text, uint64_t *ret_ms)
{
    static const struct unit units[] = {{"", 1e3}, {"ms", 1}, {"s", 1e3}, {"m", 6e4}, {"h", 3.6e6}, {"d", 8.64e7}};
    return parse_with_unit(text, units, sizeof units / sizeof *units, ret_ms);
}

enum ek_status ek_parse_number(const char *text, uint64_t min, uint64_t max, uint64_t *ret)
{
    if (!isdigit((unsigned char)*text))
        return EK_MALFORMED;
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (errno || *end || value < min || value > max)
        return EK_MALFORMED;
    *ret = value;
    return EK_OK;
}

/* The flag that names the file, while it is looked for. */
struct config_flag {
    int key;
    const char *path;
};

static error_t note_path(int key, char *value, struct argp_state *state)
{
    struct config_flag *flag = state->input;
    if (key == flag->key)
        flag->path = value;
    return 0;
}

/* By the program's own table, so that all ways to write the flag are known here as well. What else is wrong with the arguments is
 * said when they are taken. */
static const char *config_path(const struct argp_option *options, int key, int argc, char **argv)
{
    const struct argp parser = {.options = options, .parser = note_path};
    struct config_flag flag = {.key = key};
    (void)argp_parse(&parser, argc, argv, ARGP_SILENT, NULL, &flag);
    return flag.path;
}

/* zconfig takes for empty what it cannot read, such as a directory. */
static enum ek_status check_readable(const char *path, struct ek_error *error)
{
    FILE *file = fopen(path, "r");
    bool readable = file && (getc(file) != EOF || !ferror(file));
    int reason = errno;
    if (file)
        (void)fclose(file);
    return readable ? EK_OK : ek_error_set(error, EK_NOT_FOUND, "cannot read the configuration %s: %s", path, strerror(reason));
}

static char *flag_of(zconfig_t *entry)
{
    const char *name = zconfig_name(entry);
    const char *value = zconfig_value(entry);
    size_t size = strlen(name) + (value ? strlen(value) : 0) + sizeof "--=";
    char *flag = ek_alloc(size);
    (void)snprintf(flag, size, "--%s=%s", name, value ? value : "");
    return flag;
}

enum ek_status ek_args_with_config(const struct argp_option *options, int key, int argc, char **argv, int *ret_argc,
                                   char ***ret_argv, struct ek_error *error)
{
    const char *path = config_path(options, key, argc, argv);
    *ret_argc = argc;
    *ret_argv = argv;
    if (!path)
        return EK_OK;
    enum ek_status status = check_readable(path, error);
    if (status != EK_OK)
        return status;
    zconfig_t *root = zconfig_load(path);
    if (!root)
        return ek_error_set(error, EK_MALFORMED, "cannot understand the configuration %s: write one `name = value` a line", path);
    size_t capacity = 0;
    size_t count = 0;
    char **all = ek_grow(NULL, &capacity, 1, sizeof *all);
    all[count++] = argv[0];
    for (zconfig_t *entry = zconfig_child(root); entry; entry = zconfig_next(entry)) {
        all = ek_grow(all, &capacity, count + 1, sizeof *all);
        all[count++] = flag_of(entry);
    }
    zconfig_destroy(&root);
    for (int i = 1; i <= argc; i++) {
        all = ek_grow(all, &capacity, count + 1, sizeof *all);
        all[count++] = argv[i]; /* the last one is the NULL behind the arguments */
    }
    *ret_argc = (int)count - 1;
    *ret_argv = all;
    return EK_OK;
}

void ek_occupy_standard_files(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) >= 0)
            continue;
        /* The lowest free number, which is this one; it can only do what nobody does there. */
        if (open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd)
            return;
    }
}

void ek_raise_file_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}
