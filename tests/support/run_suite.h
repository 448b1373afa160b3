/*
 * What every unit test's main does: runs one Check suite and turns its verdict into an exit code. It holds no tests.
 *
 * Output is Check's CK_NORMAL, whose last line tests/support/run_tests.py counts. The environment has its usual say: CK_FORK=no for
 * a debugger, CK_RUN_CASE for one test case, CK_TIMEOUT_MULTIPLIER for slow builds. One thread.
 */
#ifndef EK_TESTS_SUPPORT_RUN_SUITE_H
#define EK_TESTS_SUPPORT_RUN_SUITE_H

#include <check.h>

/* Consumes the suite. EXIT_SUCCESS when every test passed, EXIT_FAILURE otherwise. */
int ek_run_suite(Suite *suite);

#endif
