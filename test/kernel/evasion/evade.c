// SPDX-License-Identifier: Apache-2.0
/* Does one thing in the way of somebody who does not want to be seen doing it: `evade WAY ARGUMENT...`. Prints the result (negative: -errno). */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <linux/sched.h>
#include <linux/userfaultfd.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ring.h"

#define IS(text) (!strcmp(way, text))
#define NO_SUCH_WAY -100000

static struct sockaddr_in loopback(int port)
{
	return (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
}

static void *low_memory(size_t bytes)
{
	return mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
}

#if defined(__x86_64__)
static long int80(long number, long a, long b, long c, long d)
{
	long result;

	__asm__ volatile("int $0x80" : "=a"(result) : "a"(number), "b"(a), "c"(b), "d"(c), "S"(d) : "memory", "r8", "r9", "r10", "r11");
	return result;
}
#else
static long int80(long number, long a, long b, long c, long d)
{
	(void)number, (void)a, (void)b, (void)c, (void)d;
	return -ENOSYS;
}
#endif

/* One of the calls on sockets by the multiplexer of 32-bit programs. */
static long socketcall(int call, int a, int b, int c, int d, int e, int f)
{
	int *arguments = low_memory(4096);

	memcpy(arguments, (int[]){ a, b, c, d, e, f }, 24);
	return int80(102, call, (long)arguments, 0, 0);
}

/* A thread writes one path and the other into the same memory as fast as it can. */
static char *flipped;
static const char *flip_texts[2];
static atomic_int flip_stop;
static atomic_uint flip_count;

/* On processors of their own, else one would wait for the other. */
static void pin(int processor)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(processor, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

#include "flood.h"

static void *flip(void *unused)
{
	pin(1);
	for (unsigned i = 0; !flip_stop; i++) {
		strcpy(flipped, flip_texts[i & 1]);
		atomic_store_explicit(&flip_count, i, memory_order_relaxed);
	}
	return unused;
}

/* Whether the other thread wrote since the last look: a call during which it waited for a processor was no race, and does not count as a try. */
static int has_flipped(void)
{
	static unsigned before;
	unsigned now = atomic_load_explicit(&flip_count, memory_order_relaxed);
	int has = now != before;

	before = now;
	return has;
}

static char *start_flipping(const char *one, const char *other, pthread_t *thread)
{
	flipped = low_memory(8192);
	flip_texts[0] = one;
	flip_texts[1] = other;
	strcpy(flipped, one);
	pthread_create(thread, NULL, flip, NULL);
	pin(0);
	return flipped;
}

/* The page of the path appears only when this thread says what stands on it, and is written over as soon as the call has read it. */
static int fault_fd;
static char *fault_page;
static const char *fault_texts[2], *fault_decoy;

/* Of two pages the kernel asks for one after the other, in an order of its own: the one that it has read says something else by the time that it has the second. */
static void *serve_faults(void *unused)
{
	char *copy = low_memory(4096), *read_before = NULL;
	struct uffd_msg message;

	while (read(fault_fd, &message, sizeof(message)) == sizeof(message)) {
		char *page = (char *)(message.arg.pagefault.address & ~4095UL);
		struct uffdio_copy give = { .dst = (unsigned long)page, .src = (unsigned long)copy, .len = 4096 };

		strcpy(copy, fault_texts[page != fault_page]);
		if (read_before) strcpy(read_before, fault_decoy);
		read_before = page;
		ioctl(fault_fd, UFFDIO_COPY, &give);
	}
	return unused;
}

static char *faulting_path(const char *text, pthread_t *thread)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register range = { .mode = UFFDIO_REGISTER_MODE_MISSING };

	fault_fd = syscall(SYS_userfaultfd, O_CLOEXEC);
	fault_page = low_memory(8192);
	fault_texts[0] = text;
	range.range.start = (unsigned long)fault_page;
	range.range.len = 8192;
	if (fault_fd < 0 || ioctl(fault_fd, UFFDIO_API, &api) || ioctl(fault_fd, UFFDIO_REGISTER, &range))
		return NULL;
	pthread_create(thread, NULL, serve_faults, NULL);
	return fault_page;
}

struct program { char **argv; };

static void *execute(void *of)
{
	char **argv = ((struct program *)of)->argv;

	execv(argv[0], argv);
	return NULL;
}

static long files(const char *way, char **argv)
{
	pthread_t thread;
	int fd = -1;

	if (IS("uring")) return ring_run(argv, 0);
	if (IS("uring-overflown")) return ring_run_overflown(argv);
	if (IS("uring-sqpoll")) return ring_run(argv, IORING_SETUP_SQPOLL);
	if (IS("uring-skip-success")) {
		ring_sqe_flags = IOSQE_CQE_SKIP_SUCCESS;
		return ring_run(argv, 0);
	}
	if (IS("uring-worker")) {
		ring_sqe_flags = IOSQE_ASYNC;
		return ring_run(argv, 0);
	}
	if (IS("open-flipped")) {
		/* open-flipped WANTED DECOY TIMES: the first result that is the wanted file ends it */
		char *path = start_flipping(argv[0], argv[1], &thread);
		struct stat wanted, got;

		stat(argv[0], &wanted);
		for (int left = atoi(argv[2]); left > 0; left -= has_flipped()) {
			fd = open(path, O_RDONLY);
			if (fd >= 0 && !fstat(fd, &got) && got.st_ino == wanted.st_ino && strcmp(path, argv[0])) break;
			close(fd);
		}
		flip_stop = 1;
		pthread_join(thread, NULL);
		return fd;
	}
	if (IS("unlink-flipped") || IS("rename-flipped")) {
		/* unlink-flipped ONE OTHER TIMES: neither is there, so it goes on */
		char *path = start_flipping(argv[0], argv[1], &thread);

		for (int left = atoi(argv[2]); left > 0; left -= has_flipped()) {
			if (IS("unlink-flipped")) unlink(path);
			else rename("/nowhere", path);
			usleep(50);
		}
		flip_stop = 1;
		pthread_join(thread, NULL);
		return 0;
	}
	if (IS("open-faulting")) {
		char *path = faulting_path(argv[0], &thread);

		if (!path) return -1;
		fd = open(path, O_RDONLY);
		strcpy(path, argv[1]);
		return fd;
	}
	if (IS("rename-faulting")) {
		/* rename-faulting FROM TO DECOY */
		fault_texts[1] = argv[1];
		fault_decoy = argv[2];
		return faulting_path(argv[0], &thread) ? rename(fault_page, fault_page + 4096) : -1;
	}
	if (IS("mkdir")) return mkdir(argv[0], 0700);
	if (IS("unlink-int80")) return int80(10, (long)strcpy(low_memory(4096), argv[0]), 0, 0, 0);
	if (IS("x32")) return syscall(0x40000000 + atoi(argv[0]), AT_FDCWD, argv[1], O_RDONLY, 0);
	if (IS("int80")) return int80(atoi(argv[0]), (long)low_memory(4096), (long)low_memory(4096), 0, 0);
	if (IS("open-passed")) {
		/* another process opens, and passes the descriptor over a socket to one that never opened anything */
		int pair[2];
		char control[CMSG_SPACE(sizeof(int))] = {}, byte = 0;
		struct iovec iov = { &byte, 1 };
		struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control) };
		struct cmsghdr *header = CMSG_FIRSTHDR(&message);

		socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
		if (!fork()) {
			fd = open(argv[0], O_RDONLY);
			header->cmsg_level = SOL_SOCKET;
			header->cmsg_type = SCM_RIGHTS;
			header->cmsg_len = CMSG_LEN(sizeof(int));
			memcpy(CMSG_DATA(header), &fd, sizeof(int));
			_exit(sendmsg(pair[0], &message, 0) != 1);
		}
		wait(NULL);
		if (recvmsg(pair[1], &message, 0) != 1) return -1;
		memcpy(&fd, CMSG_DATA(header), sizeof(int));
		/* the descriptor alone says what it leads to */
		return syscall(SYS_fchmod, fd, 0640);
	}
	return NO_SUCH_WAY;
}

static long sockets(const char *way, char **argv)
{
	struct sockaddr_in address;
	int fd;

	if (IS("connect-socketcall")) {
		struct sockaddr_in *to = low_memory(4096);

		*to = loopback(atoi(argv[0]));
		fd = socketcall(1, AF_INET, SOCK_DGRAM, 0, 0, 0, 0);
		return socketcall(3, fd, (int)(long)to, sizeof(*to), 0, 0, 0);
	}
	if (IS("sendto-socketcall")) {
		struct sockaddr_in *to = low_memory(4096);
		char *text = (char *)(to + 1);

		*to = loopback(atoi(argv[0]));
		strcpy(text, "payload");
		fd = socketcall(1, AF_INET, SOCK_DGRAM, 0, 0, 0, 0);
		return socketcall(11, fd, (int)(long)text, 7, 0, (int)(long)to, sizeof(*to));
	}
	address = loopback(argv[0] ? atoi(argv[0]) : 0);
	if (IS("sendto")) return sendto(socket(AF_INET, SOCK_DGRAM, 0), "payload", 7, 0, (void *)&address, sizeof(address));
	if (IS("sendto-bytes")) return sendto(socket(AF_INET, SOCK_DGRAM, 0), "\xca\xfe\xba\xbe\0\xff", 6, 0, (void *)&address, sizeof(address));
	if (IS("fastopen")) {
		return sendto(socket(AF_INET, SOCK_STREAM, 0), "payload", 7, MSG_FASTOPEN | MSG_NOSIGNAL, (void *)&address, sizeof(address));
	}
	if (IS("connect-nonblocking")) return connect(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), (void *)&address, sizeof(address));
	if (IS("send-connected")) {
		fd = socket(AF_INET, SOCK_DGRAM, 0);
		connect(fd, (void *)&address, sizeof(address));
		return sendto(fd, "payload", 7, 0, NULL, 0);
	}
	if (IS("sendmsg") || IS("sendmmsg")) {
		struct sockaddr_in other = loopback(argv[1] ? atoi(argv[1]) : 0);
		struct iovec parts[2] = { { "pay", 3 }, { "load", 4 } }, second = { "second", 6 };
		struct mmsghdr messages[2] = {
			{ .msg_hdr = { .msg_name = &address, .msg_namelen = sizeof(address), .msg_iov = parts, .msg_iovlen = 2 } },
			{ .msg_hdr = { .msg_name = &other, .msg_namelen = sizeof(other), .msg_iov = &second, .msg_iovlen = 1 } },
		};

		fd = socket(AF_INET, SOCK_DGRAM, 0);
		return IS("sendmsg") ? sendmsg(fd, &messages[0].msg_hdr, 0) : sendmmsg(fd, messages, 2, 0);
	}
	if (IS("recvfrom") || IS("recvmsg") || IS("recvmmsg")) {
		struct sockaddr_in from = {};
		socklen_t length = sizeof(address);
		char text[16] = {};
		struct iovec iov = { text, sizeof(text) };
		struct mmsghdr message = { .msg_hdr = { .msg_name = &from, .msg_namelen = sizeof(from), .msg_iov = &iov, .msg_iovlen = 1 } };
		int client = socket(AF_INET, SOCK_DGRAM, 0);

		fd = socket(AF_INET, SOCK_DGRAM, 0);
		bind(fd, (void *)&address, sizeof(address));
		getsockname(fd, (void *)&address, &length);
		if (write(client, "", 0) < 0) errno = 0;
		connect(client, (void *)&address, sizeof(address));
		if (write(client, "payload", 7) != 7) return -1;
		if (IS("recvfrom")) return recvfrom(fd, text, sizeof(text), 0, (void *)&from, &(socklen_t){ sizeof(from) });
		if (IS("recvmsg")) return recvmsg(fd, &message.msg_hdr, 0);
		return recvmmsg(fd, &message, 1, 0, NULL);
	}
	if (IS("abstract")) {
		struct sockaddr_un un = { .sun_family = AF_UNIX, .sun_path = "\0hidden" };

		fd = socket(AF_UNIX, SOCK_STREAM, 0);
		bind(fd, (void *)&un, 2 + 7);
		listen(fd, 1);
		return connect(socket(AF_UNIX, SOCK_STREAM, 0), (void *)&un, 2 + 7);
	}
	if (IS("odd-pointers")) {
		/* addresses that a careless reader in the kernel dies of */
		fd = socket(AF_INET, SOCK_STREAM, 0);
		connect(fd, (void *)0xffffffffff600000, 16);
		connect(fd, (void *)0x8000000000000000, 16);
		open((void *)0xffffffffff600000, O_RDONLY);
		return syscall(SYS_sendmsg, fd, (void *)0xffffffffff600000, 0);
	}
	return NO_SUCH_WAY;
}

