#include "tests/sim/auditor.h"

#include "client/evenkeel.h"
#include "tests/sim/hazard.h"
#include "tests/sim/tally.h"
#include "tests/sim/workload.h"
#include "tests/sim/world.h"

#include <string.h>

enum { THINK_MAX_US = 400 * 1000, AUDITOR_NUMBER = 97 };

static struct sim_process process;

/* An operator who accepts losses leaves rows aside, which a check rightly calls foreign. */
static void judge(const char *json)
{
    bool foreign = strstr(json, "\"foreign_rows\":0,") == NULL && !sim_hazard_has_struck();
    if (foreign || !strstr(json, "\"mismatches\":0,"))
        sim_fail("a check says %s", json);
    sim_count(SIM_COUNT_CHECK);
}

static void run_auditor(void *context)
{
    struct ek_client *client = sim_workload_open_client(&process);
    (void)context;
    while (client) {
        const char *json;
        sim_sleep_us(sim_draw(THINK_MAX_US));
        (void)ek_client_poll(client, 0);
        enum ek_outcome outcome = ek_client_command(client, (const char *[]){"check"}, 1, &json);
        sim_tell("the auditor hears %s %s", ek_outcome_name(outcome), outcome ? ek_client_error(client) : json);
        if (outcome == EK_OUTCOME_OK)
            judge(json);
    }
}

void sim_auditor_open(void)
{
    process = (struct sim_process){.name = "auditor", .number = AUDITOR_NUMBER, .state = SIM_ENDED};
    sim_start(&process, run_auditor, NULL);
}
