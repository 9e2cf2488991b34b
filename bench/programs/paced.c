/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `paced RATE SECONDS PATH` opens and closes a file RATE times a second, evenly, and prints how often it did and for how many nanoseconds.
 * Every millisecond it makes up for what is due since the start: a machine that is busy gets the same number, in bursts.
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define NSEC_PER_SEC 1000000000ULL
#define TICK_NS 1000000ULL

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * NSEC_PER_SEC + now.tv_nsec;
}

static void sleep_until(uint64_t ns)
{
	struct timespec until = { .tv_sec = ns / NSEC_PER_SEC, .tv_nsec = ns % NSEC_PER_SEC };

	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
}

static void open_and_close(const char *path)
{
	int fd = open(path, O_RDONLY);

	if (fd < 0)
		err(1, "%s", path);
	close(fd);
}

int main(int argc, char **argv)
{
	uint64_t start, rate, seconds, done = 0;

	if (argc != 4)
		errx(2, "usage: %s RATE SECONDS PATH", argv[0]);
	rate = strtoull(argv[1], NULL, 10);
	seconds = strtoull(argv[2], NULL, 10);
	start = now_ns();
	for (uint64_t tick = 1; done < rate * seconds; tick++) {
		uint64_t due;

		sleep_until(start + tick * TICK_NS);
		due = (now_ns() - start) * rate / NSEC_PER_SEC;
		if (due > rate * seconds)
			due = rate * seconds;
		for (; done < due; done++)
			open_and_close(argv[3]);
	}
	printf("%llu %llu\n", (unsigned long long)done, (unsigned long long)(now_ns() - start));
	return 0;
}
