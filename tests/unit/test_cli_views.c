/* Moves, drains, plans and settings as people read them. */
#include "client/cli/columns.h"
#include "client/cli/progress.h"
#include "client/cli/view.h"
#include "tests/support/run_suite.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

static struct ek_buffer out;
static struct ek_buffer json;

static void teardown(void)
{
    ek_buffer_done(&out);
    ek_buffer_done(&json);
}

static const char *text(void)
{
    ek_buffer_append(&out, "", 1);
    return (const char *)out.data;
}

#define ck_assert_has(part)   ck_assert_msg(strstr(text(), part), "'%s' is not in:\n%s", part, text())
#define ck_assert_lacks(part) ck_assert_msg(!strstr(text(), part), "'%s' is in:\n%s", part, text())

static size_t lines(void)
{
    size_t count = 0;
    for (size_t i = 0; i < out.size; i++)
        count += out.data[i] == '\n';
    return count;
}

/* Where a row begins whose move has this number, in the order of rows. */
static const char *row_of(int move)
{
    char start[16];
    (void)snprintf(start, sizeof start, "\n%4d  ", move);
    return strstr(text(), start);
}

/* ---- moves ---- */

static void add_move(int number, const char *phase, int copied, int ended)
{
    ek_append_text(&json,
                   "%s{\"move\":%d,\"shard\":%d,\"source\":\"w1\",\"target\":\"w2\",\"reason\":\"drain\",\"phase\":\"%s\","
                   "\"copied_bytes\":%d,\"total_bytes\":1000,\"bytes_per_second\":%d,\"eta_ms\":%s,\"started_unix_ms\":1,",
                   json.size > 10 ? "," : "", number, number, phase, copied, ended ? 0 : copied, copied ? "1500" : "null");
    if (ended)
        ek_append_text(&json, "\"ended_unix_ms\":%d,", ended);
    else
        ek_append_text(&json, "\"ended_unix_ms\":null,");
    ek_append_text(&json, "\"max_write_wait_us\":0,\"restarts\":0,\"error\":null}");
}

/* 100 that ended, of which the last one is 100; 300 that wait; 401 and 402 on their way, 403 and 404 almost done. */
static void many_moves(void)
{
    ek_append_text(&json, "{\"moves\":[");
    for (int i = 1; i <= 100; i++)
        add_move(i, "done", 1000, 1000 + i);
    for (int i = 101; i <= 400; i++)
        add_move(i, "queued", 0, 0);
    add_move(401, "copying", 500, 0);
    add_move(402, "catching_up", 1000, 0);
    add_move(403, "cleaning", 0, 0);
    add_move(404, "cleaning", 0, 0);
    ek_append_text(&json, "]}");
}

static bool view(const struct ek_screen *screen)
{
    bool open;
    ck_assert(ek_view_moves(&out, ek_buffer_slice(&json), screen, &open));
    return open;
}

START_TEST(what_fits_a_screen_is_what_matters)
{
    many_moves();
    ck_assert(view(&(struct ek_screen){.rows = 20, .columns = 60, .bars = true}));
    ck_assert_uint_eq(lines(), 19);
    ck_assert_has("2 under way at 1.5 KiB/s, 300 queued, 102 over; 388 are");
    ck_assert(row_of(401) && row_of(401) < row_of(402) && row_of(402) < row_of(404) && row_of(404) < row_of(403) &&
              row_of(403) < row_of(100));
    ck_assert(row_of(100) < row_of(99) && !row_of(101) && !row_of(1));
    size_t width = 0;
    for (const char *at = text(); *at; at++) {
        width = *at == '\n' ? 0 : width + 1;
        ck_assert_uint_le(width, 60);
    }
}
END_TEST

