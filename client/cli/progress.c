#include "client/cli/progress.h"

#include "client/cli/output.h"
#include "common/clock.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { BAR_WIDTH = 30, DRAW_EVERY_US = 100000 };

void ek_progress_init(struct ek_progress *progress, uint64_t total)
{
    *progress = (struct ek_progress){.shown = ek_is_terminal(STDERR_FILENO), .total = total};
    progress->started_us = ek_clock_monotonic_us();
}

void ek_progress_show(struct ek_progress *progress, uint64_t done, uint64_t count, const char *what)
{
    if (!progress->shown)
        return;
    uint64_t now_us = ek_clock_monotonic_us();
    if (now_us < progress->next_us)
        return;
    progress->next_us = now_us + DRAW_EVERY_US;
    progress->drawn = true;
    char figure[EK_FIGURE_BYTES];
    char rate[EK_FIGURE_BYTES];
    double seconds = (double)(now_us - progress->started_us + 1) / 1e6;
    (void)fputs("\r\033[K", stderr);
    if (progress->total) {
        char bar[BAR_WIDTH + 1];
        uint64_t filled = done >= progress->total ? BAR_WIDTH : done * BAR_WIDTH / progress->total;
        memset(bar, ' ', BAR_WIDTH);
        memset(bar, '#', (size_t)filled);
        bar[BAR_WIDTH] = '\0';
        (void)fprintf(stderr, "[%s] %3.0f %%  ", bar, 100.0 * (double)done / (double)progress->total);
    }
    (void)fprintf(stderr, "%s %s, %s/s", ek_figure_count(figure, (double)count), what,
                  ek_figure_count(rate, (double)count / seconds));
    (void)fflush(stderr);
}

void ek_progress_clear(struct ek_progress *progress)
{
    if (progress->drawn)
        (void)fputs("\r\033[K", stderr);
    progress->drawn = false;
    progress->next_us = 0;
}
