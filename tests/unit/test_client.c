/* The public handle over real sockets, against a broker in a thread that says OK to all writes and knows one value. */
#include "client/handle.h"
#include "common/codec.h"
#include "common/operations.h"
#include "common/transport.h"
#include "tests/support/run_suite.h"

#include <dlfcn.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

static struct ek_context *context;
static struct ek_socket *router;
static char endpoint[EK_TEXT_BYTES_MAX];
static pthread_t thread;
static atomic_bool stopping;
static struct ek_client *client;

/* ---- what the client's thread asks of ZeroMQ ---- */

static _Thread_local char asked[256]; /* 'r' received, '-' nothing was there, 's' sent; while it is watched */
static _Thread_local size_t asked_count;
static _Thread_local bool watched;
static atomic_bool one_by_one; /* an answer waits until the client has asked in vain behind the one before: it comes alone */
static sem_t asked_in_vain;

static void note(char call)
{
    if (watched && asked_count + 1 < sizeof asked)
        asked[asked_count++] = call;
    int answers = 1;
    (void)sem_getvalue(&asked_in_vain, &answers);
    if (watched && call == '-' && answers == 0)
        (void)sem_post(&asked_in_vain);
}

/* In place of ZeroMQ's. */
__attribute__((visibility("default"))) int zmq_msg_recv(zmq_msg_t *message, void *socket, int flags)
{
    int (*real)(zmq_msg_t *, void *, int);
    *(void **)&real = dlsym(RTLD_NEXT, "zmq_msg_recv");
    int result = real(message, socket, flags);
    note(result < 0 ? '-' : 'r');
    return result;
}

__attribute__((visibility("default"))) int zmq_msg_send(zmq_msg_t *message, void *socket, int flags)
{
    int (*real)(zmq_msg_t *, void *, int);
    *(void **)&real = dlsym(RTLD_NEXT, "zmq_msg_send");
    note('s');
    return real(message, socket, flags);
}

/* ---- the broker ---- */

static void answer(struct ek_owned message, ek_peer peer)
{
    if (one_by_one)
        (void)sem_wait(&asked_in_vain);
    if (ek_socket_send(router, peer, message) == EK_AGAIN)
        free(message.memory);
}

static void answer_hello(struct ek_reader *fields, ek_peer peer)
{
    struct ek_hello hello;
    struct ek_buffer out = {0};
    if (ek_decode_hello(fields, &hello) != EK_OK)
        return;
    ek_encode_welcome(&out, &(struct ek_welcome){.id = hello.id,
                                                 .generation = 3,
                                                 .connection = 1,
                                                 .shards = 16,
                                                 .producer = hello.wants_producer ? 77 : 0,
                                                 .stats_endpoint = "tcp://127.0.0.1:1"});
    answer(ek_owned_of(&out), peer);
}

static void answer_query(struct ek_reader *fields, ek_peer peer)
{
    struct ek_query query;
    struct ek_buffer out = {0};
    if (ek_decode_query(fields, &query) != EK_OK)
        return;
    bool known = strcmp(query.what, "stats") == 0;
    ek_encode_answer(&out, &(struct ek_answer){.id = query.id,
                                               .status = known ? EK_WIRE_OK : EK_WIRE_USAGE,
                                               .text = ek_slice_text(known ? "{\"generation\":3}" : "no such view")});
    answer(ek_owned_of(&out), peer);
}

static void answer_command(struct ek_reader *fields, ek_peer peer)
{
    struct ek_admin admin;
    struct ek_buffer out = {0};
    if (ek_decode_admin(fields, &admin) != EK_OK)
        return;
    bool known = admin.count == 2 && strcmp(admin.words[0], "accept-loss") == 0 && strcmp(admin.words[1], "3") == 0;
    ek_encode_answer(&out, &(struct ek_answer){.id = admin.id,
                                               .status = known ? EK_WIRE_OK : EK_WIRE_DENIED,
                                               .text = ek_slice_text(known ? "{\"status\":\"ok\"}" : "not now")});
    answer(ek_owned_of(&out), peer);
}

