/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Files behind descriptors, and paths: from a dentry to the root, mounts crossed. */
#ifndef SHIKRA_WALK_H
#define SHIKRA_WALK_H

#define PATH_BUFFER_MASK (PATH_MAX_BYTES * 2 - 1)
#define MAX_PATH_STEPS 2100 /* PATH_MAX allows 2048 components; the rest is mounts crossed */

/* The current task's file behind a descriptor, or NULL. */
static __always_inline struct file *file_of(struct task_struct *task, __s64 fd)
{
	struct files_struct *files = LOAD(task_struct, task, files);
	struct fdtable *fdt;
	struct file **table;

	if (!files || fd < 0)
		return NULL;
	fdt = LOAD(files_struct, files, fdt);
	if (fd >= LOAD(fdtable, fdt, max_fds))
		return NULL;
	table = LOAD(fdtable, fdt, fd);
	return (struct file *)WORD(table + fd);
}

struct mount_part { struct mount *parent; struct dentry *mountpoint; struct dentry *root; };

static __always_inline void read_mount(struct mount_part *part, struct mount *mount)
{
	part->parent = LOAD(mount, mount, mnt_parent);
	part->mountpoint = LOAD(mount, mount, mnt_mountpoint);
	part->root = LOAD(mount, mount, mnt.mnt_root);
}

enum walk_end { WALK_GOES_ON = 0, WALK_ROOT, WALK_DETACHED, WALK_TOO_LONG, WALK_FAILED };

struct walk {
	struct dentry *dentry;
	struct mount *mount; /* NULL: stay within the file system */
	struct mount_part at;
	char *buffer;
	__u32 position; /* of the first byte of the path */
	__u32 end;      /* enum walk_end */
};

/*
 * Copies the name of a dentry, a short one word by word: a helper's call costs more than a few words. A name has no NUL: a word of zeros
 * is one that could not be read. One shorter than a word lies in its dentry, with room behind it; what follows its copy stays as it was.
 */
#define NAME_WORDS 4
static __always_inline bool copy_name(char *to, const unsigned char *name, __u32 length)
{
	__u64 word, mask;

	if (length > NAME_WORDS * 8 || !bpf_core_enum_value_exists(enum bpf_map_type___new, BPF_MAP_TYPE_CGRP_STORAGE))
		return !bpf_probe_read_kernel(to, length & 255, name);
	if (length < 8) {
		word = WORD(name);
		mask = (1ULL << length * 8) - 1;
		*(__u64 *)to = (word & mask) | (*(__u64 *)to & ~mask);
		return word;
	}
	for (__u32 at = 0; at < (NAME_WORDS - 1) * 8; at += 8) {
		if (at + 8 >= length)
			break;
		word = WORD(name + at);
		if (!word)
			return false;
		*(__u64 *)(to + at) = word;
	}
	/* the last whole word, which the one before it may overlap */
	length = (length - 8) & (NAME_WORDS * 8 - 1);
	word = WORD(name + length);
	*(__u64 *)(to + length) = word;
	return word;
}

/* One step towards the root: the component's name goes in front, or the walk passes from a mount's root to where it is mounted. */
static long walk_step(__u32 index, struct walk *walk)
{
	struct dentry *dentry = walk->dentry;
	struct mount *mount = walk->mount;
	struct dentry *above;
	const unsigned char *name;
	__u32 position = walk->position;
	__u32 length;
	char *buffer = walk->buffer;

	if (mount && dentry == walk->at.root) {
		struct mount *parent = walk->at.parent;

		if (parent == mount) {
			walk->end = WALK_ROOT;
			return 1;
		}
		walk->dentry = walk->at.mountpoint;
		walk->mount = parent;
		read_mount(&walk->at, parent);
		return 0;
	}
	above = LOAD(dentry, dentry, d_parent);
	if (!above || above == dentry) {
		walk->end = above ? WALK_DETACHED : WALK_FAILED;
		return 1;
	}
	length = LOAD(dentry, dentry, d_name.len);
	name = LOAD(dentry, dentry, d_name.name);
	if (length > 255)
		length = 255;
	if (position < length + 1 || position > PATH_MAX_BYTES) {
		walk->end = WALK_TOO_LONG;
		return 1;
	}
	position -= length;
	if (!copy_name(buffer + (position & (PATH_MAX_BYTES - 1)), name, length)) {
		walk->end = WALK_FAILED;
		return 1;
	}
	position--;
	buffer[position & (PATH_MAX_BYTES - 1)] = '/';
	walk->position = position;
	walk->dentry = above;
	return 0;
}

/* Results of walk_path: the length, and how the walk ended above it. */
#define WALKED_LENGTH(walked) ((walked) & PATH_BUFFER_MASK)
#define WALKED_END(walked) ((__u32)((__u64)(walked) >> 32))

/*
 * Writes a path to the end of the first PATH_MAX_BYTES of scratch->path: as the root of its mount namespace sees it, or (across false) inside its
 * file system. A file that has no place there (memfd, pipe) is named by its dentry alone. A walk cut by length keeps the end, which names the file.
 * A global function: the verifier looks at it once, not at each of its callers; it takes no kernel pointers, so where to start stands in
 * the scratch. Negative: unreadable.
 */
