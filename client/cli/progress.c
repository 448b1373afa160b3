#include "client/cli/progress.h"

#include "client/cli/output.h"
#include "common/clock.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { BAR_WIDTH = 20, DRAW_EVERY_US = 100000 };

void ek_progress_init(struct ek_progress *progress, uint64_t total)
{
    *progress = (struct ek_progress){.shown = ek_is_terminal(STDERR_FILENO), .total = total};
    progress->started_us = ek_clock_monotonic_us();
}

void ek_bar(char out[EK_BAR_BYTES], uint64_t done, uint64_t total)
{
    char bar[BAR_WIDTH + 1];
    double share = done >= total ? 1 : (double)done / (double)total;
    memset(bar, ' ', BAR_WIDTH);
    memset(bar, '#', (size_t)(share * BAR_WIDTH));
    bar[BAR_WIDTH] = '\0';
    (void)snprintf(out, EK_BAR_BYTES, "[%s] %3.0f %%", bar, 100 * share);
}

static bool is_due(const struct ek_progress *progress)
{
    return progress->shown && ek_clock_monotonic_us() >= progress->next_us;
}

void ek_progress_say(struct ek_progress *progress, uint64_t done, const char *text)
{
    char bar[EK_BAR_BYTES] = "";
    if (!is_due(progress))
        return;
    progress->next_us = ek_clock_monotonic_us() + DRAW_EVERY_US;
    progress->drawn = true;
    if (progress->total)
        ek_bar(bar, done, progress->total);
    (void)fprintf(stderr, "\r\033[K%s%s%s", bar, progress->total ? "  " : "", text);
    (void)fflush(stderr);
}

void ek_progress_show(struct ek_progress *progress, uint64_t done, uint64_t count, const char *what)
{
    char figure[EK_FIGURE_BYTES];
    char rate[EK_FIGURE_BYTES];
    char text[2 * EK_FIGURE_BYTES + 64];
    if (!is_due(progress))
        return;
    double seconds = (double)(ek_clock_monotonic_us() - progress->started_us + 1) / 1e6;
    (void)snprintf(text, sizeof text, "%s %.40s, %s/s", ek_figure_count(figure, (double)count), what,
                   ek_figure_count(rate, (double)count / seconds));
    ek_progress_say(progress, done, text);
}

void ek_progress_clear(struct ek_progress *progress)
{
    if (progress->drawn)
        (void)fputs("\r\033[K", stderr);
    progress->drawn = false;
    progress->next_us = 0;
}