static void answer_read(const struct ek_job *job, struct ek_buffer *body)
{
    struct ek_reader operations = ek_reader_of(job->body);
    struct ek_operation operation;
    uint32_t count;
    if (ek_decode_operation_count(&operations, &count) != EK_OK || count != 1 ||
        ek_decode_operation(&operations, &operation) != EK_OK)
        return;
    ek_buffer_append(body, "\x91", 1);
    if (ek_slice_equal(operation.key, ek_slice_text("known")))
        ek_encode_get(body, &(struct ek_entry){.value = ek_slice_text("value"), .version = 9, .has_ttl = true, .ttl_ms = 5});
    else
        ek_encode_status(body, EK_WIRE_NOT_FOUND, NULL);
}

static void answer_jobs(struct ek_reader *fields, ek_peer peer)
{
    struct ek_envelope envelope = {0};
    uint32_t count = 0;
    if (ek_decode_count(fields, EK_ENVELOPE_JOBS_MAX, &count) != EK_OK)
        return;
    for (uint32_t i = 0; i < count; i++) {
        struct ek_job job;
        struct ek_buffer body = {0};
        if (ek_decode_job(fields, &job) != EK_OK)
            break;
        if (job.kind == EK_JOB_READ)
            answer_read(&job, &body);
        ek_encode_reply(&envelope, &(struct ek_reply){.id = job.id, .position = 41, .body = ek_buffer_slice(&body)});
        ek_buffer_done(&body);
    }
    answer(ek_envelope_seal(&envelope, EK_MESSAGE_REPLIES, NULL), peer);
}

static void *serve(void *unused)
{
    (void)unused;
    while (!atomic_load(&stopping)) {
        struct ek_poll_item item = {.socket = router};
        struct ek_frame frame;
        ek_peer peer;
        if (ek_poll(&item, 1, 20) != EK_OK || ek_socket_receive(router, &frame, &peer) != EK_OK)
            continue;
        enum ek_message_type type;
        struct ek_reader fields;
        if (ek_decode_type(ek_frame_bytes(&frame), &type, &fields) == EK_OK) {
            if (type == EK_MESSAGE_HELLO)
                answer_hello(&fields, peer);
            else if (type == EK_MESSAGE_QUERY)
                answer_query(&fields, peer);
            else if (type == EK_MESSAGE_ADMIN)
                answer_command(&fields, peer);
            else
                answer_jobs(&fields, peer);
        }
        ek_frame_done(&frame);
    }
    return NULL;
}

static void set_up(void)
{
    context = ek_context_new(1, 16);
    ck_assert_int_eq(ek_socket_open(context, EK_SOCKET_ROUTER, &router), EK_OK);
    ck_assert_int_eq(ek_socket_bind(router, "tcp://127.0.0.1:*", endpoint, NULL), EK_OK);
    atomic_store(&stopping, false);
    ck_assert_int_eq(pthread_create(&thread, NULL, serve, NULL), 0);
    ck_assert_int_eq(ek_client_open(&(struct ek_client_options){.endpoint = endpoint}, &client), EK_OUTCOME_OK);
}

static void tear_down(void)
{
    ek_client_close(&client);
    atomic_store(&stopping, true);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ek_socket_close(&router);
    ek_context_destroy(&context);
}

/* ---- tests ---- */

START_TEST(one_operation_at_a_time)
{
    uint64_t version = 0;
    struct ek_reading reading;
    ck_assert_int_eq(ek_put(client, "known", 5, "value", 5, NULL, &version), EK_OUTCOME_OK);
    ck_assert_uint_eq(version, 41);
    ck_assert_int_eq(ek_get(client, "known", 5, &reading), EK_OUTCOME_OK);
    ck_assert_uint_eq(reading.value_size, 5);
    ck_assert_mem_eq(reading.value, "value", 5);
    ck_assert_uint_eq(reading.version, 9);
    ck_assert(reading.has_ttl);
    ck_assert_int_eq(ek_get(client, "other", 5, &reading), EK_OUTCOME_NOT_FOUND);
    ck_assert_int_eq(ek_exists(client, "other", 5), EK_OUTCOME_NOT_FOUND);
    ck_assert_int_eq(ek_delete(client, "known", 5), EK_OUTCOME_OK);
    ck_assert_str_eq(ek_client_error(client), "");
}
END_TEST

