// SPDX-License-Identifier: Apache-2.0
/* One operation through io_uring, by its two system calls alone. */
static unsigned char ring_sqe_flags;
/* How many answers it has. */
static unsigned ring_answers = 1;

static int ring_listening(struct sockaddr_in *address, int connections)
{
	socklen_t length = sizeof(*address);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	*address = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	bind(fd, (void *)address, sizeof(*address));
	listen(fd, connections);
	getsockname(fd, (void *)address, &length);
	while (connections-- > 0)
		if (connect(socket(AF_INET, SOCK_STREAM, 0), (void *)address, length)) return -1;
	return fd;
}

/* A socket for datagrams with some that wait. */
static int ring_received(struct sockaddr_in *address, int datagrams)
{
	socklen_t length = sizeof(*address);
	int fd = socket(AF_INET, SOCK_DGRAM, 0), client = socket(AF_INET, SOCK_DGRAM, 0);

	*address = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	bind(fd, (void *)address, sizeof(*address));
	getsockname(fd, (void *)address, &length);
	connect(client, (void *)address, length);
	while (datagrams-- > 0)
		if (write(client, "payload", 7) != 7) return -1;
	return fd;
}

static int ring_fill(struct io_uring_sqe *sqe, char **argv)
{
	static struct open_how_of { unsigned long long flags, mode, resolve; } how;
	static struct sockaddr_in address;
	const char *operation = argv[0];

	sqe->flags = ring_sqe_flags;
	sqe->fd = AT_FDCWD;
	sqe->addr = (unsigned long)argv[1];
	if (!strcmp(operation, "openat")) {
		sqe->opcode = IORING_OP_OPENAT;
		sqe->open_flags = O_RDWR | O_CREAT;
		sqe->len = 0640;
	} else if (!strcmp(operation, "openat2")) {
		sqe->opcode = IORING_OP_OPENAT2;
		sqe->off = (unsigned long)&how;
		sqe->len = sizeof(how);
	} else if (!strcmp(operation, "openat-direct")) {
		sqe->opcode = IORING_OP_OPENAT;
		sqe->file_index = 1;
	} else if (!strcmp(operation, "unlinkat")) {
		sqe->opcode = IORING_OP_UNLINKAT;
	} else if (!strcmp(operation, "mkdirat")) {
		sqe->opcode = IORING_OP_MKDIRAT;
		sqe->len = 0700;
	} else if (!strcmp(operation, "renameat2") || !strcmp(operation, "linkat")) {
		sqe->opcode = *operation == 'r' ? IORING_OP_RENAMEAT : IORING_OP_LINKAT;
		sqe->len = AT_FDCWD;
		sqe->off = (unsigned long)argv[2];
	} else if (!strcmp(operation, "symlinkat")) {
		sqe->opcode = IORING_OP_SYMLINKAT;
		sqe->off = (unsigned long)argv[2];
	} else if (!strcmp(operation, "socket")) {
		sqe->opcode = 45; /* IORING_OP_SOCKET, newer than some headers */
		sqe->fd = AF_INET;
		sqe->off = SOCK_STREAM;
		sqe->addr = 0;
	} else if (!strcmp(operation, "connect")) {
		address = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(atoi(argv[1])), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
		sqe->opcode = IORING_OP_CONNECT;
		sqe->fd = socket(AF_INET, SOCK_STREAM, 0);
		sqe->addr = (unsigned long)&address;
		sqe->off = sizeof(address);
	} else if (!strncmp(operation, "send", 4)) {
		static struct iovec part = { "payload", 7 };
		static struct msghdr message = { .msg_name = &address, .msg_namelen = sizeof(address), .msg_iov = &part, .msg_iovlen = 1 };

		address = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(atoi(argv[1])), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
		if (strstr(operation, "-zc")) sqe->opcode = operation[4] == 't' ? 47 : 48; /* IORING_OP_SEND_ZC, IORING_OP_SENDMSG_ZC, newer than some headers */
		else sqe->opcode = operation[4] == 't' ? IORING_OP_SEND : IORING_OP_SENDMSG;
		sqe->fd = socket(AF_INET, SOCK_DGRAM, 0);
		sqe->addr = operation[4] == 't' ? (unsigned long)"payload" : (unsigned long)&message;
		sqe->len = operation[4] == 't' ? 7 : 1;
		if (operation[4] == 't') {
			sqe->off = (unsigned long)&address;
			/* addr_len, newer than some headers */
			*(unsigned short *)&sqe->file_index = sizeof(address);
		}
	} else if (!strncmp(operation, "accept4", 7)) {
		ring_answers = strcmp(operation, "accept4-multishot") ? 1 : 2;
		sqe->opcode = IORING_OP_ACCEPT;
		sqe->fd = ring_listening(&address, ring_answers);
		sqe->addr = 0;
		if (ring_answers > 1) sqe->ioprio = 1 /* IORING_ACCEPT_MULTISHOT */;
		if (!strcmp(operation, "accept4-direct")) sqe->file_index = 1;
	} else if (!strcmp(operation, "recv") || !strcmp(operation, "recvmsg")) {
		static char text[16];
		static struct iovec part = { text, sizeof(text) };
		static struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };

		sqe->opcode = operation[4] ? IORING_OP_RECVMSG : IORING_OP_RECV;
		sqe->fd = ring_received(&address, 1);
		sqe->addr = operation[4] ? (unsigned long)&message : (unsigned long)text;
		sqe->len = operation[4] ? 1 : sizeof(text);
	} else if (!strcmp(operation, "bind")) {
		address = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(atoi(argv[1])), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
		sqe->opcode = 56; /* IORING_OP_BIND */
		sqe->fd = socket(AF_INET, SOCK_STREAM, 0);
		sqe->addr = (unsigned long)&address;
		sqe->off = sizeof(address);
	} else if (!strcmp(operation, "listen")) {
		sqe->opcode = 57; /* IORING_OP_LISTEN */
		sqe->fd = ring_listening(&address, 0);
		sqe->addr = 0;
		sqe->len = atoi(argv[1]);
	} else if (!strcmp(operation, "ftruncate")) {
		sqe->opcode = 55; /* IORING_OP_FTRUNCATE, newer than some headers */
		sqe->fd = open(argv[1], O_RDWR);
		sqe->addr = 0;
		sqe->off = atoi(argv[2]);
	} else if (!strcmp(operation, "setxattr") || !strcmp(operation, "fsetxattr")) {
		sqe->opcode = *operation == 'f' ? IORING_OP_FSETXATTR : IORING_OP_SETXATTR;
		sqe->fd = *operation == 'f' ? open(argv[1], O_RDWR) : 0;
		if (*operation != 'f') sqe->addr3 = (unsigned long)argv[1];
		sqe->addr = (unsigned long)argv[2];
		sqe->addr2 = (unsigned long)"value";
		sqe->len = 5;
	} else if (!strcmp(operation, "splice")) {
		int ends[2];

		if (pipe(ends)) return -1;
		sqe->opcode = IORING_OP_SPLICE;
		sqe->fd = ends[1];
		sqe->splice_fd_in = open(argv[1], O_RDONLY);
		sqe->splice_off_in = 0;
		sqe->off = -1;
		sqe->len = 4;
	} else if (!strcmp(operation, "install")) {
		sqe->opcode = 54; /* IORING_OP_FIXED_FD_INSTALL */
		sqe->flags |= IOSQE_FIXED_FILE;
		sqe->fd = 0;
		sqe->addr = 0;
	} else {
		return -1;
	}
	return 0;
}