START_TEST(without_a_screen_everything_is_there_and_no_bar)
{
    many_moves();
    ck_assert(view(&(struct ek_screen){0}));
    ck_assert_uint_eq(lines(), 3 + 404);
    ck_assert_lacks("#");
    ck_assert_lacks("PROGRESS");
    ck_assert_lacks("not shown");
    ck_assert(row_of(402) < row_of(101) && row_of(101) < row_of(400) && row_of(400) < row_of(403) && row_of(2) < row_of(1));
}
END_TEST

START_TEST(a_bar_tells_how_much_is_copied)
{
    many_moves();
    ck_assert(view(&(struct ek_screen){.bars = true}));
    ck_assert_has("[##########          ]  50 %");
    ck_assert_has("[####################] 100 %");
    ck_assert_has("1.50 s");
    char bar[EK_BAR_BYTES];
    ek_bar(bar, 0, 0);
    ck_assert_str_eq(bar, "[####################] 100 %");
    ek_bar(bar, 0, UINT64_MAX);
    ck_assert_str_eq(bar, "[                    ]   0 %");
    ek_bar(bar, UINT64_MAX, 7);
    ck_assert_str_eq(bar, "[####################] 100 %");
}
END_TEST

START_TEST(a_small_screen_and_no_moves)
{
    many_moves();
    ck_assert(view(&(struct ek_screen){.rows = 1, .columns = 1, .bars = true}));
    ek_buffer_clear(&out);
    ek_buffer_clear(&json);
    ek_append_text(&json, "{\"moves\":[]}");
    ck_assert(!view(&(struct ek_screen){.rows = 20, .columns = 60}));
    ck_assert_str_eq(text(), "no moves\n");
}
END_TEST

/* ---- drains ---- */

static bool view_drain(const char *drain)
{
    ek_buffer_clear(&out);
    return ek_view_drain(&out, ek_slice_text(drain));
}

START_TEST(a_drain_in_a_line)
{
    ck_assert(
        view_drain("{\"worker\":\"w1\",\"state\":\"draining\",\"shards_left\":3,\"bytes_left\":2048,\"bytes_per_second\":1024,"
                   "\"eta_ms\":2000,\"safe_to_stop\":false,\"error\":null}"));
    ck_assert_str_eq(text(), "w1 is draining: 3 shards left, 2.0 KiB, 1.0 KiB/s, done in 2.00 s");
    ck_assert(
        view_drain("{\"worker\":\"w1\",\"state\":\"draining\",\"shards_left\":3,\"bytes_left\":2048,\"bytes_per_second\":null,"
                   "\"eta_ms\":null,\"safe_to_stop\":false,\"error\":\"moves are paused\"}"));
    ck_assert_str_eq(text(), "w1 is draining: 3 shards left, 2.0 KiB, -; it does not get on: moves are paused");
    ck_assert(view_drain("{\"worker\":\"it's w\",\"state\":\"drained\"}"));
    ck_assert_has("evenkeel forget 'it'\\''s w'");
    ck_assert(!view_drain("{}") && !view_drain("[") && !view_drain("{\"worker\":\"w1\"}"));
}
END_TEST

START_TEST(words_are_quoted_as_a_shell_needs_it)
{
    static const char *const all[][2] = {{"w1", "w1"},       {"", "''"},           {"a b", "'a b'"},
                                         {"$(x)", "'$(x)'"}, {"a'b", "'a'\\''b'"}, {"a\033[2Jb", "'a[2Jb'"},
                                         {"ä", "'ä'"},       {"*", "'*'"}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        ek_buffer_clear(&out);
        ek_append_word(&out, all[i][0]);
        ck_assert_str_eq(text(), all[i][1]);
    }
}
END_TEST

/* ---- the plan ---- */

#define ENTRY(shard, reason, rule)                                                                                                 \
    "{\"shard\":" shard ",\"source\":\"w1\",\"target\":\"w2\",\"reason\":\"" reason "\",\"resource\":\"busy\","                    \
    "\"source_load_before\":1.3,\"source_load_after\":1.1,\"target_load_before\":0.7,\"target_load_after\":0.9,\"gain\":0.1,"      \
    "\"bytes\":1024,\"bytes_per_second\":1,\"cooldown_waived\":true,\"held_back_by\":" rule "}"
