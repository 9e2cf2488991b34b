// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE /* pthread_setname_np */
#include "rings.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

/* A record that crosses no watermark is looked for this often: the upper bound of what batching adds to latency. */
#define POLL_MILLIS 10
/* Parts of a ring. Waiting data that wakes the reader; what is written, by all CPUs that share it, between two looks; what is left to those who write little. */
#define WAKEUP_PART 8
#define LOOK_PART 256
#define HEADROOM_PART 4
/* How many parts a ring is handed out in. */
#define PARTS 16
/* The largest record (RECORD_STRINGS_BYTES of record.bpf.h), and the beginnings of it and of the next. */
#define RECORD_BYTES (32768 + 64)
#define LINE_BYTES 64
/* As many as a processor waits for at a time. */
#define LINES_AHEAD 16

void rings_init(struct rings *rings)
{
	rings->page_bytes = sysconf(_SC_PAGESIZE);
	rings->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	rings->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
}

struct ring_settings ring_settings(uint32_t bytes, uint32_t cpus)
{
	return (struct ring_settings){
		.bytes = bytes,
		.look_bytes = bytes / LOOK_PART / cpus,
		.wakeup_bytes = bytes / WAKEUP_PART,
		.pressed_bytes = bytes - bytes / HEADROOM_PART,
	};
}

/* The kernel offers the data twice in a row, so that a record never wraps; here it is once. The reader copies the one record in a ring's length that wraps. */
static bool make_ring(struct rings *rings, struct ring *ring, uint32_t bytes)
{
	ring->bytes = bytes;
	ring->fd = bpf_map_create(BPF_MAP_TYPE_RINGBUF, "shikra_ring", 0, 0, bytes, NULL);
	if (ring->fd < 0)
		return false;
	ring->consumer = mmap(NULL, rings->page_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, ring->fd, 0);
	if (ring->consumer == MAP_FAILED) {
		ring->consumer = NULL;
		return false;
	}
	ring->producer = mmap(NULL, rings->page_bytes, PROT_READ, MAP_SHARED, ring->fd, rings->page_bytes);
	if (ring->producer == MAP_FAILED) {
		ring->producer = NULL;
		return false;
	}
	return window_open(&ring->window, ring->fd, 2 * rings->page_bytes, bytes, rings->page_bytes);
}

/* All at once: after each change of such a map the kernel waits until no program runs that could have seen it as it was, ten milliseconds and more. */
static bool put_in_slots(struct rings *rings, int map, uint32_t cpus, uint32_t cpus_per_ring)
{
	uint32_t each = rings->count / RING_KINDS, count = 0, slots[RINGS_MAX];
	int fds[RINGS_MAX];

	for (uint32_t kind = 0; kind < RING_KINDS; kind++) {
		for (uint32_t cpu = 0; cpu < cpus; cpu++) {
			slots[count] = kind * CPUS_MAX + cpu;
			fds[count++] = rings->all[kind * each + cpu / cpus_per_ring].fd;
		}
	}
	if (!bpf_map_update_batch(map, slots, fds, &count, NULL))
		return true;
	/* a kernel that does not take several */
	for (uint32_t i = 0; i < RING_KINDS * cpus; i++)
		if (bpf_map_update_elem(map, &slots[i], &fds[i], BPF_ANY))
			return false;
	return true;
}

bool rings_make(struct rings *rings, int map, uint32_t cpus, uint32_t cpus_per_ring, const uint32_t *bytes)
{
	uint32_t each = (cpus + cpus_per_ring - 1) / cpus_per_ring;

	if (cpus > CPUS_MAX) {
		errno = E2BIG;
		return false;
	}
	rings->count = each * RING_KINDS;
	for (uint32_t i = 0; i < rings->count; i++) {
		struct epoll_event event = { .events = EPOLLIN | EPOLLET };

		if (!make_ring(rings, &rings->all[i], bytes[i / each]) || epoll_ctl(rings->epoll_fd, EPOLL_CTL_ADD, rings->all[i].fd, &event))
			return false;
	}
	return put_in_slots(rings, map, cpus, cpus_per_ring);
}

void *ring_data(struct rings *rings, uint32_t ring, size_t *bytes)
{
	rings->lent = true;
	*bytes = rings->all[ring].bytes;
	return rings->all[ring].window.data;
}

static unsigned long produced_of(const struct ring *ring)
{
	return __atomic_load_n(ring->producer, __ATOMIC_ACQUIRE);
}

static unsigned long consumed_of(const struct ring *ring)
{
	return __atomic_load_n(ring->consumer, __ATOMIC_ACQUIRE);
}

static bool any_waiting(const struct rings *rings)
{
	for (uint32_t i = 0; i < rings->count; i++)
		if (produced_of(&rings->all[i]) != consumed_of(&rings->all[i]))
			return true;
	return false;
}

/* Sleeps until a ring passes its mark or the time is up; tells JavaScript once, then waits until it came. Touches no Node state. */
static void *watch(void *argument)
{
	struct rings *rings = argument;
	struct epoll_event events[8];

	pthread_setname_np(pthread_self(), "shikra-ring");
	for (;;) {
		int count = epoll_wait(rings->epoll_fd, events, 8, POLL_MILLIS);

		for (int i = 0; i < count; i++)
			if (events[i].data.fd == rings->stop_fd)
				return NULL;
		if (any_waiting(rings) && !atomic_exchange(&rings->notified, true))
			rings->notify(rings->context);
	}
}