START_TEST(a_reply_that_lacks_its_result_is_no_success)
{
    int64_t value = 7;
    ck_assert_int_eq(ek_increment(client, "n", 1, 1, &value, NULL), EK_OUTCOME_UNKNOWN);
    ck_assert_int_eq(value, 7);
    ck_assert_uint_gt(strlen(ek_client_error(client)), 0);
}
END_TEST

START_TEST(a_broker_shows_itself)
{
    struct ek_broker_view view;
    const char *json;
    ck_assert_int_eq(ek_client_ping(client, &view), EK_OUTCOME_OK);
    ck_assert_uint_eq(view.generation, 3);
    ck_assert_uint_eq(view.shards, 16);
    ck_assert_str_eq(view.stats_endpoint, "tcp://127.0.0.1:1");
    ck_assert_int_eq(ek_client_query(client, "stats", &json), EK_OUTCOME_OK);
    ck_assert_str_eq(json, "{\"generation\":3}");
    ck_assert_int_eq(ek_client_query(client, "moon", &json), EK_OUTCOME_USAGE);
    ck_assert_str_eq(ek_client_error(client), "no such view");
}
END_TEST

START_TEST(a_broker_carries_out_what_it_may)
{
    const char *words[EK_ADMIN_WORDS_MAX + 1] = {"accept-loss", "3"};
    const char *json;
    char longest[EK_TEXT_BYTES_MAX + 1];
    ck_assert_int_eq(ek_client_command(client, words, 2, &json), EK_OUTCOME_OK);
    ck_assert_str_eq(json, "{\"status\":\"ok\"}");
    words[1] = "4";
    ck_assert_int_eq(ek_client_command(client, words, 2, &json), EK_OUTCOME_DENIED);
    ck_assert_str_eq(ek_client_error(client), "not now");
    ck_assert_int_eq(ek_client_command(client, words, 0, &json), EK_OUTCOME_USAGE);
    ck_assert_int_eq(ek_client_command(client, words, EK_ADMIN_WORDS_MAX + 1, &json), EK_OUTCOME_USAGE);
    memset(longest, 'w', sizeof longest);
    longest[EK_TEXT_BYTES_MAX] = 0;
    words[1] = longest;
    ck_assert_int_eq(ek_client_command(client, words, 2, &json), EK_OUTCOME_TOO_LARGE);
}
END_TEST

struct chain {
    int left;
    int refused;
};

/* Submits the next one from the callback, where waiting is refused. */
static void go_on(void *chain_of, const struct ek_completion *completions, size_t count)
{
    struct chain *chain = chain_of;
    ck_assert_uint_eq(count, 1);
    ck_assert_int_eq(completions->outcome, EK_OUTCOME_OK);
    chain->refused += ek_delete(client, "x", 1) == EK_OUTCOME_USAGE;
    ck_assert_uint_eq(ek_client_poll(client, 0), 0);
    if (chain->left-- > 0)
        ck_assert_int_eq(ek_submit(client, &(struct ek_request){.kind = EK_DELETE, .key = "x", .key_size = 1}, 0, go_on, chain),
                         EK_OUTCOME_OK);
}