static long ring_run(char **argv, unsigned flags)
{
	struct io_uring_params params = { .flags = flags, .sq_thread_idle = 1000 };
	int fd = syscall(SYS_io_uring_setup, 4, &params);
	char *submission, *completion;
	struct io_uring_sqe *sqes;
	struct io_uring_cqe *cqes;
	unsigned *tail, *head;

	if (fd < 0) return -1;
	submission = mmap(NULL, params.sq_off.array + params.sq_entries * 4, PROT_READ | PROT_WRITE, MAP_SHARED, fd, IORING_OFF_SQ_RING);
	completion = mmap(NULL, params.cq_off.cqes + params.cq_entries * sizeof(*cqes), PROT_READ | PROT_WRITE, MAP_SHARED, fd, IORING_OFF_CQ_RING);
	sqes = mmap(NULL, params.sq_entries * sizeof(*sqes), PROT_READ | PROT_WRITE, MAP_SHARED, fd, IORING_OFF_SQES);
	if (strstr(argv[0], "-direct") || !strcmp(argv[0], "install")) {
		int files[2] = { strcmp(argv[0], "install") ? -1 : open(argv[1], O_RDONLY), -1 };

		syscall(SYS_io_uring_register, fd, IORING_REGISTER_FILES, files, 2);
		if (files[0] >= 0) close(files[0]);
	}
	if (ring_fill(sqes, argv)) return -1;
	*(unsigned *)(submission + params.sq_off.array) = 0;
	tail = (unsigned *)(submission + params.sq_off.tail);
	atomic_store((_Atomic unsigned *)tail, *tail + 1);
	if (ring_sqe_flags & IOSQE_CQE_SKIP_SUCCESS) {
		/* nothing will be told of a success: an answer to wait for is asked for after it */
		sqes[1].opcode = IORING_OP_NOP;
		((unsigned *)(submission + params.sq_off.array))[1] = 1;
		atomic_store((_Atomic unsigned *)tail, *tail + 1);
	}
	if (flags & IORING_SETUP_SQPOLL) {
		head = (unsigned *)(completion + params.cq_off.tail);
		while (!atomic_load((_Atomic unsigned *)head)) {
			syscall(SYS_io_uring_enter, fd, 0, 0, IORING_ENTER_SQ_WAKEUP, NULL, 0);
			usleep(1000);
		}
	} else if (syscall(SYS_io_uring_enter, fd, *tail, ring_answers, IORING_ENTER_GETEVENTS, NULL, 0) < 0) {
		return -1;
	}
	cqes = (struct io_uring_cqe *)(completion + params.cq_off.cqes);
	return cqes->res;
}

