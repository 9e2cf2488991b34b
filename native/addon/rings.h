// SPDX-License-Identifier: Apache-2.0
/* The rings between the probe and us: made, read where they are, watched. Knows neither programs nor Node. */
#ifndef SHIKRA_RINGS_H
#define SHIKRA_RINGS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../bpf/event_host.h"
#include "window.h"

#define RINGS_MAX (CPUS_MAX * RING_KINDS)

typedef void (*rings_notify)(void *context);

struct ring {
	int fd;
	uint32_t bytes;
	unsigned long *consumer;
	unsigned long *producer;
	struct window window;
	unsigned long complete; /* position up to which records are known to be complete */
};

/* All of one kind, then all of the next (enum ring_kind), as many of each. */
struct rings {
	struct ring all[RINGS_MAX];
	uint32_t count;
	long page_bytes;
	int epoll_fd;
	int stop_fd;
	pthread_t thread;
	bool thread_runs;
	bool lent; /* JavaScript has views of the data, which may outlive the rings: its addresses stay */
	atomic_bool notified;
	rings_notify notify;
	void *context;
};

/* Before all else. */
void rings_init(struct rings *rings);
/* What the probe goes by with rings of this size. @cpus: that share one */
struct ring_settings ring_settings(uint32_t bytes, uint32_t cpus);
/* Makes them and puts them into the probe's map of maps. bytes: of each kind, powers of two, at least a page. False and errno on failure. */
bool rings_make(struct rings *rings, int map, uint32_t cpus, uint32_t cpus_per_ring, const uint32_t *bytes);
/* A ring's data, of which what rings_advance told is there; a record that begins near its end goes on at its beginning. Its addresses stay valid from now on. */
void *ring_data(struct rings *rings, uint32_t ring, size_t *bytes);
/* Starts the thread that calls notify when records wait, then not again before rings_advance. False and errno on failure. */
bool rings_watch(struct rings *rings, rings_notify notify, void *context);
/* Ends the thread, if one runs. */
void rings_unwatch(struct rings *rings);
/*
 * Gives back what was read, says how far complete records reach, by a part of the ring at most: what is given back in parts is there for others sooner, and a
 * part fits into a processor's cache. (read, complete) for each ring; behind them the time (CLOCK_BOOTTIME, in nanoseconds) up to which these records are all
 * there are; behind it for each ring the bytes in use. True if any ring has records.
 */
bool rings_advance(struct rings *rings, double *positions);
/* What is in the rings and was not given back, records that a program still writes included: a processor can be taken from it at any point. */
uint64_t rings_waiting_bytes(const struct rings *rings);
/* Frees all. */
void rings_close(struct rings *rings);

#endif