bool rings_watch(struct rings *rings, rings_notify notify, void *context)
{
	struct epoll_event stop = { .events = EPOLLIN, .data.fd = rings->stop_fd };

	rings->notify = notify;
	rings->context = context;
	if (epoll_ctl(rings->epoll_fd, EPOLL_CTL_ADD, rings->stop_fd, &stop))
		return false;
	errno = pthread_create(&rings->thread, NULL, watch, rings);
	rings->thread_runs = errno == 0;
	return rings->thread_runs;
}

void rings_unwatch(struct rings *rings)
{
	uint64_t one = 1;

	if (!rings->thread_runs)
		return;
	if (write(rings->stop_fd, &one, sizeof(one)) == sizeof(one))
		pthread_join(rings->thread, NULL);
	rings->thread_runs = false;
}

/*
 * Another processor wrote the records: each line of them takes as long to come as a record takes to be looked at. Asked for some lines ahead, they come side by
 * side, and are there for the walk and for JavaScript.
 */
static unsigned long fetch(const struct ring *ring, unsigned long from, unsigned long to)
{
	for (; from < to; from += LINE_BYTES)
		__builtin_prefetch(ring->window.data + (from & (ring->bytes - 1)), 0, 2);
	return from;
}

/* What was handed out stays mapped, and what a walk by a part may come to is. */
static bool show(struct ring *ring, unsigned long produced)
{
	unsigned long end = ring->complete + ring->bytes / PARTS + RECORD_BYTES;

	return window_show(&ring->window, *ring->consumer, end < produced ? end : produced);
}

/* Follows the headers of finished records, for a part of the ring; one under construction has its busy bit set and ends the walk. */
static unsigned long complete_position(struct ring *ring, unsigned long produced)
{
	unsigned long at = ring->complete;
	unsigned long end = at + ring->bytes / PARTS;
	unsigned long fetched = at;

	while (at < produced && at < end) {
		unsigned long ahead = at + LINES_AHEAD * LINE_BYTES;

		fetched = fetch(ring, fetched, ahead < produced ? ahead : produced);
		uint32_t header = __atomic_load_n((uint32_t *)(ring->window.data + (at & (ring->bytes - 1))), __ATOMIC_ACQUIRE);

		if (header & BPF_RINGBUF_BUSY_BIT)
			break;
		at += ((header & ~BPF_RINGBUF_DISCARD_BIT) + BPF_RINGBUF_HDR_SZ + 7) & ~7UL;
	}
	ring->complete = at;
	return at;
}

/* The time of the record there, if it is finished: the walk ended before it. Else all that is older is before it (see rings_advance). */
static double time_of_next(const struct ring *ring, unsigned long produced, double otherwise)
{
	unsigned long at = ring->complete;
	const struct event_header *header = (void *)(ring->window.data + ((at + BPF_RINGBUF_HDR_SZ) & (ring->bytes - 1)));

	if (at >= produced || __atomic_load_n((uint32_t *)(ring->window.data + (at & (ring->bytes - 1))), __ATOMIC_ACQUIRE) & BPF_RINGBUF_BUSY_BIT)
		return otherwise;
	return header->time_ns < otherwise ? header->time_ns : otherwise;
}

static double boot_time_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return now.tv_sec * 1e9 + now.tv_nsec;
}

bool rings_advance(struct rings *rings, double *positions)
{
	unsigned long produced[RINGS_MAX];
	double *until = &positions[2 * rings->count];
	double *used = until + 1;
	bool waiting = false;

	atomic_store(&rings->notified, false);
	/*
	 * The time first: what is older and is told has been written by now, whichever ring it is in. What is newer may follow on something that is not
	 * seen yet, in a ring that was looked at before: its time has not come.
	 */
	*until = boot_time_ns();
	for (uint32_t i = 0; i < rings->count; i++)
		produced[i] = produced_of(&rings->all[i]);
	for (uint32_t i = 0; i < rings->count; i++) {
		struct ring *ring = &rings->all[i];
		unsigned long consumed = positions[2 * i];

		/* never past what was handed out: JavaScript is not trusted with the kernel's cursor */
		if (consumed <= ring->complete && consumed >= *ring->consumer)
			__atomic_store_n(ring->consumer, consumed, __ATOMIC_RELEASE);
		used[i] = produced[i] - *ring->consumer;
		if (!show(ring, produced[i])) {
			*until = 0; /* without this one nothing is complete */
			positions[2 * i + 1] = ring->complete;
			continue;
		}
		positions[2 * i + 1] = complete_position(ring, produced[i]);
		*until = time_of_next(ring, produced[i], *until);
		waiting |= positions[2 * i + 1] != positions[2 * i];
	}
	return waiting;
}

uint64_t rings_waiting_bytes(const struct rings *rings)
{
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < rings->count; i++)
		bytes += produced_of(&rings->all[i]) - consumed_of(&rings->all[i]);
	return bytes;
}

void rings_close(struct rings *rings)
{
	rings_unwatch(rings);
	for (uint32_t i = 0; i < rings->count; i++) {
		struct ring *ring = &rings->all[i];

		if (!rings->lent)
			window_close(&ring->window);
		if (ring->producer)
			munmap(ring->producer, rings->page_bytes);
		if (ring->consumer)
			munmap(ring->consumer, rings->page_bytes);
		if (ring->fd > 0)
			close(ring->fd);
	}
	rings->count = 0;
	close(rings->epoll_fd);
	close(rings->stop_fd);
}