/* The ring of answers is full before the operation ends: the kernel puts its answer aside until there is room. */
static long ring_run_overflown(char **argv)
{
	struct io_uring_params params = {};
	int fd = syscall(SYS_io_uring_setup, 4, &params);
	char *submission, *completion;
	struct io_uring_sqe *sqes;
	struct io_uring_cqe *cqes;
	unsigned *tail, answers = params.cq_entries;

	if (fd < 0) return -1;
	submission = mmap(NULL, params.sq_off.array + params.sq_entries * 4, PROT_READ | PROT_WRITE, MAP_SHARED, fd, IORING_OFF_SQ_RING);
	completion = mmap(NULL, params.cq_off.cqes + params.cq_entries * sizeof(*cqes), PROT_READ | PROT_WRITE, MAP_SHARED, fd, IORING_OFF_CQ_RING);
	sqes = mmap(NULL, params.sq_entries * sizeof(*sqes), PROT_READ | PROT_WRITE, MAP_SHARED, fd, IORING_OFF_SQES);
	*(unsigned *)(submission + params.sq_off.array) = 0;
	tail = (unsigned *)(submission + params.sq_off.tail);
	for (unsigned i = 0; i <= answers; i++) {
		memset(sqes, 0, sizeof(*sqes));
		if (i < answers) sqes->opcode = IORING_OP_NOP;
		else if (ring_fill(sqes, argv)) return -1;
		for (unsigned entry = 0; entry < params.sq_entries; entry++) ((unsigned *)(submission + params.sq_off.array))[entry] = 0;
		atomic_store((_Atomic unsigned *)tail, *tail + 1);
		if (syscall(SYS_io_uring_enter, fd, 1, 0, 0, NULL, 0) < 0) return -1;
	}
	while (!(atomic_load((_Atomic unsigned *)(submission + params.sq_off.flags)) & IORING_SQ_CQ_OVERFLOW)) usleep(1000);
	atomic_store((_Atomic unsigned *)(completion + params.cq_off.head), answers);
	syscall(SYS_io_uring_enter, fd, 0, 1, IORING_ENTER_GETEVENTS, NULL, 0);
	cqes = (struct io_uring_cqe *)(completion + params.cq_off.cqes);
	return cqes[answers & (params.cq_entries - 1)].res;
}