START_TEST(callbacks_submit_but_do_not_wait)
{
    struct chain chain = {.left = 99};
    ck_assert_int_eq(ek_submit(client, &(struct ek_request){.kind = EK_DELETE, .key = "x", .key_size = 1}, 0, go_on, &chain),
                     EK_OUTCOME_OK);
    ck_assert_uint_eq(ek_client_pending(client), 1);
    size_t ran = 0;
    while (ek_client_pending(client))
        ran += ek_client_poll(client, -1);
    ck_assert_uint_eq(ran, 100);
    ck_assert_int_eq(chain.refused, 100);
    ck_assert_uint_eq(ek_client_poll(client, 0), 0);
}
END_TEST

START_TEST(what_a_lone_answer_sets_free_leaves_before_more_is_asked_for)
{
    struct chain chain = {.left = 3};
    ck_assert_int_eq(ek_put(client, "k", 1, NULL, 0, NULL, NULL), EK_OUTCOME_OK);
    ck_assert_int_eq(sem_init(&asked_in_vain, 0, 1), 0);
    one_by_one = watched = true;
    ck_assert_int_eq(ek_submit(client, &(struct ek_request){.kind = EK_DELETE, .key = "x", .key_size = 1}, 0, go_on, &chain),
                     EK_OUTCOME_OK);
    while (ek_client_pending(client))
        (void)ek_client_poll(client, -1);
    one_by_one = watched = false;
    int received = 0;
    for (size_t i = 0; i < asked_count; i++)
        if (asked[i] == 'r')
            ck_assert_msg(asked[i + 1] == (received++ < 3 ? 's' : '-'), "answer %d: %s", received, asked);
    ck_assert_int_eq(received, 4);
}
END_TEST

START_TEST(clients_share_one_thread_for_io)
{
    struct ek_client *second = NULL;
    ck_assert_int_eq(
        ek_client_open(&(struct ek_client_options){.endpoint = endpoint, .share_io = client, .linger_us = 50}, &second),
        EK_OUTCOME_OK);
    ck_assert_int_eq(ek_put(second, "k", 1, NULL, 0, NULL, NULL), EK_OUTCOME_OK);
    ck_assert_int_eq(ek_put(client, "k", 1, NULL, 0, NULL, NULL), EK_OUTCOME_OK);
    ek_client_close(&second);
    ck_assert_ptr_null(second);
    ek_client_close(&second);
}
END_TEST

static void count_one(void *count, const struct ek_completion *completions, size_t completion_count)
{
    (void)completions, (void)completion_count;
    ++*(unsigned *)count;
}

/* Only the last one has something under way: its answer ends the wait for all. */
START_TEST(several_are_waited_for_together)
{
    enum { HANDLES = 20 };
    struct ek_client *handles[HANDLES] = {client};
    unsigned answered = 0;
    for (size_t i = 1; i < HANDLES; i++)
        ck_assert_int_eq(ek_client_open(&(struct ek_client_options){.endpoint = endpoint, .share_io = client}, &handles[i]),
                         EK_OUTCOME_OK);
    ck_assert_int_eq(ek_submit(handles[HANDLES - 1], &(struct ek_request){.kind = EK_DELETE, .key = "x", .key_size = 1}, 0,
                               count_one, &answered),
                     EK_OUTCOME_OK);
    while (!answered) {
        ek_client_wait(handles, HANDLES, -1);
        for (size_t i = 0; i < HANDLES; i++)
            (void)ek_client_poll(handles[i], 0);
    }
    ek_client_wait(handles, HANDLES, 0); /* nothing is under way any more: it says so at once */
    for (size_t i = HANDLES; i-- > 1;)
        ek_client_close(&handles[i]);
}
END_TEST

static struct ek_client *open_on(struct ek_connection *connection)
{
    struct ek_client *opened = NULL;
    ck_assert_int_eq(ek_client_open(&(struct ek_client_options){.connection = connection}, &opened), EK_OUTCOME_OK);
    return opened;
}

static void submit_one(struct ek_client *to, unsigned *answered)
{
    struct ek_request request = {.kind = EK_DELETE, .key = "x", .key_size = 1};
    ck_assert_int_eq(ek_submit(to, &request, 0, count_one, answered), EK_OUTCOME_OK);
}

