// SPDX-License-Identifier: Apache-2.0
/* Where a path leads, as far as the kernel knows it without asking any disk, server or program: for threads that must never wait. */
#define _GNU_SOURCE
#include "js.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef RESOLVE_CACHED
#define RESOLVE_CACHED 0x20 /* since Linux 5.12; older ones refuse it: EINVAL */
#endif

enum { LINK_BYTES = 64 };

/* openat2, and nothing else, so that the agent's own are known among the events. O_PATH: no file system and no device is asked. */
static int open_path(int folder, const char *path, __u64 flags, __u64 resolve)
{
	struct open_how how = { .flags = O_PATH | O_CLOEXEC | flags, .resolve = resolve };

	return syscall(SYS_openat2, folder, path, &how, sizeof(how));
}

/* What a link of /proc leads to. */
static bool read_link(const char *link, char *text, size_t size)
{
	ssize_t length = readlink(link, text, size - 1);

	if (length < 0 || (size_t)length >= size - 1)
		return false;
	text[length] = 0;
	return true;
}

/* The root of a process, if it is still in this mount namespace and has that one's root. */
static int open_root(uint32_t pid, uint32_t mount_namespace)
{
	char link[LINK_BYTES], text[LINK_BYTES], expected[LINK_BYTES];

	snprintf(link, sizeof(link), "/proc/%u/root", pid);
	if (!read_link(link, text, sizeof(text)) || strcmp(text, "/"))
		return -1;
	snprintf(link, sizeof(link), "/proc/%u/ns/mnt", pid);
	snprintf(expected, sizeof(expected), "mnt:[%u]", mount_namespace);
	if (!read_link(link, text, sizeof(text)) || strcmp(text, expected))
		return -1;
	snprintf(link, sizeof(link), "/proc/%u/root", pid);
	return open_path(AT_FDCWD, link, O_DIRECTORY, 0);
}

/* Below a root that no link and no `..` leads out of. */
static int open_below(int root, const char *base, const char *path, bool is_folder)
{
	__u64 flags = is_folder ? O_DIRECTORY : 0;
	int folder, found;

	if (!*base)
		return open_path(root, path, flags, RESOLVE_IN_ROOT | RESOLVE_CACHED);
	folder = open_path(root, base, O_DIRECTORY, RESOLVE_IN_ROOT | RESOLVE_CACHED);
	if (folder < 0)
		return -1;
	found = open_path(folder, path, flags, RESOLVE_IN_ROOT | RESOLVE_CACHED);
	close(folder);
	return found;
}

/* As the kernel says it of what is in no folder any more. Counting links (fstat) could ask a server, or a program that never answers. */
static bool is_deleted(const char *path)
{
	static const char mark[] = " (deleted)";
	size_t length = strlen(path);

	return length >= sizeof(mark) - 1 && !strcmp(path + length - (sizeof(mark) - 1), mark);
}

static bool get_path(napi_env env, napi_value value, char *path)
{
	size_t length;

	return napi_get_value_string_utf8(env, value, path, PATH_MAX + 1, &length) == napi_ok && length < PATH_MAX && strlen(path) == length;
}

/* resolve(pid, mountNamespace, base, path, isFolder): string | undefined. With pid 0 from this process's root. */
napi_value js_resolve(napi_env env, napi_callback_info info)
{
	char base[PATH_MAX + 1], path[PATH_MAX + 1], link[LINK_BYTES], found[PATH_MAX + 1];
	uint32_t pid, mount_namespace;
	napi_value arguments[5], result = NULL;
	size_t count = 5;
	bool is_folder, known;
	int root, fd;

	CHECK(env, napi_get_cb_info(env, info, &count, arguments, NULL, NULL));
	CHECK(env, napi_get_value_uint32(env, arguments[0], &pid));
	CHECK(env, napi_get_value_uint32(env, arguments[1], &mount_namespace));
	CHECK(env, napi_get_value_bool(env, arguments[4], &is_folder));
	CHECK(env, napi_get_undefined(env, &result));
	if (!get_path(env, arguments[2], base) || !get_path(env, arguments[3], path))
		return result;
	root = pid ? open_root(pid, mount_namespace) : open_path(AT_FDCWD, "/", O_DIRECTORY, 0);
	if (root < 0)
		return result;
	fd = open_below(root, base, path, is_folder);
	close(root);
	if (fd < 0)
		return result;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	known = read_link(link, found, sizeof(found)) && found[0] == '/' && !is_deleted(found);
	close(fd);
	if (known)
		CHECK(env, napi_create_string_utf8(env, found, NAPI_AUTO_LENGTH, &result));
	return result;
}