#define PLAN(state, moves, held)                                                                                                   \
    "{\"balance\":\"on\",\"moves_active\":1,\"round\":9,\"age_ms\":1500," state ",\"max_over_mean_load\":1.3,"                     \
    "\"workers_wanted\":4,\"moves_planned\":7,\"moves\":[" moves "],\"held\":[" held "],\"workers\":[{\"worker\":\"w1\","          \
    "\"busy_utilisation\":0.5,\"busy_load_ratio\":1.3,\"noise\":0.01,\"hot_shard\":5}]}"

START_TEST(a_plan_explains_what_it_does_and_what_it_does_not)
{
    ck_assert(
        ek_view_plan(&out, ek_slice_text(PLAN("\"moves_paused\":true,\"balancing\":true,\"urgent\":true,\"quiet_because\":null,"
                                              "\"resources_balanced\":[\"busy\",\"bytes\"]",
                                              ENTRY("3", "exchange", "null"), ENTRY("8", "balance", "\"the disk is full\"")))));
    ck_assert_has(
        "balancing, urgently; moves are paused; load max over mean 1.30; balanced by busy, bytes; workers wanted 4; moves "
        "under way 1; planned 1.50 s ago\n");
    ck_assert_has("would move now (1 of 7):\n");
    ck_assert_has(
        "    3  w1      w2      exchange  1.0 KiB  busy  1.30 -> 1.10   0.70 -> 0.90   goes together with others the other "
        "way; its cooldown is waived\n");
    ck_assert_has("the disk is full");
    ck_assert_has("1.30 (50.0 %)");
}
END_TEST

START_TEST(a_plan_says_why_it_is_quiet)
{
    ck_assert(ek_view_plan(&out, ek_slice_text(PLAN("\"moves_paused\":false,\"balancing\":false,\"urgent\":false,\"quiet_because\":"
                                                    "\"all is even\",\"resources_balanced\":[]",
                                                    "", ""))));
    ck_assert_has("quiet: all is even; load max over mean 1.30; balanced by nothing; ");
    ck_assert_lacks("would move");
    ck_assert_lacks("held back");
    ek_buffer_clear(&out);
    ck_assert(ek_view_plan(&out, ek_slice_text("{\"round\":0,\"moves\":[],\"held\":[],\"workers\":[]}")));
    ck_assert_has("nothing was planned yet");
    ck_assert(!ek_view_plan(&out, ek_slice_text("{}")) && !ek_view_plan(&out, ek_slice_text("no")));
}
END_TEST

START_TEST(settings_say_what_holds)
{
    ck_assert(
        ek_view_settings(&out, ek_slice_text("{\"balance\":\"off\",\"moves_paused\":true,\"copy_limit_bytes_per_second\":1048576,"
                                             "\"moves_active\":1,\"moves_open\":3}")));
    ck_assert_has("off: only drains and repairs move shards");
    ck_assert_has("paused: none begins; 1 under way, 2 waiting or ending");
    ck_assert_has("1.0 MiB/s");
    ck_assert(!ek_view_settings(&out, ek_slice_text("{}")));
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("cli views");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, NULL, teardown);
    tcase_add_test(tests, what_fits_a_screen_is_what_matters);
    tcase_add_test(tests, without_a_screen_everything_is_there_and_no_bar);
    tcase_add_test(tests, a_bar_tells_how_much_is_copied);
    tcase_add_test(tests, a_small_screen_and_no_moves);
    tcase_add_test(tests, a_drain_in_a_line);
    tcase_add_test(tests, words_are_quoted_as_a_shell_needs_it);
    tcase_add_test(tests, a_plan_explains_what_it_does_and_what_it_does_not);
    tcase_add_test(tests, a_plan_says_why_it_is_quiet);
    tcase_add_test(tests, settings_say_what_holds);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return ek_run_suite(suite());
}
