/*
 * A library to be preloaded into a worker: it dies, as by SIGKILL, when a row whose key contains DEADLY_KEY (default "deadly") is
 * written, or one whose key contains DEADLY_READ is looked up. It stands for a fault of the store that one job brings about; the
 * book-keeping, dead letters included, goes through. A row whose key contains
 * FAILING_KEY makes the write that holds it fail instead.
 */
#include <dlfcn.h>
#include <rocksdb/c.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool fails; /* the batch under construction; only the storage thread builds one */

static bool contains(const char *key, size_t key_bytes, const char *variable, const char *otherwise)
{
    const char *wanted = getenv(variable);
    if (!wanted)
        wanted = otherwise;
    return wanted && *wanted && memmem(key, key_bytes, wanted, strlen(wanted));
}

static void look_at_written(const char *key, size_t key_bytes)
{
    if (contains(key, key_bytes, "DEADLY_KEY", "deadly"))
        (void)kill(getpid(), SIGKILL);
    fails = fails || contains(key, key_bytes, "FAILING_KEY", NULL);
}

static void look_at_read(const char *key, size_t key_bytes)
{
    if (contains(key, key_bytes, "DEADLY_READ", NULL))
        (void)kill(getpid(), SIGKILL);
}

/* The next definition of a function, which is the real one. */
static void find_real(const char *name, void *ret_function)
{
    void *found = dlsym(RTLD_NEXT, name);
    if (!found)
        abort();
    memcpy(ret_function, &found, sizeof found);
}

void rocksdb_writebatch_put_cf(rocksdb_writebatch_t *batch, rocksdb_column_family_handle_t *family, const char *key,
                               size_t key_bytes, const char *value, size_t value_bytes)
{
    static void (*real)(rocksdb_writebatch_t *, rocksdb_column_family_handle_t *, const char *, size_t, const char *, size_t);
    if (!real)
        find_real("rocksdb_writebatch_put_cf", &real);
    look_at_written(key, key_bytes);
    real(batch, family, key, key_bytes, value, value_bytes);
}

void rocksdb_writebatch_putv_cf(rocksdb_writebatch_t *batch, rocksdb_column_family_handle_t *family, int keys,
                                const char *const *key_list, const size_t *key_bytes, int values, const char *const *value_list,
                                const size_t *value_bytes)
{
    static void (*real)(rocksdb_writebatch_t *, rocksdb_column_family_handle_t *, int, const char *const *, const size_t *, int,
                        const char *const *, const size_t *);
    if (!real)
        find_real("rocksdb_writebatch_putv_cf", &real);
    for (int i = 0; i < keys; i++)
        look_at_written(key_list[i], key_bytes[i]);
    real(batch, family, keys, key_list, key_bytes, values, value_list, value_bytes);
}

void rocksdb_write(rocksdb_t *db, const rocksdb_writeoptions_t *options, rocksdb_writebatch_t *batch, char **error)
{
    static void (*real)(rocksdb_t *, const rocksdb_writeoptions_t *, rocksdb_writebatch_t *, char **);
    if (!real)
        find_real("rocksdb_write", &real);
    if (fails)
        *error = strdup("IO error: a write that was told to fail");
    else
        real(db, options, batch, error);
}

rocksdb_pinnableslice_t *rocksdb_get_pinned_cf(rocksdb_t *db, const rocksdb_readoptions_t *options,
                                               rocksdb_column_family_handle_t *family, const char *key, size_t key_bytes,
                                               char **error)
{
    static rocksdb_pinnableslice_t *(*real)(rocksdb_t *, const rocksdb_readoptions_t *, rocksdb_column_family_handle_t *,
                                            const char *, size_t, char **);
    if (!real)
        find_real("rocksdb_get_pinned_cf", &real);
    look_at_read(key, key_bytes);
    return real(db, options, family, key, key_bytes, error);
}

void rocksdb_batched_multi_get_cf(rocksdb_t *db, const rocksdb_readoptions_t *options, rocksdb_column_family_handle_t *family,
                                  size_t keys, const char *const *key_list, const size_t *key_bytes,
                                  rocksdb_pinnableslice_t **values, char **errors, const bool sorted)
{
    static void (*real)(rocksdb_t *, const rocksdb_readoptions_t *, rocksdb_column_family_handle_t *, size_t, const char *const *,
                        const size_t *, rocksdb_pinnableslice_t **, char **, bool);
    if (!real)
        find_real("rocksdb_batched_multi_get_cf", &real);
    for (size_t i = 0; i < keys; i++)
        look_at_read(key_list[i], key_bytes[i]);
    real(db, options, family, keys, key_list, key_bytes, values, errors, sorted);
}
