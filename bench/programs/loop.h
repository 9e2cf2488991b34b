/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the loops share: `PROGRAM CPU SECONDS ARGUMENT` pins itself to the CPU, repeats one step for that long, and prints
 * how often and for how many nanoseconds it did.
 */
#ifndef SHIKRA_BENCH_LOOP_H
#define SHIKRA_BENCH_LOOP_H

#define _GNU_SOURCE
#include <err.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ULL + now.tv_nsec;
}

static void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		err(1, "cannot run on CPU %d", cpu);
}

/* The clock is read once in `batch` steps, so that it weighs little beside a step that is itself short. */
static int loop(int argc, char **argv, unsigned batch, void (*step)(const char *argument))
{
	uint64_t iterations = 0, start, now, end;

	if (argc != 4)
		errx(2, "usage: %s CPU SECONDS ARGUMENT", argv[0]);
	pin(atoi(argv[1]));
	start = now = now_ns();
	end = start + atof(argv[2]) * 1e9;
	while (now < end) {
		for (unsigned i = 0; i < batch; i++)
			step(argv[3]);
		iterations += batch;
		now = now_ns();
	}
	printf("%llu %llu\n", (unsigned long long)iterations, (unsigned long long)(now - start));
	return 0;
}

#endif
