/* SPDX-License-Identifier: Apache-2.0 */
/* Starts the program named by the argument, and waits for its end. vfork: the least that a shell or posix_spawn does. */
#include "loop.h"
#include <sys/wait.h>
#include <unistd.h>

static void step(const char *program)
{
	char *arguments[] = { (char *)program, NULL };
	char *environment[] = { NULL };
	pid_t child = vfork();
	int status;

	if (child == 0) {
		execve(program, arguments, environment);
		_exit(127);
	}
	if (child < 0 || waitpid(child, &status, 0) != child || status)
		err(1, "%s", program);
}

int main(int argc, char **argv)
{
	return loop(argc, argv, 1, step);
}
