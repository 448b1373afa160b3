#include "client/cli/prompt.h"

#include <editline/readline.h>

char *ek_prompt_read(const char *prompt)
{
    char *line = readline(prompt);
    if (line && *line)
        (void)add_history(line);
    return line;
}