START_TEST(a_wait_for_none_ends_with_its_time)
{
    struct ek_connection *none[1];
    ek_client_wait(&client, 0, 10);
    ek_connection_wait(none, 0, 10);
}
END_TEST

START_TEST(clients_share_a_connection)
{
    enum { CLIENTS = 40 };
    struct ek_connection *connection = NULL;
    struct ek_client *clients[CLIENTS];
    struct ek_reading reading;
    unsigned answered[CLIENTS] = {0};
    ck_assert_int_eq(ek_connection_open(endpoint, NULL, &connection), EK_OUTCOME_OK);
    for (size_t i = 0; i < CLIENTS; i++) {
        clients[i] = open_on(connection);
        submit_one(clients[i], &answered[i]);
        submit_one(clients[i], &answered[i]);
    }
    size_t ran = 0;
    while (ran < 2 * (size_t)CLIENTS)
        ran += ek_connection_poll(connection, -1);
    for (size_t i = 0; i < CLIENTS; i++)
        ck_assert_uint_eq(answered[i], 2);
    /* Whoever waits for its own answer runs the others' callbacks. */
    submit_one(clients[3], &answered[3]);
    while (answered[3] == 2) {
        ck_assert_int_eq(ek_get(clients[7], "known", 5, &reading), EK_OUTCOME_OK);
        ck_assert_uint_eq(reading.version, 9);
    }
    ek_connection_close(&connection);
    ck_assert_ptr_nonnull(connection); /* it has clients */
    for (size_t i = 0; i < CLIENTS; i++)
        ek_client_close(&clients[i]);
    ek_connection_close(&connection);
    ck_assert_ptr_null(connection);
}
END_TEST

START_TEST(a_connection_is_waited_for_until_one_of_its_clients_has_news)
{
    struct ek_connection *connections[2] = {NULL, NULL};
    struct ek_client *clients[3];
    unsigned answered = 0;
    ck_assert_int_eq(ek_connection_open(endpoint, NULL, &connections[0]), EK_OUTCOME_OK);
    ck_assert_int_eq(ek_connection_open(endpoint, connections[0], &connections[1]), EK_OUTCOME_OK);
    for (size_t i = 0; i < 3; i++)
        clients[i] = open_on(connections[i % 2]);
    submit_one(clients[2], &answered);
    while (!answered) {
        ek_connection_wait(connections, 2, -1);
        for (size_t i = 0; i < 2; i++)
            (void)ek_connection_poll(connections[i], 0);
    }
    for (size_t i = 0; i < 3; i++)
        ek_client_close(&clients[i]);
    ek_connection_close(&connections[1]);
    ek_connection_close(&connections[0]);
}
END_TEST

static void submit_again(void *again, const struct ek_completion *completions, size_t count)
{
    unsigned *calls = again;
    (void)completions, (void)count;
    ++*calls;
    (void)ek_submit(client, &(struct ek_request){.kind = EK_DELETE, .key = "x", .key_size = 1}, 0, count_one, again);
}

/* A client that is closed in the middle leaves its place to the next one, and nothing behind. */
START_TEST(a_place_on_a_connection_is_given_again)
{
    struct ek_connection *connection = NULL;
    struct ek_client *clients[3] = {NULL, NULL, NULL};
    unsigned calls = 0;
    ck_assert_int_eq(ek_connection_start(endpoint, NULL, 2, &connection), EK_OUTCOME_OK);
    clients[0] = open_on(connection);
    clients[1] = open_on(connection);
    ck_assert_int_eq(ek_client_open(&(struct ek_client_options){.connection = connection}, &clients[2]), EK_OUTCOME_BUSY);
    ck_assert_ptr_null(clients[2]);
    struct ek_client *outer = client;
    client = clients[0]; /* the callback submits to the client that is being closed, which takes it and gives it up */
    struct ek_request request = {.kind = EK_DELETE, .key = "x", .key_size = 1};
    ck_assert_int_eq(ek_submit(client, &request, 0, submit_again, &calls), EK_OUTCOME_OK);
    ek_client_close(&clients[0]);
    client = outer;
    ck_assert_uint_ge(calls, 1);
    (void)ek_connection_poll(connection, 0); /* with a place that nobody has */
    clients[0] = open_on(connection);
    for (size_t i = 0; i < 2; i++) {
        ck_assert_int_eq(ek_put(clients[i], "k", 1, NULL, 0, NULL, NULL), EK_OUTCOME_OK);
        ek_client_close(&clients[i]);
    }
    ek_connection_close(&connection);
    ck_assert_ptr_null(connection);
}
END_TEST

