/* evenkeel-worker: keeps shards in a RocksDB of its own and commits the jobs that the broker sends. */

#include "common/args.h"
#include "worker/engine.h"
#include "worker/loop.h"
#include "worker/options.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <unistd.h>

/* Orderly stops are asked for by a descriptor that the loop polls; blocked before any thread starts, so that none is interrupted.
 */
static int open_signals(void)
{
    sigset_t wanted;
    (void)sigemptyset(&wanted);
    (void)sigaddset(&wanted, SIGTERM);
    (void)sigaddset(&wanted, SIGINT);
    if (pthread_sigmask(SIG_BLOCK, &wanted, NULL) != 0)
        return -1;
    return signalfd(-1, &wanted, SFD_CLOEXEC | SFD_NONBLOCK);
}

static int fail(const struct ek_error *error)
{
    ek_log(EK_LOG_ERROR, "%s", error->text);
    return EXIT_FAILURE;
}

/* The storage thread may still be at work, or the store in doubt: no destructor may run. */
static void leave(int code)
{
    (void)fflush(NULL);
    _exit(code);
}

int main(int argc, char **argv)
{
    struct ek_worker_options options;
    struct ek_error error = {.text = "cannot take signals from the system"};
    ek_occupy_standard_files();
    ek_worker_options_parse(argc, argv, &options);
    ek_log_open("evenkeel-worker", options.log_level);
    ek_raise_file_limit();
    int signal_fd = open_signals();
    if (signal_fd < 0)
        return fail(&error);
    struct ek_store *store;
    struct ek_engine engine;
    if (ek_store_open(&options.store, &store, &error) != EK_OK)
        return fail(&error);
    if (ek_engine_open(&engine, store, EK_BOOK_LIVE_BYTES_MAX, &error) != EK_OK) {
        ek_store_close(&store);
        return fail(&error);
    }
    enum ek_status status = ek_worker_loop_run(&options.settings, &engine, store, signal_fd, &error);
    if (status == EK_AGAIN) {
        ek_log(EK_LOG_WARNING, "the disk did not finish in time; what was not answered is sent again");
        leave(EXIT_SUCCESS);
    }
    if (status != EK_OK) {
        ek_log(EK_LOG_ERROR, "%s", error.text);
        leave(EXIT_FAILURE);
    }
    ek_engine_done(&engine);
    ek_store_close(&store);
    (void)close(signal_fd);
    return EXIT_SUCCESS;
}
