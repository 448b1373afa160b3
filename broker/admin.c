#include "broker/admin.h"

#include "broker/drain.h"
#include "broker/check.h"
#include "broker/loss.h"
#include "broker/moves.h"
#include "broker/settings.h"
#include "common/json.h"

enum { ID_DIGITS_MIN = 4 };

/* ---- which worker ---- */

/* The digits of `word`, dashes aside, begin the id. */
static bool begins_id(const struct ek_worker_id *id, const char *word)
{
    static const char digits[] = "0123456789abcdef";
    size_t count = 0;
    for (; *word; word++) {
        if (*word == '-')
            continue;
        if (count == 2 * sizeof id->bytes)
            return false;
        uint8_t byte = id->bytes[count / 2];
        if (*word != digits[count % 2 ? byte & 15 : byte >> 4])
            return false;
        count++;
    }
    return count >= ID_DIGITS_MIN;
}

int ek_admin_find_worker(const struct ek_broker *broker, const char *word, const char **ret_reason)
{
    int found = EK_NOBODY;
    for (int by_id = 0; by_id < 2 && found == EK_NOBODY; by_id++)
        for (size_t i = 0; i < broker->worker_count; i++) {
            const struct ek_worker *worker = &broker->workers[i];
            if (!(by_id ? begins_id(&worker->id, word) : strcmp(worker->name, word) == 0))
                continue;
            if (found != EK_NOBODY) {
                *ret_reason = "several workers are called so: give the beginning of the id";
                return EK_NOBODY;
            }
            found = (int)i;
        }
    if (found == EK_NOBODY)
        *ret_reason = "there is no such worker; see: evenkeel workers";
    return found;
}

/* ---- commands ---- */

/* What a command came to. */
struct outcome {
    enum ek_wire_status status;
    const char *reason; /* unless OK */
};

static struct outcome outcome_of(const char *reason)
{
    return (struct outcome){.status = reason ? EK_WIRE_DENIED : EK_WIRE_OK, .reason = reason};
}

static bool parse_shard(const char *word, uint16_t *ret)
{
    uint32_t number = 0;
    const char *at = word;
    for (; *at >= '0' && *at <= '9' && number < EK_SHARDS_MAX; at++)
        number = number * 10 + (uint32_t)(*at - '0');
    *ret = (uint16_t)number;
    return at != word && *at == 0 && number < EK_SHARDS_MAX;
}

static struct outcome accept_loss(struct ek_broker *broker, const struct ek_admin *admin, uint64_t now_us)
{
    uint16_t shard;
    if (admin->count != 2 || !parse_shard(admin->words[1], &shard))
        return (struct outcome){EK_WIRE_USAGE, "accept-loss wants the number of a shard"};
    return outcome_of(ek_loss_accept(broker, shard, &broker->answer, now_us));
}

static struct outcome accept_clock(struct ek_broker *broker, const struct ek_admin *admin, uint64_t now_us)
{
    (void)now_us;
    if (admin->count != 1)
        return (struct outcome){EK_WIRE_USAGE, "accept-clock wants nothing behind it"};
    uint64_t jump_ms = ek_time_accept(&broker->time);
    if (jump_ms == 0)
        return outcome_of("the wall clock is not ahead of this broker's time");
    ek_broker_say(broker, EK_ACTION_NOTICE, "the wall clock is accepted: time goes on %llu ms further on",
                  (unsigned long long)jump_ms);
    ek_json_open(&broker->answer, NULL, '{');
    ek_json_text(&broker->answer, "status", "ok");
    ek_json_uint(&broker->answer, "jump_ms", jump_ms);
    ek_json_close(&broker->answer, '{');
    return outcome_of(NULL);
}

static struct outcome forget(struct ek_broker *broker, const struct ek_admin *admin, uint64_t now_us)
{
    bool accepts = admin->count == 3 && strcmp(admin->words[2], "--accept-loss") == 0;
    if (admin->count != 2 && !accepts)
        return (struct outcome){EK_WIRE_USAGE, "forget wants a worker, and perhaps --accept-loss"};
    const char *reason;
    int worker = ek_admin_find_worker(broker, admin->words[1], &reason);
    if (worker == EK_NOBODY)
        return outcome_of(reason);
    return outcome_of(ek_loss_forget(broker, worker, accepts, &broker->answer, now_us));
}

static void answer_move(struct ek_broker *broker, uint64_t number)
{
    ek_json_open(&broker->answer, NULL, '{');
    ek_json_text(&broker->answer, "status", "ok");
    ek_json_uint(&broker->answer, "move", number);
    ek_json_close(&broker->answer, '{');
}

static bool parse_number(const char *word, uint64_t *ret)
{
    *ret = 0;
    for (const char *at = word; *at; at++) {
        if (*at < '0' || *at > '9' || *ret > UINT64_MAX / 16)
            return false;
        *ret = *ret * 10 + (uint64_t)(*at - '0');
    }
    return *word != 0;
}

static struct outcome cancel_move(struct ek_broker *broker, const char *word)
{
    uint64_t number;
    if (!parse_number(word, &number))
        return (struct outcome){EK_WIRE_USAGE, "move cancel wants the number of a move"};
    const char *reason = ek_moves_cancel(broker, number);
    if (!reason)
        answer_move(broker, number);
    return outcome_of(reason);
}