START_TEST(an_endpoint_that_cannot_be_is_refused)
{
    struct ek_client *none = NULL;
    ck_assert_int_eq(ek_client_open(&(struct ek_client_options){.endpoint = "tcp://nowhere"}, &none), EK_OUTCOME_USAGE);
    ck_assert_int_eq(ek_client_open(&(struct ek_client_options){.endpoint = "carrier pigeon"}, &none), EK_OUTCOME_USAGE);
    ck_assert_ptr_null(none);
    struct ek_connection *neither = NULL;
    ck_assert_int_eq(ek_connection_open("carrier pigeon", NULL, &neither), EK_OUTCOME_USAGE);
    ck_assert_ptr_null(neither);
}
END_TEST

START_TEST(nobody_there_is_unavailable_in_time)
{
    struct ek_client *alone;
    struct ek_reading reading;
    struct ek_broker_view view;
    ck_assert_int_eq(ek_client_open(&(struct ek_client_options){.endpoint = "tcp://127.0.0.1:1", .timeout_ms = 50}, &alone),
                     EK_OUTCOME_OK);
    ck_assert_int_eq(ek_get(alone, "k", 1, &reading), EK_OUTCOME_UNAVAILABLE);
    ck_assert_str_eq(ek_client_error(alone), "no broker answered in time");
    ck_assert_int_eq(ek_client_ping(alone, &view), EK_OUTCOME_UNAVAILABLE);
    ck_assert_int_eq(ek_put(alone, "", 0, "v", 1, NULL, NULL), EK_OUTCOME_USAGE);
    struct ek_put_options endless = {.ttl_ms = UINT64_MAX};
    ck_assert_int_eq(ek_put(alone, "k", 1, "v", 1, &endless, NULL), EK_OUTCOME_TOO_LARGE);
    ck_assert_ptr_nonnull(strstr(ek_client_error(alone), "time to live"));
    ek_client_close(&alone);
}
END_TEST

static Suite *suite(void)
{
    Suite *result = suite_create("client");
    TCase *handle = tcase_create("handle");
    tcase_add_checked_fixture(handle, set_up, tear_down);
    tcase_add_test(handle, one_operation_at_a_time);
    tcase_add_test(handle, a_reply_that_lacks_its_result_is_no_success);
    tcase_add_test(handle, a_broker_shows_itself);
    tcase_add_test(handle, a_broker_carries_out_what_it_may);
    tcase_add_test(handle, callbacks_submit_but_do_not_wait);
    tcase_add_test(handle, what_a_lone_answer_sets_free_leaves_before_more_is_asked_for);
    tcase_add_test(handle, clients_share_one_thread_for_io);
    tcase_add_test(handle, several_are_waited_for_together);
    tcase_add_test(handle, a_wait_for_none_ends_with_its_time);
    tcase_add_test(handle, clients_share_a_connection);
    tcase_add_test(handle, a_connection_is_waited_for_until_one_of_its_clients_has_news);
    tcase_add_test(handle, a_place_on_a_connection_is_given_again);
    tcase_add_test(handle, an_endpoint_that_cannot_be_is_refused);
    tcase_add_test(handle, nobody_there_is_unavailable_in_time);
    suite_add_tcase(result, handle);
    return result;
}

int main(void)
{
    return ek_run_suite(suite());
}