__noinline long walk_path(struct scratch *scratch, __u32 across)
{
	struct walk walk = { .position = PATH_MAX_BYTES };
	struct dentry *dentry;
	__u32 length;

	if (!scratch)
		return -1;
	dentry = scratch->walk_from.dentry;
	walk.buffer = scratch->path;
	walk.dentry = dentry;
	if (across) {
		walk.mount = (void *)scratch->walk_from.mnt - bpf_core_field_offset(struct mount, mnt);
		read_mount(&walk.at, walk.mount);
	}
	bpf_loop(MAX_PATH_STEPS, walk_step, &walk, 0);
	if (walk.end == WALK_FAILED)
		return -1;
	if (walk.position < PATH_MAX_BYTES)
		return (__u64)walk.end << 32 | (PATH_MAX_BYTES - walk.position);
	length = LOAD(dentry, dentry, d_name.len);
	if (walk.end == WALK_DETACHED && across && length > 1 && length < 256 &&
	    !bpf_probe_read_kernel(scratch->path + ((PATH_MAX_BYTES - length) & (PATH_MAX_BYTES - 1)), length & 255, LOAD(dentry, dentry, d_name.name)))
		return (__u64)walk.end << 32 | (length & 255);
	scratch->path[PATH_MAX_BYTES - 1] = '/';
	return (__u64)walk.end << 32 | 1;
}

/* What was walked, into the record at an offset. Not 0: it could not be. */
static __always_inline long copy_walked(struct scratch *scratch, __u32 offset, long walked)
{
	__u32 length = WALKED_LENGTH(walked);

	return bpf_probe_read_kernel(scratch->record + (offset & (RECORD_STRINGS_BYTES - 1)), length,
				     scratch->path + ((PATH_MAX_BYTES - length) & (PATH_MAX_BYTES - 1)));
}

/* True if what was walked is the string, as far as SAME_WORDS words of 8 bytes tell: a longer one is never the same, nor one of less than a word. */
#define SAME_WORDS 32
static __always_inline bool same_walked(struct record *record, long walked, const struct str_ref *string)
{
	__u32 length = WALKED_LENGTH(walked);
	const char *one = record->scratch->path + ((PATH_MAX_BYTES - length) & (PATH_MAX_BYTES - 1));
	const char *other = record->scratch->record + (string->offset & (RECORD_STRINGS_BYTES - 1));

	if (string->length != length || length < 8 || length > SAME_WORDS * 8)
		return false;
	for (__u32 at = 0; at < SAME_WORDS * 8; at += 8) {
		if (at + 8 > length)
			break;
		if (*(const __u64 *)(one + at) != *(const __u64 *)(other + at))
			return false;
	}
	/* the last whole word, which the one before it may overlap */
	length = (length - 8) & (SAME_WORDS * 8 - 1);
	return *(const __u64 *)(one + length) == *(const __u64 *)(other + length);
}

/* A path; where it is what a string of the record says already, that string. same may be NULL. */
static __always_inline void append_walked_or_same(struct record *record, struct str_ref *ref, __u32 slot, struct vfsmount *mnt, struct dentry *dentry,
						  bool across, const struct str_ref *same)
{
	long walked;

	record->scratch->walk_from.mnt = mnt;
	record->scratch->walk_from.dentry = dentry;
	walked = walk_path(record->scratch, across);
	if (walked >= 0 && same && same_walked(record, walked, same)) {
		*ref = *same;
		return;
	}
	if (walked < 0 || copy_walked(record->scratch, record->offset, walked)) {
		mark_unreadable(record, slot);
		string_none(ref);
		return;
	}
	if (WALKED_END(walked) == WALK_TOO_LONG || WALKED_END(walked) == WALK_GOES_ON)
		record->header->truncated |= 1 << slot;
	string_end(record, ref, WALKED_LENGTH(walked));
}

static __always_inline void append_walked(struct record *record, struct str_ref *ref, __u32 slot, struct vfsmount *mnt, struct dentry *dentry, bool across)
{
	append_walked_or_same(record, ref, slot, mnt, dentry, across, NULL);
}

/* The path of an open file. */
static __always_inline void append_file_path(struct record *record, struct str_ref *ref, __u32 slot, struct file *file)
{
	append_walked(record, ref, slot, BPF_CORE_READ(file, f_path.mnt), BPF_CORE_READ(file, f_path.dentry), true);
}

/* Where a path that the caller wrote begins: the descriptor's directory, the working directory, or a root that is not the namespace's. */
static __always_inline void append_directory(struct record *record, struct str_ref *ref, __u32 slot, struct task_struct *task, __s32 fd, char first)
{
	struct fs_struct *fs = BPF_CORE_READ(task, fs);
	struct mount_part part;
	struct vfsmount *mnt;
	struct dentry *dentry;

	string_none(ref);
	if (!fs)
		return;
	if (first == '/') {
		mnt = BPF_CORE_READ(fs, root.mnt);
		dentry = BPF_CORE_READ(fs, root.dentry);
		read_mount(&part, (void *)mnt - bpf_core_field_offset(struct mount, mnt));
		if (dentry == part.root && part.parent == (void *)mnt - bpf_core_field_offset(struct mount, mnt))
			return;
	} else if (fd == AT_FDCWD) {
		mnt = BPF_CORE_READ(fs, pwd.mnt);
		dentry = BPF_CORE_READ(fs, pwd.dentry);
	} else {
		struct file *file = file_of(task, fd);

		if (!file)
			return;
		mnt = BPF_CORE_READ(file, f_path.mnt);
		dentry = BPF_CORE_READ(file, f_path.dentry);
	}
	append_walked(record, ref, slot, mnt, dentry, true);
}

#endif