static struct outcome move(struct ek_broker *broker, const struct ek_admin *admin, uint64_t now_us)
{
    uint16_t shard;
    uint64_t number = 0;
    (void)now_us;
    if (admin->count == 3 && strcmp(admin->words[1], "cancel") == 0)
        return cancel_move(broker, admin->words[2]);
    if (admin->count != 3 || !parse_shard(admin->words[1], &shard) || shard >= broker->config.shards)
        return (struct outcome){EK_WIRE_USAGE, "move wants the number of a shard and a worker"};
    const char *reason;
    int target = ek_admin_find_worker(broker, admin->words[2], &reason);
    if (target != EK_NOBODY)
        reason = ek_moves_ask(
            broker,
            &(struct ek_move_wish){
                .shard = shard, .target = target, .reason = EK_MOVE_OPERATOR, .bytes_per_second = EK_MOVE_RATE_DEFAULT},
            &number);
    if (!reason)
        answer_move(broker, number);
    return outcome_of(reason);
}

static struct outcome drain(struct ek_broker *broker, const struct ek_admin *admin, uint64_t now_us)
{
    const char *flag = admin->count == 3 ? admin->words[2] : "";
    bool cancels = strcmp(flag, "--cancel") == 0;
    bool asks = strcmp(flag, "--status") == 0;
    (void)now_us;
    if (admin->count != 2 && !cancels && !asks)
        return (struct outcome){EK_WIRE_USAGE, "drain wants a worker, and perhaps --cancel or --status"};
    const char *reason = NULL;
    int worker = ek_admin_find_worker(broker, admin->words[1], &reason);
    if (worker != EK_NOBODY && cancels)
        ek_drain_cancel(broker, worker);
    else if (worker != EK_NOBODY && !asks)
        reason = ek_drain_begin(broker, worker);
    if (!reason)
        ek_drain_describe(broker, worker, &broker->answer);
    return outcome_of(reason);
}

static void answer_settings(struct ek_broker *broker)
{
    ek_json_open(&broker->answer, NULL, '{');
    ek_json_text(&broker->answer, "status", "ok");
    ek_settings_describe(broker, &broker->answer);
    ek_json_uint(&broker->answer, "moves_active", broker->moves_active);
    ek_json_uint(&broker->answer, "moves_open", broker->moves_open);
    ek_json_close(&broker->answer, '{');
}

static struct outcome balance(struct ek_broker *broker, const struct ek_admin *admin, uint64_t now_us)
{
    static const struct {
        const char *word;
        enum ek_setting setting;
        uint64_t value;
    } switches[] = {{"on", EK_SETTING_BALANCE_OFF, 0},
                    {"off", EK_SETTING_BALANCE_OFF, 1},
                    {"resume", EK_SETTING_MOVES_PAUSED, 0},
                    {"pause", EK_SETTING_MOVES_PAUSED, 1}};
    const char *word = admin->count > 1 ? admin->words[1] : "";
    uint64_t limit;
    bool known = admin->count == 2 && strcmp(word, "status") == 0;
    (void)now_us;
    for (size_t i = 0; i < sizeof switches / sizeof *switches && admin->count == 2; i++) {
        if (strcmp(word, switches[i].word) != 0)
            continue;
        ek_settings_set(broker, switches[i].setting, switches[i].value);
        known = true;
    }
    if (admin->count == 3 && strcmp(word, "limit") == 0 && parse_number(admin->words[2], &limit)) {
        ek_settings_set(broker, EK_SETTING_COPY_BYTES_PER_SECOND, limit);
        known = true;
    }
    if (!known)
        return (struct outcome){EK_WIRE_USAGE, "balance wants on, off, pause, resume, status, or limit and bytes a second"};
    answer_settings(broker);
    return outcome_of(NULL);
}

/* Answered by the check itself, once it is over. */
static struct outcome check(struct ek_broker *broker, ek_broker_peer peer, const struct ek_admin *admin)
{
    if (admin->count != 1)
        return (struct outcome){EK_WIRE_USAGE, "check wants nothing behind it"};
    return outcome_of(ek_check_ask(broker, peer, admin->id));
}

static const struct command {
    const char *name;
    struct outcome (*run)(struct ek_broker *broker, const struct ek_admin *admin, uint64_t now_us);
} commands[] = {
    {"accept-clock", accept_clock},
    {"accept-loss", accept_loss},
    {"balance", balance},
    {"drain", drain},
    {"forget", forget},
    {"move", move},
};

static struct outcome run(struct ek_broker *broker, const struct ek_admin *admin, uint64_t now_us)
{
    if (broker->stopping)
        return (struct outcome){EK_WIRE_BUSY, "this broker is stopping"};
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (strcmp(commands[i].name, admin->words[0]) == 0)
            return commands[i].run(broker, admin, now_us);
    return (struct outcome){EK_WIRE_USAGE, "this broker does not know the command"};
}

void ek_admin_run(struct ek_broker *broker, ek_broker_peer peer, const struct ek_admin *admin, uint64_t now_us)
{
    ek_buffer_clear(&broker->answer);
    bool later = !broker->stopping && strcmp(admin->words[0], "check") == 0;
    struct outcome outcome = later ? check(broker, peer, admin) : run(broker, admin, now_us);
    if (later && outcome.status == EK_WIRE_OK)
        return;
    struct ek_action *action = ek_broker_act(broker, EK_ACTION_ANSWER, peer);
    action->answer = (struct ek_answer){.id = admin->id,
                                        .status = outcome.status,
                                        .text = outcome.reason ? ek_slice_text(outcome.reason) : ek_buffer_slice(&broker->answer)};
}