/* A child of a kind that few make; it ends at once. */
static long processes(const char *way, char **argv)
{
	struct program program = { argv };
	pthread_t thread;
	pid_t child;

	if (IS("clone3")) {
		struct clone_args args = { .flags = CLONE_PARENT | CLONE_FILES, .exit_signal = 0 };

		child = syscall(SYS_clone3, &args, sizeof(args));
		if (!child) _exit(0);
		return child;
	}
	if (IS("vfork")) {
		child = vfork();
		if (!child) {
			execv(argv[0], argv);
			_exit(1);
		}
		waitpid(child, NULL, 0);
		return child;
	}
	if (IS("exec-by-thread")) {
		pthread_create(&thread, NULL, execute, &program);
		for (;;) pause();
	}
	if (IS("exec-by-orphan-thread")) {
		/* the leader is a zombie by the time that the other thread executes */
		pthread_create(&thread, NULL, execute, &program);
		syscall(SYS_exit, 0);
	}
	if (IS("double-fork")) {
		/* the parent is gone before the program starts */
		if (!fork()) {
			if (fork()) _exit(0);
			while (getppid() == atoi(argv[0])) sched_yield();
			execv(argv[1], argv + 1);
		}
		wait(NULL);
		usleep(100000);
		return 0;
	}
	if (IS("deep")) {
		/* deep LEVELS PROGRAM: a chain of processes, each waiting for its child */
		for (int level = atoi(argv[0]); level > 0; level--) {
			child = fork();
			if (child) return waitpid(child, NULL, 0) == child ? child : -1;
		}
		execv(argv[1], argv + 1);
	}
	if (IS("renamed")) {
		prctl(PR_SET_NAME, "sshd");
		memset(argv[0], 'x', strlen(argv[0]));
		return open("/etc/hostname", O_RDONLY);
	}
	if (IS("unlinked")) {
		unlink("/proc/self/exe");
		unlink(argv[0]);
		return open("/etc/hostname", O_RDONLY);
	}
	if (IS("fexecve")) return fexecve(open(argv[0], O_RDONLY | O_CLOEXEC), argv, environ);
	if (IS("long-argv")) {
		/* long-argv PROGRAM: a hundred kilobytes, and then what it is about */
		char *padding = malloc(1000);
		char *many[102] = { argv[0], "nothing" };

		memset(padding, ' ', 999);
		padding[999] = 0;
		for (int i = 2; i < 100; i++) many[i] = padding;
		many[100] = "the-payload";
		return execv(argv[0], many);
	}
	if (IS("flood")) return flood(argv);
	if (IS("wait")) {
		/* wait FILE: opens it when a line comes */
		char byte;

		if (read(0, &byte, 1) != 1) return -1;
		return open(argv[0], O_RDONLY);
	}
	if (IS("duplicated-socket")) {
		struct sockaddr_in address = loopback(atoi(argv[0]));
		int fd = socket(AF_INET, SOCK_STREAM, 0);

		if (connect(fd, (void *)&address, sizeof(address))) return -1;
		return syscall(SYS_dup2, dup(dup(fd)), 100);
	}
	return NO_SUCH_WAY;
}

int main(int argc, char **argv)
{
	long result;

	if (argc < 2) return 2;
	errno = 0;
	result = files(argv[1], argv + 2);
	if (result == NO_SUCH_WAY) result = sockets(argv[1], argv + 2);
	if (result == NO_SUCH_WAY) result = processes(argv[1], argv + 2);
	if (result == NO_SUCH_WAY) {
		fprintf(stderr, "evade: no such way: %s\n", argv[1]);
		return 2;
	}
	printf("%ld\n", result == -1 && errno ? -errno : result);
	return 0;
}
