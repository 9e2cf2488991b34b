// SPDX-License-Identifier: Apache-2.0
/*
 * A flood of events as fast as the machine makes them, on all processors, until standard input ends: of opens of a file, of sockets, of processes. Says a
 * word when no small ring can have room for more; gives the number of what was made.
 */
#ifndef FLOOD_H
#define FLOOD_H

#define FLOOD_PROCESSORS 256

static void flood_once(const char *what, const char *path)
{
	if (!strcmp(what, "open")) {
		close(open(path, O_RDONLY));
	} else if (!strcmp(what, "socket")) {
		close(socket(AF_UNIX, SOCK_STREAM, 0));
	} else {
		pid_t child = vfork();

		if (!child) _exit(0);
		waitpid(child, NULL, 0);
	}
}

/* flood WHAT ENOUGH PATH: enough on each processor */
static long flood(char **argv)
{
	struct { atomic_long made; char apart[120]; } *counts = mmap(NULL, sizeof(*counts) * FLOOD_PROCESSORS, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int processors = sysconf(_SC_NPROCESSORS_ONLN) < FLOOD_PROCESSORS ? sysconf(_SC_NPROCESSORS_ONLN) : FLOOD_PROCESSORS;
	atomic_bool *stop = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	long enough = atol(argv[1]), total = 0;
	char byte;

	for (int i = 0; i < processors; i++) {
		if (fork()) continue;
		pin(i);
		while (!*stop) {
			flood_once(argv[0], argv[2]);
			counts[i].made++;
		}
		_exit(0);
	}
	for (int i = 0; i < processors; i++)
		while (counts[i].made < enough)
			usleep(10000);
	dprintf(1, "flooding\n");
	while (read(0, &byte, 1) > 0)
		;
	*stop = true;
	while (wait(NULL) > 0)
		;
	for (int i = 0; i < processors; i++)
		total += counts[i].made;
	return total;
}

#endif
