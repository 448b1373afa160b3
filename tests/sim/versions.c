#include "tests/sim/versions.h"

#include <inttypes.h>
#include <stdlib.h>

static int compare(const void *left, const void *right)
{
    const struct shard_version *a = left;
    const struct shard_version *b = right;
    if (a->shard != b->shard)
        return a->shard < b->shard ? -1 : 1;
    return a->version < b->version ? -1 : a->version > b->version;
}

size_t versions_of(const struct check_call *call, uint32_t shard, struct shard_version *room)
{
    size_t count = 0;
    for (size_t i = 0; call->writes && !call->maybe && !call->refused && i < call->step_count; i++)
        if (call->steps[i].version && call->steps[i].answer == CHECK_OK)
            room[count++] = (struct shard_version){.shard = shard, .version = call->steps[i].version, .call = call};
    return count;
}

/* Quadratic, but a shard's versions are few. */
static const struct shard_version *overtaken(const struct shard_version *first, const struct shard_version *end)
{
    for (const struct shard_version *later = first + 1; later < end && later->shard == first->shard; later++)
        if (later->call->session == first->call->session && later->call->called < first->call->called)
            return later;
    return NULL;
}

bool versions_rise(struct shard_version *versions, size_t count, char ret_wrong[VERSIONS_TEXT_BYTES])
{
    qsort(versions, count, sizeof *versions, compare);
    uint64_t first_return = CHECK_NEVER; /* of the higher versions of the shard */
    for (size_t i = count; i-- > 0;) {
        const struct shard_version *at = &versions[i];
        bool last = i + 1 == count || at[1].shard != at->shard;
        const struct shard_version *other = overtaken(at, versions + count);
        if (last)
            first_return = CHECK_NEVER;
        const char *wrong = !last && at[1].version == at->version ? "was given twice"
                            : first_return < at->call->called     ? "was given after a higher one was known"
                            : other                               ? "went to a later write of one client than a higher one"
                                                                  : NULL;
        if (wrong) {
            (void)snprintf(ret_wrong, VERSIONS_TEXT_BYTES, "shard %u: version %" PRIu64 " %s", at->shard, at->version, wrong);
            return false;
        }
        if (at->call->returned < first_return)
            first_return = at->call->returned;
    }
    return true;
}
