/* SPDX-License-Identifier: Apache-2.0 */
/* `short-lived PER_SECOND PROGRAM`: starts the program so often, until whoever started this ends or a signal comes. Prints the number on SIGTERM. */
#define _GNU_SOURCE
#include <err.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t stopped;

static void stop(int signal)
{
	(void)signal;
	stopped = 1;
}

int main(int argc, char **argv)
{
	long interval_ns, started = 0;
	struct timespec next;

	if (argc != 3 || atoi(argv[1]) <= 0)
		errx(2, "usage: %s PER_SECOND PROGRAM", argv[0]);
	interval_ns = 1000000000L / atoi(argv[1]);
	signal(SIGTERM, stop);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	clock_gettime(CLOCK_MONOTONIC, &next);
	while (!stopped) {
		pid_t child = fork();

		if (child == 0) {
			execl(argv[2], argv[2], (char *)NULL);
			_exit(127);
		}
		if (child < 0 || waitpid(child, NULL, 0) != child)
			err(1, "%s", argv[2]);
		started++;
		next.tv_nsec += interval_ns;
		if (next.tv_nsec >= 1000000000L) {
			next.tv_nsec -= 1000000000L;
			next.tv_sec++;
		}
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
	}
	printf("%ld\n", started);
	return 0;
}
