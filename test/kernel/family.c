// SPDX-License-Identifier: Apache-2.0
/*
 * A family of processes after a script: each word is one thing that the process at its end does next.
 *
 *     fork       forks: this process stays, its child goes on
 *     orphan     forks: this process ends, its child goes on
 *     wait       until a byte comes on standard input: one, whatever waits for it
 *     leave=FILE forks: this process executes FILE and stays, its child goes on
 *     exec=FILE  executes FILE, a copy of this program, with what is left
 *     stay       the last one stays
 *     storm=N    N children, one after the other, that end at once: every tenth executes /bin/true
 *
 * Who stays prints its pid, and at each SIGUSR1 opens /etc/hostname and lets a child execute /bin/true.
 */
#define _GNU_SOURCE /* pipe2 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char *const program[] = { "/bin/true", "of-the-family", NULL };

static void run(char *const argv[])
{
	pid_t child = fork();

	if (!child) {
		if (argv) execv(argv[0], argv);
		_exit(0);
	}
	waitpid(child, NULL, 0);
}

static void stay(void)
{
	sigset_t wanted;
	int which;

	sigemptyset(&wanted);
	sigaddset(&wanted, SIGUSR1);
	sigprocmask(SIG_BLOCK, &wanted, NULL);
	dprintf(1, "%d\n", getpid());
	while (!sigwait(&wanted, &which)) {
		close(open("/etc/hostname", O_RDONLY));
		run(program);
		dprintf(1, "%d\n", getpid());
	}
}

int main(int argc, char **argv)
{
	char byte;

	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "fork")) {
			if (fork()) stay();
		} else if (!strcmp(argv[i], "orphan")) {
			pid_t before = getpid();

			if (fork()) _exit(0);
			while (getppid() == before) usleep(100);
		} else if (!strcmp(argv[i], "wait")) {
			if (read(0, &byte, 1) != 1) return 1;
		} else if (!strncmp(argv[i], "leave=", 6)) {
			int gone[2];

			/* The parent's end is closed when it executes: from then on it is another program. */
			if (pipe2(gone, O_CLOEXEC)) return 1;
			if (fork()) return execl(argv[i] + 6, argv[i] + 6, "stay", NULL);
			close(gone[1]);
			if (read(gone[0], &byte, 1)) return 1;
		} else if (!strncmp(argv[i], "exec=", 5)) {
			argv[i] += 5;
			execv(argv[i], argv + i);
			return 1;
		} else if (!strncmp(argv[i], "storm=", 6)) {
			for (int left = atoi(argv[i] + 6); left > 0; left--) run(left % 10 ? NULL : program);
			return 0;
		} else if (!strcmp(argv[i], "stay")) {
			stay();
		} else {
			return 2;
		}
	}
	return 0;
}
