// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "canary.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <sched.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../bpf/event_host.h"

static bool map_ring(struct canary_ring *ring, const struct io_uring_params *params)
{
	char *rings;

	ring->rings_bytes = params->cq_off.cqes + params->cq_entries * sizeof(struct io_uring_cqe);
	ring->entries_bytes = params->sq_entries * sizeof(struct io_uring_sqe);
	ring->rings = mmap(NULL, ring->rings_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, ring->fd, IORING_OFF_SQ_RING);
	ring->entries = mmap(NULL, ring->entries_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, ring->fd, IORING_OFF_SQES);
	if (ring->rings == MAP_FAILED || ring->entries == MAP_FAILED)
		return false;
	rings = ring->rings;
	ring->tail = (unsigned int *)(rings + params->sq_off.tail);
	ring->mask = (unsigned int *)(rings + params->sq_off.ring_mask);
	ring->array = (unsigned int *)(rings + params->sq_off.array);
	ring->head = (unsigned int *)(rings + params->cq_off.head);
	ring->ended_tail = (unsigned int *)(rings + params->cq_off.tail);
	return true;
}

static void close_ring(struct canary_ring *ring)
{
	if (ring->rings && ring->rings != MAP_FAILED)
		munmap(ring->rings, ring->rings_bytes);
	if (ring->entries && ring->entries != MAP_FAILED)
		munmap(ring->entries, ring->entries_bytes);
	if (ring->fd >= 0)
		close(ring->fd);
}

static bool has_seccomp_filter(void)
{
	FILE *file = fopen("/proc/thread-self/status", "re");
	char line[256];
	int mode = 0;

	while (file && fgets(line, sizeof(line), file))
		sscanf(line, "Seccomp: %d", &mode);
	if (file)
		fclose(file);
	return mode == 2;
}

/* A filter may end a process for a call that it does not know. So a child tries them all. */
static bool may_call(void)
{
	struct io_uring_params params = {};
	cpu_set_t processors;
	int status;
	pid_t child = vfork();

	if (!child) {
		syscall(CANARY_CALLS + FAMILY_SCALAR, 0L, 0L, 0L, 0L, 0L, 0L);
		syscall(__NR_io_uring_setup, 1, &params);
		if (!sched_getaffinity(0, sizeof(processors), &processors))
			sched_setaffinity(0, sizeof(processors), &processors);
		_exit(0);
	}
	return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status);
}

void canary_open(struct canary *canary)
{
	struct io_uring_params params = {};
	struct canary_ring *ring = &canary->ring;

	if (has_seccomp_filter() && !may_call()) {
		canary->forbidden = true;
		ring->fd = -EPERM;
		return;
	}
	ring->fd = syscall(__NR_io_uring_setup, 1, &params);
	if (ring->fd < 0 || !(params.features & IORING_FEAT_SINGLE_MMAP) || !map_ring(ring, &params)) {
		int number = ring->fd < 0 ? errno : ENOMEM;

		close_ring(ring);
		*ring = (struct canary_ring){ .fd = -number };
	}
}

void canary_close(struct canary *canary)
{
	close_ring(&canary->ring);
	canary->ring = (struct canary_ring){ .fd = -EBADF };
	if (canary->child)
		waitpid(canary->child, NULL, 0);
	canary->child = 0;
}

/* An operation that does nothing. 0, or -errno. */
static int operate(struct canary_ring *ring, uint32_t token)
{
	unsigned int tail;
	struct io_uring_sqe *entry;

	if (ring->fd < 0)
		return ring->fd;
	tail = *ring->tail;
	entry = (struct io_uring_sqe *)ring->entries + (tail & *ring->mask);
	*entry = (struct io_uring_sqe){ .opcode = IORING_OP_NOP, .fd = -1, .user_data = (__u64)CANARY_MARK << 32 | token };
	ring->array[tail & *ring->mask] = tail & *ring->mask;
	__atomic_store_n(ring->tail, tail + 1, __ATOMIC_RELEASE);
	/* the size of a signal mask that is not there: nobody looks at it but who knows this call by it */
	if (syscall(__NR_io_uring_enter, ring->fd, 1L, 1L, (long)IORING_ENTER_GETEVENTS, NULL, (long)token) < 0)
		return -errno;
	__atomic_store_n(ring->head, __atomic_load_n(ring->ended_tail, __ATOMIC_ACQUIRE), __ATOMIC_RELEASE);
	return 0;
}

/* Calls by numbers that no kernel gives a meaning to: they fail, and what hooks calls sees them like any other. */
static void call(uint32_t families, uint32_t token)
{
	uint32_t socketcall[6] = { token };
	char path[32];

	snprintf(path, sizeof(path), "shikra-canary-%08x", token);
	for (long family = 0; family < FAMILIES; family++) {
		long number = CANARY_CALLS + family;

		if (!(families & 1 << family))
			continue;
		switch (family) {
		case FAMILY_OPEN:
			syscall(number, (long)AT_FDCWD, 0L, (long)token);
			break;
		case FAMILY_PATH:
			syscall(number, (long)AT_FDCWD, path, (long)token);
			break;
		case FAMILY_DESCRIPTOR:
			syscall(number, -1L, (long)token);
			break;
		case FAMILY_SOCKETCALL:
			syscall(number, (long)CANARY_SOCKETCALL, socketcall);
			break;
		default:
			syscall(number, (long)token, 0L, 0L, 0L, 0L, 0L);
		}
	}
}

/* A process that executes something and ends. Its number, or -errno. */
static pid_t spawn(const char *program, uint32_t token)
{
	char text[16], *arguments[] = { "shikra-canary", text, NULL }, *environment[] = { NULL };
	pid_t child;
	int number;

	snprintf(text, sizeof(text), "%08x", token);
	number = posix_spawn(&child, program, NULL, NULL, arguments, environment);
	return number ? -number : child;
}

/* Moves this thread to one of the processors that it may use. False: it stays where it is, and there is nothing to take back. */
static bool move(uint32_t turn, cpu_set_t *before)
{
	cpu_set_t one;
	int count, nth;

	if (sched_getaffinity(0, sizeof(*before), before))
		return false;
	count = CPU_COUNT(before);
	nth = turn % count;
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, before) || nth--)
			continue;
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		return !sched_setaffinity(0, sizeof(one), &one);
	}
	return false;
}

struct provoked canary_provoke(struct canary *canary, const struct provocation *provocation)
{
	struct provoked provoked = { .child = provocation->program ? -EBUSY : 0 };
	cpu_set_t before;
	bool moved = !canary->forbidden && move(provocation->turn, &before);

	if (canary->forbidden)
		provoked.calls = -EPERM;
	else
		call(provocation->families, provocation->token);
	if (provocation->operation)
		provoked.operation = operate(&canary->ring, provocation->token);
	if (provocation->program && canary_reap(canary)) {
		provoked.child = spawn(provocation->program, provocation->token);
		canary->child = provoked.child > 0 ? provoked.child : 0;
	}
	if (moved)
		sched_setaffinity(0, sizeof(before), &before);
	return provoked;
}

bool canary_reap(struct canary *canary)
{
	if (canary->child && waitpid(canary->child, NULL, WNOHANG) != 0)
		canary->child = 0;
	return !canary->child;
}
