// SPDX-License-Identifier: Apache-2.0
/* What the agent does itself so that its programs have something to tell: harmless calls that carry a token. */
#ifndef SHIKRA_CANARY_H
#define SHIKRA_CANARY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* An io_uring of one entry. */
struct canary_ring {
	int fd; /* below 0: there is none here, and it is -errno */
	void *rings;
	void *entries;
	unsigned int *head, *tail, *mask, *array; /* head: of what has ended */
	unsigned int *ended_tail;
	uint32_t rings_bytes, entries_bytes;
};

struct canary {
	struct canary_ring ring;
	pid_t child;    /* 0: none */
	bool forbidden; /* a seccomp filter would end this process for a call without meaning */
};

struct provocation {
	uint32_t token;
	uint32_t families; /* bits of enum event_family: a call for each */
	uint32_t turn;     /* which of the processors that this thread may use: the next one each time */
	bool operation;    /* one of io_uring */
	const char *program; /* is executed and ends; NULL: none */
};

struct provoked {
	pid_t child;   /* as this process sees it; below 0: -errno */
	int calls;     /* 0, or -errno */
	int operation; /* 0, or -errno */
};

/* Before any program is attached: setting up io_uring is an event. */
void canary_open(struct canary *canary);
struct provoked canary_provoke(struct canary *canary, const struct provocation *provocation);
/* Takes the child's end. True if there is none (left). */
bool canary_reap(struct canary *canary);
void canary_close(struct canary *canary);

#endif
